"""Principal components, which are the linear model at the start of training."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator, svds
from sklearn.decomposition import PCA
from sklearn.utils.extmath import svd_flip

from skae._data.moments import MAX_FEATURES_OF_SCATTER
from skae._threads import one_blas_thread

# Streams with at most this many values are decomposed in memory, where there is no scatter matrix.
MAX_VALUES_IN_MEMORY = 2**24
# Of the subspace iteration: passes over the samples, and directions beyond the rank.
_N_PASSES, _N_OVERSAMPLES = 6, 10


@dataclass(frozen=True)
class LinearStart:
    """Linear encoder and decoder in the network's units.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
        Weights of the encoder.
    decoder : ndarray of shape (n_outputs, n_components)
        Weights of the decoder.
    """

    encoder: np.ndarray
    decoder: np.ndarray


@dataclass(frozen=True)
class StandardizedSamples:
    """Samples that linear models are fitted to, with their moments.

    Parameters
    ----------
    source : skae._data.sources.ArraySource
        Samples in the units of X.
    moments : skae._data.moments.Moments
        Moments of the samples of all processes that fit together. Where they have no scatter
        matrix, scikit-learn's PCA is fitted to a standardized copy of the samples, or subspace
        iteration reads them in several passes.
    standardizer : skae._data.standardizer.Standardizer
        Standardizer with the mean of the moments.
    seed : int
        Seed of scikit-learn's randomized solver, which it uses for large data, and of random
        subsets of the samples.
    """

    source: object
    moments: object
    standardizer: object
    seed: int

    @property
    def shape(self):
        """Number of samples of all processes that fit together, and number of features."""
        return self.source.n_samples, self.source.shape[1]

    @property
    def n_directions(self):
        """Number of directions in which the samples may vary, which is that of scikit-learn."""
        return min(self.moments.weight, self.source.shape[1])


def needs_scatter(n_samples, n_features):
    """Whether PCA is computed from a scatter matrix; otherwise from the samples."""
    return n_features <= min(n_samples, MAX_FEATURES_OF_SCATTER)


def pca(samples, n_components):
    """Compute PCA as a linear encoder and decoder.

    Components beyond the number of samples or of features are zero.

    Parameters
    ----------
    samples : StandardizedSamples
        Training samples.
    n_components : int
        Number of components.

    Returns
    -------
    start : LinearStart
        Linear model.
    """
    components, _, _ = principal_components(samples, n_components)
    V = np.zeros((n_components, components.shape[1]))
    V[: len(components)] = components
    return LinearStart(encoder=V, decoder=V.T)


def principal_components(samples, n_components):
    """Compute what scikit-learn's PCA calls components, explained and noise variance.

    From a scatter matrix of deviations, neither a centered copy of X is needed nor a mean
    subtracted from ``X.T @ X`` afterwards, which loses all digits where the offset is large.
    scikit-learn's PCA does one or the other.

    Parameters
    ----------
    samples : StandardizedSamples
        Training samples.
    n_components : int
        Number of components.

    Returns
    -------
    components : ndarray of shape (rank, n_features)
        Principal components, zero where the variance is zero up to rounding. The rank is
        `n_components` or, where that is smaller, the number of samples or of features.
    variances : ndarray of shape (rank,)
        Variance of each component.
    noise_variance : float
        Mean variance of the remaining directions.
    """
    rank, n_features = min(n_components, *samples.shape), samples.shape[1]
    if samples.moments.scatter is None:
        if not samples.moments.squares.any():  # scikit-learn would divide by a variance of zero
            return np.zeros((rank, n_features)), np.zeros(rank), 0.0
        if _is_read_in_passes(samples):
            components, values = _iterated(samples, rank)
            total = samples.moments.squares.sum() / samples.standardizer.scale**2
            total /= samples.moments.weight - 1
        elif samples.source.sample_weight is None:
            X = _to_decompose(samples, rank)
            pca = PCA(rank, copy=False, random_state=samples.seed).fit(X)
            components, values = _that_vary(pca.components_, pca.explained_variance_)
            return components, values, pca.noise_variance_
        else:
            components, values, total = _weighted(samples, rank)
    else:
        scale, weight = samples.standardizer.scale, samples.moments.weight
        covariance = samples.moments.scatter / (scale**2 * (weight - 1))
        total = float(covariance.trace())
        components, values = leading_eigenvectors(covariance, rank)
    rest = total - values.sum()
    noise_variance = max(rest, 0.0) / max(1, samples.n_directions - rank)
    return *_that_vary(components, values), noise_variance


def _is_read_in_passes(samples):
    """Whether the samples are too many, or in too many places, for a solver that needs them all."""
    is_large = samples.source.is_streamed and math.prod(samples.shape) > MAX_VALUES_IN_MEMORY
    return is_large or samples.source.group.size > 1


def _that_vary(components, values):
    """Set components without variance to zero: they would be arbitrary directions."""
    rounding = components.shape[1] * np.finfo(np.float64).eps * values[0]
    return np.where((values > rounding)[:, None], components, 0), values


def _iterated(samples, rank):
    """Components and variances of samples that are read in several passes.

    Subspace iteration [1]_ needs one pass for each power of the covariance matrix.

    References
    ----------
    .. [1] Halko, N., Martinsson, P.-G. and Tropp, J. A. "Finding Structure with Randomness".
       SIAM Review 53, 217-288, 2011. :doi:`10.1137/090771806`
    """
    n_features = samples.shape[1]
    width = min(rank + _N_OVERSAMPLES, *samples.shape)
    Q = np.random.default_rng(samples.seed).standard_normal((n_features, width))
    for _ in range(_N_PASSES):
        Q = np.linalg.qr(Q).Q
        product = np.zeros_like(Q)
        for X, weights in samples.source.chunks():
            U = samples.standardizer.transform(X.astype(np.float64))
            projected = U @ Q
            product += U.T @ (projected if weights is None else projected * weights[:, None])
        Q, product = samples.source.group.sum(product), Q
    # `product` is the orthonormal basis, and Q what the scatter matrix maps it to.
    values, vectors = scipy.linalg.eigh(product.T @ Q)
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    components = svd_flip(None, (product @ vectors).T.copy(), u_based_decision=False)[1]
    return components, values.clip(min=0) / (samples.moments.weight - 1)


def _weighted(samples, rank):
    """Components and variances of weighted samples, and their total variance.

    scikit-learn's PCA takes no weights, and would center samples that are multiplied by the square
    roots of their weights once more.
    """
    root, scale = np.sqrt(samples.source.sample_weight), samples.standardizer.scale
    if samples.source.is_sparse and rank < min(samples.source.shape):
        X = scipy.sparse.diags_array(root / scale) @ samples.source.to_sparse()
        mean = samples.moments.mean / scale
        deviations = aslinearoperator(X) - aslinearoperator(root[:, None]) @ aslinearoperator(
            mean[None]
        )
    else:
        deviations = samples.standardizer.transform(samples.source.to_array())
        deviations *= root[:, None].astype(deviations.dtype)
    if rank < min(samples.source.shape):
        start = np.random.default_rng(samples.seed).uniform(-1, 1, min(samples.source.shape))
        _, lengths, components = svds(deviations, rank, v0=start)
        order = lengths.argsort()[::-1]
        lengths, components = lengths[order], components[order]
    else:
        _, lengths, components = scipy.linalg.svd(deviations, full_matrices=False)
    components = svd_flip(None, components.astype(np.float64), u_based_decision=False)[1]
    degrees = samples.moments.weight - 1
    total = samples.moments.squares.sum() / scale**2 / degrees
    return components, np.square(lengths, dtype=np.float64) / degrees, total


def _to_decompose(samples, rank):
    """What scikit-learn's PCA is fitted to; it centers sparse samples implicitly, by ARPACK."""
    if samples.source.is_sparse and rank < min(samples.source.shape):
        return samples.source.to_sparse() / samples.standardizer.scale
    return samples.standardizer.transform(samples.source.to_array())


def leading_eigenvectors(covariance, rank):
    """Leading eigenvectors (rank, n_features) and eigenvalues (rank,) of a covariance matrix.

    The eigenvectors have the signs that scikit-learn's PCA would choose. The matrix is overwritten.
    """
    n_features = len(covariance)
    is_constant = covariance.diagonal() == 0
    with one_blas_thread():
        values, vectors = scipy.linalg.eigh(
            covariance, subset_by_index=[n_features - rank, n_features - 1], overwrite_a=True
        )
    # For constant features, rounding leaves subnormal numbers, which are slow to compute with.
    vectors[is_constant] = 0
    components = vectors.T[::-1].copy()  # torch does not support negative strides
    return svd_flip(None, components, u_based_decision=False)[1], values[::-1].clip(min=0)


def row_lengths(vectors):
    """Euclidean length of each row of a matrix, or 1 where the row is zero."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.where(lengths > 0, lengths, 1.0)
