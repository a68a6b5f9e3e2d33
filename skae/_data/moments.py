"""Moments: a summary of the features that takes one pass over the samples.

The moments of parts of the samples can be merged.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock

import numpy as np
from scipy.linalg.blas import dsyrk
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from threadpoolctl import ThreadpoolController

_ROUNDING = 1e-12  # least difference of sums of squares, relative to them, that is not rounding
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Moments:
    """Summary of samples, which can be merged with that of other samples [1]_.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    mean : ndarray of shape (n_features,), float64
        Mean of each feature; for a constant feature, exactly its value.
    squares : ndarray of shape (n_features,), float64
        Sums of squared deviations from the mean.
    scatter : ndarray of shape (n_features, n_features), float64, or None
        Sums of products of deviations from the mean; None where only `squares` was computed.
    low, high : ndarray of shape (n_features,)
        Smallest and largest value of each feature.
    n_low, n_high : ndarray of int of shape (n_features,)
        Number of samples with exactly the smallest and the largest value.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H. and LeVeque, R. J. "Algorithms for Computing the Sample
       Variance: Analysis and Recommendations". The American Statistician 37, 242-247, 1983.
       :doi:`10.1080/00031305.1983.10483115`
    """

    n_samples: int
    mean: np.ndarray
    squares: np.ndarray
    scatter: np.ndarray | None
    low: np.ndarray
    high: np.ndarray
    n_low: np.ndarray
    n_high: np.ndarray

    @classmethod
    def of(cls, chunks, *, cross):
        """Moments of the samples in all chunks, in one pass.

        Parameters
        ----------
        chunks : iterable of ndarray of shape (n, n_features)
            Samples.
        cross : bool
            Whether to compute the scatter matrix.
        """
        total, scatter, space = None, None, np.empty((0, 0))
        # The standardizer raises an error for values that overflow here.
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            for chunk in chunks:
                n, n_features = chunk.shape
                # Reuse memory for the deviations: to allocate it takes as long as the sums.
                if len(space) <= n:
                    space = np.empty((n + 1, n_features))
                part = cls._of_chunk(chunk, space[:n], with_squares=not cross)
                if cross:
                    # A merge adds a rank-one term to the scatter. As one more sample of the chunk,
                    # it needs no matrix of its own.
                    space[n] = 0 if total is None else _jump(total, part)
                    scatter = add_products(scatter, space[: n + 1])
                total = part if total is None else total.merge(part)
        if not cross:
            return total
        return cls(
            **vars(total) | {"scatter": mirrored(scatter), "squares": scatter.diagonal().copy()}
        )

    @classmethod
    def of_sparse(cls, X):
        """Moments, without those of different features, of samples in canonical CSR format."""
        X = X.astype(np.float64)
        X.eliminate_zeros()
        n_samples, n_features = X.shape
        low, high = min_max_axis(X, axis=0)
        mean, variance = mean_variance_axis(X, axis=0)
        n_zero = n_samples - np.bincount(X.indices, minlength=n_features)

        def count(extreme):
            n_equal = np.bincount(X.indices[X.data == extreme[X.indices]], minlength=n_features)
            return np.where(extreme == 0, n_zero, n_equal)

        varies = low < high
        mean, squares = np.where(varies, mean, low), np.where(varies, variance * n_samples, 0.0)
        return cls(n_samples, mean, squares, None, low, high, count(low), count(high))

    @classmethod
    def _of_chunk(cls, chunk, deviations, with_squares):
        """Moments of a chunk without scatter.

        The float64 array `deviations` is filled with the deviations from the mean.
        """
        low, high = chunk.min(axis=0), chunk.max(axis=0)
        # Compute in float64, since float32 would lose noise that is far below the signal.
        deviations[...] = chunk
        mean = np.where(low == high, low, deviations.mean(axis=0))
        deviations -= mean
        squares = (
            np.einsum("ij,ij->j", deviations, deviations) if with_squares else np.zeros(len(mean))
        )
        # Count in 32 bits, which takes half the time of 64.
        counts = (
            (chunk == extreme).sum(axis=0, dtype=np.uint32).astype(np.int64)
            for extreme in (low, high)
        )
        return cls(len(chunk), mean, squares, None, low, high, *counts)

    def merge(self, other):
        """Moments of these samples and others together."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        jump = _jump(self, other)
        n_samples = self.n_samples + other.n_samples
        mean = self.mean + (other.mean - self.mean) * (other.n_samples / n_samples)
        return Moments(
            n_samples,
            mean=np.where(low == high, low, mean),
            squares=self.squares + other.squares + np.square(jump),
            scatter=None
            if self.scatter is None
            else self.scatter + other.scatter + np.outer(jump, jump),
            low=low,
            high=high,
            n_low=self.n_low * (self.low == low) + other.n_low * (other.low == low),
            n_high=self.n_high * (self.high == high) + other.n_high * (other.high == high),
        )

    def without(self, part):
        """Moments without some of the samples, whose moments are `part`.

        The smallest and largest values remain those of all samples. A feature that varies only
        within the part is left with a variance of rounding errors, which is set to zero; its mean
        equals its value up to rounding.
        """
        n_samples = self.n_samples - part.n_samples
        mean = self.mean + (self.mean - part.mean) * (part.n_samples / n_samples)
        jump = (part.mean - mean) * np.sqrt(n_samples / self.n_samples * part.n_samples)
        squares = self.squares - part.squares - np.square(jump)
        rounding = _ROUNDING * self.squares + 8 * _EPS * np.abs(self.mean) * np.sqrt(
            self.n_samples * self.squares
        )
        varies = squares > rounding
        scatter = None
        if self.scatter is not None:
            scatter = (self.scatter - part.scatter - np.outer(jump, jump)) * np.outer(
                varies, varies
            )
        return replace(
            self,
            n_samples=n_samples,
            mean=mean,
            squares=np.where(varies, squares, 0.0),
            scatter=scatter,
        )


def _jump(a, b):
    """Deviation whose outer product a merge adds to the scatter, as the two means differ."""
    return (b.mean - a.mean) * np.sqrt(a.n_samples / (a.n_samples + b.n_samples) * b.n_samples)


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


@contextmanager
def one_blas_thread():
    """Context manager in which the BLAS of numpy and scipy uses one thread.

    Further threads would keep spinning afterwards and slow down the first batches. The number of
    threads belongs to the whole process. Where several threads are in the context, the first one
    sets the number and the last one restores it: otherwise one could restore what another has set.
    """
    with _LOCK:
        if not _INSIDE:
            _INSIDE.append(_threadpools().limit(limits=1, user_api="blas"))
        else:
            _INSIDE.append(None)
    try:
        yield
    finally:
        with _LOCK:
            if len(_INSIDE) == 1:
                _INSIDE[0].restore_original_limits()
            _INSIDE.pop()


_LOCK = Lock()
_INSIDE = []  # an entry for each thread in the context: the limiter, then None for the others


@cache
def _threadpools():
    return ThreadpoolController()
