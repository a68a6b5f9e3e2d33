"""Scores of a reconstruction."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score


def reconstruction_score(estimator, X, y=None):
    r"""R² of the reconstruction by any fitted transformer with `inverse_transform`.

    .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat{x}_{ij})^2 / \sum_{ij} (x_{ij} - \bar{x}_j)^2

    It is the fraction of the total variance that the reconstruction explains. For an autoencoder it
    equals :meth:`AutoencoderTransformer.score`, and it gives PCA and Pipelines a score to compare
    with. Pass the function as `scoring` to search the parameters of a Pipeline.

    Parameters
    ----------
    estimator : object
        Fitted transformer with `transform` and `inverse_transform`, or a Pipeline of them.
    X : array-like of shape (n_samples, n_features)
        Samples to reconstruct, or images of shape (n_samples, height, width[, channels]).
    y : None
        Ignored. It is part of the signature of scorers.

    Returns
    -------
    score : float
        R², at most 1: 0 for predicting the mean of X, negative for a worse reconstruction.

    Raises
    ------
    AttributeError
        If `estimator` has no `inverse_transform`.
    ValueError
        If `estimator` does not accept X.

    See Also
    --------
    sklearn.metrics.r2_score : The same with ``multioutput="variance_weighted"``.

    Notes
    -----
    As in scikit-learn's `r2_score`, features that are constant in X are ignored.

    The score increases with the number of components, so maximizing it selects the largest value.
    Tune `n_components` through a downstream estimator, or use ordered codes.

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
    """Squared errors and variance of each feature, summed chunk by chunk, for R².

    Parameters
    ----------
    n_curves : int, default=1
        Number of reconstructions of each sample.
    """

    def __init__(self, n_curves=1):
        self.n, self.weight, self.low = 0, 0.0, None
        self.errors = [0.0] * n_curves

    def add(self, X, reconstructions, sample_weight=None, counted=None):
        """Add samples (n, p), their reconstructions and the weight of each sample.

        Where `counted` is given, values for which it is false or 0 are left out.
        """
        X = np.asarray(X, dtype=np.float64)
        w = (
            np.ones(len(X))
            if sample_weight is None
            else np.asarray(sample_weight, dtype=np.float64)
        )
        self.n += len(X)
        used = w > 0
        if not used.all():
            X, w = X[used], w[used]
            reconstructions = [x_hat[used] for x_hat in reconstructions]
            counted = None if counted is None else counted[used]
        if not len(X):
            return
        if counted is None:
            low, high, weight = X.min(axis=0), X.max(axis=0), w.sum()
        else:
            counted = counted.astype(bool)
            low, high = (
                reduce(np.where(counted, X, bound), axis=0)
                for reduce, bound in ((np.min, np.inf), (np.max, -np.inf))
            )
            X, weight = np.where(counted, X, 0), w @ counted

        def total(values):
            return w @ (values if counted is None else values * counted)

        errors = [total(np.square(X - x_hat)) for x_hat in reconstructions]
        mean = total(X) / np.where(weight > 0, weight, 1)
        self._merge(errors, weight, low, high, mean, total(np.square(X - mean)))

    def merge(self, other):
        """Add the sums of other samples."""
        self.n += other.n
        if other.low is not None:
            self._merge(
                other.errors, other.weight, other.low, other.high, other.mean, other.squares
            )

    def _merge(self, errors, weight, low, high, mean, squares):
        self.errors = [e + part for e, part in zip(self.errors, errors, strict=True)]
        if self.low is None:
            self.low, self.high, self.mean, self.squares = low, high, mean, squares
        else:  # merged as by Chan, Golub and LeVeque
            apart, both = mean - self.mean, self.weight + weight
            both = np.where(both > 0, both, 1)
            self.mean = self.mean + apart * (weight / both)
            self.squares = self.squares + squares + np.square(apart) * (self.weight * weight / both)
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.weight = self.weight + weight

    def scores(self):
        """R² of each reconstruction over the features that vary; if none does, 0 or 1."""
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
    """R² over all observed values together, computed in float64."""
    X, X_hat = (np.asarray(part, dtype=np.float64).reshape(len(part), -1) for part in (X, X_hat))
    missing = np.isnan(X)
    if missing.any():  # which scikit-learn's score refuses
        sums = ErrorSums()
        sums.add(X, [X_hat], sample_weight, ~missing)
        return float(sums.scores()[0])
    return float(r2_score(X, X_hat, multioutput="variance_weighted", sample_weight=sample_weight))
