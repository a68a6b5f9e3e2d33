"""The random split into training samples and a validation set."""

import numpy as np
from sklearn.utils import gen_batches


def split(X, n_validation, rng, chunk_size=1024):
    """Positions of the validation set and of the training samples, both sorted; equal samples are on one side.

    Copies of a sample on both sides would let an epoch be kept that has learned them by heart: resampled data have them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_validation : int
        Size of the validation set; less where groups of equal samples leave no other choice. If all samples are equal, both
        sides are all of them.
    rng : numpy.random.Generator

    Returns
    -------
    validation, training : ndarray of int
    """
    order = rng.permutation(len(X))
    _, first, group, size = np.unique(_hashes(X, chunk_size), return_index=True, return_inverse=True, return_counts=True)
    if len(first) == 1:
        return np.arange(len(X)), np.arange(len(X))
    if len(first) == len(X):
        return np.sort(order[:n_validation]), np.sort(order[n_validation:])
    groups = group[order[np.isin(order, first)]]  # in random order
    small = groups[size[groups] <= n_validation]
    chosen = small[size[small].cumsum() <= n_validation] if len(small) else groups[[size[groups].argmin()]]
    is_chosen = np.isin(group, chosen)
    return np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


def _hashes(X, chunk_size):
    """A number of 64 bits of each sample, equal for equal samples and hardly ever for others."""
    factors = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(X), dtype=np.uint64)
    for rows in gen_batches(len(X), chunk_size):
        chunk = np.ascontiguousarray(X[rows]) + X.dtype.type(0)  # -0.0 equals 0.0
        words = chunk.view(np.uint64 if X.dtype.itemsize == 8 else np.uint32).astype(np.uint64, copy=False)
        hashes[rows] = (words ^ (words >> np.uint64(29))) @ factors
    return hashes
