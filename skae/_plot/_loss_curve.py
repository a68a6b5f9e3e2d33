"""Training and validation scores by epoch."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._compat import check_matplotlib_support
from skae._plot._common import merged, n_styles_used, new_axes, style

_SCORE_NAMES = {
    "squared_error": "R²",
    "absolute_error": "1 - absolute error / that of the mean",
    "log_loss": "1 - log loss / that of the mean",
    None: "evidence lower bound (nats)",
}


class LossCurveDisplay:
    """Training and validation scores by epoch, with the level of epoch 0 and the epoch kept.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    training_scores : ndarray of shape (n_epochs,)
        Training score in each epoch, in the units of `validation_scores`.
    validation_scores : ndarray of shape (n_epochs + 1,)
        Validation score after each epoch, from epoch 0 on.
    best_iter : int
        Epoch whose weights are kept.
    score_name : str, default="R²"
        Name of the score, for the vertical axis.
    start_name : str, default="PCA"
        Name of epoch 0, for the legend.
    name : str, default=None
        Name of the estimator, for the legend.

    Attributes
    ----------
    training_line_ : matplotlib Line2D
        Training scores, dashed.
    validation_line_ : matplotlib Line2D
        Validation scores.
    start_line_ : matplotlib Line2D
        Level of epoch 0, dotted.
    best_line_ : matplotlib Line2D
        Marker at the epoch kept.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    DepthCurveDisplay : R² against the number of components.

    Notes
    -----
    Training losses are converted to the score of `validation_scores_`: 1 minus the ratio of the
    loss to that of predicting the mean of the validation set. For a variational autoencoder the
    score is the negative loss.

    A training score far above the validation score means overfitting: raise `alpha`, or use more
    samples. The two scores are computed in different ways, however. Training samples are scored
    during the epoch, with the corruption and the truncated codes of training. Validation samples
    are scored after the epoch, with the averaged weights. With ordered codes the curves do not
    meet, since training uses other numbers of components than validation.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, LossCurveDisplay
    >>> autoencoder = AutoencoderTransformer(8, max_iter=5, random_state=0).fit(load_digits().data)
    >>> display = LossCurveDisplay.from_estimator(autoencoder)
    >>> display.validation_scores.shape
    (6,)
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        training_scores,
        validation_scores,
        best_iter,
        score_name="R²",
        start_name="PCA",
        name=None,
    ):
        self.training_scores = training_scores
        self.validation_scores = validation_scores
        self.best_iter = best_iter
        self.score_name = score_name
        self.start_name = start_name
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, line_kw=None):
        """Plot the scores of a fitted autoencoder.

        Parameters
        ----------
        estimator : object
            Fitted estimator of skae. If it is in a Pipeline, pass the step.
        name : str, default=None
            Name of the estimator, for the legend. Give one if several are drawn on the same axes.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        line_kw : dict, default=None
            Keyword arguments for matplotlib's `plot`, for both curves.

        Returns
        -------
        display : LossCurveDisplay
            Display with the curves and the drawn objects.

        Raises
        ------
        ValueError
            If the estimator has no `validation_scores_`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        if not hasattr(estimator, "validation_scores_"):
            raise ValueError(
                f"{type(estimator).__name__} has no validation_scores_: give a fitted autoencoder"
                " of skae or, if it is in a Pipeline, the step, such as pipeline[-1]."
            )
        display = cls(
            training_scores=_training_scores(estimator),
            validation_scores=np.array([estimator.baseline_score_, *estimator.validation_scores_]),
            best_iter=estimator.best_iter_,
            score_name=_score_name(estimator),
            start_name=_start_name(estimator),
            name=name,
        )
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax=None, *, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        line_kw : dict, default=None
            Keyword arguments for matplotlib's `plot`, for both curves.

        Returns
        -------
        display : LossCurveDisplay
            Display with the drawn objects.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.ticker import MaxNLocator

        ax = new_axes(ax)
        line_kw = merged({"color": style(n_styles_used(ax))["color"]}, line_kw)
        of = "" if self.name is None else f"{self.name}: "
        epochs, scores, best = (
            np.arange(len(self.validation_scores)),
            self.validation_scores,
            self.best_iter,
        )
        training_kw = {"label": f"{of}training", **line_kw, "linestyle": "--"}
        (self.training_line_,) = ax.plot(epochs[1:], self.training_scores, **training_kw)
        (self.validation_line_,) = ax.plot(
            epochs, scores, **{"label": f"{of}validation", **line_kw}
        )
        color = self.validation_line_.get_color()
        start_kw = {
            "color": color,
            "linestyle": ":",
            "label": f"{of}{self.start_name}, {scores[0]:.4g}",
        }
        self.start_line_ = ax.axhline(scores[0], **start_kw)
        best_kw = {
            "color": color,
            "marker": "o",
            "linestyle": "none",
            "label": f"{of}epoch {best} kept, {scores[best]:.4g}",
        }
        (self.best_line_,) = ax.plot([best], [scores[best]], **best_kw)
        ax.set(xlabel="epoch", ylabel=self.score_name)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _training_scores(estimator):
    """Convert training losses to the units of the validation scores."""
    losses, scores = np.array(estimator.loss_curve_), np.array(estimator.validation_scores_)
    if "loss" not in estimator.get_params():  # the negative ELBO
        return -losses
    validation_losses = np.array([epoch["valid_loss"] for epoch in estimator.history_])
    known = np.isfinite(scores) & (scores < 1)
    if not known.any():
        return 1 - losses
    worst = np.flatnonzero(known)[scores[known].argmin()]  # with the most exact quotient
    return 1 - losses * (1 - scores[worst]) / validation_losses[worst]


def _score_name(estimator):
    name = _SCORE_NAMES[estimator.get_params().get("loss")]
    return (
        f"{name}, mean over prefixes of the code"
        if hasattr(estimator, "explained_variance_ratio_")
        else name
    )


def _start_name(estimator):
    if estimator.init == "random":
        return "epoch 0"
    return "best linear map" if hasattr(estimator, "denoise") else "PCA"
