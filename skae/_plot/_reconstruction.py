"""Images above their reconstructions."""

import numpy as np

from skae._compat import check_matplotlib_support
from skae._parameters import check_count
from skae._plot._common import by_name, merged, new_axes
from skae._plot._images import alike, as_images, image_sides, mosaic
from skae._scores import explained_variance


class ReconstructionDisplay:
    """Images above their reconstructions by one or several estimators.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    originals : ndarray of shape (n_images, height, width) or (n_images, height, width, channels)
        Images to reconstruct, with one, three or four channels.
    reconstructions : dict of str to ndarray
        Reconstructed images, by the name of the estimator.
    scores : dict of str to float
        R² of the reconstruction, by the name of the estimator.
    targets : ndarray of shape (n_images, height, width[, channels]), default=None
        Clean images, if `originals` are corrupted.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All images in one, with gaps between them. From top to bottom: the targets, if there are
        any, the originals, and the reconstructions of each estimator.
    ax_ : matplotlib Axes
        Axes with the images.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    reconstruction_score : Computes the R² that is shown.

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
        """Reconstruct X, compute the R², and plot the first samples.

        Parameters
        ----------
        estimator : object, list of objects or dict of str to object
            Fitted transformers with `inverse_transform`, or Pipelines of them, such as PCA and
            autoencoders. The keys of a dict are their names.
        X : array-like of shape (n_samples, n_features) or images
            Samples to reconstruct.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            Clean samples, if X is corrupted. They are shown, too, and the R² is computed with
            respect to them.
        n_images : int, default=10
            Number of samples to show, the first ones of X. The R² is computed on all samples.
        image_shape : tuple of int, default=None
            Height, width and, if there is more than one, channels of flat samples. None takes the
            shape of N-dimensional X, else the `image_shape_` of the estimator, else a square.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`.

        Returns
        -------
        display : ReconstructionDisplay
            Display with the computed values and the drawn objects.

        Raises
        ------
        ValueError
            If samples cannot be shown as images, an estimator has no `inverse_transform`, or
            reconstructions have another number of features than X and `X_target` is not given.
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
            Axes to draw on. None creates a new figure.
        im_kw : dict, default=None
            Keyword arguments for matplotlib's `imshow`. By default, gray images are drawn from the
            lowest to the highest value of the originals, or of the targets if there are any; set
            ``vmin`` and ``vmax`` to change that.

        Returns
        -------
        display : ReconstructionDisplay
            Display with the drawn objects.
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
            f"{name} reconstructs samples of shape {X_hat.shape}, but they are compared with"
            f" samples of shape {target.shape}: give X_target, the clean samples, in the shape of"
            " the reconstructions."
        )
    return explained_variance(target, X_hat)


def _figure_size(shape):
    """Width and height in inches, high enough for the width to limit the size of the images."""
    height, width = shape[:2]
    return 10.0, min(12.0, 0.2 + 9.2 * height / width)
