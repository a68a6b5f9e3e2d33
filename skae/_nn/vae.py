"""The variational autoencoder: an autoencoder with Gaussian codes and a likelihood."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skae._nn.autoencoder import Autoencoder, Spec
from skae._nn.latents import GaussianLatent, GaussianPosterior
from skae._nn.nested_dropout import PrefixMask
from skae._nn.objectives import NegativeELBO, matched_draws

_N_VALIDATION_PAIRS = 2  # of draws of the code, which all samples share


@dataclass(frozen=True)
class VAESpec(Spec):
    """Sizes and choices of a variational autoencoder.

    Parameters
    ----------
    likelihood : object
        Such as :class:`skae._likelihoods.gaussian.Gaussian`.
    beta, contamination : float
        See :class:`skae._nn.objectives.NegativeELBO`.
    n_draws : int
        Monte Carlo samples of the code of each sample in a gradient step.
    """

    likelihood: object
    beta: float
    n_draws: int
    contamination: float

    def build(self):
        """The module, its weights without values."""
        latent = GaussianLatent(self.n_components, self._nested_dropout())
        paths, sizes, latent, output, is_anchored = self._parts(latent)
        n_lengths = self.n_components if self.is_ordered else 1
        likelihood = self.likelihood.build(output, self.n_outputs, n_lengths, is_anchored)
        start_density = (
            PCADensity(self.n_components) if self.likelihood.keeps_start and is_anchored else None
        )
        return VariationalAutoencoder(
            paths, sizes, latent, likelihood, is_anchored, start_density, self.n_draws
        )

    def build_objective(self, scale, seed):
        """The objective, for targets of that scale, with draws of that seed."""
        return self.build_negative_elbo(scale, seed, self.beta, _N_VALIDATION_PAIRS)

    def build_negative_elbo(self, scale, seed, beta, n_pairs):
        noise = matched_draws(n_pairs, self.n_components, seed)
        return NegativeELBO(beta, noise, self.n_outputs * math.log(scale), self.contamination)


class VAEOutput(NamedTuple):
    """What a variational autoencoder returns.

    Attributes
    ----------
    likelihood : NamedTuple
        Distributions p(x|z) of each draw of the code of each sample, with `mean` (n_draws, n,
        n_outputs) and `log_prob`.
    posterior : GaussianPosterior
        Distributions q(z|x).
    mask : PrefixMask or None
    """

    likelihood: tuple
    posterior: GaussianPosterior
    mask: PrefixMask | None

    @property
    def reconstruction(self):
        return self.likelihood.mean[0]


class VariationalAutoencoder(Autoencoder):
    """Encoder, Gaussian latent space, decoder and likelihood.

    Parameters
    ----------
    paths, sizes, latent, likelihood, is_anchored
        Of :class:`Autoencoder`, with a likelihood for its output: what a
        :class:`skae._likelihoods.likelihood.Likelihood` builds.
    start_density : PCADensity or None
        Density of the start, of which the components are the encoder's linear path: that is not
        trained then.
    n_draws : int
        Monte Carlo samples of the code of each sample in training.
    """

    def __init__(self, paths, sizes, latent, likelihood, is_anchored, start_density, n_draws):
        super().__init__(paths, sizes, latent, likelihood, is_anchored)
        self.n_draws = n_draws
        self.start_density = start_density
        # Of the means the linear path is that density's components, of the variances zero.
        self.encoder.trains_linear = not self.keeps_start

    @property
    def keeps_start(self):
        """Whether the density of the start is a part of the density."""
        return self.start_density is not None

    @property
    def principal_components(self):
        """Those of the start (n_components, n_features), where it is kept."""
        return self.encoder.linear.weight[0::2]  # the others are the variances'

    def generative(self, latent, mask=None, noise=None):
        """The output for draws of the codes by standard normal noise (n_draws, n or 1, n_components), or for their means."""
        z = latent.mean[None] if noise is None else latent.rsample(noise)
        raw = self.raw(z.flatten(0, 1), mask and mask.repeated(len(z))).unflatten(0, z.shape[:2])
        return VAEOutput(self.output.distribution(raw, mask), latent, mask)

    def forward(self, u, rng=None):
        posterior = self.inference(u)
        if not self.training:
            return self.generative(posterior)
        noise = posterior.mean.new_empty(self.n_draws, *posterior.mean.shape).normal_(generator=rng)
        return self.generative(posterior, self.latent.next_masks(len(u)), noise)

    def encode(self, u):
        return self.inference(u).mean

    def complete(self):
        if self.latent.nested_dropout is not None:
            self.output.complete(self.latent.nested_dropout.lengths)

    def log_density(self, u, elbo):
        """Log density of each sample (n,) in nats: the ELBO, in a mixture with a start that is kept."""
        return self.start_density(u, self.principal_components, elbo) if self.keeps_start else elbo


class PCADensity(nn.Module):
    """Mixture of a log density with that of probabilistic PCA. Of its buffers a prefix is the model of the first components.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer(
            "eigenvalues", torch.zeros(n_components, dtype=torch.float32, device="cpu")
        )
        self.register_buffer(
            "noise_variances", torch.ones(n_components, dtype=torch.float32, device="cpu")
        )
        # In the mixture.
        self.register_buffer("weight", torch.zeros((), dtype=torch.float32, device="cpu"))

    def start_at(self, model, weight):
        """Take a :class:`skae._linear.ppca.ProbabilisticPCA` and its weight in the mixture."""
        self.eigenvalues[: len(model.eigenvalues)] = torch.from_numpy(model.eigenvalues)
        self.noise_variances.copy_(torch.from_numpy(model.noise_variances(len(self.eigenvalues))))
        self.weight.fill_(weight)

    def model(self, components, n_components):
        """Components (k, n_features), eigenvalues (k,) and noise variance of the model of the first k components."""
        noise_variance = self.noise_variances[n_components - 1].item()
        V, eigenvalues = (
            part[:n_components].numpy(force=True) for part in (components, self.eigenvalues)
        )
        return V.astype(np.float64), eigenvalues.astype(np.float64), noise_variance

    def forward(self, u, components, log_density):
        """Log density of each sample (n,) by the mixture with the model of components (k, n_features), in nats.

        Samples and densities are in the network's units. A component of no more variance than the
        noise may be zero.
        """
        weight = self.weight.item()
        return torch.logaddexp(
            log_density + math.log1p(-weight), self.of_start(u, components) + math.log(weight)
        )

    def of_start(self, u, components):
        """Log density of each sample (n,) by probabilistic PCA: its ELBO, as it has no gap."""
        noise = self.noise_variances[-1].item()
        eigenvalues = self.eigenvalues.cpu().double().clamp(min=noise)
        variance = noise / eigenvalues  # of the code given a sample
        decoder = components.T.to(u) * (eigenvalues - noise).sqrt().to(u)
        mean = u @ decoder / eigenvalues.to(u)
        residual = (u - mean @ decoder.T).square().sum(1)
        spread = (variance @ decoder.square().sum(0).cpu().double()).item()
        constant = (
            u.shape[1] * math.log(2 * math.pi * noise)
            + (variance - 1 - variance.log()).sum().item()
        )
        return -((residual + spread) / noise + mean.square().sum(1) + constant) / 2
