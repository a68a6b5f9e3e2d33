"""The random split into training samples and a validation set."""

import numpy as np
from scipy.sparse import issparse


def split(hashes, n_validation, rng):
    """Split samples into a validation set and training samples, keeping equal samples together.

    Resampled data contain copies of samples. With copies on both sides, model selection could
    prefer an epoch that has overfitted to them.

    Parameters
    ----------
    hashes : ndarray of shape (n_samples,)
        Hashes of the samples, equal for equal samples; see :func:`hash_samples`.
    n_validation : int
        Size of the validation set. It may differ where there are groups of equal samples, which
        are not divided. If all samples are equal, both sides contain all of them.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    validation, training : ndarray of int
        Sorted positions.
    """
    n_samples = len(hashes)
    order = rng.permutation(n_samples)
    _, first, group, size = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == 1:
        return np.arange(n_samples), np.arange(n_samples)
    if len(first) == n_samples:
        return np.sort(order[:n_validation]), np.sort(order[n_validation:])
    groups = group[order[np.isin(order, first)]]  # the groups in random order
    small = groups[size[groups] <= n_validation]
    chosen = (
        small[size[small].cumsum() <= n_validation]
        if len(small)
        else groups[[size[groups].argmin()]]
    )
    is_chosen = np.isin(group, chosen)
    return np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


def hash_samples(X):
    """Hash of 64 bits for each sample, the same for equal samples and hardly ever for others.

    Parameters
    ----------
    X : ndarray or sparse matrix in CSR format, of shape (n, n_features)
    """
    if issparse(X):
        # Products with random vectors cost no more than the values that are stored.
        vectors = np.random.default_rng(0).standard_normal((X.shape[1], 2))
        return hash_samples(X @ vectors)
    X = np.ascontiguousarray(X) + X.dtype.type(0)  # -0.0 equals 0.0
    if X[0].nbytes % 8:
        X = np.pad(X, ((0, 0), (0, 1)))
    words = X.view(np.uint64)
    words ^= words >> np.uint64(29)
    factors = np.random.default_rng(0).integers(
        2**63, size=words.shape[1], dtype=np.uint64
    ) * np.uint64(2) + np.uint64(1)
    return np.einsum("ij,j->i", words, factors)  # takes half the time of `@`
