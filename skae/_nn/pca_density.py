"""The density of the start, which a variational autoencoder keeps as a small part of its own."""

import math

import torch
from torch import nn


class PCADensity(nn.Module):
    """Mixture of a log density with that of probabilistic PCA. Of its buffers a prefix is the model of the first components.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer("eigenvalues", torch.zeros(n_components, dtype=torch.float32, device="cpu"))
        self.register_buffer("noise_variances", torch.ones(n_components, dtype=torch.float32, device="cpu"))  # at each depth
        self.register_buffer("share", torch.zeros((), dtype=torch.float32, device="cpu"))  # of the mixture

    def start_at(self, model, share):
        """Take a :class:`skae._linear.ppca.ProbabilisticPCA` and its share of the mixture."""
        self.eigenvalues[: len(model.eigenvalues)] = torch.from_numpy(model.eigenvalues)
        self.noise_variances.copy_(torch.from_numpy(model.noise_variances(len(self.eigenvalues))))
        self.share.fill_(share)

    def model(self, components, n_components):
        """Components (k, n_features), eigenvalues (k,) and noise variance of the model of the first k components."""
        noise_variance = self.noise_variances[n_components - 1].item()
        V, eigenvalues = (part[:n_components].double().numpy(force=True) for part in (components, self.eigenvalues))
        return V, eigenvalues, noise_variance

    def forward(self, u, components, log_density):
        """Log density of each sample (n,) by the mixture with the model of components (k, n_features), in nats.

        Samples and densities are in the network's units. A component of no more variance than the noise may be zero.
        """
        share = self.share.item()
        return torch.logaddexp(log_density + math.log1p(-share), self.of_start(u, components) + math.log(share))

    def of_start(self, u, components):
        """Log density of each sample (n,) by probabilistic PCA: the bound itself, as it has no gap."""
        noise = self.noise_variances[-1].item()
        eigenvalues = self.eigenvalues.cpu().double().clamp(min=noise)
        variance = noise / eigenvalues  # of the code given a sample
        decoder = components.T.to(u) * (eigenvalues - noise).sqrt().to(u)
        mean = u @ decoder / eigenvalues.to(u)
        residual = (u - mean @ decoder.T).square().sum(1)
        spread = (variance @ decoder.square().sum(0).cpu().double()).item()
        constant = u.shape[1] * math.log(2 * math.pi * noise) + (variance - 1 - variance.log()).sum().item()
        return -((residual + spread) / noise + mean.square().sum(1) + constant) / 2
