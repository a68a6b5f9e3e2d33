"""The border between numpy and torch, and between the units of the data and those of the network.

On the network's side a row is ``u = (x - mean) / scale`` with one scale for all features (the root of the mean feature
variance), so that squared error in ``u`` is PCA's objective up to a constant. On this side it is what the user gave.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import gen_batches

from skae._bounds import bounds

# Squared differences of standardised values are summed in float32 while training.
_LARGEST = float(np.sqrt(np.finfo(np.float32).max))
# A shift of all standardised values by less is beyond float32.
_NEGLIGIBLE = float(np.finfo(np.float32).eps)


@dataclass
class Border:
    """Map rows to the network's units and back.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
    scale : float
        In the unit of the data.
    lower, upper : ndarray of shape (n_features,), or () where no feature has a bound, float64
        Bounds of the output in the unit of the data; infinite where there is none.
    """

    mean: np.ndarray
    scale: float
    lower: np.ndarray
    upper: np.ndarray

    def standardize(self, X):
        """``(X - mean) / scale`` in the dtype of X."""
        return self.standardize_(torch.from_numpy(X.copy())).numpy()

    def standardize_(self, U):
        """Standardise a tensor of rows in place; torch uses all cores, unlike numpy."""
        dtype = U.numpy().dtype
        mean = self.mean.astype(dtype)
        U -= torch.from_numpy(mean)  # exact in float32 too where the offset is large
        rest = (self.mean - mean).astype(dtype)  # what rounding the mean has left
        if np.abs(rest).max() > _NEGLIGIBLE * self.scale:
            U -= torch.from_numpy(rest)
        U *= 1 / self.scale
        return U

    def unstandardize(self, U):
        """``mean + scale * U``, within the bounds, in the dtype of U."""
        X = U * U.dtype.type(self.scale)
        X += self.mean.astype(U.dtype)
        # The network has clipped already; this takes off what rounding has put beyond the bounds.
        return np.clip(X, self.lower.astype(U.dtype), self.upper.astype(U.dtype), out=X)

    @property
    def is_bounded(self):
        """Whether any feature has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @property
    def standardized_bounds(self):
        return (self.lower - self.mean) / self.scale, (self.upper - self.mean) / self.scale

    def check_range(self, X, name):
        """Refuse rows that float32 cannot hold once they are standardised."""
        with np.errstate(over="ignore", invalid="ignore"):
            extremes = np.stack([X.min(axis=0), X.max(axis=0)])
            largest = np.abs(self.standardize(extremes)).max()
        if not largest < _LARGEST:
            raise ValueError(
                f"{name} has values too large to train on: centred and divided by the scale {self.scale:.3g} they reach"
                f" {largest:.3g}, and float32 squares end at {_LARGEST:.3g}. Rescale the columns of {name}, for"
                " instance with sklearn.preprocessing.StandardScaler or RobustScaler."
            )


def measure(X, *, standardize, bounded, everywhere=False, chunk_size=1024):
    """The border that suits the rows of X.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    standardize : bool
        False leaves the data as they are: mean 0, scale 1.
    bounded : bool
        Whether to look for bounds of the output; `everywhere` is passed on to :func:`skae._bounds.bounds`.

    Returns
    -------
    border : Border
    mean : ndarray of shape (n_features,)
        Mean of the features, whether it is taken off or not.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        variance = sum(np.square(X[chunk] - mean).sum() / X.size for chunk in gen_batches(len(X), chunk_size))
        scale = float(np.sqrt(variance))
    if not np.isfinite(scale):
        raise ValueError(
            f"X has values too large to train on: its largest is {np.abs(X).max():.3g}, and the variance overflows. Rescale"
            " its columns, for instance with sklearn.preprocessing.StandardScaler or RobustScaler."
        )
    no_bounds = np.array(-np.inf), np.array(np.inf)
    lower, upper = bounds(X, everywhere=everywhere, chunk_size=chunk_size) if bounded else no_bounds
    if standardize:
        border = Border(mean, scale or 1.0, lower, upper)  # a scale of 0: all columns are constant
    else:
        border = Border(np.zeros(X.shape[1]), 1.0, lower, upper)
    border.check_range(X, "X")
    return border, mean


def _gather(X, rows):
    """A copy of some rows, C-contiguous; ``X.take`` makes one of the whole of X first where X is not."""
    if X.flags.c_contiguous:
        return X.take(rows, axis=0)
    if X.flags.f_contiguous:
        return np.ascontiguousarray(X.T.take(rows, axis=1).T)
    return np.ascontiguousarray(X[rows])


class Rows(torch.utils.data.Dataset):
    """Some rows of an array, standardised in float32 batch by batch, so that no second copy of the data is made.

    ``rows[i]`` with an array or slice of positions gives ``(u, target)``.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    border : Border
    device : torch.device
    rows : ndarray of int, default=None
        Positions in X; None takes all.
    target, target_border : ndarray of shape (n_samples, n_outputs) and Border, default=None
        What the rows shall become; None are the rows themselves, then the same tensor.
    """

    def __init__(self, X, border, device, rows=None, *, target=None, target_border=None):
        self.X = X
        self.border = border
        self.device = device
        self.rows = np.arange(len(X)) if rows is None else rows
        self.target = target
        self.target_border = target_border

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, positions):
        u = self._standardize(self.X, self.border, self.rows[positions])
        if self.target is None:
            return u, u
        return u, self._standardize(self.target, self.target_border, self.rows[positions])

    def _standardize(self, X, border, rows):
        copied = torch.from_numpy(_gather(X, rows))  # so that X stays as it is
        return border.standardize_(copied).to(self.device, torch.float32)


class Damaged(torch.utils.data.Dataset):
    """Rows with a corruption, the same at each pass.

    Parameters
    ----------
    rows : Rows
    corruption : callable
        See :mod:`skae._corruptions`.
    seed : int
    """

    def __init__(self, rows, corruption, seed):
        self.rows = rows
        self.corruption = corruption
        self.seed = seed

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, positions):
        u, target = self.rows[positions]
        rng = torch.Generator(u.device).manual_seed(self.seed + int(positions[0]))
        return self.corruption(u, rng), target
