"""From validated samples to training data.

It consists of seeds, the split into training samples and a validation set, their datasets, and the
statistics from which the linear model at the start of training is computed.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skae._data.datasets import CorruptedDataset, SampleDataset
from skae._data.group import SINGLE
from skae._data.joint_moments import JointMoments, merged
from skae._data.missing import ConstantFill
from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._data.splitting import hold_out, validated
from skae._data.standardizer import Standardizer
from skae._data.streams import source_of
from skae._linear import pca

# Smallest validation set on which an epoch can be significantly better; see the sign test.
MIN_VALIDATION = 5
# Codes that are decoded for `explained_variance_ratio_`, over all lengths of prefixes.
_MAX_DESCRIBED_CODES = 12_500


class Seeds(NamedTuple):
    """Seeds of the random numbers, one for each use, so that no use depends on another."""

    weights: int
    split: int
    batches: int
    noise: int
    corruption: int
    draws: int
    solver: int
    prior: int

    @classmethod
    def spawn(cls, seed):
        return cls(*map(int, np.random.SeedSequence(seed).generate_state(len(cls._fields))))

    def of_process(self, rank):
        """Seeds of a process that fits with others: its own where random numbers are of samples."""
        if rank == 0:
            return self
        own = Seeds.spawn([*self, rank])
        return own._replace(weights=self.weights, draws=self.draws, solver=self.solver)


class Samples(NamedTuple):
    """Validated samples, as sources.

    Parameters
    ----------
    X : ArraySource or StreamSource
        Samples.
    target : ArraySource or None
        What the samples should be reconstructed as. With None, it is the samples themselves.
    X_val, target_val : ArraySource or None
        Samples and targets of a validation set, where the user passes one.
    """

    X: ArraySource
    target: ArraySource | None
    X_val: ArraySource | None
    target_val: ArraySource | None

    @classmethod
    def of(cls, X, target=None, X_val=None, target_val=None, sample_weight=None, group=SINGLE):
        """Sources of arrays, read in the dtype in which X is.

        Samples without weight are left out. Weights are multiplied by a constant if their mean is
        below 1, so that no statistic divides by a number of samples below 1.
        """
        sample_weight, X_val, target_val = _matched(
            group, X, target, X_val, target_val, sample_weight
        )
        used = None
        if sample_weight is not None:
            if not (sample_weight > 0).all():
                used = sample_weight > 0
                sample_weight = sample_weight[used]
            mean = group.sum(sample_weight.sum()) / group.sum(len(sample_weight))
            sample_weight = sample_weight / min(1.0, mean)
            if all(group.gather(bool((sample_weight == 1).all()))):
                sample_weight = None
        X = source_of(X, sample_weight=sample_weight, used=used).of_group(group)

        def other(array, name, used=None):
            if array is None:
                return None
            return source_of(array, X.dtype, name, used=used).of_group(group)

        return cls(
            X,
            other(target, "X_target", used),
            other(X_val, "X_val"),
            other(target_val, "X_val_target"),
        )


class Measured(NamedTuple):
    """Results of one pass over the samples, and of some more where values are missing.

    Parameters
    ----------
    samples : Samples
        Samples, with values in the place of missing ones.
    moments : Moments
        Moments of the samples.
    fill : callable
        Fill of missing values; see :mod:`skae._data.missing`.
    hashes : ndarray of shape (n_samples,), or None
        Hashes of the samples, which a split into training samples and a validation set needs.
    standardizer, target_standardizer : Standardizer
        Standardizers of the samples and of their targets.
    inliers : ndarray of int, or None
        Positions of the samples that the moments, the validation set and the start of training are
        limited to. None stands for all samples.
    """

    samples: Samples
    moments: Moments
    fill: object
    hashes: np.ndarray | None
    standardizer: Standardizer
    target_standardizer: Standardizer
    inliers: np.ndarray | None = None

    @property
    def is_complete(self):
        """Whether no value of X is missing."""
        return self.samples.X.fill is None


@dataclass(frozen=True)
class TrainingData:
    """Data and statistics that a fit uses.

    Parameters
    ----------
    train, validation : SampleDataset
        Training samples and validation set.
    described : SampleDataset
        Some of the samples, on which `explained_variance_ratio_` is computed.
    linear : StandardizedSamples
        All samples, or the inliers among them, for linear models.
    joint : pair of JointMoments, or None
        Joint moments of inputs and targets, of the training samples and of the validation set,
        where inputs and targets differ and the start is a linear model.
    standardizer, target_standardizer : Standardizer
        Standardizers of the inputs and of the targets.
    fill : callable
        Fill of missing values of other samples.
    seeds : Seeds
        Seeds of the random numbers.
    """

    train: SampleDataset
    validation: SampleDataset
    described: SampleDataset
    linear: pca.StandardizedSamples
    joint: tuple | None
    standardizer: Standardizer
    target_standardizer: Standardizer
    fill: object
    seeds: Seeds

    @property
    def samples_that_vary(self):
        """Name and dataset of the samples on which a fraction of the variance is computed.

        They are the validation set, or training samples where all targets of the validation set
        are equal: R² is undefined without variance.
        """
        first, varies = None, False
        for batch in self.validation.batches():
            target = batch.target.numpy(force=True)
            first = target[0] if first is None else first
            varies = bool((target != first).any())
            if varies:
                break
        firsts, vary = zip(*self.validation.group.gather((first, varies)), strict=True)
        firsts = [first for first in firsts if first is not None]
        if any(vary) or any((first != firsts[0]).any() for first in firsts):
            return "validation", self.validation
        return "training", self.described

    @staticmethod
    def pairs(dataset):
        """Batches of a dataset as arrays: inputs in float64, targets, and weights or None."""
        return (
            (
                batch.input.numpy(force=True).astype(np.float64),
                batch.target.numpy(force=True),
                None if batch.weight is None else batch.weight.numpy(force=True),
            )
            for batch in dataset.batches()
        )


def prepare(measured, corruption, *, validation_fraction, n_components, is_anchored, seeds, device):
    """Prepare the data that a fit uses.

    Parameters
    ----------
    measured : Measured
        Validated samples, and results of a pass over them.
    corruption : skae._data.corruptions.Corruption or None
        Corruption of the inputs.
    validation_fraction : float, "auto" or None
        Parameter of the estimator.
    n_components : int
        Number of components.
    is_anchored : bool
        Whether training starts at a linear model.
    seeds : Seeds
        Seeds of the random numbers.
    device : torch.device
        Device of the batches.

    Returns
    -------
    data : TrainingData
        Data and statistics.
    """
    samples, hides = measured.samples, corruption is not None and corruption.hides
    held_out, trained_on = hold_out(measured.hashes, validation_fraction, samples.X, seeds.split)
    inliers, X_linear = measured.inliers, samples.X
    if inliers is not None:
        X_linear = samples.X.subset(inliers)
    joint = (
        _joint_moments(samples, measured.moments, corruption, held_out, trained_on, seeds)
        if is_anchored and not hides
        else None
    )
    standardizer = measured.standardizer
    # The mean of corrupted inputs may differ from that of X.
    if joint is not None and corruption is not None:
        standardizer = replace(
            standardizer, mean=standardizer.mean + joint[0].mean - joint[0].target_mean
        )

    def dataset(X, target, positions, part):
        if hides and X.fill is not None:
            # The corruption fills missing values itself, and their targets do not count.
            X = X.with_fill(ConstantFill(standardizer.mean))
        arguments = X, standardizer, measured.target_standardizer, device, positions, target
        if corruption is None:
            return SampleDataset(*arguments)
        return CorruptedDataset(*arguments, corruption=corruption, seed=[seeds.corruption, part])

    n = len(X_linear)
    most = math.ceil(_MAX_DESCRIBED_CODES // n_components * n / X_linear.n_samples)
    some = np.linspace(0, n - 1, max(2, min(n, most))).astype(int)
    some = some if inliers is None else inliers[some]
    train = dataset(samples.X, samples.target, trained_on, 0)
    if samples.X_val is None:
        positions = validated(held_out, inliers, samples.X, seeds.split)
        validation = dataset(samples.X, samples.target, positions, 1)
    else:
        validation = dataset(samples.X_val, samples.target_val, None, 1)
    described = dataset(samples.X, samples.target, some, 2)
    linear = pca.StandardizedSamples(
        X_linear, measured.moments, measured.standardizer, seeds.solver
    )
    fill = measured.fill if corruption is None else corruption.expected_fill(measured.fill)
    return TrainingData(
        train,
        validation,
        described,
        linear,
        joint,
        standardizer,
        measured.target_standardizer,
        fill,
        seeds,
    )


def _matched(group, X, target, X_val, target_val, sample_weight):
    """Weights and validation set of this process, where others have some.

    Raises
    ------
    ValueError
        If the shards of the processes of a group do not match each other.
    """
    if group.size == 1:
        return sample_weight, X_val, target_val
    n_outputs = None if target is None else target.shape[1]
    shards = {
        "features": X.shape[1],
        "dtype": str(X.dtype),
        "features of X_target": n_outputs,
    }
    for name in shards:
        values = [shard[name] for shard in group.gather(shards)]
        if len(set(values)) > 1:
            listed = ", ".join(f"{value} in process {rank}" for rank, value in enumerate(values))
            raise ValueError(
                f"The shards of X have different {name}: {listed}. Give all processes samples of"
                " the same form."
            )
    is_weighted, is_validated = map(
        any, zip(*group.gather((sample_weight is not None, X_val is not None)), strict=True)
    )
    if sample_weight is None and is_weighted:
        sample_weight = np.ones(X.shape[0])
    if X_val is None and is_validated:
        X_val = np.empty((0, X.shape[1]), X.dtype)
        target_val = None if target is None else np.empty((0, n_outputs), X.dtype)
    return sample_weight, X_val, target_val


def _joint_moments(samples, moments, corruption, held_out, trained_on, seeds):
    """Joint moments of the training samples and of the validation set.

    They are None where inputs and targets are the same. A validation set that is too small to
    select an epoch is too small to select a penalty, too: both are then the moments of all samples.
    """
    if samples.target is None and corruption is None:
        return None
    n_outputs = samples.X.shape[1] if samples.target is None else samples.target.shape[1]
    cross = max(samples.X.shape[1], n_outputs) <= pca.MAX_FEATURES_OF_SCATTER
    rng = np.random.default_rng([seeds.corruption, 3])

    def of(X, target, positions, moments):
        if target is not None:
            batches = X.batches(positions=positions)
            pairs = ((part, target.take(at), X.weights(at)) for at, part in batches)
            return merged(JointMoments.of(pairs, cross=cross), X.group)
        moments = moments or Moments.of(chunks_of(X, positions), cross=cross)
        joint = None
        if moments is not None:
            joint = corruption.joint_moments(moments, chunks_of(X, positions), rng, cross=cross)
        return merged(joint, X.group)

    group = samples.X.group
    if group.size > 1:  # they are those of all processes
        moments = None
    if samples.X_val is not None and samples.X_val.n_samples >= MIN_VALIDATION:
        joint = of(samples.X, samples.target, None, moments)
        return joint, of(samples.X_val, samples.target_val, None, None)
    n_held_out = 0 if held_out is None else group.sum(len(held_out))
    if not MIN_VALIDATION <= n_held_out < samples.X.n_samples:
        return (of(samples.X, samples.target, None, moments),) * 2
    validation, rest = None, None
    if samples.target is None and moments is not None:
        validation = Moments.of(chunks_of(samples.X, held_out), cross=moments.scatter is not None)
        rest = moments.without(validation)
    joint = of(samples.X, samples.target, trained_on, rest)
    return joint, of(samples.X, samples.target, held_out, validation)


def chunks_of(source, positions):
    """Chunks of the samples at some positions, with their weights."""
    return ((X, source.weights(at)) for at, X in source.batches(positions=positions))
