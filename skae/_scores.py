"""Scores of a reconstruction."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score


def reconstruction_score(estimator, X, y=None):
    r"""R² of the reconstruction by any fitted transformer that has `inverse_transform`.

    .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat x_{ij})^2 / \sum_{ij} (x_{ij} - \bar x_j)^2

    The share of the total variance that the codes keep: 1 is perfect, 0 is no better than the mean
    of each feature. It is what :meth:`AutoencoderTransformer.score` gives, for PCA and Pipelines
    too, so that they can be compared.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `inverse_transform`: a transformer or a Pipeline of them.
    X : array-like of shape (n_samples, n_features)
        Rows to reconstruct.
    y : None
        Ignored; scikit-learn's `scoring` passes it.

    Returns
    -------
    score : float
        At most 1, without unit.

    See Also
    --------
    sklearn.metrics.r2_score : The same with ``multioutput="variance_weighted"``.

    Notes
    -----
    As in scikit-learn's score, a feature that does not vary in X is left out.

    It rises with the number of components, so a search over `n_components` that maximises it picks
    the largest. Search with a step behind the codes instead, a classifier say.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import reconstruction_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> round(reconstruction_score(PCA(10).fit(X), X), 2)
    0.74
    """
    return explained_variance(X, estimator.inverse_transform(estimator.transform(X)))


class ErrorSums:
    """Sums over samples, a chunk after the other, of which R² is made: of squared errors and of variance, by column.

    Parameters
    ----------
    n_curves : int, default=1
        Number of reconstructions of each sample.
    """

    def __init__(self, n_curves=1):
        self.n, self.weight = 0, 0.0
        self.errors = [0.0] * n_curves

    def add(self, X, reconstructions, sample_weight=None):
        """Add samples (n, p), their reconstructions and the weight of each sample."""
        X = np.asarray(X, dtype=np.float64)
        w = (
            np.ones(len(X))
            if sample_weight is None
            else np.asarray(sample_weight, dtype=np.float64)
        )
        self.errors = [
            e + w @ np.square(X - x_hat)
            for e, x_hat in zip(self.errors, reconstructions, strict=True)
        ]
        low, high, weight = X.min(axis=0), X.max(axis=0), w.sum()
        mean = w @ X / weight if weight > 0 else X[0]
        squares = w @ np.square(X - mean)
        if not self.n:
            self.low, self.high, self.mean, self.squares = low, high, mean, squares
        elif weight > 0:  # Chan, Golub and LeVeque's sum of two parts
            apart, total = mean - self.mean, self.weight + weight
            self.mean = self.mean + apart * (weight / total)
            self.squares = (
                self.squares + squares + np.square(apart) * (self.weight * weight / total)
            )
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.n, self.weight = self.n + len(X), self.weight + weight

    def scores(self):
        """R² of each reconstruction over the columns that vary; as scikit-learn has it where none does."""
        if self.n < 2:
            warnings.warn(
                "R^2 score is not well-defined with less than two samples.",
                UndefinedMetricWarning,
                stacklevel=3,
            )
            return np.full(len(self.errors), np.nan)
        varies = self.low < self.high
        errors = np.array([e[varies].sum() if varies.any() else e.sum() for e in self.errors])
        if not varies.any():
            return np.where(errors > 0, 0.0, 1.0)
        return 1 - errors / self.squares[varies].sum()


def explained_variance(X, X_hat, sample_weight=None):
    """R² over all features together, computed in float64."""
    X, X_hat = (np.asarray(part, dtype=np.float64).reshape(len(part), -1) for part in (X, X_hat))
    return float(r2_score(X, X_hat, multioutput="variance_weighted", sample_weight=sample_weight))
