"""Corruptions: what happens to the input of a denoising autoencoder in training.

A corruption is called with samples in the units of X and a generator, and returns corrupted ones. ``joint_moments`` says how
corrupted and clean samples vary together, which the linear start is computed from: by formula where the class has one, else
from corrupted samples.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from skae._data.moments import Moments

# Corrupted samples for each feature that joint moments are computed from where there is no formula, and at most so many
# of each sample.
_MIN_SAMPLES_PER_FEATURE, _MAX_DRAWS = 20, 20


@dataclass(frozen=True)
class JointMoments:
    """How corrupted and clean samples vary together.

    Parameters
    ----------
    shift : ndarray of shape (n_features,)
        Mean of the corrupted samples less that of the clean ones.
    scatter : ndarray of shape (n_features, n_features), or None
        Of the corrupted samples; see :class:`skae._data.moments.Moments`.
    cross : ndarray of shape (n_outputs, n_features), or None
        Sums of products of deviations of the clean and of the corrupted samples.
    n_samples : float
        Number of samples that these are sums over.
    """

    shift: np.ndarray
    scatter: np.ndarray | None
    cross: np.ndarray | None
    n_samples: float

    @classmethod
    def of(cls, pairs, *, cross):
        """Joint moments of an iterable of corrupted and clean samples, each looked at once."""
        n_features = 0

        def stacked():
            nonlocal n_features
            for corrupted, clean in pairs:
                n_features = corrupted.shape[1]
                yield np.hstack([corrupted, clean])

        moments = Moments.of(stacked(), cross=cross)
        inputs, outputs = slice(n_features), slice(n_features, None)
        # The shift is one of samples and what is made of them; measured pairs of another width have none.
        n_outputs = len(moments.mean) - n_features
        shift = moments.mean[inputs] - moments.mean[outputs] if n_outputs == n_features else np.zeros(n_features)
        if not cross:
            return cls(shift, None, None, moments.n_samples)
        return cls(shift, moments.scatter[inputs, inputs], moments.scatter[outputs, inputs], moments.n_samples)


class Corruption(ABC):
    """What a corruption can do."""

    @abstractmethod
    def __call__(self, X, rng):
        """Corrupted samples.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            In the units of the data. Not to be written to.
        rng : numpy.random.Generator

        Returns
        -------
        X_corrupted : ndarray of shape (n, n_features)
            An array of the caller's own.
        """

    def joint_moments(self, moments, chunks, rng):
        """Joint moments of corrupted and clean samples.

        Parameters
        ----------
        moments : skae._data.moments.Moments
            Of the clean samples. The joint moments have a scatter where these have one.
        chunks : iterable of ndarray
            The clean samples. A formula need not look at them.
        rng : numpy.random.Generator

        Returns
        -------
        joint : JointMoments
        """
        n_draws = min(_MAX_DRAWS, math.ceil(_MIN_SAMPLES_PER_FEATURE * len(moments.mean) / moments.n_samples))
        pairs = ((self(X, rng), X) for X in chunks for _ in range(n_draws))
        return JointMoments.of(pairs, cross=moments.scatter is not None)


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Noise of one standard deviation, clipped to bounds.

    Parameters
    ----------
    std : float
    lower, upper : ndarray of shape (n_features,)
        Infinite where there is no bound.
    """

    std: float
    lower: np.ndarray
    upper: np.ndarray

    def __call__(self, X, rng):
        noisy = rng.standard_normal(X.shape, dtype=X.dtype)
        noisy *= X.dtype.type(self.std)
        noisy += X
        return np.clip(noisy, self.lower.astype(X.dtype), self.upper.astype(X.dtype), out=noisy)

    def joint_moments(self, moments, chunks, rng):
        n, p = moments.n_samples, len(moments.mean)
        is_bounded = np.isfinite(self.lower) | np.isfinite(self.upper)
        if self.std == 0 or not is_bounded.any():
            return _independent(moments, np.zeros(p), 1.0, n * np.full(p, self.std**2))
        variance = np.zeros(p)

        def expected():
            for X in chunks:
                mean, variances = self._clipped(X)
                variance[:] += variances.sum(axis=0)
                yield mean, X

        joint = JointMoments.of(expected(), cross=moments.scatter is not None)
        if joint.scatter is not None:
            joint.scatter[np.diag_indices(p)] += variance
        return joint

    def _clipped(self, X):
        """Mean and variance of each noisy value."""
        X = X.astype(np.float64)
        a, b = (self.lower - X) / self.std, (self.upper - X) / self.std  # the noise that ends at a bound
        below, above = ndtr(a), ndtr(-b)
        density_a, density_b = (np.exp(-np.square(t) / 2) / math.sqrt(2 * math.pi) for t in (a, b))
        a, b = (np.where(np.isfinite(t), t, 0.0) for t in (a, b))  # no weight goes with an infinite one
        mean = a * below + b * above + density_a - density_b
        square = a**2 * below + b**2 * above + (1 - below - above) + a * density_a - b * density_b
        return X + self.std * mean, self.std**2 * (square - mean**2).clip(min=0)


@dataclass(frozen=True)
class Replacement(Corruption):
    """A fraction of the features of each sample, one half of it set to one value and the other half to another.

    Parameters
    ----------
    fraction : float
    low, high : ndarray of shape (n_features,)
        The same for masking.
    """

    fraction: float
    low: np.ndarray
    high: np.ndarray

    def __call__(self, X, rng):
        draws = rng.random(X.shape, dtype=np.float32)
        corrupted = np.where(draws < self.fraction / 2, self.low.astype(X.dtype), X)
        np.copyto(corrupted, self.high.astype(X.dtype), where=draws >= 1 - self.fraction / 2)
        return corrupted

    def joint_moments(self, moments, chunks, rng):
        # With a = low - mean and b = high - mean, a replaced deviation is a or b whatever it was.
        n, q = moments.n_samples, self.fraction
        a, b = self.low - moments.mean, self.high - moments.mean
        shift = q * (a + b) / 2
        added = q * (1 - q) * moments.squares + n * (q * (a**2 + b**2) / 2 - shift**2)
        return _independent(moments, shift, 1 - q, added)


@dataclass(frozen=True)
class Erasure(Corruption):
    """A rectangle of each image, up to four times as long as it is wide.

    Parameters
    ----------
    fraction : float
        Of the area of the image.
    fill : ndarray of shape (n_features,)
    image_shape : tuple of int
        Height, width and channels.
    """

    fraction: float
    fill: np.ndarray
    image_shape: tuple

    def __call__(self, X, rng):
        height, width, n_channels = self.image_shape
        draws = rng.random((3, len(X)))
        widest = min(1.0, -math.log2(self.fraction)) if self.fraction > 0 else 1.0  # else one side is longer than the image
        ratio = np.exp2(widest * (2 * draws[0] - 1))
        rows = _interval(height, height * np.sqrt(self.fraction * ratio), draws[1])
        columns = _interval(width, width * np.sqrt(self.fraction / ratio), draws[2])
        erased = np.repeat((rows[:, :, None] & columns[:, None, :]).reshape(len(X), -1), n_channels, axis=1)
        return np.where(erased, self.fill.astype(X.dtype), X)


@dataclass(frozen=True)
class Function(Corruption):
    """A user's function ``(X, random_state) -> X_corrupted`` of float64 arrays.

    Parameters
    ----------
    function : callable
    image_shape : tuple of int or None
        Of the images that the function takes; None gives it flat samples.
    """

    function: object
    image_shape: tuple | None

    def __call__(self, X, rng):
        given = X.astype(np.float64).reshape(len(X), *(self.image_shape or X.shape[1:]))
        shape = given.shape
        corrupted = np.asarray(self.function(given, np.random.RandomState(rng.integers(2**31 - 1))))
        name = getattr(self.function, "__name__", repr(self.function))
        if corrupted.shape != shape:
            raise ValueError(
                f"corruption={name} made {corrupted.shape} of an array of shape {shape}: return one of the same shape."
            )
        if not np.isfinite(corrupted).all():
            raise ValueError(f"corruption={name} returned NaN or infinity: return finite values.")
        return corrupted.reshape(X.shape).astype(np.float64)


@dataclass(frozen=True)
class Ranges:
    """What corruptions are made from, in the units of X.

    Parameters
    ----------
    lower, upper : ndarray of shape (n_features,)
        Bounds that additive noise stays within, infinite where there is none.
    low, high : ndarray of shape (n_features,)
        The ends of the range of each feature.
    fill : ndarray of shape (n_features,)
        What a feature without information has.
    image_shape : tuple of int or None
        Height, width and channels.
    """

    lower: np.ndarray
    upper: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fill: np.ndarray
    image_shape: tuple | None

    @classmethod
    def of(cls, moments, lower, upper, image_shape):
        """Those of samples of these moments."""
        return cls(
            lower=np.broadcast_to(lower, moments.mean.shape).astype(np.float64),
            upper=np.broadcast_to(upper, moments.mean.shape).astype(np.float64),
            low=np.where(np.isfinite(lower), lower, moments.low).astype(np.float64),
            high=np.where(np.isfinite(upper), upper, moments.high).astype(np.float64),
            fill=np.where((moments.low <= 0) & (moments.high >= 0), 0.0, moments.mean),
            image_shape=image_shape,
        )


# Each makes a corruption from the noise level and the ranges of the data.
CORRUPTIONS = {
    "erase": lambda level, ranges: Erasure(level, ranges.fill, ranges.image_shape),
    "gaussian": lambda level, ranges: GaussianNoise(level, ranges.lower, ranges.upper),
    "masking": lambda level, ranges: Replacement(level, ranges.fill, ranges.fill),
    "salt_and_pepper": lambda level, ranges: Replacement(level, ranges.low, ranges.high),
}
# Those whose noise level is a fraction of the features or of the area.
FRACTIONAL = frozenset({"erase", "masking", "salt_and_pepper"})


def _independent(moments, shift, factor, added):
    """Joint moments where each deviation keeps its value by that factor and gets noise of its own."""
    if moments.scatter is None:
        return JointMoments(shift, None, None, moments.n_samples)
    scatter = factor**2 * moments.scatter
    scatter[np.diag_indices(len(shift))] += added
    return JointMoments(shift, scatter, factor * moments.scatter, moments.n_samples)


def _interval(size, length, where):
    """Which of `size` pixels lie in an interval of that length, at a place in [0, 1) of where it can be; (n, size)."""
    length = np.minimum(np.rint(length), size)
    start = np.floor(where * (size - length + 1))
    pixels = np.arange(size)
    return (pixels >= start[:, None]) & (pixels < (start + length)[:, None])
