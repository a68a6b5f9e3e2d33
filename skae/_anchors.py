"""Anchors: the linear maps at which training starts."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

# Up to this many features a covariance matrix is cheap, and it is summed chunk by chunk: no centred copy of the data.
MAX_COVARIANCE = 2000
# Ridge penalties that a regression tries, relative to the mean variance of a feature.
_PENALTIES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)


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
    if n_features <= min(n_samples, MAX_COVARIANCE):
        components = _leading_eigenvectors(_covariance(X, border, chunk_size), rank)
    else:
        components = PCA(rank, random_state=random_state).fit(border.standardize(X)).components_
    V = np.zeros((n_components, n_features))
    V[:rank] = components
    return Anchor(encoder=V, decoder=V.T)


def reduced_rank(chunks, validation, n_components):
    """The best linear maps of that rank from damaged rows to clean ones: reduced-rank regression with a ridge penalty.

    With ``C`` and ``S`` the covariances of the damaged rows and of the clean with the damaged ones, the regression is
    ``B = S (C + a I)^{-1}``, and the decoder are the leading eigenvectors of ``B C B'`` [1]_. The penalty is the one whose
    maps have the smallest squared error on the validation rows.

    Parameters
    ----------
    chunks : iterable of pair of Tensor
        Damaged and clean training rows, in the network's units.
    validation : iterable of pair of Tensor
        Damaged and clean rows that choose the penalty; iterated over several times.
    n_components : int

    Returns
    -------
    anchor : Anchor

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis 5,
       248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    """
    C, S = _cross_covariances(chunks)
    values, vectors = torch.linalg.eigh(C)
    anchors = [_regression(S, values.clamp(min=0), vectors, penalty, n_components) for penalty in _PENALTIES]
    return min(anchors, key=lambda anchor: _squared_error(anchor, validation))


def regression_on_codes(encoder, chunks):
    """The anchor of that encoder whose decoder is the least-squares regression of the clean rows on the codes.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    chunks : iterable of pair of Tensor
        Damaged and clean training rows, in the network's units.

    Returns
    -------
    anchor : Anchor
    """
    V = torch.from_numpy(encoder)
    C, S = _cross_covariances((u.cpu().double() @ V.T, target) for u, target in chunks)
    return Anchor(encoder, (S @ torch.linalg.pinv(C, hermitian=True)).numpy())


def _regression(S, values, vectors, penalty, n_components):
    """Anchor of the ridge regression with that penalty, relative to the mean eigenvalue."""
    n_outputs, n_features = S.shape
    rank = min(n_components, n_outputs, n_features)
    inverse = 1 / (values + penalty * values.mean().clamp(min=torch.finfo(values.dtype).tiny))
    B = (S @ vectors * inverse) @ vectors.T
    D = torch.from_numpy(_leading_eigenvectors((B @ vectors * values) @ (B @ vectors).T, rank).copy())
    encoder, decoder = np.zeros((n_components, n_features)), np.zeros((n_outputs, n_components))
    encoder[:rank], decoder[:, :rank] = (D @ B).numpy(), D.T.numpy()
    return Anchor(encoder, decoder)


def _squared_error(anchor, rows):
    encoder, decoder = torch.from_numpy(anchor.encoder), torch.from_numpy(anchor.decoder)
    return sum((u.cpu().double() @ encoder.T @ decoder.T - target.cpu().double()).square().sum() for u, target in rows)


def _cross_covariances(chunks):
    """Covariance of the damaged rows, and of the clean rows with the damaged ones."""
    n, sums = 0, [0.0] * 4
    for u, target in chunks:
        u, target = u.cpu().double(), target.cpu().double()
        n += len(u)
        sums = [s + new for s, new in zip(sums, (u.sum(0), target.sum(0), u.T @ u, target.T @ u), strict=True)]
    u_mean, target_mean, uu, tu = (s / n for s in sums)
    return uu - torch.outer(u_mean, u_mean), tu - torch.outer(target_mean, u_mean)


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
