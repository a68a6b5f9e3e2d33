"""Probabilistic PCA: the density at which a variational autoencoder starts."""

from dataclasses import dataclass

import numpy as np

from skae._linear.pca import principal_components


@dataclass(frozen=True)
class ProbabilisticPCA:
    """Linear Gaussian model with the noise variance that scikit-learn's PCA has, and its posterior [1]_.

    With components ``V``, eigenvalues ``l`` and noise variance ``s``, a code has the mean ``sqrt(l
    - s) / l V u`` and the variance ``s / l``, and a sample the mean ``V' sqrt(l - s) z``.
    Components of no more variance than the noise weigh nothing.

    Parameters
    ----------
    components : ndarray of shape (rank, n_features)
    eigenvalues : ndarray of shape (rank,)
        At least the noise variance.
    noise_variance : float
        Of a feature given the code.
    n_left : int
        Number of directions that the noise variance is the mean of; 0 where all are components.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic Principal Component Analysis", Journal of the Royal Statistical
       Society B 61, 611-622, 1999. :doi:`10.1111/1467-9868.00196`
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    noise_variance: float
    n_left: int

    def padded(self, n_components):
        """Encoder, decoder and variance of a code of that many components: those past the rank have no weight."""
        n_past = n_components - len(self.eigenvalues)
        decoder = np.pad(
            self.components.T * np.sqrt(self.eigenvalues - self.noise_variance),
            ((0, 0), (0, n_past)),
        )
        eigenvalues = np.pad(self.eigenvalues, (0, n_past), constant_values=self.noise_variance)
        return (decoder / eigenvalues).T, decoder, self.noise_variance / eigenvalues

    def noise_variances(self, n_components):
        """Noise variance of the model of the first 1, 2, ... components, up to that many."""
        rank = len(self.eigenvalues)
        # Variance of the components past each.
        past = np.append(self.eigenvalues[::-1].cumsum()[-2::-1], 0.0)
        n_left = self.n_left + np.arange(rank)[::-1]
        means = (past + self.n_left * self.noise_variance) / np.maximum(n_left, 1)
        return np.pad(
            np.where(n_left > 0, means, self.noise_variance), (0, n_components - rank), mode="edge"
        )


def ppca(samples, n_components, *, least_noise_variance):
    """Probabilistic PCA, with a noise variance of at least the given one.

    Where no variance is left for the noise, any of at most the smallest eigenvalue gives the same
    density: half of it is taken.

    Parameters
    ----------
    samples : skae._linear.pca.StandardizedSamples
    n_components : int
    least_noise_variance : float
        In the network's units.

    Returns
    -------
    model : ProbabilisticPCA
    """
    components, values, noise_variance = principal_components(samples, n_components)
    n_left = min(samples.source.shape) - len(values)
    if not n_left:
        noise_variance = values[-1] / 2 if len(values) else 1.0
    return probabilistic(components, values, max(noise_variance, least_noise_variance), n_left)


def probabilistic(components, values, noise_variance, n_left):
    """Probabilistic PCA of that noise variance."""
    return ProbabilisticPCA(
        components, np.maximum(values, noise_variance), float(noise_variance), n_left
    )
