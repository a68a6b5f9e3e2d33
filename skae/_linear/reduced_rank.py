"""Regression of clean samples on corrupted ones: the linear maps at which a denoising autoencoder starts."""

import numpy as np
import torch

from skae._linear.pca import LinearStart, leading_eigenvectors

# Ridge penalties that a regression tries, relative to the variance of each feature.
_PENALTIES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)


def reduced_rank(chunks, validation, n_components):
    """The best linear maps of that rank from corrupted samples to clean ones: reduced-rank regression with a ridge penalty.

    With ``C`` and ``S`` the covariances of the corrupted samples and of the clean with the corrupted ones, the regression is
    ``B = S (C + a diag(C))^{-1}``, which does not depend on the units of the features, and the columns of the
    decoder are the leading eigenvectors of ``B C B'`` [1]_. The penalty is the one whose maps have the smallest squared
    error on the validation set.

    Parameters
    ----------
    chunks : iterable of pair of Tensor
        Corrupted and clean training samples, in the network's units.
    validation : iterable of pair of Tensor
        Corrupted and clean samples that choose the penalty; iterated over several times.
    n_components : int

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis 5,
       248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    """
    C, S = _cross_covariances(chunks)
    deviations = C.diagonal().clamp(min=0).sqrt()
    deviations = torch.where(deviations > 0, deviations, 1.0)
    values, vectors = torch.linalg.eigh(C / torch.outer(deviations, deviations))
    parts = S / deviations, deviations, values.clamp(min=0), vectors
    starts = [_regression(*parts, penalty, n_components) for penalty in _PENALTIES]
    return min(starts, key=lambda start: _squared_error(start, validation))


def regression_on_codes(encoder, chunks):
    """The start with that encoder, and with the regression of the clean samples on its codes as decoder.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    chunks : iterable of pair of Tensor
        Corrupted and clean training samples, in the network's units.

    Returns
    -------
    start : LinearStart
    """
    V = torch.from_numpy(encoder)
    C, S = _cross_covariances((u.cpu().double() @ V.T, target) for u, target in chunks)
    return LinearStart(encoder, (S @ torch.linalg.pinv(C, hermitian=True)).numpy())


def _regression(S, deviations, values, vectors, penalty, n_components):
    """Start by the ridge regression of columns divided by their deviations, with that penalty."""
    n_outputs, n_features = S.shape
    rank = min(n_components, n_outputs, n_features)
    B = (S @ vectors / (values + penalty)) @ vectors.T
    D = torch.from_numpy(leading_eigenvectors(((B @ vectors * values) @ (B @ vectors).T).numpy(), rank)[0])
    encoder, decoder = np.zeros((n_components, n_features)), np.zeros((n_outputs, n_components))
    encoder[:rank], decoder[:, :rank] = (D @ B / deviations).numpy(), D.T.numpy()
    return LinearStart(encoder, decoder)


def _squared_error(start, samples):
    encoder, decoder = torch.from_numpy(start.encoder), torch.from_numpy(start.decoder)
    return sum((u.cpu().double() @ encoder.T @ decoder.T - target.cpu().double()).square().sum() for u, target in samples)


def _cross_covariances(chunks):
    """Covariance of the corrupted samples, and of the clean with the corrupted ones."""
    n, sums = 0, [0.0] * 4
    for u, target in chunks:
        u, target = u.cpu().double(), target.cpu().double()
        n += len(u)
        sums = [s + new for s, new in zip(sums, (u.sum(0), target.sum(0), u.T @ u, target.T @ u), strict=True)]
    u_mean, target_mean, uu, tu = (s / n for s in sums)
    return uu - torch.outer(u_mean, u_mean), tu - torch.outer(target_mean, u_mean)
