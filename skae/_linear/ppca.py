"""Probabilistic PCA, the density at which training of a variational autoencoder starts."""

from dataclasses import dataclass

import numpy as np

from skae._linear.pca import principal_components


@dataclass(frozen=True)
class ProbabilisticPCA:
    """Linear Gaussian model, and its posterior [1]_.

    Let ``V`` be the components, ``l`` their eigenvalues and ``s`` the noise variance, which is that
    of scikit-learn's PCA. The code ``z`` of a sample ``u`` has the mean ``sqrt(l - s) / l * (V u)``
    and the variance ``s / l``. A sample has the mean ``V.T (sqrt(l - s) * z)``. Components with no
    more variance than the noise have no weight.

    Parameters
    ----------
    components : ndarray of shape (rank, n_features)
        Principal components.
    eigenvalues : ndarray of shape (rank,)
        Variances of the components, raised to the noise variance where they are smaller.
    noise_variance : float
        Variance of a feature given the code.
    n_left : int
        Number of remaining directions, of whose variances the noise variance is the mean; 0 where
        all directions are components.

    References
    ----------
    .. [1] Tipping, M. E. and Bishop, C. M. "Probabilistic Principal Component Analysis". Journal of
       the Royal Statistical Society B 61, 611-622, 1999. :doi:`10.1111/1467-9868.00196`
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    noise_variance: float
    n_left: int

    def padded(self, n_components):
        """Encoder, decoder and variance of the code, with zeros for components beyond the rank."""
        n_past = n_components - len(self.eigenvalues)
        decoder = np.pad(
            self.components.T * np.sqrt(self.eigenvalues - self.noise_variance),
            ((0, 0), (0, n_past)),
        )
        eigenvalues = np.pad(self.eigenvalues, (0, n_past), constant_values=self.noise_variance)
        return (decoder / eigenvalues).T, decoder, self.noise_variance / eigenvalues

    def squared_distances(self, U):
        """Squared Mahalanobis distances (n,) of centered samples (n, n_features) in float64."""
        codes = U @ self.components.T
        shrinkage = 1 - self.noise_variance / self.eigenvalues
        return (np.square(U).sum(axis=1) - np.square(codes) @ shrinkage) / self.noise_variance

    def noise_variances(self, n_components):
        """Noise variances of the models of the first 1, 2, ..., `n_components` components."""
        rank = len(self.eigenvalues)
        # Total variance of the components after each one.
        past = np.append(self.eigenvalues[::-1].cumsum()[-2::-1], 0.0)
        n_left = self.n_left + np.arange(rank)[::-1]
        means = (past + self.n_left * self.noise_variance) / np.maximum(n_left, 1)
        return np.pad(
            np.where(n_left > 0, means, self.noise_variance), (0, n_components - rank), mode="edge"
        )


def ppca(samples, n_components, *, least_noise_variance):
    """Fit probabilistic PCA.

    Where all directions are components, every noise variance up to the smallest eigenvalue yields
    the same density. Half the smallest eigenvalue is used.

    Parameters
    ----------
    samples : skae._linear.pca.StandardizedSamples
        Training samples.
    n_components : int
        Number of components.
    least_noise_variance : float
        Lower limit of the noise variance, in the network's units.

    Returns
    -------
    model : ProbabilisticPCA
        Fitted model.
    """
    components, values, noise_variance = principal_components(samples, n_components)
    n_left = samples.n_directions - len(values)
    if n_left <= 0:
        noise_variance = values[-1] / 2 if len(values) else 1.0
    return probabilistic(components, values, max(noise_variance, least_noise_variance), n_left)


def probabilistic(components, values, noise_variance, n_left):
    """Probabilistic PCA from components, their variances and a noise variance."""
    return ProbabilisticPCA(
        components, np.maximum(values, noise_variance), float(noise_variance), n_left
    )
