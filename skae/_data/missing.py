"""Missing values: what takes their place before the network sees a sample.

A fill is called with samples in the units of X, in which NaN stands for missing values, and returns
them with values in their place. Samples without missing values are returned as they are.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from skae._data.moments import MAX_FEATURES_OF_SCATTER, Moments, merged
from skae._threads import one_blas_thread

# Iterations of the EM algorithm. More would fit better, and predict worse on few samples.
_N_ITERATIONS = 5
# Samples' worth of independent features that are added to the covariance.
_PRIOR_WEIGHT = 1.0
# With more features, the covariance has a low rank: a system of equations for each sample is then
# too large.
MAX_FEATURES_OF_COVARIANCE, _RANK = 256, 32
_LEAST_NOISE = 1e-6  # of standardized features
_MAX_VALUES = 2**17  # of the systems of equations that are solved at once


@dataclass(frozen=True)
class ConstantFill:
    """The same value for each missing value of a feature.

    Parameters
    ----------
    values : ndarray of shape (n_features,)
        Values in the units of X.
    """

    values: np.ndarray

    def __call__(self, X):
        missing = np.isnan(X)
        return np.where(missing, self.values.astype(X.dtype), X) if missing.any() else X


@dataclass(frozen=True)
class GaussianFill:
    r"""Conditional mean of the missing values given the observed ones, under a normal distribution.

    Let :math:`\mu` be the mean and :math:`P` the inverse of the covariance. The missing values
    :math:`x_m` of a sample have the conditional mean
    :math:`\mu_m - P_{mm}^{-1} P_{mo} (x_o - \mu_o)`, clipped to the range of the feature.

    Parameters
    ----------
    mean, std : ndarray of shape (n_features,)
        Mean and standard deviation of each feature, in the units of X.
    precision : ndarray of shape (n_features, n_features)
        Inverse of the correlation matrix.
    low, high : ndarray of shape (n_features,)
        Smallest and largest value of each feature.
    """

    mean: np.ndarray
    std: np.ndarray
    precision: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, mean, covariance, low, high):
        """Fill from a mean and a covariance matrix, whose diagonal may have zeros."""
        std, correlation = _correlation(covariance)
        with one_blas_thread():
            precision = scipy.linalg.inv(correlation)
        return cls(mean, std, (precision + precision.T) / 2, low, high)

    def __call__(self, X):
        return self.with_covariance(X)[0]

    def with_covariance(self, X, weights=None):
        """Fill samples, and sum the conditional covariances of their missing values.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Samples.
        weights : ndarray of shape (n,), default=None
            Weights of the samples in the sum. With None, the sum is not computed.

        Returns
        -------
        filled : ndarray of shape (n, n_features)
            Samples without missing values.
        covariance : ndarray of shape (n_features, n_features), or None
            Sum of the covariances, in the units of X.
        """
        p = X.shape[1]
        total = None if weights is None else np.zeros(p * p)
        n_missing = np.isnan(X).sum(axis=1)
        # Samples with similar numbers of missing values are solved for together.
        order = np.flatnonzero(n_missing)[n_missing[n_missing > 0].argsort(kind="stable")]
        if len(order):
            X = X.copy()
        while len(order):
            size = max(1, _MAX_VALUES // int(n_missing[order[-1]]) ** 2)
            order, batch = order[:-size], order[-size:]
            inverses = self._fill(X, batch, int(n_missing[batch[-1]]), weights is not None)
            if weights is not None:
                places, inverses = inverses
                total += np.bincount(
                    places, (weights[batch, None, None] * inverses).ravel(), minlength=p * p
                )
        return X, None if weights is None else total.reshape(p, p) * np.outer(self.std, self.std)

    def _fill(self, X, rows, n_solved, needs_inverse):
        """Fill samples at some rows in place, of which none lacks more than `n_solved` values."""
        part = X[rows].astype(np.float64)
        missing = np.isnan(part)
        deviations = np.where(missing, 0, (part - self.mean) / self.std)
        found = np.argsort(~missing, axis=1, kind="stable")[:, :n_solved]  # missing ones first
        used = np.take_along_axis(missing, found, axis=1)
        matrix = self.precision[found[:, :, None], found[:, None, :]]
        matrix *= used[:, :, None] & used[:, None, :]
        matrix[:, np.arange(n_solved), np.arange(n_solved)] += ~used
        with one_blas_thread():
            right = np.take_along_axis(-(deviations @ self.precision), found, axis=1) * used
            if needs_inverse:
                inverses = np.linalg.inv(matrix)
                solution = (inverses @ right[:, :, None])[:, :, 0]
            else:
                solution = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
        filled = np.zeros_like(part)
        np.put_along_axis(filled, found, solution, axis=1)
        filled = (self.mean + self.std * filled).clip(self.low, self.high)
        X[rows] = np.where(missing, filled, part)
        if not needs_inverse:
            return None
        places = found[:, :, None] * X.shape[1] + found[:, None, :]
        return places.ravel(), inverses * (used[:, :, None] & used[:, None, :])


@dataclass(frozen=True)
class FactorFill:
    r"""Conditional mean of the missing values under probabilistic PCA of standardized features.

    Let :math:`W` be the loadings and :math:`s` the noise variance. With the observed values
    :math:`x_o` of a sample, standardized, the factors have the mean
    :math:`z = (W_o^T W_o + s I)^{-1} W_o^T x_o`, and the missing values :math:`W_m z`.

    Parameters
    ----------
    mean, std, low, high : ndarray of shape (n_features,)
        See :class:`GaussianFill`.
    loadings : ndarray of shape (n_features, rank)
        Loadings of the standardized features.
    noise_variance : float
        Variance of a standardized feature given the factors.
    """

    mean: np.ndarray
    std: np.ndarray
    loadings: np.ndarray
    noise_variance: float
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, mean, covariance, low, high):
        std, correlation = _correlation(covariance)
        p = len(std)
        with one_blas_thread():
            values, vectors = scipy.linalg.eigh(
                correlation, subset_by_index=[p - _RANK, p - 1], overwrite_a=True
            )
        noise_variance = max((p - values.sum()) / (p - _RANK), _LEAST_NOISE)
        loadings = vectors * np.sqrt((values - noise_variance).clip(min=0))
        return cls(mean, std, loadings, noise_variance, low, high)

    def __call__(self, X):
        incomplete = np.isnan(X).any(axis=1)
        if not incomplete.any():
            return X
        part = X[incomplete].astype(np.float64)
        missing = np.isnan(part)
        deviations = np.where(missing, 0, (part - self.mean) / self.std)
        p, rank = self.loadings.shape
        products = (self.loadings[:, :, None] * self.loadings[:, None, :]).reshape(p, -1)
        with one_blas_thread():
            matrix = (~missing @ products).reshape(-1, rank, rank)
            matrix[:, np.arange(rank), np.arange(rank)] += self.noise_variance
            z = np.linalg.solve(matrix, (deviations @ self.loadings)[:, :, None])[:, :, 0]
            filled = (self.mean + self.std * (z @ self.loadings.T)).clip(self.low, self.high)
        X = X.copy()
        X[incomplete] = np.where(missing, filled, part)
        return X

    def with_covariance(self, X, weights):
        """Like that of :class:`GaussianFill`, with the variances given the factors alone."""
        variances = self.noise_variance * self.std**2 * (weights @ np.isnan(X))
        return self(X), np.diag(variances)


def _correlation(covariance):
    """Standard deviations and correlation matrix; those of constant features are 1."""
    std = np.sqrt(covariance.diagonal().clip(min=0))
    std = np.where(std > 0, std, 1.0)
    correlation = covariance / np.outer(std, std)
    correlation[np.diag_indices(len(std))] = 1.0
    return std, correlation


def filled(source, moments, fill):
    """Source with filled values, if any is missing according to its moments."""
    return source if moments.is_complete else source.with_fill(fill)


def complete(source, moments):
    """Estimate the moments of samples with missing values, and what to fill these with.

    The mean and the covariance of a normal distribution are fitted by the EM algorithm [1]_, which
    ends after a few iterations. With more than 256 features it uses probabilistic PCA of rank 32,
    and with more than 2,000 it falls back to the mean.

    Parameters
    ----------
    source : ArraySource
        Samples, in which NaN stands for missing values.
    moments : Moments
        Moments of the observed values, of all processes of the group of the source.

    Returns
    -------
    fill : callable
        Fill of missing values.
    completed : Moments
        Moments of all values, which have a scatter matrix with up to 2,000 features.

    References
    ----------
    .. [1] Little, R. J. A. and Rubin, D. B. "Statistical Analysis with Missing Data". Third
       edition, section 11.2. Wiley, 2019. :doi:`10.1002/9781119482260`
    """
    low, high, weight = moments.low, moments.high, np.where(moments.weight > 0, moments.weight, 1)
    mean, variances = moments.mean, moments.squares / weight
    fill = ConstantFill(mean)
    if len(mean) > MAX_FEATURES_OF_SCATTER:
        completed = Moments.of(source.with_fill(fill).chunks(), cross=False)
        completed = merged(completed, source.group)
    else:
        model = GaussianFill if len(mean) <= MAX_FEATURES_OF_COVARIANCE else FactorFill
        covariance = np.diag(variances)
        for _ in range(_N_ITERATIONS):
            fill = model.of(mean, covariance, low, high)
            completed = _filled_moments(source, fill)
            mean = completed.mean
            covariance = _with_prior(completed.scatter, variances, completed.weight)
        fill = model.of(mean, covariance, low, high)
    # Bounds are those of the observed values.
    factor = completed.weight / weight
    return fill, replace(
        completed,
        low=low,
        high=high,
        low_weight=moments.low_weight * factor,
        high_weight=moments.high_weight * factor,
    )


def _filled_moments(source, fill):
    """Moments of filled samples, with the conditional covariance of the missing values."""
    covariances = np.zeros((source.shape[1], source.shape[1]))

    def chunks():
        for X, weights in source.chunks():
            filled, covariance = fill.with_covariance(
                X, np.ones(len(X)) if weights is None else weights
            )
            covariances[...] += covariance
            yield filled, weights

    moments = merged(Moments.of(chunks(), cross=True), source.group)
    scatter = moments.scatter + source.group.sum(covariances)
    return replace(moments, scatter=scatter, squares=scatter.diagonal().copy())


def fill_of(moments):
    """Fill of missing values of other samples than those of `moments`, of which none had any."""
    if moments.scatter is None or len(moments.mean) > MAX_FEATURES_OF_COVARIANCE:
        return ConstantFill(moments.mean)
    covariance = _with_prior(moments.scatter, moments.squares / moments.weight, moments.weight)
    return GaussianFill.of(moments.mean, covariance, moments.low, moments.high)


def _with_prior(scatter, variances, weight):
    """Covariance from a scatter matrix, kept regular by a prior of independent features."""
    return (scatter + _PRIOR_WEIGHT * np.diag(variances)) / (weight + _PRIOR_WEIGHT)
