"""Datasets: samples in the network's units, a batch at a time, so that no second copy of the data is made."""

from copy import copy

import numpy as np
import torch


class SampleDataset(torch.utils.data.Dataset):
    """Some samples of an array.

    ``dataset[i]`` with an array or slice of positions gives ``(u, target)``, standardized, in float32.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    standardizer : skae._data.standardizer.Standardizer
    device : torch.device
    positions : ndarray of int, default=None
        Positions in X; None takes all.
    target, target_standardizer : ndarray of shape (n_samples, n_outputs) and Standardizer, default=None
        What the samples are to be reconstructed as; None are the samples themselves, then the same tensor.
    """

    def __init__(self, X, standardizer, device, positions=None, *, target=None, target_standardizer=None):
        self.X = X
        self.standardizer = standardizer
        self.device = device
        self.positions = np.arange(len(X)) if positions is None else positions
        self.target = target
        self.target_standardizer = target_standardizer

    def __len__(self):
        return len(self.positions)

    def __getitem__(self, index):
        positions = self.positions[index]
        u = self._fetch(self.X, self.standardizer, positions)
        return u, u if self.target is None else self._fetch(self.target, self.target_standardizer, positions)

    def _fetch(self, X, standardizer, positions):
        u = standardizer.transform_in_place(_gather(X, positions))
        return torch.from_numpy(u).to(torch.float32).to(self.device)  # cast first: not every device has float64

    def with_standardizer(self, standardizer):
        """The same samples in other units."""
        dataset = copy(self)
        dataset.standardizer = standardizer
        return dataset


class CorruptedDataset(torch.utils.data.Dataset):
    """A dataset with a corruption, the same at each pass.

    Parameters
    ----------
    dataset : SampleDataset
    corruption : callable
        See :mod:`skae._nn.corruptions`.
    seed : int
    """

    def __init__(self, dataset, corruption, seed):
        self.dataset = dataset
        self.corruption = corruption
        self.seed = seed

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        u, target = self.dataset[index]
        rng = torch.Generator(u.device).manual_seed(self.seed + int(index[0]))
        return self.corruption(u, rng), target


def _gather(X, positions):
    """A C-contiguous copy of some samples; ``X.take`` would make one of the whole of X first where X is not."""
    if X.flags.c_contiguous:
        return X.take(positions, axis=0)
    if X.flags.f_contiguous:
        return np.ascontiguousarray(X.T.take(positions, axis=1).T)
    return np.ascontiguousarray(X[positions])
