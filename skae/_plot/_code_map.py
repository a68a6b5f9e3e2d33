"""Two code dimensions as a map."""

import math

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skae._compat import check_matplotlib_support
from skae._parameters import check_count
from skae._plot._common import merged, new_axes, style
from skae._plot._images import alike, as_images, image_sides, mosaic

_MAX_CLASSES = 10  # distinct numbers up to which they are classes
_TAILS = 1, 99  # percentiles of the codes between which the plane is decoded


class CodeMapDisplay:
    """Two components of the codes as a map, colored by y, and optionally what the decoder makes of that plane.

    Make it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2)
        Two components of the code of each row.
    y : ndarray of shape (n_samples,), default=None
        What the points are colored by: strings or up to ten distinct values are classes, which have
        markers and a legend; other numbers have a color bar.
    components : tuple of int, default=(0, 1)
        Which components they are, counted from 0.
    plane : ndarray of shape (n_decoded, n_decoded, height, width[, channels]), default=None
        Images decoded from even steps of both components; the first row has the highest value of
        the second component.
    plane_range : ndarray of shape (2, 2), default=None
        Lowest and highest value of each component in `plane`.
    name : str, default=None
        Title of the map.

    Attributes
    ----------
    scatters_ : list of matplotlib PathCollection
        The points: of each class, or all.
    colorbar_ : matplotlib Colorbar or None
        Of y where that is no class.
    im_ : matplotlib AxesImage or None
        The decoded plane.
    axes_ : ndarray of matplotlib Axes
        The map and, where there is one, the plane.
    ax_ : matplotlib Axes
        The map.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    VAETransformer.sample : Rows from codes that are drawn from the prior.

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
        """Code the rows of X, and decode a plane of codes where that is asked for.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and, for a plane, `inverse_transform`: PCA and Pipelines too.
        X : array-like of shape (n_samples, n_features) or images
            Rows to code.
        y : array-like of shape (n_samples,), default=None
            What the points are colored by.
        components : tuple of int, default=(0, 1)
            The two components, counted from 0.
        n_decoded : int, default=None
            Images a side of the plane, from the 1st to the 99th percentile of both components, with
            the others at their mean; at least 2. They are clipped to the range of X. None decodes
            nothing.
        image_shape : tuple of int, default=None
            Height, width and, where there is more than one, channels, of decoded rows. None takes
            that of n-D rows, else the `image_shape_` of the estimator, else a square.
        name : str, default=None
            Title of the map.
        ax : matplotlib Axes or array-like of two, default=None
            Where to draw: two where there is a plane. None makes a new figure.
        scatter_kw : dict, default=None
            Keyword arguments for matplotlib's `scatter`.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : CodeMapDisplay
            It holds what was computed, and what was drawn.

        Raises
        ------
        ValueError
            If there are no such components, y does not suit X, or decoded rows are no images.
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
        """Draw the map and, where there is one, the plane.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of two, default=None
            Where to draw: two where there is a plane. None makes a new figure.
        scatter_kw : dict, default=None
            Keyword arguments for matplotlib's `scatter`.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : CodeMapDisplay
            It holds what was drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_axes = 1 if self.plane is None else 2
        axes = np.atleast_1d(new_axes(ax, n_axes, figsize=(6.4 * n_axes, 5.6)))
        if axes.shape != (n_axes,):
            raise ValueError(
                f"ax holds {axes.size} axes: give {n_axes}, one for the map and, where there is a plane, another."
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
        # Of a step: an image is centred on its code.
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
            f"components={components!r}: give two of the {n_components} that the codes have, counted from 0."
        )
    return tuple(map(int, components))


def _has_classes(y):
    return y.dtype.kind not in "iuf" or len(np.unique(y)) <= _MAX_CLASSES


def _decode(estimator, codes, components, plane_range, n_decoded, image_shape):
    """Images (n_decoded, n_decoded, height, width[, channels]) of a plane of codes, the other components at their mean."""
    first, second = (np.linspace(*limits, n_decoded) for limits in plane_range)
    plane = np.repeat(codes.mean(axis=0, keepdims=True), n_decoded**2, axis=0)
    plane[:, list(components)] = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)
    rows = np.asarray(estimator.inverse_transform(plane))
    images = as_images(rows, image_sides(rows, image_shape, estimator))
    return images.reshape(n_decoded, n_decoded, *images.shape[1:])
