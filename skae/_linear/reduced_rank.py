"""Regression of clean samples on corrupted ones: the linear maps at which a denoising autoencoder starts."""

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk

from skae._data.moments import mirrored, one_blas_thread
from skae._linear.pca import LinearStart, leading_eigenvectors

# Ridge penalties that a regression tries, relative to the variance of each feature.
_PENALTIES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)


def reduced_rank(scatter, cross, validation, n_components):
    """The best linear maps of that rank from corrupted samples to clean ones: reduced-rank regression with a ridge penalty.

    With ``C`` the scatter of the corrupted samples and ``S`` that of the clean with the corrupted
    ones, the regression is ``B = S (C + a diag(C))^{-1}``, which does not depend on the units of
    the features, and the columns of the decoder are the leading eigenvectors of ``B C B'`` [1]_.
    The penalty ``a`` is the one whose maps have the smallest squared error on the validation set:
    from small to large, until the error rises again. Maps to the mean are a candidate, too.

    Parameters
    ----------
    scatter : ndarray of shape (n_features, n_features)
    cross : ndarray of shape (n_outputs, n_features)
        Like `scatter`, in the network's units.
    validation : callable
        Makes an iterable of pairs of corrupted and clean samples in the network's units.
    n_components : int

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis 5,
       248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    """
    deviations = np.sqrt(scatter.diagonal().clip(min=0))
    deviations = np.where(deviations > 0, deviations, 1.0)
    with one_blas_thread():
        values, vectors = scipy.linalg.eigh(
            scatter / np.outer(deviations, deviations), driver="evd"
        )
        parts = (cross / deviations) @ vectors, values.clip(min=0), vectors, deviations
        # The mean.
        best = LinearStart(
            np.zeros((n_components, cross.shape[1])), np.zeros((cross.shape[0], n_components))
        )
        least, previous = _squared_error(best, validation()), np.inf
        for penalty in _PENALTIES:
            start = _regression(*parts, penalty, n_components)
            error = _squared_error(start, validation())
            if error < least:
                best, least = start, error
            if error > previous:
                break
            previous = error
    return best


def _squared_error(start, pairs):
    return sum(
        np.square(u @ start.encoder.T @ start.decoder.T - target).sum() for u, target in pairs
    )


def _regression(rotated, values, vectors, deviations, penalty, n_components):
    """Start by the ridge regression of features divided by their deviations, whose scatter has that eigendecomposition."""
    n_outputs, n_features = rotated.shape
    rank = min(n_components, n_outputs, n_features)
    coefficients = rotated / (values + penalty)
    fitted = coefficients * np.sqrt(values)
    D, _ = leading_eigenvectors(mirrored(dsyrk(1.0, fitted)), rank)
    encoder, decoder = np.zeros((n_components, n_features)), np.zeros((n_outputs, n_components))
    encoder[:rank], decoder[:, :rank] = (D @ coefficients) @ vectors.T / deviations, D.T
    return LinearStart(encoder, decoder)


def regression_on_codes(encoder, pairs):
    """The start with that encoder, and with the regression of the clean samples on its codes as decoder.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    pairs : iterable of pair of ndarray
        Corrupted and clean samples in the network's units.

    Returns
    -------
    start : LinearStart
    """
    n, sums = 0, [0.0] * 4
    for u, target in pairs:
        z, target = u @ encoder.T, target.astype(np.float64)
        n += len(z)
        sums = [
            s + new
            for s, new in zip(sums, (z.sum(0), target.sum(0), z.T @ z, target.T @ z), strict=True)
        ]
    z_mean, target_mean, zz, tz = (s / n for s in sums)
    C, S = zz - np.outer(z_mean, z_mean), tz - np.outer(target_mean, z_mean)
    return LinearStart(encoder, S @ np.linalg.pinv(C, hermitian=True))
