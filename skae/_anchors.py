"""Anchors: the linear maps at which training starts."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

# Up to this many features the covariance matrix is cheap, and it is summed chunk by chunk: no centred copy of the data.
_MAX_COVARIANCE = 2000


@dataclass
class Anchor:
    """Linear encoder and decoder in the network's units.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    decoder : ndarray of shape (n_features, n_components)
    """

    encoder: np.ndarray
    decoder: np.ndarray


def pca(X, border, n_components, *, random_state, chunk_size=1024):
    """The principal components of all rows, zero-padded past their number.

    scikit-learn's PCA centres a copy of X, or subtracts the mean from ``X.T @ X`` afterwards, which loses all digits where
    the offset is large. So where there are more rows than features, the covariance of the centred rows is summed here
    chunk by chunk; elsewhere scikit-learn's PCA decides how.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    border : Border
    n_components : int
    random_state : int
        Of the randomised solver, which large data take.
    chunk_size : int, default=1024
        Rows standardised together.

    Returns
    -------
    anchor : Anchor
    """
    n_samples, n_features = X.shape
    rank = min(n_components, n_samples, n_features)
    if n_features <= min(n_samples, _MAX_COVARIANCE):
        components = _leading_eigenvectors(_covariance(X, border, chunk_size), rank)
    else:
        components = PCA(rank, random_state=random_state).fit(border.standardize(X)).components_
    V = np.zeros((n_components, n_features))
    V[:rank] = components
    return Anchor(encoder=V, decoder=V.T)


def _covariance(X, border, chunk_size):
    # In torch, since numpy's threads would go on to spin for a while and slow down the first batches of training.
    covariance = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64)
    for chunk in gen_batches(len(X), chunk_size):
        U = torch.from_numpy(border.standardize(X[chunk]))
        covariance += U.T @ U
    return covariance / len(X)


def _leading_eigenvectors(covariance, rank):
    _, vectors = torch.linalg.eigh(covariance)
    vectors[covariance.diagonal() == 0] = 0  # constant features, where rounding leaves subnormal numbers, which are slow
    components = vectors.numpy().T[: -rank - 1 : -1]
    return svd_flip(None, components, u_based_decision=False)[1]
