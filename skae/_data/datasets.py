"""Datasets: batches in the network's units, of which no second copy of the data is made."""

from typing import NamedTuple

import numpy as np
import torch

# Samples that are fetched together, at least a batch: small batches share the fixed cost.
PREFETCH = 1024


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

    def __init__(
        self, source, standardizer, target_standardizer, device, positions=None, target=None
    ):
        self.source = source
        self.standardizer = standardizer
        self.target_standardizer = target_standardizer
        self.device = device
        self.positions = positions
        self.target = target

    def __len__(self):
        return len(self.source) if self.positions is None else len(self.positions)

    def __getitem__(self, index):
        """A batch of the samples at those places of the dataset, an int, a slice or an array."""
        positions = np.atleast_1d(
            (np.arange(len(self.source)) if self.positions is None else self.positions)[index]
        )
        inputs, targets = self._fetch(
            positions, self.source.take(positions), self._corruption_rng(None)
        )
        return Batch(inputs, inputs if targets is None else targets)

    def batches(self, size, rng=None):
        """Yield batches of that many samples, in order or shuffled by an rng, differently at each pass.

        Parameters
        ----------
        size : int
        rng : numpy.random.Generator, default=None

        Yields
        ------
        batch : Batch
        """
        corruption_rng = self._corruption_rng(rng)
        for positions, X in self.source.batches(
            size * max(1, PREFETCH // size), rng, self.positions
        ):
            fetched = self._fetch(positions, X, corruption_rng)
            inputs, targets = (None if part is None else part.split(size) for part in fetched)
            yield from map(Batch, inputs, inputs if targets is None else targets)

    def targets(self):
        """Yield what the samples are to be reconstructed as, a batch after the other, in order."""
        for positions, X in self.source.batches(PREFETCH, positions=self.positions):
            yield self._to_tensor(self.target_standardizer, self._target_of(positions, X))

    def _corruption_rng(self, rng):
        """What a pass, shuffled by an rng or not, is corrupted by."""

    def _fetch(self, positions, X, corruption_rng):
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
        # Cast first: not every device has float64.
        return torch.from_numpy(u).to(torch.float32).to(self.device)


class CorruptedDataset(SampleDataset):
    """Samples that are corrupted as they are fetched, in the units of X, with the clean ones as their target.

    A shuffled pass, as one of training is, has another corruption than those before it. Passes in
    order all have the same.

    Parameters
    ----------
    *args, **kwargs
        Of :class:`SampleDataset`.
    corruption : skae._data.corruptions.Corruption
    seed : sequence of int
    """

    def __init__(self, *args, corruption, seed, **kwargs):
        super().__init__(*args, **kwargs)
        self.corruption = corruption
        self._seed = seed
        self._n_shuffled = 0  # passes

    def _corruption_rng(self, rng):
        self._n_shuffled += rng is not None
        return np.random.default_rng([*self._seed, 0 if rng is None else self._n_shuffled])

    def _fetch(self, positions, X, corruption_rng):
        corrupted = self.corruption(X, corruption_rng)
        target = self._to_tensor(self.target_standardizer, self._target_of(positions, X))
        return self._to_tensor(self.standardizer, corrupted), target
