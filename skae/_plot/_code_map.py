"""Map of two components of the latent code."""

import math

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skae._compat import check_matplotlib_support
from skae._parameters import check_count
from skae._plot._common import merged, new_axes, style
from skae._plot._images import alike, as_images, image_sides, mosaic

_MAX_CLASSES = 10  # numeric y with more distinct values is not treated as classes
_TAILS = 1, 99  # percentiles of the codes between which the plane is decoded


class CodeMapDisplay:
    """Scatter plot of two latent components, optionally next to images decoded from their plane.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2)
        Two components of the latent code of each sample.
    y : ndarray of shape (n_samples,), default=None
        Values that color the points. Strings, or up to ten distinct values, are classes with
        markers and a legend; other numbers get a color bar.
    components : tuple of int, default=(0, 1)
        Indices of the two components, counted from 0.
    plane : ndarray of shape (n_decoded, n_decoded, height, width[, channels]), default=None
        Images decoded from equal steps of both components. The first axis is the second component,
        from its highest value to its lowest; the second axis is the first component.
    plane_range : ndarray of shape (2, 2), default=None
        Lowest and highest value of each component in `plane`.
    name : str, default=None
        Title of the map.

    Attributes
    ----------
    scatters_ : list of matplotlib PathCollection
        Points of each class, or all points.
    colorbar_ : matplotlib Colorbar or None
        Color bar of y. None if y is None or has classes.
    im_ : matplotlib AxesImage or None
        Decoded plane.
    axes_ : ndarray of matplotlib Axes
        Axes with the map and, if there is a plane, axes with the plane.
    ax_ : matplotlib Axes
        Axes with the map.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    VAETransformer.sample : Decodes latent codes that are sampled from the prior.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import CodeMapDisplay, VAETransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> vae = VAETransformer(2, max_iter=5, random_state=0).fit(X)
    >>> display = CodeMapDisplay.from_estimator(vae, X, y, n_decoded=12)
    >>> display.plane.shape
    (12, 12, 8, 8)
    >>> plt.show()
    """

    def __init__(
        self, *, codes, y=None, components=(0, 1), plane=None, plane_range=None, name=None
    ):
        self.codes = codes
        self.y = y
        self.components = components
        self.plane = plane
        self.plane_range = plane_range
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        components=(0, 1),
        n_decoded=None,
        image_shape=None,
        name=None,
        ax=None,
        scatter_kw=None,
        im_kw=None,
    ):
        """Encode X and plot two components; optionally decode the plane that they span.

        Parameters
        ----------
        estimator : object
            Fitted transformer, or a Pipeline, such as PCA or an autoencoder. A plane requires
            `inverse_transform`.
        X : array-like of shape (n_samples, n_features) or images
            Samples to encode.
        y : array-like of shape (n_samples,), default=None
            Values that color the points: classes or numbers.
        components : tuple of int, default=(0, 1)
            Indices of the two components, counted from 0.
        n_decoded : int, default=None
            Number of images along each side of the decoded plane, at least 2. They are decoded from
            codes at equal steps from the 1st to the 99th percentile of both components, with the
            other components at their mean, and clipped to the range of X. None decodes nothing.
        image_shape : tuple of int, default=None
            Height, width and, if there is more than one, channels of flat decoded samples. None
            takes the shape of N-dimensional ones, else the `image_shape_` of the estimator, else
            a square.
        name : str, default=None
            Title of the map.
        ax : matplotlib Axes or array-like of two, default=None
            Axes to draw on: two if there is a plane. None creates a new figure.
        scatter_kw : dict, default=None
            Keyword arguments for matplotlib's `scatter`.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : CodeMapDisplay
            Display with the computed values and the drawn objects.

        Raises
        ------
        ValueError
            If `components` are not two of the latent code, `n_decoded` is below 2, y has another
            length than X, or decoded samples cannot be shown as images.
        AttributeError
            If `n_decoded` is given and the estimator has no `inverse_transform`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        if n_decoded is not None:
            check_count("n_decoded", n_decoded, least=2)
        codes = np.asarray(estimator.transform(X))
        first, second = _check_components(components, codes.shape[1])
        if y is not None:
            y = column_or_1d(y, warn=True)
            check_consistent_length(codes, y)
        display = cls(codes=codes[:, [first, second]], y=y, components=(first, second), name=name)
        if n_decoded is not None:
            display.plane_range = np.percentile(display.codes, _TAILS, axis=0).T
            plane = _decode(
                estimator, codes, (first, second), display.plane_range, n_decoded, image_shape
            )
            rows = np.asarray(X)
            display.plane = np.clip(plane, rows.min(), rows.max())
        return display.plot(ax=ax, scatter_kw=scatter_kw, im_kw=im_kw)

    def plot(self, ax=None, *, scatter_kw=None, im_kw=None):
        """Draw the map and, if there is one, the plane.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of two, default=None
            Axes to draw on: two if there is a plane. None creates a new figure.
        scatter_kw : dict, default=None
            Keyword arguments for matplotlib's `scatter`.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : CodeMapDisplay
            Display with the drawn objects.

        Raises
        ------
        ValueError
            If `ax` does not have one axes, or two if there is a plane.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_axes = 1 if self.plane is None else 2
        axes = np.atleast_1d(new_axes(ax, n_axes, figsize=(6.4 * n_axes, 5.6)))
        if axes.shape != (n_axes,):
            raise ValueError(
                f"ax holds {axes.size} axes: give {n_axes}, one for the map and, if there is a"
                " plane, one for the plane."
            )
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        self._plot_map(merged({"s": 24, "linewidth": 0, "alpha": 0.8}, scatter_kw))
        self.im_ = None if self.plane is None else self._plot_plane(axes[1], im_kw)
        for one in axes:
            one.set(
                xlabel=f"component {self.components[0]}", ylabel=f"component {self.components[1]}"
            )
        return self

    def _plot_map(self, scatter_kw):
        ax, y, self.colorbar_ = self.ax_, self.y, None
        if y is not None and _has_classes(y):
            classes = np.unique(y)
            self.scatters_ = [
                ax.scatter(
                    *self.codes[y == label].T, **merged({"label": label, **style(i)}, scatter_kw)
                )
                for i, label in enumerate(classes)
            ]
            ax.legend(
                ncols=math.ceil(len(classes) / 20),
                loc="upper left",
                bbox_to_anchor=(1, 1),
                markerscale=1.5,
            )
        else:
            default = {"color": style(0)["color"]} if y is None else {"c": y, "cmap": "viridis"}
            self.scatters_ = [ax.scatter(*self.codes.T, **merged(default, scatter_kw))]
            if y is not None:
                self.colorbar_ = ax.figure.colorbar(self.scatters_[0], ax=ax)
        if self.name is not None:
            ax.set_title(self.name)

    def _plot_plane(self, ax, im_kw):
        low, high = float(self.plane.min()), float(self.plane.max())
        whole, _ = mosaic(alike(list(self.plane), (low, high)))
        # Half a step: an image is centered on its code.
        halves = np.diff(self.plane_range) / (len(self.plane) - 1) / 2
        extent = (self.plane_range + halves * [-1, 1]).ravel()
        ax.set_title("decoded")
        default = {"cmap": "gray", "extent": extent, "aspect": "auto"}
        return ax.imshow(whole, **merged(default, im_kw))


def _check_components(components, n_components):
    if len(components) != 2 or not all(
        isinstance(i, int | np.integer) and 0 <= i < n_components for i in components
    ):
        raise ValueError(
            f"components={components!r}: give two indices from 0 to {n_components - 1}, as the"
            f" number of latent components is {n_components}. A map needs at least two."
        )
    return tuple(map(int, components))


def _has_classes(y):
    return y.dtype.kind not in "iuf" or len(np.unique(y)) <= _MAX_CLASSES


def _decode(estimator, codes, components, plane_range, n_decoded, image_shape):
    """Decode a plane of codes, with the other components at their mean.

    Returns images of shape (n_decoded, n_decoded, height, width[, channels]).
    """
    first, second = (np.linspace(*limits, n_decoded) for limits in plane_range)
    plane = np.repeat(codes.mean(axis=0, keepdims=True), n_decoded**2, axis=0)
    plane[:, list(components)] = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)
    rows = np.asarray(estimator.inverse_transform(plane))
    images = as_images(rows, image_sides(rows, image_shape, estimator))
    return images.reshape(n_decoded, n_decoded, *images.shape[1:])
