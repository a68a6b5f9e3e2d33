"""Moments: what one pass over the samples finds out about their features, mergeable over any parts of the samples."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock

import numpy as np
from scipy.linalg.blas import dsyrk
from threadpoolctl import ThreadpoolController

_ROUNDING = 1e-12  # of a sum of squares, that a difference of two may be without being a variance
_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Moments:
    """Summary of samples.

    Parameters
    ----------
    n_samples : int
    mean : ndarray of shape (n_features,), float64
        Exactly the value of a feature that does not vary.
    squares : ndarray of shape (n_features,), float64
        Sums of squared deviations from the mean.
    scatter : ndarray of shape (n_features, n_features), float64, or None
        Sums of products of deviations from the mean; None where only their diagonal was asked for.
    low, high : ndarray of shape (n_features,)
        Smallest and largest value of each feature.
    n_low, n_high : ndarray of int of shape (n_features,)
        Number of samples that have them.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
       Recommendations", The American Statistician 37, 242-247, 1983.
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
        """Moments of the samples in an iterable of arrays of shape (n, n_features), each looked at once.

        Parameters
        ----------
        chunks : iterable of ndarray
        cross : bool
            Whether to sum the products of different features, too.
        """
        total, scatter, space = None, None, np.empty((0, 0))
        # Values that overflow are refused later.
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            for chunk in chunks:
                n, n_features = chunk.shape
                # Memory that is used again: to get more takes as long as the sums.
                if len(space) <= n:
                    space = np.empty((n + 1, n_features))
                part = cls._of_chunk(chunk, space[:n], with_squares=not cross)
                if cross:
                    # The rank-one term of a merge is one more sample: so no matrix is made for each
                    # chunk.
                    space[n] = 0 if total is None else _jump(total, part)
                    scatter = add_products(scatter, space[: n + 1])
                total = part if total is None else total.merge(part)
        if not cross:
            return total
        return cls(
            **vars(total) | {"scatter": mirrored(scatter), "squares": scatter.diagonal().copy()}
        )

    @classmethod
    def _of_chunk(cls, chunk, deviations, with_squares):
        """Moments without scatter of a chunk, whose deviations from its mean are left in a float64 array."""
        low, high = chunk.min(axis=0), chunk.max(axis=0)
        # In float64 whatever the dtype is: float32 loses noise that is far below the signal.
        deviations[...] = chunk
        mean = np.where(low == high, low, deviations.mean(axis=0))
        deviations -= mean
        squares = (
            np.einsum("ij,ij->j", deviations, deviations) if with_squares else np.zeros(len(mean))
        )
        # In 32 bits, which takes half the time.
        counts = (
            (chunk == extreme).sum(axis=0, dtype=np.uint32).astype(np.int64)
            for extreme in (low, high)
        )
        return cls(len(chunk), mean, squares, None, low, high, *counts)

    def merge(self, other):
        """Moments of the samples of both."""
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
        """Moments of the other samples, where `part` are those of some of these; the extremes stay those of all.

        A feature that does not vary but in the part has no more variance than rounding leaves: it
        gets none. Its mean is its value to rounding.
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
    """What the difference of two means adds to the scatter of the union, as one deviation."""
    return (b.mean - a.mean) * np.sqrt(a.n_samples / (a.n_samples + b.n_samples) * b.n_samples)


def add_products(scatter, deviations):
    """Add ``deviations.T @ deviations`` to the upper triangle of a matrix, in place; None is a matrix of zeros."""
    if scatter is None:
        return dsyrk(1.0, deviations.T)
    return dsyrk(1.0, deviations.T, 1.0, scatter, overwrite_c=1)


def mirrored(scatter):
    """The matrix of which the upper triangle is given, in place: a whole triangle at once would be two more matrices."""
    for i in range(1, len(scatter)):
        scatter[i, :i] = scatter[:i, i]
    return scatter


@contextmanager
def one_blas_thread():
    """Let numpy and scipy compute with one thread meanwhile: more would spin on and slow down the first batches.

    The number is one of the whole process. Of several threads that are in here, the first sets it
    and the last restores it: each for itself would restore what another has set.
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
_INSIDE = []  # the limiter, and None for each further thread


@cache
def _threadpools():
    return ThreadpoolController()
