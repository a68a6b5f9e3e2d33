"""The variational autoencoder: an autoencoder with a Gaussian latent space and a likelihood."""

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

_N_VALIDATION_PAIRS = 2  # pairs of Monte Carlo samples of the code; see `matched_draws`


@dataclass(frozen=True)
class VAESpec(Spec):
    """Sizes and choices of a variational autoencoder.

    Parameters
    ----------
    likelihood : object
        Likelihood, such as :class:`skae._likelihoods.gaussian.Gaussian`.
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
        """Build the module, with weights that are not yet initialized."""
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
        """Build the objective, for targets of this scale and Monte Carlo samples of this seed."""
        return self.build_negative_elbo(scale, seed, self.beta, _N_VALIDATION_PAIRS)

    def build_negative_elbo(self, scale, seed, beta, n_pairs):
        noise = matched_draws(n_pairs, self.n_components, seed)
        return NegativeELBO(beta, noise, self.n_outputs * math.log(scale), self.contamination)


class VAEOutput(NamedTuple):
    """Output of a variational autoencoder.

    Attributes
    ----------
    likelihood : NamedTuple
        Distributions p(x|z) for each Monte Carlo sample of each code, with the attribute `mean` of
        shape (n_draws, n, n_outputs) and the method `log_prob`.
    posterior : GaussianPosterior
        Distributions q(z|x).
    mask : PrefixMask or None
        Mask of the codes.
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
        Parameters of :class:`Autoencoder`. Its output is a likelihood, the module that a
        :class:`skae._likelihoods.likelihood.Likelihood` builds.
    start_density : PCADensity or None
        Density of the start, which remains a part of the density. Its components are the weights of
        the encoder's linear path, which is then not trained.
    n_draws : int
        Monte Carlo samples of the code of each sample in training.
    """

    def __init__(self, paths, sizes, latent, likelihood, is_anchored, start_density, n_draws):
        super().__init__(paths, sizes, latent, likelihood, is_anchored)
        self.n_draws = n_draws
        self.start_density = start_density
        # The linear path holds the components of that density for the means, and zeros for the
        # variances: if it were trained, the density of the start would change.
        self.encoder.trains_linear = not self.keeps_start

    @property
    def keeps_start(self):
        """Whether the density is a mixture with that of the start."""
        return self.start_density is not None

    @property
    def principal_components(self):
        """Principal components (n_components, n_features) of the start, if it is kept."""
        return self.encoder.linear.weight[0::2]  # the other rows belong to the variances

    def generative(self, latent, mask=None, noise=None):
        """Output for Monte Carlo samples of masked codes, or for the means of the codes.

        Parameters
        ----------
        latent : GaussianPosterior
            Distributions of the codes.
        mask : PrefixMask, default=None
            Mask of the codes. With None, all components are used.
        noise : Tensor of shape (n_draws, n or 1, n_components), default=None
            Standard normal noise of the Monte Carlo samples. With None, the means are used.
        """
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

    def log_density(self, u, observed, elbo):
        """Log density of each sample (n,), in nats: the ELBO, mixed with a start that is kept."""
        if not self.keeps_start:
            return elbo
        return self.start_density(u, observed, self.principal_components, elbo)


class PCADensity(nn.Module):
    """Mixture of a density with that of probabilistic PCA.

    The first k entries of its buffers define the model of the first k components.

    Parameters
    ----------
    n_components : int
        Number of components.
    """

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer(
            "eigenvalues", torch.zeros(n_components, dtype=torch.float32, device="cpu")
        )
        self.register_buffer(
            "noise_variances", torch.ones(n_components, dtype=torch.float32, device="cpu")
        )
        # Weight of probabilistic PCA in the mixture.
        self.register_buffer("weight", torch.zeros((), dtype=torch.float32, device="cpu"))

    def start_at(self, model, weight):
        """Set the model, a :class:`skae._linear.ppca.ProbabilisticPCA`, and its weight."""
        self.eigenvalues[: len(model.eigenvalues)] = torch.from_numpy(model.eigenvalues)
        self.noise_variances.copy_(torch.from_numpy(model.noise_variances(len(self.eigenvalues))))
        self.weight.fill_(weight)

    def model(self, components, n_components):
        """Components, eigenvalues and noise variance of the model with fewer components."""
        noise_variance = self.noise_variances[n_components - 1].item()
        V, eigenvalues = (
            part[:n_components].numpy(force=True) for part in (components, self.eigenvalues)
        )
        return V.astype(np.float64), eigenvalues.astype(np.float64), noise_variance

    def forward(self, u, observed, components, log_density):
        """Log density of each sample (n,) under the mixture, in nats and the network's units.

        Parameters
        ----------
        u : Tensor of shape (n, n_features)
            Samples.
        observed : Tensor of shape (n, n_features), or None
            1 for an observed value, 0 for a missing one; None where all are observed.
        components : Tensor of shape (n_components, n_features)
            Principal components. One with no more variance than the noise may be zero.
        log_density : Tensor of shape (n,)
            Log density of each sample under the other part of the mixture.
        """
        weight = self.weight.item()
        return torch.logaddexp(
            log_density + math.log1p(-weight),
            self.of_start(u, observed, components) + math.log(weight),
        )

    def of_start(self, u, observed, components):
        """ELBO of each sample (n,) under probabilistic PCA.

        It equals the log density where no value is missing.
        """
        noise = self.noise_variances[-1].item()
        eigenvalues = self.eigenvalues.cpu().double().clamp(min=noise)
        variance = noise / eigenvalues  # variance of the code given a sample
        decoder = components.T.to(u) * (eigenvalues - noise).sqrt().to(u)
        mean = u @ decoder / eigenvalues.to(u)
        residual, n_observed = (u - mean @ decoder.T).square(), u.shape[1]
        if observed is None:
            spread = (variance @ decoder.square().sum(0).cpu().double()).item()
        else:
            residual, n_observed = residual * observed, observed.sum(1)
            spread = observed @ (decoder.square() @ variance.to(u))
        constant = (
            n_observed * math.log(2 * math.pi * noise)
            + (variance - 1 - variance.log()).sum().item()
        )
        return -((residual.sum(1) + spread) / noise + mean.square().sum(1) + constant) / 2
