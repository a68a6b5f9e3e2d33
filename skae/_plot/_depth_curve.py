"""R² against the number of components."""

import numpy as np

from skae._compat import check_matplotlib_support
from skae._plot._common import by_name, last_step, merged, n_styles_used, new_axes, style
from skae._scores import explained_variance

_MAX_DEPTHS = 128  # with more components, not every number of them is decoded


class DepthCurveDisplay:
    """R² of the reconstruction from the first components against their number.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    depths : dict of str to ndarray of int
        Numbers of components, by the name of the estimator. Of more than 128 components, not every
        number is computed.
    scores : dict of str to ndarray of float
        R² of the reconstruction from these numbers of components, by the name of the estimator.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Curve of each estimator, with markers at 1, 2, 4, … components.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    AutoencoderTransformer.explained_variance_curve : Computes these scores for one estimator.
    AutoencoderTransformer.truncate : Returns the estimator with the first components.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer, DepthCurveDisplay
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(8, ordered=True, max_iter=5, random_state=0).fit(X)
    >>> display = DepthCurveDisplay.from_estimator([PCA(8).fit(X), autoencoder], X)
    >>> display.scores["PCA"][[0, 1, 7]].round(2)
    array([0.15, 0.29, 0.67])
    >>> plt.show()
    """

    def __init__(self, *, depths, scores):
        self.depths = depths
        self.scores = scores

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, line_kw=None):
        """Plot the R² of the reconstruction of X, for one or several fitted estimators.

        Parameters
        ----------
        estimator : object, list of objects or dict of str to object
            Fitted estimators with ordered components: those with `components_`, such as PCA,
            autoencoders with ``ordered=True``, or Pipelines that end in one. With `components_`,
            the further components are set to 0. The keys of a dict are their names.
        X : array-like of shape (n_samples, n_features) or images
            Samples to reconstruct. Each is reconstructed from every number of components: a
            thousand samples are enough.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        line_kw : dict, default=None
            Keyword arguments for matplotlib's `plot`.

        Returns
        -------
        display : DepthCurveDisplay
            Display with the computed values and the drawn objects.

        Raises
        ------
        ValueError
            If the components of an estimator are not ordered, or it has no `inverse_transform`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimators = by_name(estimator)
        for name, one in estimators.items():
            if not any(
                hasattr(last_step(one), wanted)
                for wanted in ("components_", "explained_variance_ratio_")
            ):
                raise ValueError(
                    f"The latent components of {name} are not ordered: give an autoencoder fitted"
                    " with ordered=True, or a transformer with components_, such as PCA."
                )
        curves = {name: _curve(one, X) for name, one in estimators.items()}
        depths, scores = ({name: curve[i] for name, curve in curves.items()} for i in (0, 1))
        return cls(depths=depths, scores=scores).plot(ax=ax, line_kw=line_kw)

    def plot(self, ax=None, *, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        line_kw : dict, default=None
            Keyword arguments for matplotlib's `plot`.

        Returns
        -------
        display : DepthCurveDisplay
            Display with the drawn objects.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        ax, self.lines_ = new_axes(ax), []
        for name, depths in self.depths.items():
            marked = np.flatnonzero(
                np.isin(depths, 2 ** np.arange(32)) | (depths == depths[-1])
            ).tolist()
            default = {"label": name, "markevery": marked, **style(n_styles_used(ax))}
            self.lines_ += ax.plot(depths, self.scores[name], **merged(default, line_kw))
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlabel="components", ylabel="R² of the reconstruction")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _curve(estimator, X):
    """Numbers of components, and the R² of the reconstruction from the first of them."""
    codes, is_autoencoder = (
        np.asarray(estimator.transform(X)),
        hasattr(last_step(estimator), "truncate"),
    )
    depths = np.arange(1, codes.shape[1] + 1)
    if len(depths) > _MAX_DEPTHS:
        powers, between = (
            2 ** np.arange(len(depths).bit_length()),
            np.geomspace(1, len(depths), _MAX_DEPTHS),
        )
        depths = np.unique(np.r_[powers, between].round().astype(int))
    cut = (
        codes[:, :depth]
        if is_autoencoder
        else np.where(np.arange(codes.shape[1]) < depth, codes, 0)
        for depth in depths
    )
    return depths, np.array(
        [explained_variance(X, np.asarray(estimator.inverse_transform(codes))) for codes in cut]
    )
