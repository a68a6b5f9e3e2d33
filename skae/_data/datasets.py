"""Datasets: batches in the network's units, standardized as they are read, without a copy of X."""

from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch

from skae._data.sources import chunk_size


class Batch(NamedTuple):
    """A batch, of training samples or of the validation set.

    Parameters
    ----------
    input : Tensor of shape (n, n_features)
        Samples.
    target : Tensor of shape (n, n_outputs)
        What the samples should be reconstructed as.
    weight : Tensor of shape (n,), or None
        Weights of the samples, with a mean of 1 over the dataset. None stands for weights of 1.
    observed : Tensor of shape (n, n_outputs), or None
        1 for a value of the target that counts in the loss, 0 for another, such as one that is
        missing. None stands for ones.
    """

    input: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor | None = None
    observed: torch.Tensor | None = None


class SampleDataset(torch.utils.data.Dataset):
    """Standardized samples of a source, in float32.

    Parameters
    ----------
    source : skae._data.sources.ArraySource
        Samples.
    standardizer, target_standardizer : skae._data.standardizer.Standardizer
        Standardizers of the samples and of their targets.
    device : torch.device
        Device of the batches.
    positions : ndarray of int, default=None
        Positions of the samples in the source. With None, all of them are in the dataset.
    target : skae._data.sources.ArraySource, default=None
        What the samples should be reconstructed as. With None, it is the samples themselves.
    """

    def __init__(
        self, source, standardizer, target_standardizer, device, positions=None, target=None
    ):
        self.source = source
        self.standardizer = standardizer
        self.target_standardizer = target_standardizer
        self.device = device
        self.positions = positions
        self.target = target
        weights = source.weights(slice(None) if positions is None else positions)
        self._mean_weight = None if weights is None else weights.mean()

    def __len__(self):
        return len(self.source) if self.positions is None else len(self.positions)

    @property
    def chunk_size(self):
        """Number of samples that fit in a bounded memory."""
        return chunk_size(self.source.shape[1])

    def __getitem__(self, index):
        """Batch of the samples at an index of the dataset: an int, a slice or an array."""
        positions = np.atleast_1d(
            (np.arange(len(self.source)) if self.positions is None else self.positions)[index]
        )
        parts = self._fetch(positions, self.source.take(positions), self._corruption_rng(None))
        inputs, targets, weights, observed = parts
        return Batch(inputs, inputs if targets is None else targets, weights, observed)

    def batches(self, size=None, rng=None):
        """Yield batches.

        Parameters
        ----------
        size : int, default=None
            Number of samples in a batch; the last one may be smaller. None is `chunk_size`.
        rng : numpy.random.Generator, default=None
            Generator that shuffles the samples, differently in each pass. With None, they keep
            their order.

        Yields
        ------
        batch : Batch
            Samples and targets.
        """
        corruption_rng = self._corruption_rng(rng)
        size = size or self.chunk_size
        n_fetched = size * max(1, self.chunk_size // size)  # small batches share the fixed cost
        for positions, X in self.source.batches(n_fetched, rng, self.positions):
            inputs, targets, weights, observed = (
                None if part is None else part.split(size)
                for part in self._fetch(positions, X, corruption_rng)
            )
            yield from map(
                Batch,
                inputs,
                inputs if targets is None else targets,
                weights or repeat(None),
                observed or repeat(None),
            )

    def targets(self):
        """Yield batches of the targets, in order."""
        for positions, X in self.source.batches(positions=self.positions):
            yield self._to_tensor(self.target_standardizer, self._target_of(positions, X))

    def _corruption_rng(self, rng):
        """Generator of the corruption in one pass, where `rng` is that of the shuffling or None."""

    def _fetch(self, positions, X, corruption_rng):
        """Parts of a :class:`Batch`; targets of None stand for the inputs."""
        target = self._target_of(positions, X)
        others = self._weights_of(positions), self._observed(positions)
        if target is X and self.target_standardizer is self.standardizer:
            return self._to_tensor(self.standardizer, X), None, *others
        target = self._to_tensor(self.target_standardizer, target.copy() if target is X else target)
        return self._to_tensor(self.standardizer, X), target, *others

    def _observed(self, positions):
        return self._mask((self.source if self.target is None else self.target).observed(positions))

    def _mask(self, observed):
        if observed is None:
            return None
        return torch.from_numpy(observed).to(torch.float32).to(self.device)

    def _weights_of(self, positions):
        weights = self.source.weights(positions)
        if weights is None:
            return None
        return torch.from_numpy(weights / self._mean_weight).to(torch.float32).to(self.device)

    def _target_of(self, positions, X):
        return X if self.target is None else self.target.take(positions)

    def _to_tensor(self, standardizer, X):
        u = standardizer.transform_in_place(X)
        # Cast before the transfer: not every device supports float64.
        return torch.from_numpy(u).to(torch.float32).to(self.device)


class CorruptedDataset(SampleDataset):
    """Samples that are corrupted as they are read, with the clean samples as their targets.

    Each shuffled pass, as in training, has a new corruption. Passes in order, as in validation, all
    have the same.

    Parameters
    ----------
    *args, **kwargs
        Parameters of :class:`SampleDataset`.
    corruption : skae._data.corruptions.Corruption
        Corruption of samples in the units of X.
    seed : sequence of int
        Seed of the corruption.
    """

    def __init__(self, *args, corruption, seed, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption = corruption
        self._seed = seed
        self._n_shuffled = 0  # number of shuffled passes so far

    def _corruption_rng(self, rng):
        self._n_shuffled += rng is not None
        return np.random.default_rng([*self._seed, 0 if rng is None else self._n_shuffled])

    def _fetch(self, positions, X, corruption_rng):
        observed = self.source.observed(positions)
        corrupted, counted = self.corruption.apply(X, observed, corruption_rng)
        target = self._to_tensor(self.target_standardizer, self._target_of(positions, X))
        inputs = self._to_tensor(self.standardizer, corrupted)
        return inputs, target, self._weights_of(positions), self._mask(counted)
