"""Moments: a summary of the features that takes one pass over the samples.

The moments of parts of the samples can be merged.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dsyrk
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from skae._threads import one_blas_thread

# With up to this many features, a scatter matrix is cheap and spares a centered copy of X.
MAX_FEATURES_OF_SCATTER = 2000
_ROUNDING = 1e-12  # least difference of sums of squares, relative to them, that is not rounding
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Moments:
    """Summary of samples, which can be merged with that of other samples [1]_.

    Parameters
    ----------
    weight : float, or ndarray of shape (n_features,)
        Sum of the weights of the samples, which is their number where no weights are given. An
        array where values are missing: the sum over the observed values of each feature.
    mean : ndarray of shape (n_features,), float64
        Mean of each feature; for a constant feature, exactly its value.
    squares : ndarray of shape (n_features,), float64
        Sums of squared deviations from the mean.
    scatter : ndarray of shape (n_features, n_features), float64, or None
        Sums of products of deviations from the mean; None where only `squares` was computed, and
        where values are missing.
    low, high : ndarray of shape (n_features,)
        Smallest and largest value of each feature.
    low_weight, high_weight : ndarray of shape (n_features,)
        Sum of the weights of the samples with exactly the smallest and the largest value.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H. and LeVeque, R. J. "Algorithms for Computing the Sample
       Variance: Analysis and Recommendations". The American Statistician 37, 242-247, 1983.
       :doi:`10.1080/00031305.1983.10483115`
    """

    weight: float | np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    scatter: np.ndarray | None
    low: np.ndarray
    high: np.ndarray
    low_weight: np.ndarray
    high_weight: np.ndarray

    @classmethod
    def of(cls, chunks, *, cross):
        """Moments of the samples in all chunks, in one pass; None if there is no chunk.

        Parameters
        ----------
        chunks : iterable of pair of ndarray of shape (n, n_features) and (n,)
            Samples, in which NaN stands for missing values, and their weights. None stands for
            weights of 1.
        cross : bool
            Whether to compute the scatter matrix, if no value is missing.
        """
        total, scatter, space = None, None, np.empty((0, 0))
        # The standardizer raises an error for values that overflow here.
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            for chunk, weights in chunks:
                n, n_features = chunk.shape
                # Reuse memory for the deviations: to allocate it takes as long as the sums.
                if len(space) <= n:
                    space = np.empty((n + 1, n_features))
                part = cls._of_chunk(chunk, weights, space[:n], with_squares=not cross)
                if cross and not part.is_complete:
                    cross = False
                    if total is not None:
                        total = replace(total, squares=scatter.diagonal().copy())
                if cross:
                    # A merge adds a rank-one term to the scatter. As one more sample of the chunk,
                    # it needs no matrix of its own.
                    space[n] = 0 if total is None else _jump(total, part)
                    scatter = add_products(scatter, space[: n + 1])
                total = part if total is None else total.merge(part)
        if not cross or total is None:
            return total
        return replace(total, scatter=mirrored(scatter), squares=scatter.diagonal().copy())

    @classmethod
    def of_sparse(cls, X, weights=None):
        """Moments, without those of different features, of samples in canonical CSR format."""
        X = X.astype(np.float64)
        X.eliminate_zeros()
        n_samples, n_features = X.shape
        low, high = min_max_axis(X, axis=0)
        mean, variance = mean_variance_axis(X, axis=0, weights=weights)
        weight = n_samples if weights is None else weights.sum()
        of_values = None if weights is None else np.repeat(weights, np.diff(X.indptr))
        zero_weight = weight - np.bincount(X.indices, of_values, minlength=n_features)

        def weight_at(extreme):
            is_equal = X.data == extreme[X.indices]
            found = np.bincount(
                X.indices[is_equal],
                None if weights is None else of_values[is_equal],
                minlength=n_features,
            )
            return np.where(extreme == 0, zero_weight, found)

        varies = low < high
        mean, squares = np.where(varies, mean, low), np.where(varies, variance * weight, 0.0)
        return cls(weight, mean, squares, None, low, high, weight_at(low), weight_at(high))

    @classmethod
    def _of_chunk(cls, chunk, weights, deviations, with_squares):
        """Moments of a chunk without scatter.

        The float64 array `deviations` is filled with the deviations from the mean, multiplied by
        the square roots of the weights.
        """
        low, high = chunk.min(axis=0), chunk.max(axis=0)
        if np.isnan(low).any():
            return cls._of_incomplete_chunk(chunk, weights)
        # Compute in float64, since float32 would lose noise that is far below the signal.
        deviations[...] = chunk
        if weights is None:
            weight, mean = len(chunk), deviations.mean(axis=0)
        else:
            weight = weights.sum()
            mean = weights @ deviations / weight
        mean = np.where(low == high, low, mean)
        deviations -= mean
        if weights is not None:
            deviations *= np.sqrt(weights)[:, None]
        squares = (
            np.einsum("ij,ij->j", deviations, deviations) if with_squares else np.zeros(len(mean))
        )
        counts = (_sum_of(chunk == extreme, weights) for extreme in (low, high))
        return cls(weight, mean, squares, None, low, high, *counts)

    @classmethod
    def _of_incomplete_chunk(cls, chunk, weights):
        """Moments of the observed values of a chunk; the mean is zero where there are none."""
        observed = ~np.isnan(chunk)
        low = np.where(observed, chunk, np.inf).min(axis=0)
        high = np.where(observed, chunk, -np.inf).max(axis=0)
        values = np.where(observed, chunk, 0).astype(np.float64)
        w = np.ones(len(chunk)) if weights is None else weights
        weight = w @ observed
        mean = np.where(low == high, low, w @ values / np.where(weight > 0, weight, 1))
        squares = w @ np.square(values - mean, where=observed, out=np.zeros_like(values))
        counts = (_sum_of(chunk == extreme, weights) for extreme in (low, high))
        return cls(weight, mean, squares, None, low, high, *counts)

    @property
    def is_complete(self):
        """Whether no value is missing."""
        return np.ndim(self.weight) == 0

    @property
    def mean_variance(self):
        """Mean over the features of their variances."""
        if self.is_complete:
            return self.squares.sum() / len(self.mean) / self.weight
        return np.mean(self.squares / np.where(self.weight > 0, self.weight, 1))

    def merge(self, other):
        """Moments of these samples and others together."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        jump = _jump(self, other)
        weight = self.weight + other.weight
        # A feature without any observed value has no weight.
        fraction = other.weight / np.where(weight > 0, weight, 1)
        mean = self.mean + (other.mean - self.mean) * fraction
        return Moments(
            weight,
            mean=np.where(low == high, low, mean),
            squares=self.squares + other.squares + np.square(jump),
            scatter=None
            if self.scatter is None
            else self.scatter + other.scatter + np.outer(jump, jump),
            low=low,
            high=high,
            low_weight=self.low_weight * (self.low == low) + other.low_weight * (other.low == low),
            high_weight=self.high_weight * (self.high == high)
            + other.high_weight * (other.high == high),
        )

    def without(self, part):
        """Moments without some of the samples, whose moments are `part`; no value is missing.

        The smallest and largest values remain those of all samples. A feature that varies only
        within the part is left with a variance of rounding errors, which is set to zero; its mean
        equals its value up to rounding.
        """
        weight = self.weight - part.weight
        mean = self.mean + (self.mean - part.mean) * (part.weight / weight)
        jump = (part.mean - mean) * np.sqrt(weight / self.weight * part.weight)
        squares = self.squares - part.squares - np.square(jump)
        rounding = _ROUNDING * self.squares + 8 * _EPS * np.abs(self.mean) * np.sqrt(
            self.weight * self.squares
        )
        varies = squares > rounding
        scatter = None
        if self.scatter is not None:
            scatter = (self.scatter - part.scatter - np.outer(jump, jump)) * np.outer(
                varies, varies
            )
        return replace(
            self,
            weight=weight,
            mean=mean,
            squares=np.where(varies, squares, 0.0),
            scatter=scatter,
        )


def merged(moments, group):
    """Moments of the samples of all processes of a group.

    Parameters
    ----------
    moments : Moments or None
        Moments of the samples of this process; None if it has no sample.
    group : object
        Group of processes; see :mod:`skae._data.group`.
    """
    if group.size == 1:
        return moments
    own = None if moments is None else replace(moments, scatter=None)
    is_crossed = moments is None or moments.scatter is not None
    parts, crossed = zip(*group.gather((own, is_crossed)), strict=True)
    total, jumps = None, []
    for part in parts:
        if part is not None:
            if total is not None:
                jumps.append(_jump(total, part))
            total = part if total is None else total.merge(part)
    if not all(crossed):
        return total
    p = len(total.mean)
    scatter = group.sum(np.zeros((p, p)) if moments is None else moments.scatter)
    for jump in jumps:
        scatter += np.outer(jump, jump)
    return replace(total, scatter=scatter, squares=scatter.diagonal().copy())


def _jump(a, b):
    """Deviation whose outer product a merge adds to the scatter, as the two means differ."""
    weight = a.weight + b.weight
    return (b.mean - a.mean) * np.sqrt(a.weight / np.where(weight > 0, weight, 1) * b.weight)


def _sum_of(chosen, weights):
    """Sum of the weights of the chosen values of each feature."""
    if weights is None:  # count in 32 bits, which takes half the time of 64
        return chosen.sum(axis=0, dtype=np.uint32).astype(np.int64)
    return weights @ chosen


def add_products(scatter, deviations):
    """Add ``deviations.T @ deviations`` to the upper triangle of a matrix, in place.

    A scatter of None stands for a matrix of zeros.
    """
    if scatter is None:
        return dsyrk(1.0, deviations.T)
    return dsyrk(1.0, deviations.T, 1.0, scatter, overwrite_c=1)


def mirrored(scatter):
    """Copy the upper triangle of a matrix to the lower one, in place.

    It is copied row by row, as a whole triangle at once would need two more matrices.
    """
    for i in range(1, len(scatter)):
        scatter[i, :i] = scatter[:i, i]
    return scatter
