"""Datasets: batches in the network's units, standardized as they are read, without a copy of X."""

from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch

from skae._data.sources import chunk_size

# Fraction of the free memory of a GPU that samples may take: the rest is for the network.
RESIDENT_FRACTION = 0.25


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
    share : float, default=1.0
        Fraction that the batch has of the samples of a gradient step, in which each process of a
        group takes a batch.
    """

    input: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor | None = None
    observed: torch.Tensor | None = None
    share: float = 1.0


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
        self.device = torch.device(device)
        self.positions = positions
        self.target = target
        weights = source.weights(slice(None) if positions is None else positions)
        # The group is that of all samples: the order in which datasets are made is the same.
        self.group = source.group
        self.lengths = self.group.gather(len(self))
        self._mean_weight = None
        if weights is not None:
            self._mean_weight = self.group.sum(weights.sum()) / self.n_samples

    @property
    def n_samples(self):
        """Number of samples of all processes of the group."""
        return sum(self.lengths)

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
            their order. In shuffled passes of a group of processes, `size` is the number of samples
            that all of them take, each in proportion to its samples, which may be none.

        Yields
        ------
        batch : Batch
            Samples and targets.
        """
        size = size or self.chunk_size
        together = max(1, self.chunk_size // size)  # small batches share the fixed cost
        if rng is None or self.group.size == 1:
            chunks = self._chunks(size * together, rng)
            sizes = shares = repeat(None)
        else:
            sizes, shares = self._taken(size)
            sizes = [sizes[i : i + together] for i in range(0, len(sizes), together)]
            shares = [shares[i : i + together] for i in range(0, len(shares), together)]
            chunks = self._chunks(list(map(sum, sizes)), rng)
        for parts, its_sizes, its_shares in zip(chunks, sizes, shares, strict=False):
            inputs, targets, weights, observed = (
                None if part is None else part.split(its_sizes or size) for part in parts
            )
            yield from map(
                Batch,
                inputs,
                inputs if targets is None else targets,
                weights or repeat(None),
                observed or repeat(None),
                its_shares or repeat(1.0),
            )

    def _chunks(self, size, rng):
        """Parts of a pass, of a size or of each of a list of sizes."""
        corruption_rng = self._corruption_rng(rng)
        for positions, X in self.source.batches(size, rng, self.positions):
            yield self._fetch(positions, X, corruption_rng)

    def resident(self):
        """The same samples in the memory of their device, where they fit in it.

        Otherwise, as on the CPU, it is the dataset itself, which copies each batch to the device.
        """
        room = _room_for_samples(self.device)
        if not room or self.source.is_streamed or not len(self):
            return self
        # A target that is the input is kept once.
        parts = {id(part): part for part in self[0][:4] if part is not None}
        n_bytes = len(self) * sum(part.nbytes for part in parts.values())
        return ResidentDataset(self) if n_bytes <= room else self

    def _taken(self, size):
        """Numbers of samples that this process takes for each step, and their shares of it."""
        taken = np.minimum(np.arange(0, self.n_samples + size, size), self.n_samples)
        # What each process has taken after each step, in proportion to its samples.
        taken = np.rint(np.outer(taken / self.n_samples, self.lengths)).astype(int)
        sizes = np.diff(taken, axis=0)
        shares = sizes[:, self.group.rank] / np.maximum(sizes.sum(axis=1), 1)
        return sizes[:, self.group.rank].tolist(), shares.tolist()

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
        return None if observed is None else self._to_device(observed)

    def _weights_of(self, positions):
        weights = self.source.weights(positions)
        return None if weights is None else self._to_device(weights / self._mean_weight)

    def _target_of(self, positions, X):
        return X if self.target is None else self.target.take(positions)

    def _to_tensor(self, standardizer, X):
        return self._to_device(standardizer.transform_in_place(X))

    def _to_device(self, values):
        # Cast before the transfer: not every device supports float64.
        tensor = torch.from_numpy(values).to(torch.float32)
        if self.device.type == "cuda":  # page-locked memory is copied while the device computes
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


class ResidentDataset(SampleDataset):
    """Samples that are standardized once, and kept in the memory of their device.

    Its batches are those of the other dataset.

    Parameters
    ----------
    dataset : SampleDataset
        Samples.
    """

    def __init__(self, dataset):
        vars(self).update(vars(dataset))
        self._kept, start = None, 0
        for parts in dataset._chunks(self.chunk_size, None):
            if self._kept is None:  # one array each: joining chunks would take twice the memory
                self._kept = [_empty_like(part, len(self)) for part in parts]
            stop = start + len(parts[0])
            for kept, part in zip(self._kept, parts, strict=True):
                if part is not None:
                    kept[start:stop] = part
            start = stop

    def _chunks(self, size, rng):
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for positions in torch.from_numpy(order).to(self.device).split(size):
            yield [None if part is None else part[positions] for part in self._kept]

    def resident(self):
        """Return the dataset itself."""
        return self


def _empty_like(part, n_samples):
    return None if part is None else part.new_empty((n_samples, *part.shape[1:]))


def _room_for_samples(device):
    """Number of bytes of a device that samples may take, 0 if they are in its memory anyway."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return RESIDENT_FRACTION * free


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

    def resident(self):
        """Return the dataset itself, since each pass has a new corruption."""
        return self

    def _corruption_rng(self, rng):
        self._n_shuffled += rng is not None
        return np.random.default_rng([*self._seed, 0 if rng is None else self._n_shuffled])

    def _fetch(self, positions, X, corruption_rng):
        observed = self.source.observed(positions)
        corrupted, counted = self.corruption.apply(X, observed, corruption_rng)
        target = self._to_tensor(self.target_standardizer, self._target_of(positions, X))
        inputs = self._to_tensor(self.standardizer, corrupted)
        return inputs, target, self._weights_of(positions), self._mask(counted)
