"""The random split into training samples and a validation set."""

import math

import numpy as np
from scipy.sparse import issparse

# Largest validation set, unless the user sets its size: any further sample lowers the error more as
# a training sample, and to compare epochs on more training samples only takes time.
_MAX_VALIDATION = 2000


def hold_out(hashes, fraction, X, seed):
    """Split the samples of a process into a validation set and training samples.

    Parameters
    ----------
    hashes : ndarray of shape (n_samples,), or None
        Hashes of the samples; see :func:`hash_samples`. With None, no sample is held out.
    fraction : float or "auto"
        Fraction of the samples to hold out. "auto" is a tenth, but at most 2000 samples.
    X : skae._data.sources.ArraySource
        Samples.
    seed : int
        Seed of the random choice.

    Returns
    -------
    held_out, trained_on : ndarray of int, or None
        Sorted positions; None stands for no sample and for all of them.
    """
    if hashes is None:
        return None, None
    n, is_auto = len(X), fraction == "auto"
    most, fraction = (_most(X), 0.1) if is_auto else (n - 1, fraction)
    held_out, trained_on = split(
        hashes, min(most, math.ceil(fraction * n)), np.random.default_rng(seed)
    )
    if X.group.size == 1:
        return held_out, trained_on
    # Copies of what another process holds out are held out, too, unless nothing would be left.
    is_copy = np.isin(hashes, np.concatenate(X.group.gather(hashes[held_out])))
    if is_copy.all():
        return held_out, trained_on
    return np.flatnonzero(is_copy), np.flatnonzero(~is_copy)


def validated(held_out, inliers, X, seed):
    """Positions of the samples that select the epoch.

    Parameters
    ----------
    held_out : ndarray of int, or None
        Samples that are held out. With None, they are training samples, up to 2000 of them.
    inliers : ndarray of int, or None
        Samples to choose from; None stands for all. They are ignored if no inlier is held out.
    X : skae._data.sources.ArraySource
        Samples.
    seed : int
        Seed of the random choice.

    Returns
    -------
    positions : ndarray of int, or None
        Sorted positions; None stands for all samples.
    """
    if held_out is None:
        n, most = len(X) if inliers is None else len(inliers), _most(X)
        if n <= most:
            return inliers
        chosen = np.sort(np.random.default_rng(seed).permutation(n)[:most])
        return chosen if inliers is None else inliers[chosen]
    if inliers is None:
        return held_out
    chosen = np.intersect1d(held_out, inliers)
    return chosen if X.group.sum(len(chosen)) else held_out


def _most(X):
    """Largest number of samples of this process in the validation set."""
    return math.ceil(_MAX_VALIDATION * len(X) / X.n_samples)


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
