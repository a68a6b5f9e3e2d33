"""Originals over their reconstructions."""

import numpy as np

from skae._compat import check_matplotlib_support
from skae._parameters import check_count
from skae._plot._common import by_name, merged, new_axes
from skae._plot._images import alike, as_images, image_sides, mosaic
from skae._scores import explained_variance


class ReconstructionDisplay:
    """Images over what one or several estimators make of them.

    Make it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    originals : ndarray of shape (n_images, height, width) or (n_images, height, width, channels)
        Images that were reconstructed, of one, three or four channels.
    reconstructions : dict of str to ndarray
        What each estimator made of them, by its name.
    scores : dict of str to float
        R² of each estimator.
    targets : ndarray of shape (n_images, height, width) or (n_images, height, width, channels),
    default=None
        Clean images, where `originals` are damaged.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All images in one, with gaps between them: originals (over them the targets, where there are
        any) and below them a row for each estimator.
    ax_ : matplotlib Axes
        Axes with the images.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    reconstruction_score : The R² shown.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer, ReconstructionDisplay
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(8, max_iter=5, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator([PCA(8).fit(X), autoencoder], X)
    >>> list(display.scores)
    ['PCA', 'AutoencoderTransformer']
    >>> plt.show()
    """

    def __init__(self, *, originals, reconstructions, scores, targets=None):
        self.originals = originals
        self.reconstructions = reconstructions
        self.scores = scores
        self.targets = targets

    @classmethod
    def from_estimator(
        cls, estimator, X, *, X_target=None, n_images=10, image_shape=None, ax=None, im_kw=None
    ):
        """Reconstruct the rows of X, score them all, and show the first.

        Parameters
        ----------
        estimator : object, list of objects or dict of str to object
            Fitted, with `transform` and `inverse_transform`: PCA and Pipelines too. The keys of a
            dict name them.
        X : array-like of shape (n_samples, n_features) or images
            Rows to reconstruct.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            The clean rows of a damaged X: a row of their own, and what the reconstructions are
            scored against.
        n_images : int, default=10
            How many of the first rows of X are shown; `scores` are those of all rows.
        image_shape : tuple of int, default=None
            Height, width and, where there is more than one, channels, of flat rows. None takes that
            of n-D X, else the `image_shape_` of the estimator, else a square.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : ReconstructionDisplay
            It holds what was computed, and what was drawn.

        Raises
        ------
        ValueError
            If rows are no images, an estimator cannot reconstruct, or what comes back has another
            width than X and `X_target` is not given.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_count("n_images", n_images)
        estimators = by_name(estimator)
        rows = np.asarray(X)
        sides = image_sides(rows, image_shape, next(iter(estimators.values())))
        target = rows if X_target is None else np.asarray(X_target)
        reconstructions, scores = {}, {}
        for name, one in estimators.items():
            X_hat = np.asarray(one.inverse_transform(one.transform(X)))
            scores[name] = _score(name, target, X_hat)
            reconstructions[name] = as_images(X_hat[:n_images], sides)
        display = cls(
            originals=as_images(rows[:n_images], sides),
            reconstructions=reconstructions,
            scores=scores,
            targets=None if X_target is None else as_images(target[:n_images], sides),
        )
        return display.plot(ax=ax, im_kw=im_kw)

    def plot(self, ax=None, *, im_kw=None):
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`. Grey images are drawn from the lowest to
            the highest value of the originals (of the targets, where there are any), unless it has
            other ``vmin`` and ``vmax``.

        Returns
        -------
        display : ReconstructionDisplay
            It holds what was drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        rows = (
            {"original": self.originals}
            if self.targets is None
            else {"clean": self.targets, "given": self.originals}
        )
        labels = [
            *rows,
            *(f"{name}\nR² = {self.scores[name]:.3f}" for name in self.reconstructions),
        ]
        first = next(iter(rows.values()))
        low, high = float(first.min()), float(first.max())
        images = alike([*rows.values(), *self.reconstructions.values()], (low, high))
        whole, gap = mosaic(images)
        ax = new_axes(ax, figsize=_figure_size(whole.shape))
        self.im_ = ax.imshow(whole, **merged({"cmap": "gray", "vmin": low, "vmax": high}, im_kw))
        height = images.shape[2]
        ax.set(
            xticks=[],
            yticks=np.arange(len(labels)) * (height + gap) + (height - 1) / 2,
            yticklabels=labels,
        )
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _score(name, target, X_hat):
    if target.size != X_hat.size:
        raise ValueError(
            f"{name} makes rows of shape {X_hat.shape[1:]} of X, but they are compared with rows of shape"
            f" {target.shape[1:]}: give X_target, the clean rows, of that shape."
        )
    return explained_variance(target, X_hat)


def _figure_size(shape):
    """Width and height in inches: so high that the width limits the images, whatever the labels leave of it."""
    height, width = shape[:2]
    return 10.0, min(12.0, 0.2 + 9.2 * height / width)
