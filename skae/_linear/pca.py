"""Principal components, and the linear maps at which an autoencoder starts."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from sklearn.decomposition import PCA
from sklearn.utils.extmath import svd_flip

from skae._data.moments import one_blas_thread

# Up to this many, a scatter matrix is cheap: no centered copy of the data is made.
MAX_FEATURES_OF_SCATTER = 2000


@dataclass(frozen=True)
class LinearStart:
    """Linear encoder and decoder in the network's units.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    decoder : ndarray of shape (n_features, n_components)
    """

    encoder: np.ndarray
    decoder: np.ndarray


@dataclass(frozen=True)
class StandardizedSamples:
    """What linear models are fitted to: standardized samples, of which the moments are enough where they have a scatter.

    Parameters
    ----------
    source : skae._data.sources.ArraySource
    moments : skae._data.moments.Moments
        Of the source. Without scatter, scikit-learn's PCA gets a standardized copy of all samples.
    standardizer : skae._data.standardizer.Standardizer
        Whose mean is that of the moments.
    seed : int
        Of scikit-learn's randomized solver, which it takes for large data, and of samples that are
        drawn.
    """

    source: object
    moments: object
    standardizer: object
    seed: int


def needs_scatter(n_samples, n_features):
    """Whether principal components are computed from a scatter matrix; else scikit-learn's PCA computes them."""
    return n_features <= min(n_samples, MAX_FEATURES_OF_SCATTER)


def pca(samples, n_components):
    """The principal components, zero-padded past their number, as encoder and decoder.

    Parameters
    ----------
    samples : StandardizedSamples
    n_components : int

    Returns
    -------
    start : LinearStart
    """
    components, _, _ = principal_components(samples, n_components)
    V = np.zeros((n_components, components.shape[1]))
    V[: len(components)] = components
    return LinearStart(encoder=V, decoder=V.T)


def principal_components(samples, n_components):
    """Components, their variances and the mean variance of the directions that are left, as scikit-learn's PCA has them.

    scikit-learn's PCA centers a copy of X, or subtracts the mean from ``X.T @ X`` afterwards, which
    loses all digits where the offset is large.

    Parameters
    ----------
    samples : StandardizedSamples
    n_components : int

    Returns
    -------
    components : ndarray of shape (rank, n_features)
        With a rank of at most `n_components`, the number of samples and that of features.
    variances : ndarray of shape (rank,)
    noise_variance : float
    """
    n_samples, n_features = samples.source.shape
    rank = min(n_components, n_samples, n_features)
    if samples.moments.scatter is None:
        U = samples.standardizer.transform(samples.source.to_array())
        if not U.any():  # which scikit-learn divides by
            return np.zeros((rank, n_features)), np.zeros(rank), 0.0
        pca = PCA(rank, random_state=samples.seed).fit(U)
        return pca.components_, pca.explained_variance_, pca.noise_variance_
    covariance = samples.moments.scatter / (samples.standardizer.scale**2 * (n_samples - 1))
    total = float(covariance.trace())
    components, values = leading_eigenvectors(covariance, rank)
    rest = total - values.sum()
    return components, values, max(rest, 0.0) / max(1, min(n_samples, n_features) - rank)


def leading_eigenvectors(covariance, rank):
    """Leading eigenvectors (rank, n_features), with the signs of scikit-learn's PCA, and their eigenvalues (rank,).

    The matrix is written over.
    """
    n_features = len(covariance)
    is_constant = covariance.diagonal() == 0
    with one_blas_thread():
        values, vectors = scipy.linalg.eigh(
            covariance, subset_by_index=[n_features - rank, n_features - 1], overwrite_a=True
        )
    # Constant features, where rounding leaves subnormal numbers, which are slow.
    vectors[is_constant] = 0
    components = vectors.T[::-1].copy()  # of strides that torch takes
    return svd_flip(None, components, u_based_decision=False)[1], values[::-1].clip(min=0)


def row_lengths(vectors):
    """Euclidean length of each vector, a row of the matrix; 1 where it is zero."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.where(lengths > 0, lengths, 1.0)
