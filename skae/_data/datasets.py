"""Datasets: batches in the network's units, of which no second copy of the data is made."""

from typing import NamedTuple

import numpy as np
import torch

PREFETCH = 1024  # samples that are fetched together, at least a batch: small batches share the fixed cost


class Batch(NamedTuple):
    """What a gradient step, or a part of the validation, works on.

    Parameters
    ----------
    input : Tensor of shape (n, n_features)
    target : Tensor of shape (n, n_outputs)
        What the samples are to be reconstructed as.
    """

    input: torch.Tensor
    target: torch.Tensor


class SampleDataset(torch.utils.data.Dataset):
    """Some samples of a source, standardized, in float32.

    Parameters
    ----------
    source : skae._data.sources.ArraySource
    standardizer, target_standardizer : skae._data.standardizer.Standardizer
        Of the samples and of what they are to be reconstructed as.
    device : torch.device
    positions : ndarray of int, default=None
        Positions in the source; None takes all.
    target : skae._data.sources.ArraySource, default=None
        What the samples are to be reconstructed as; None are the samples themselves.
    """

    def __init__(self, source, standardizer, target_standardizer, device, positions=None, target=None):
        self.source = source
        self.standardizer = standardizer
        self.target_standardizer = target_standardizer
        self.device = device
        self.positions = positions
        self.target = target

    def __len__(self):
        return len(self.source) if self.positions is None else len(self.positions)

    def batches(self, size, rng=None):
        """Yield batches of that many samples, in order or shuffled anew by an rng.

        Parameters
        ----------
        size : int
        rng : numpy.random.Generator, default=None

        Yields
        ------
        batch : Batch
        """
        self._begin()
        for positions, X in self.source.batches(size * max(1, PREFETCH // size), rng, self.positions):
            inputs, targets = (None if part is None else part.split(size) for part in self._fetch(positions, X))
            yield from map(Batch, inputs, inputs if targets is None else targets)

    def _begin(self):
        """Prepare a pass over the samples."""

    def _fetch(self, positions, X):
        """Inputs and targets; targets of None are the inputs."""
        target = self._target_of(positions, X)
        if target is X and self.target_standardizer is self.standardizer:
            return self._to_tensor(self.standardizer, X), None
        target = self._to_tensor(self.target_standardizer, target.copy() if target is X else target)
        return self._to_tensor(self.standardizer, X), target

    def _target_of(self, positions, X):
        return X if self.target is None else self.target.take(positions)

    def _to_tensor(self, standardizer, X):
        u = standardizer.transform_in_place(X)
        return torch.from_numpy(u).to(torch.float32).to(self.device)  # cast first: not every device has float64


class CorruptedDataset(SampleDataset):
    """Samples that are corrupted as they are fetched, in the units of X, with the clean ones as their target.

    Parameters
    ----------
    *args, **kwargs
        Of :class:`SampleDataset`.
    corruption : skae._data.corruptions.Corruption
    seed : int
    renewed : bool
        Whether each pass has another corruption: in training so, in validation not.
    """

    def __init__(self, *args, corruption, seed, renewed, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption = corruption
        self.renewed = renewed
        self._seed = seed
        self._rng = np.random.default_rng(seed)

    def _begin(self):
        if not self.renewed:
            self._rng = np.random.default_rng(self._seed)

    def _fetch(self, positions, X):
        corrupted = self.corruption(X, self._rng)
        target = self._to_tensor(self.target_standardizer, self._target_of(positions, X))
        return self._to_tensor(self.standardizer, corrupted), target
