"""From validated samples to what a fit works on: seeds, the split, datasets and what linear starts are computed from."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skae._data.corruptions import JointMoments
from skae._data.datasets import CorruptedDataset, SampleDataset
from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._data.splitting import split
from skae._data.standardizer import Standardizer
from skae._linear import pca

# Samples that "auto" withholds: beyond them, one lowers the error further by being trained on.
_MAX_AUTO_VALIDATION = 2000
_MAX_DESCRIBED_CODES = 12_500  # that `explained_variance_ratio_` has decoded


class Seeds(NamedTuple):
    """A seed for each thing that is drawn, so that none of them depends on another."""

    weights: int
    split: int
    batches: int
    noise: int
    corruption: int
    draws: int
    solver: int

    @classmethod
    def spawn(cls, seed):
        return cls(*map(int, np.random.SeedSequence(seed).generate_state(len(cls._fields))))


class Samples(NamedTuple):
    """Validated samples, as sources.

    Parameters
    ----------
    X : ArraySource
    target : ArraySource or None
        What the samples are to be reconstructed as; None are the samples themselves.
    X_val, target_val : ArraySource or None
        The same of a validation set that the user gives.
    """

    X: ArraySource
    target: ArraySource | None
    X_val: ArraySource | None
    target_val: ArraySource | None

    @classmethod
    def of(cls, *arrays):
        return cls(*(None if array is None else ArraySource(array) for array in arrays))


class Measured(NamedTuple):
    """What one pass over the samples finds out: moments, the hashes that a split needs, and both standardizers."""

    moments: Moments
    hashes: np.ndarray | None
    standardizer: Standardizer
    target_standardizer: Standardizer


@dataclass(frozen=True)
class TrainingData:
    """What a fit works on.

    Parameters
    ----------
    train, validation : SampleDataset
    described : SampleDataset
        Some training samples, which `explained_variance_ratio_` is measured on.
    linear : StandardizedSamples
        All samples, for linear models.
    joint : JointMoments or None
        Of what is encoded and what it is to be reconstructed as, where the two differ and there is
        a linear start.
    standardizer, target_standardizer : Standardizer
    seeds : Seeds
    """

    train: SampleDataset
    validation: SampleDataset
    described: SampleDataset
    linear: pca.StandardizedSamples
    joint: JointMoments | None
    standardizer: Standardizer
    target_standardizer: Standardizer
    seeds: Seeds

    @property
    def joint_in_network_units(self):
        """Scatter of the inputs, and of the targets with them."""
        scale, target_scale = self.standardizer.scale, self.target_standardizer.scale
        return self.joint.scatter / scale**2, self.joint.cross / (scale * target_scale)

    @property
    def samples_that_vary(self):
        """Dataset that a fraction of the variance is measured on, after its name: R² without variance is undefined."""
        first = None
        for _, target in self.validation.batches(1024):
            first = target[0] if first is None else first
            if (target != first).any():
                return "validation", self.validation
        return "training", self.described

    @staticmethod
    def pairs(dataset):
        """Inputs and targets of a dataset as float64 arrays, a batch after the other."""
        return (
            (u.numpy(force=True).astype(np.float64), y.numpy(force=True))
            for u, y in dataset.batches(1024)
        )


def prepare(
    samples, measured, corruption, *, validation_fraction, n_components, is_anchored, seeds, device
):
    """What a fit works on.

    Parameters
    ----------
    samples : Samples
    measured : Measured
    corruption : skae._data.corruptions.Corruption or None
    validation_fraction : float, "auto" or None
    n_components : int
    is_anchored : bool
        Whether there is a linear start.
    seeds : Seeds
    device : torch.device

    Returns
    -------
    data : TrainingData
    """
    held_out, trained_on = _split(samples, measured.hashes, validation_fraction, seeds.split)
    joint = (
        _joint_moments(samples, measured.moments, corruption, held_out, trained_on, seeds)
        if is_anchored
        else None
    )
    standardizer = measured.standardizer
    # What the linear path sees may have another mean than X.
    if joint is not None and corruption is not None:
        standardizer = replace(
            standardizer, mean=standardizer.mean + joint.mean - joint.target_mean
        )

    def dataset(X, target, positions, part):
        arguments = X, standardizer, measured.target_standardizer, device, positions, target
        if corruption is None:
            return SampleDataset(*arguments)
        return CorruptedDataset(*arguments, corruption=corruption, seed=[seeds.corruption, part])

    n = len(samples.X)
    n_described = max(2, min(n, _MAX_DESCRIBED_CODES // n_components))
    train = dataset(samples.X, samples.target, trained_on, 0)
    if samples.X_val is None:
        validation = dataset(samples.X, samples.target, held_out, 1)
    else:
        validation = dataset(samples.X_val, samples.target_val, None, 1)
    described = dataset(
        samples.X, samples.target, np.linspace(0, n - 1, n_described).astype(int), 2
    )
    linear = pca.StandardizedSamples(
        samples.X, measured.moments, measured.standardizer, seeds.solver
    )
    return TrainingData(
        train,
        validation,
        described,
        linear,
        joint,
        standardizer,
        measured.target_standardizer,
        seeds,
    )


def _split(samples, hashes, validation_fraction, seed):
    """Positions of the validation set and of the training samples; None are all of them."""
    if hashes is None:
        return None, None
    n = len(samples.X)
    fraction, most = (
        (0.1, _MAX_AUTO_VALIDATION)
        if validation_fraction == "auto"
        else (validation_fraction, n - 1)
    )
    return split(hashes, min(most, math.ceil(fraction * n)), np.random.default_rng(seed))


def _joint_moments(samples, moments, corruption, held_out, trained_on, seeds):
    """Joint moments of the training samples; None where what is encoded is what it is to be reconstructed as."""
    n_outputs = samples.X.shape[1] if samples.target is None else samples.target.shape[1]
    cross = max(samples.X.shape[1], n_outputs) <= pca.MAX_FEATURES_OF_SCATTER
    if samples.target is not None:
        pairs = (
            (X, samples.target.take(positions))
            for positions, X in samples.X.batches(1024, positions=trained_on)
        )
        return JointMoments.of(pairs, cross=cross)
    if corruption is None:
        return None
    if moments.scatter is not None and held_out is not None and len(held_out) < len(samples.X):
        validation = Moments.of(
            (X for _, X in samples.X.batches(1024, positions=held_out)), cross=True
        )
        moments = moments.without(validation)
    chunks = (X for _, X in samples.X.batches(1024, positions=trained_on))
    return corruption.joint_moments(
        moments, chunks, np.random.default_rng([seeds.corruption, 3]), cross=cross
    )
