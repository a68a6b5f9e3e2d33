"""Corruptions: what happens to the input of a denoising autoencoder in training.

A corruption is called with samples in the units of X and a generator, and returns corrupted ones.
``joint_moments`` says how corrupted and clean samples vary together, which the linear start is
computed from: by formula where the class has one, else from corrupted samples.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from sklearn.utils import gen_batches

from skae._data.moments import add_products, mirrored, one_blas_thread

# Corrupted samples for each feature that joint moments are computed from where there is no formula;
# and the most that are made of one sample.
_MIN_SAMPLES_PER_FEATURE, _MAX_DRAWS = 20, 20
_MIN_DRAWS_FOR_CLIPPED = 3  # fewer take less time than the formula of clipped noise
_FAR = 40.0  # standard deviations, beyond which a normal density is zero in float64


@dataclass(frozen=True)
class JointMoments:
    """How corrupted and clean samples, or measured pairs, vary together.

    Parameters
    ----------
    mean, target_mean : ndarray of shape (n_features,) and (n_outputs,)
        Of the corrupted and of the clean samples.
    scatter : ndarray of shape (n_features, n_features), or None
        Of the corrupted samples; see :class:`skae._data.moments.Moments`.
    cross : ndarray of shape (n_outputs, n_features), or None
        Sums of products of deviations of the clean and of the corrupted samples.
    """

    mean: np.ndarray
    target_mean: np.ndarray
    scatter: np.ndarray | None
    cross: np.ndarray | None

    @classmethod
    def of(cls, pairs, *, cross):
        """Joint moments of an iterable of corrupted and clean samples, each looked at once; sums of products where asked."""
        n, sums, scatter, products, references = 0, [0.0, 0.0], None, 0.0, None
        for pair in pairs:
            # Deviations from the means of the first samples, which are near those of all: nothing
            # cancels later.
            references = references or [np.mean(part, axis=0, dtype=np.float64) for part in pair]
            inputs, outputs = (
                part - reference for part, reference in zip(pair, references, strict=True)
            )
            n += len(inputs)
            sums = [
                total + part.sum(axis=0)
                for total, part in zip(sums, (inputs, outputs), strict=True)
            ]
            if cross:
                with one_blas_thread():
                    scatter = add_products(scatter, inputs)
                    products = products + outputs.T @ inputs
        means = [part / n for part in sums]
        mean, target_mean = (
            reference + part for reference, part in zip(references, means, strict=True)
        )
        if not cross:
            return cls(mean, target_mean, None, None)
        scatter = mirrored(scatter) - n * np.outer(means[0], means[0])
        return cls(mean, target_mean, scatter, products - n * np.outer(means[1], means[0]))


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

    def joint_moments(self, moments, chunks, rng, *, cross):
        """Joint moments of corrupted and clean samples.

        Parameters
        ----------
        moments : skae._data.moments.Moments
            Of the clean samples, with a scatter for the corruptions of `FORMULAS`.
        chunks : iterable of ndarray
            The clean samples. A formula need not look at them.
        rng : numpy.random.Generator
        cross : bool
            Whether to sum products.

        Returns
        -------
        joint : JointMoments
        """
        n_draws = _n_draws(moments) if cross else 1
        return JointMoments.of(
            ((self(X, rng), X) for X in chunks for _ in range(n_draws)), cross=cross
        )


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

    def joint_moments(self, moments, chunks, rng, *, cross):
        n, p = moments.n_samples, len(moments.mean)
        is_bounded = np.isfinite(self.lower) | np.isfinite(self.upper)
        if self.std == 0 or not is_bounded.any():
            return _independent(moments, np.zeros(p), 1.0, np.full(p, n * self.std**2), cross)
        if not cross or _n_draws(moments) < _MIN_DRAWS_FOR_CLIPPED:
            return super().joint_moments(moments, chunks, rng, cross=cross)
        variance = np.zeros(p)

        def expected():
            for X in chunks:
                mean = X.astype(np.float64)
                for batch in gen_batches(len(X), 64):  # as much as stays in the processor's cache
                    mean[batch, is_bounded], variances = self._clipped(mean[batch], is_bounded)
                    variance[is_bounded] += variances.sum(axis=0)
                yield mean, X

        joint = JointMoments.of(expected(), cross=True)
        joint.scatter[np.diag_indices(p)] += np.where(is_bounded, variance, n * self.std**2)
        return joint

    def _clipped(self, X, is_bounded):
        """Mean and variance of each noisy value of the features with a bound."""
        X = X[:, is_bounded]
        # The noise that ends at a bound, which is far away where there is none.
        a, b = ((limit[is_bounded] - X) / self.std for limit in (self.lower, self.upper))
        a, b = a.clip(min=-_FAR), b.clip(max=_FAR)
        below, above = ndtr(a), ndtr(-b)
        density_a, density_b = (np.exp(-np.square(t) / 2) / math.sqrt(2 * math.pi) for t in (a, b))
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

    def joint_moments(self, moments, chunks, rng, *, cross):
        # With a = low - mean and b = high - mean, a replaced deviation is a or b whatever it was.
        n, q = moments.n_samples, self.fraction
        rounding = (
            8 * np.finfo(np.float64).eps * np.maximum(np.abs(moments.low), np.abs(moments.high))
        )
        a, b = (value - moments.mean for value in (self.low, self.high))
        a, b = (np.where(np.abs(value) > rounding, value, 0.0) for value in (a, b))
        shift = q * (a + b) / 2
        added = q * (1 - q) * moments.squares + n * (q * (a**2 + b**2) / 2 - shift**2)
        return _independent(moments, shift, 1 - q, added, cross)


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
        # Else one side is longer than the image.
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
# Those whose noise level is a fraction of the features or of the area, and those with a formula for
# their joint moments.
FRACTIONAL = frozenset({"erase", "masking", "salt_and_pepper"})
FORMULAS = frozenset({"gaussian", "masking", "salt_and_pepper"})


def _independent(moments, shift, factor, added, cross):
    """Joint moments where each deviation keeps its value by that factor and gets noise of its own."""
    if not cross:
        return JointMoments(moments.mean + shift, moments.mean, None, None)
    scatter = factor**2 * moments.scatter
    scatter[np.diag_indices(len(shift))] += added
    return JointMoments(moments.mean + shift, moments.mean, scatter, factor * moments.scatter)


def _n_draws(moments):
    """Number of times that each sample is corrupted where joint moments are computed from corrupted samples."""
    return min(
        _MAX_DRAWS, math.ceil(_MIN_SAMPLES_PER_FEATURE * len(moments.mean) / moments.n_samples)
    )


def _interval(size, length, where):
    """Which of `size` pixels lie in an interval of that length, at a place in [0, 1) of where it can be; (n, size)."""
    length = np.minimum(np.rint(length), size)
    start = np.floor(where * (size - length + 1))
    pixels = np.arange(size)
    return (pixels >= start[:, None]) & (pixels < (start + length)[:, None])
