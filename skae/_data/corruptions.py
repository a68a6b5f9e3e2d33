"""Corruptions of the input of a denoising autoencoder in training.

A corruption is called with samples in the units of X and a random generator, and returns corrupted
samples. Its ``joint_moments``, from which the linear model at the start of training is computed,
follow from a formula where the class has one, and otherwise from corrupted samples.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from sklearn.utils import gen_batches

from skae._data.bounds import clip_in_place
from skae._data.joint_moments import JointMoments
from skae._data.missing import ConstantFill

# Joint moments without a formula are computed from at least this many corrupted samples for each
# feature, but from no more than this many of the same sample.
_MIN_SAMPLES_PER_FEATURE, _MAX_DRAWS = 20, 20
_MIN_DRAWS_FOR_CLIPPED = 3  # with fewer, sampling is faster than the formula of clipped noise
_FAR = 40.0  # standard deviations beyond which a normal density is zero in float64


class Corruption(ABC):
    """Base class of corruptions.

    Attributes
    ----------
    hides : bool
        Whether it hides values, as if they were missing. The loss is then that of hidden values.
    """

    hides = False

    def apply(self, X, observed, rng):
        """Corrupt samples, and return which of their values count in the loss.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Samples in the units of X, in which no value is missing.
        observed : ndarray of bool of shape (n, n_features), or None
            Whether each value is observed; None where all are.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        corrupted : ndarray of shape (n, n_features)
            Corrupted samples.
        counted : ndarray of bool of shape (n, n_features), or None
            Whether each value counts; None where all do.
        """
        return self(X, rng), observed

    def expected_fill(self, fill):
        """Fill of missing values that a network expects after training with the corruption.

        It is `fill` unless the corruption itself puts values in the place of missing ones.
        """
        return fill

    @abstractmethod
    def __call__(self, X, rng):
        """Corrupt samples.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Samples in the units of X, which must not be modified.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        X_corrupted : ndarray of shape (n, n_features)
            New array, which the caller may modify.
        """

    def joint_moments(self, moments, chunks, rng, *, cross):
        """Joint moments of corrupted and clean samples.

        Parameters
        ----------
        moments : skae._data.moments.Moments
            Moments of the clean samples. For the corruptions in `FORMULAS`, they have a scatter
            matrix where `cross` is true.
        chunks : iterable of pair of ndarray
            The clean samples, which most formulas do not read, and their weights or None.
        rng : numpy.random.Generator
            Source of random numbers.
        cross : bool
            Whether to compute sums of products.

        Returns
        -------
        joint : JointMoments
            Joint moments.
        """
        n_draws = _n_draws(moments) if cross else 1
        return JointMoments.of(
            ((self(X, rng), X, w) for X, w in chunks for _ in range(n_draws)), cross=cross
        )


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Gaussian noise with the same standard deviation for all features, clipped to bounds.

    Parameters
    ----------
    std : float
        Standard deviation in the units of X.
    lower, upper : ndarray of shape (n_features,)
        Bounds of the noisy values, infinite where there is none.
    """

    std: float
    lower: np.ndarray
    upper: np.ndarray

    def __call__(self, X, rng):
        noisy = rng.standard_normal(X.shape, dtype=X.dtype)
        noisy *= X.dtype.type(self.std)
        noisy += X
        return clip_in_place(noisy, self.lower, self.upper)

    def joint_moments(self, moments, chunks, rng, *, cross):
        n, p = moments.weight, len(moments.mean)
        is_bounded = np.isfinite(self.lower) | np.isfinite(self.upper)
        if self.std == 0 or not is_bounded.any():
            return _independent(moments, np.zeros(p), 1.0, np.full(p, n * self.std**2), cross)
        if not cross or _n_draws(moments) < _MIN_DRAWS_FOR_CLIPPED:
            return super().joint_moments(moments, chunks, rng, cross=cross)
        variance = np.zeros(p)

        def expected():
            for X, weights in chunks:
                mean, w = X.astype(np.float64), np.ones(len(X)) if weights is None else weights
                for batch in gen_batches(len(X), 64):  # small enough for the processor's cache
                    mean[batch, is_bounded], variances = self._clipped(mean[batch], is_bounded)
                    variance[is_bounded] += (w[batch, None] * variances).sum(axis=0)
                yield mean, X, weights

        joint = JointMoments.of(expected(), cross=True)
        joint.scatter[np.diag_indices(p)] += np.where(is_bounded, variance, n * self.std**2)
        return joint

    def _clipped(self, X, is_bounded):
        """Mean and variance of each noisy value of the features with a bound."""
        X = X[:, is_bounded]
        # Standardized distances to the bounds, limited to where the density is not yet zero.
        a, b = ((limit[is_bounded] - X) / self.std for limit in (self.lower, self.upper))
        a, b = a.clip(min=-_FAR), b.clip(max=_FAR)
        below, above = ndtr(a), ndtr(-b)
        density_a, density_b = (np.exp(-np.square(t) / 2) / math.sqrt(2 * math.pi) for t in (a, b))
        mean = a * below + b * above + density_a - density_b
        square = a**2 * below + b**2 * above + (1 - below - above) + a * density_a - b * density_b
        return X + self.std * mean, self.std**2 * (square - mean**2).clip(min=0)


@dataclass(frozen=True)
class Replacement(Corruption):
    """Replacement of random features of each sample by one of two values, with equal probability.

    Parameters
    ----------
    fraction : float
        Probability that a value is replaced.
    low, high : ndarray of shape (n_features,)
        Values that each feature is replaced by. For masking, they are equal.
    """

    fraction: float
    low: np.ndarray
    high: np.ndarray

    def __call__(self, X, rng):
        draws = rng.random(X.shape, dtype=np.float32)
        corrupted = np.where(draws < self.fraction / 2, self.low.astype(X.dtype), X)
        np.copyto(corrupted, self.high.astype(X.dtype), where=draws >= 1 - self.fraction / 2)
        return corrupted

    def joint_moments(self, moments, chunks, rng, *, cross):
        # A deviation from the mean becomes a = low - mean or b = high - mean, whatever it was.
        # Differences that are only rounding count as zero.
        n, q = moments.weight, self.fraction
        rounding = (
            8 * np.finfo(np.float64).eps * np.maximum(np.abs(moments.low), np.abs(moments.high))
        )
        a, b = (value - moments.mean for value in (self.low, self.high))
        a, b = (np.where(np.abs(value) > rounding, value, 0.0) for value in (a, b))
        shift = q * (a + b) / 2
        added = q * (1 - q) * moments.squares + n * (q * (a**2 + b**2) / 2 - shift**2)
        return _independent(moments, shift, 1 - q, added, cross)


class Masking(Replacement):
    """Replacement of random features of each sample by a constant."""

    def expected_fill(self, fill):
        return ConstantFill(self.low)


@dataclass(frozen=True)
class Hiding(Corruption):
    """Hiding of random observed values of each sample, as if they were missing, too.

    Parameters
    ----------
    fraction : float
        Probability that an observed value is hidden.
    fill : callable
        Fill of missing and hidden values; see :mod:`skae._data.missing`.
    """

    fraction: float
    fill: object

    hides = True

    def apply(self, X, observed, rng):
        # Hidden values, and those that were not observed, are filled from the others.
        hidden = rng.random(X.shape, dtype=np.float32) < self.fraction
        unknown = hidden
        if observed is not None:
            unknown, hidden = hidden | ~observed, hidden & observed
        return self.fill(np.where(unknown, X.dtype.type(np.nan), X)), hidden

    def __call__(self, X, rng):
        return self.apply(X, None, rng)[0]


@dataclass(frozen=True)
class Erasure(Corruption):
    """Erasure of a random rectangle of each image, up to four times as long as it is wide.

    Parameters
    ----------
    fraction : float
        Area of the rectangle as a fraction of the image.
    fill : ndarray of shape (n_features,)
        Values that the erased pixels get.
    image_shape : tuple of int
        Height, width and channels.
    """

    fraction: float
    fill: np.ndarray
    image_shape: tuple

    def __call__(self, X, rng):
        height, width, n_channels = self.image_shape
        draws = rng.random((3, len(X)))
        # A more elongated rectangle would be longer than the image.
        widest = min(1.0, -math.log2(self.fraction)) if self.fraction > 0 else 1.0
        ratio = np.exp2(widest * (2 * draws[0] - 1))
        rows = _interval(height, height * np.sqrt(self.fraction * ratio), draws[1])
        columns = _interval(width, width * np.sqrt(self.fraction / ratio), draws[2])
        erased = np.repeat(
            (rows[:, :, None] & columns[:, None, :]).reshape(len(X), -1), n_channels, axis=1
        )
        return np.where(erased, self.fill.astype(X.dtype), X)


@dataclass(frozen=True)
class Function(Corruption):
    """Corruption by a function of the user, ``(X, random_state) -> X_corrupted``, in float64.

    Parameters
    ----------
    function : callable
        Function that returns an array of the same shape.
    image_shape : tuple of int or None
        Shape of the images that the function takes. With None, it takes flat samples.
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
                f"corruption={name} returned an array of shape {corrupted.shape} for an array of"
                f" shape {shape}: return an array of the same shape."
            )
        if not np.isfinite(corrupted).all():
            raise ValueError(f"corruption={name} returned NaN or infinity: return finite values.")
        return corrupted.reshape(X.shape).astype(np.float64)


@dataclass(frozen=True)
class Ranges:
    """Values of the features that corruptions use, in the units of X.

    Parameters
    ----------
    lower, upper : ndarray of shape (n_features,)
        Bounds that additive noise stays within, infinite where there is none.
    low, high : ndarray of shape (n_features,)
        Ends of the range of each feature.
    fill : ndarray of shape (n_features,)
        Value of a masked or erased feature: zero where its range includes zero, else its mean.
    image_shape : tuple of int or None
        Height, width and channels; None for samples that are not images.
    """

    lower: np.ndarray
    upper: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fill: np.ndarray
    image_shape: tuple | None

    @classmethod
    def of(cls, moments, lower, upper, image_shape):
        """Ranges of samples with these moments and bounds."""
        return cls(
            lower=np.broadcast_to(lower, moments.mean.shape).astype(np.float64),
            upper=np.broadcast_to(upper, moments.mean.shape).astype(np.float64),
            low=np.where(np.isfinite(lower), lower, moments.low).astype(np.float64),
            high=np.where(np.isfinite(upper), upper, moments.high).astype(np.float64),
            fill=np.where((moments.low <= 0) & (moments.high >= 0), 0.0, moments.mean),
            image_shape=image_shape,
        )


# Functions that make a corruption from the noise level and the ranges of the data.
CORRUPTIONS = {
    "erase": lambda level, ranges: Erasure(level, ranges.fill, ranges.image_shape),
    "gaussian": lambda level, ranges: GaussianNoise(level, ranges.lower, ranges.upper),
    "masking": lambda level, ranges: Masking(level, ranges.fill, ranges.fill),
    "salt_and_pepper": lambda level, ranges: Replacement(level, ranges.low, ranges.high),
}
# Corruptions whose noise level is a fraction, of the features or of the area of an image; and those
# with a formula for their joint moments.
FRACTIONAL = frozenset({"erase", "masking", "salt_and_pepper"})
FORMULAS = frozenset({"gaussian", "masking", "salt_and_pepper"})


def _independent(moments, shift, factor, added, cross):
    """Joint moments where each deviation from the mean is scaled and gets independent noise.

    Parameters
    ----------
    moments : skae._data.moments.Moments
        Moments of the clean samples.
    shift : ndarray of shape (n_features,)
        Difference that the corruption makes to the mean.
    factor : float
        Factor of the deviations.
    added : ndarray of shape (n_features,)
        Sums of squares that the noise adds to the diagonal of the scatter matrix.
    cross : bool
        Whether to compute sums of products.
    """
    if not cross:
        return JointMoments(moments.mean + shift, moments.mean, None, None, moments.weight)
    scatter = factor**2 * moments.scatter
    scatter[np.diag_indices(len(shift))] += added
    mean, cross = moments.mean + shift, factor * moments.scatter
    return JointMoments(mean, moments.mean, scatter, cross, moments.weight)


def _n_draws(moments):
    """Number of corrupted copies of each sample that joint moments without a formula need."""
    return min(_MAX_DRAWS, math.ceil(_MIN_SAMPLES_PER_FEATURE * len(moments.mean) / moments.weight))


def _interval(size, length, where):
    """Mask (n, size) of the pixels inside n intervals along one side of an image.

    Each interval has a length, and a place between 0 and 1, from the start of the side to its end.
    """
    length = np.minimum(np.rint(length), size)
    start = np.floor(where * (size - length + 1))
    pixels = np.arange(size)
    return (pixels >= start[:, None]) & (pixels < (start + length)[:, None])
