"""Regression of clean on corrupted samples, where training of a denoising autoencoder starts."""

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk

from skae._data.moments import mirrored
from skae._linear.pca import LinearStart, leading_eigenvectors
from skae._threads import one_blas_thread

# Candidates for the ridge penalty, relative to the variance of each feature.
_PENALTIES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)


def reduced_rank(joint, validation, n_components):
    """Reduced-rank regression of clean samples on corrupted samples, with a ridge penalty.

    Let ``C`` be the scatter matrix of the corrupted samples and ``S`` the cross products of clean
    and corrupted samples. The regression is ``B = S (C + a diag(C))^{-1}``, which does not depend
    on the units of the features. The columns of the decoder are the leading eigenvectors of
    ``B C B.T`` [1]_.

    The penalties ``a`` are tried from small to large, until the squared error on the validation set
    rises. The one with the smallest error is chosen, or zero maps, which predict the mean, where
    none has a smaller error.

    Parameters
    ----------
    joint, validation : skae._data.joint_moments.JointMoments
        Joint moments of the training samples and of the validation set, in the network's units.
    n_components : int
        Rank of the maps.

    Returns
    -------
    start : LinearStart
        Linear model.

    References
    ----------
    .. [1] Izenman, A. J. "Reduced-rank regression for the multivariate linear model". Journal of
       Multivariate Analysis 5, 248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    """
    scatter, cross = joint.scatter, joint.cross
    deviations = np.sqrt(scatter.diagonal().clip(min=0))
    deviations = np.where(deviations > 0, deviations, 1.0)
    with one_blas_thread():
        values, vectors = scipy.linalg.eigh(
            scatter / np.outer(deviations, deviations), driver="evd"
        )
        parts = (cross / deviations) @ vectors, values.clip(min=0), vectors, deviations
        # The first candidate predicts the mean.
        best = LinearStart(
            np.zeros((n_components, cross.shape[1])), np.zeros((cross.shape[0], n_components))
        )
        least, previous = 0.0, np.inf
        for penalty in _PENALTIES:
            start = _regression(*parts, penalty, n_components)
            error = _squared_error(start, validation)
            if error < least:
                best, least = start, error
            if error > previous:
                break
            previous = error
    return best


def _squared_error(start, joint):
    """Sum of squared errors of a linear model on samples, minus that of predicting the mean."""
    E, D = start.encoder, start.decoder
    shift = D @ (E @ joint.mean) - joint.target_mean
    variable = (D.T @ D * (E @ joint.scatter @ E.T)).sum() - 2 * (D.T @ joint.cross * E).sum()
    return variable + joint.weight * (shift @ shift - joint.target_mean @ joint.target_mean)


def _regression(rotated, values, vectors, deviations, penalty, n_components):
    """Reduced-rank ridge regression for one penalty.

    Parameters
    ----------
    rotated : ndarray of shape (n_outputs, n_features)
        Cross products with the features, divided by `deviations` and rotated by `vectors`.
    values, vectors : ndarray of shape (n_features,) and (n_features, n_features)
        Eigenvalues and eigenvectors of the scatter matrix of the divided features.
    deviations : ndarray of shape (n_features,)
        Divisors of the features.
    penalty : float
        Ridge penalty.
    n_components : int
        Rank of the maps.
    """
    n_outputs, n_features = rotated.shape
    rank = min(n_components, n_outputs, n_features)
    coefficients = rotated / (values + penalty)
    fitted = coefficients * np.sqrt(values)
    D, _ = leading_eigenvectors(mirrored(dsyrk(1.0, fitted)), rank)
    encoder, decoder = np.zeros((n_components, n_features)), np.zeros((n_outputs, n_components))
    encoder[:rank], decoder[:, :rank] = (D @ coefficients) @ vectors.T / deviations, D.T
    return LinearStart(encoder, decoder)


def regression_on_codes(encoder, pairs, group):
    """Fit a linear decoder for a given encoder, by regression of the clean samples on the codes.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
        Weights of the encoder.
    pairs : iterable of tuple of ndarray
        Corrupted and clean samples, in the network's units, and their weights or None.
    group : object
        Group of the processes that have samples; see :mod:`skae._data.group`.

    Returns
    -------
    start : LinearStart
        Linear model.
    """
    n, sums = 0, [0.0] * 4
    for u, target, weights in pairs:
        z, target = u @ encoder.T, target.astype(np.float64)
        root = np.ones((len(z), 1)) if weights is None else np.sqrt(weights, dtype=float)[:, None]
        n += np.square(root).sum()
        z, target = root * z, root * target
        new = (root * z).sum(0), (root * target).sum(0), z.T @ z, target.T @ z
        sums = [s + part for s, part in zip(sums, new, strict=True)]
    n = group.sum(n)
    z_mean, target_mean, zz, tz = (group.sum(s) / n for s in sums)
    C, S = zz - np.outer(z_mean, z_mean), tz - np.outer(target_mean, z_mean)
    return LinearStart(encoder, S @ np.linalg.pinv(C, hermitian=True))
