"""Standardization of samples to the network's units.

In the network's units, a sample is ``u = (x - mean) / scale``. The scale is the same for all
features, the root of the mean feature variance, so that the squared error of ``u`` is the objective
of PCA up to a constant.
"""

from dataclasses import dataclass

import numpy as np

from skae._data.bounds import bounds, clip_in_place

# Training sums squared differences of standardized values in float32: above this, they overflow.
_LARGEST = float(np.sqrt(np.finfo(np.float32).max))
# A smaller shift of standardized values is below the precision of float32.
_NEGLIGIBLE = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Standardizer:
    """Map between the units of X and the network's units.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
        Mean of each feature.
    scale : float
        Scale of all features, in the units of X.
    lower, upper : ndarray of shape (n_features,), or () where no feature has a bound, float64
        Bounds of the output in the units of X; infinite where there is none.
    """

    mean: np.ndarray
    scale: float
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def identity(cls, n_features):
        """Standardizer that leaves samples as they are."""
        return cls(np.zeros(n_features), 1.0, np.array(-np.inf), np.array(np.inf))

    @classmethod
    def of(cls, moments, *, centered, bounded, everywhere=False, name="X"):
        """Standardizer for samples with these moments.

        Parameters
        ----------
        moments : skae._data.moments.Moments
            Moments of the training samples.
        centered : bool
            Whether to center and scale. If not, the mean is 0 and the scale 1.
        bounded : bool
            Whether to look for bounds of the output.
        everywhere : bool, default=False
            Passed to :func:`skae._data.bounds.bounds`.
        name : str, default="X"
            Name of the samples in error messages.

        Raises
        ------
        ValueError
            If float32 cannot hold the standardized samples.
        """
        n_features = len(moments.mean)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = float(np.sqrt(moments.mean_variance))
        if not np.isfinite(scale):
            largest = max(np.abs(moments.low).max(), np.abs(moments.high).max())
            raise ValueError(
                f"{name} has values too large to train on: its largest is {largest:.3g}, and the"
                " variance overflows. Rescale its columns, for instance with"
                " sklearn.preprocessing.StandardScaler or RobustScaler."
            )
        mean = moments.mean
        if not centered:
            mean, scale = np.zeros(n_features), 1.0
        limits = (
            bounds(moments, everywhere=everywhere)
            if bounded
            else (np.array(-np.inf), np.array(np.inf))
        )
        standardizer = cls(mean, scale or 1.0, *limits)  # the scale is 0 for constant samples
        standardizer.check_range(moments, name)
        return standardizer

    def transform(self, X):
        """Compute ``(X - mean) / scale`` in the dtype of X."""
        return self.transform_in_place(X.copy())

    def transform_in_place(self, X):
        """Like `transform`, but modify the array."""
        mean = self.mean.astype(X.dtype)
        X -= mean  # exact even in float32 where the offset is large
        rest = (self.mean - mean).astype(X.dtype)  # the rounding error of the mean
        if np.abs(rest).max() > _NEGLIGIBLE * self.scale:
            X -= rest
        X *= X.dtype.type(1 / self.scale)
        return X

    def inverse_transform(self, U):
        """Compute ``mean + scale * U``, clipped to the bounds, in the dtype of U."""
        X = U * U.dtype.type(self.scale)
        X += self.mean.astype(U.dtype)
        # The network has clipped already: this corrects values that rounding put beyond a bound.
        return clip_in_place(X, self.lower, self.upper)

    @property
    def is_bounded(self):
        """Whether any feature has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @property
    def standardized_bounds(self):
        return (self.lower - self.mean) / self.scale, (self.upper - self.mean) / self.scale

    def check_range(self, moments, name):
        """Raise an error if float32 cannot hold the standardized samples with these moments."""
        with np.errstate(over="ignore", invalid="ignore"):
            largest = np.abs(self.transform(np.stack([moments.low, moments.high]))).max()
        if not largest < _LARGEST:
            raise ValueError(
                f"{name} has values too large to train on: centered and divided by the scale"
                f" {self.scale:.3g}, they reach {largest:.3g}, and the square of a value above"
                f" {_LARGEST:.3g} overflows in float32. Rescale the columns of {name}, for instance"
                " with sklearn.preprocessing.StandardScaler or RobustScaler."
            )


def check_unit_interval(low, high, name, other="another output_activation and loss"):
    """Raise an error if the smallest or largest value of samples is outside [0, 1].

    The message proposes `other`, a setting that accepts such samples.
    """
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must lie in [0, 1] because the output is a probability, but its values range"
            f" from {low:.6g} to {high:.6g}: scale it with"
            f" sklearn.preprocessing.MinMaxScaler(clip=True), or choose {other}."
        )
