"""The units of the network.

There, a sample is ``u = (x - mean) / scale`` with one scale for all features (the root of the mean
feature variance), so that squared error in ``u`` is PCA's objective up to a constant.
"""

from dataclasses import dataclass

import numpy as np

from skae._data.bounds import bounds

# Squared differences of standardized values are summed in float32 while training.
_LARGEST = float(np.sqrt(np.finfo(np.float32).max))
# A shift of all standardized values by less is beyond float32.
_NEGLIGIBLE = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Standardizer:
    """Map samples to the network's units and back.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
    scale : float
        In the units of X.
    lower, upper : ndarray of shape (n_features,), or () where no feature has a bound, float64
        Bounds of the output in the units of X; infinite where there is none.
    """

    mean: np.ndarray
    scale: float
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def identity(cls, n_features):
        """Samples stay as they are."""
        return cls(np.zeros(n_features), 1.0, np.array(-np.inf), np.array(np.inf))

    @classmethod
    def of(cls, moments, *, centered, bounded, everywhere=False, name="X"):
        """The standardizer that suits samples of those moments.

        Parameters
        ----------
        moments : skae._data.moments.Moments
        centered : bool
            False leaves the samples as they are: mean 0, scale 1.
        bounded : bool
            Whether to look for bounds of the output; `everywhere` is passed on to
            :func:`skae._data.bounds.bounds`.
        name : str, default="X"
            Of the samples, for error messages.

        Raises
        ------
        ValueError
            If float32 cannot hold the standardized samples.
        """
        n_features = len(moments.mean)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = float(np.sqrt(moments.squares.sum() / n_features / moments.n_samples))
        if not np.isfinite(scale):
            largest = max(np.abs(moments.low).max(), np.abs(moments.high).max())
            raise ValueError(
                f"{name} has values too large to train on: its largest is {largest:.3g}, and the variance overflows. Rescale"
                " its columns, for instance with sklearn.preprocessing.StandardScaler or RobustScaler."
            )
        mean = moments.mean
        if not centered:
            mean, scale = np.zeros(n_features), 1.0
        limits = (
            bounds(moments, everywhere=everywhere)
            if bounded
            else (np.array(-np.inf), np.array(np.inf))
        )
        standardizer = cls(mean, scale or 1.0, *limits)  # a scale of 0: all columns are constant
        standardizer.check_range(moments, name)
        return standardizer

    def transform(self, X):
        """``(X - mean) / scale`` in the dtype of X."""
        return self.transform_in_place(X.copy())

    def transform_in_place(self, X):
        """As `transform`, on an array that may be written to."""
        mean = self.mean.astype(X.dtype)
        X -= mean  # exact in float32 too where the offset is large
        rest = (self.mean - mean).astype(X.dtype)  # what rounding the mean has left
        if np.abs(rest).max() > _NEGLIGIBLE * self.scale:
            X -= rest
        X *= X.dtype.type(1 / self.scale)
        return X

    def inverse_transform(self, U):
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

    def check_range(self, moments, name):
        """Refuse samples of those moments where float32 cannot hold them once they are standardized."""
        with np.errstate(over="ignore", invalid="ignore"):
            largest = np.abs(self.transform(np.stack([moments.low, moments.high]))).max()
        if not largest < _LARGEST:
            raise ValueError(
                f"{name} has values too large to train on: centered and divided by the scale {self.scale:.3g} they reach"
                f" {largest:.3g}, and float32 squares end at {_LARGEST:.3g}. Rescale the columns of {name}, for"
                " instance with sklearn.preprocessing.StandardScaler or RobustScaler."
            )


def check_unit_interval(low, high, name, other="another output_activation and loss"):
    """Refuse samples whose smallest and largest value are not in [0, 1]; `other` is what would take them."""
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must lie in [0, 1] where the output is a probability, but it reaches from {low:.6g} to {high:.6g}:"
            f" scale it with sklearn.preprocessing.MinMaxScaler(clip=True), or choose {other}."
        )
