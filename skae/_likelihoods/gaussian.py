"""The Gaussian likelihood: normal noise with one variance for all features, which is learned."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skae._likelihoods.likelihood import Likelihood, start_at_linear
from skae._linear.ppca import ppca, probabilistic

# Lower limit of the noise variance. In the network's units, the mean variance of a feature is 1.
MIN_NOISE_VARIANCE = 1e-9


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Normal distributions, which start at probabilistic PCA."""

    keeps_start = True

    def standardizers(self, moments, standardizer):
        standardizer = standardizer(moments)
        return standardizer, standardizer

    def build(self, output, n_outputs, n_lengths, is_anchored):
        return GaussianLikelihood(output, n_lengths)

    def start(self, module, samples, n_components):
        model = ppca(samples, n_components, least_noise_variance=MIN_NOISE_VARIANCE)
        module.start_density.start_at(model, weight=1 / (samples.moments.weight + 1))
        _start_at(module, model, n_components)

    def start_prefix(self, module, smaller, n_components):
        # The model with fewer components has its own noise variance.
        start = module.start_density.model(module.principal_components, n_components)
        _start_at(smaller, probabilistic(*start, n_left=0), n_components)

    def draw(self, mean, noise_variance, rng):
        return mean + np.sqrt(noise_variance) * rng.normal(size=mean.shape).astype(mean.dtype)

    def attributes(self, module, scale):
        return {"noise_variance_": module.output.noise_variance.item() * scale**2}

    def is_degenerate(self, module):
        return module.output.noise_variance.item() < 2 * MIN_NOISE_VARIANCE


def _start_at(module, model, n_components):
    encoder, decoder, variance = model.padded(n_components)
    module.output.start_at(model.noise_variance, decoder)
    start_at_linear(module, encoder, decoder, variance)


class GaussianNoise(NamedTuple):
    """Normal distributions of samples.

    Attributes
    ----------
    mean : Tensor of shape (..., n, n_outputs)
        Mean of each feature.
    variance : Tensor of shape () or (n,)
        Variance of each feature, of all samples or of each sample.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def log_prob(self, x, observed=None):
        squares, n_observed = (x - self.mean).square(), x.shape[-1]
        if observed is not None:
            squares, n_observed = squares * observed, observed.sum(-1)
        constant = n_observed * (math.log(2 * math.pi) + self.variance.log())
        return -(squares.sum(-1) / self.variance + constant) / 2


class GaussianLikelihood(nn.Module):
    """Normal distributions with a mean from the decoder's output, and a noise variance.

    Parameters
    ----------
    mean : nn.Module
        Module that maps the decoder's output to the mean.
    n_lengths : int
        Number of noise variances: one for each length of a prefix of the code, or 1 where the
        components are not ordered.
    """

    def __init__(self, mean, n_lengths):
        super().__init__()
        self.mean = mean
        # Logarithm of each variance minus the lower limit.
        self.log_excess = nn.Parameter(torch.zeros(n_lengths, dtype=torch.float32, device="cpu"))

    @property
    def noise_variance(self):
        """Noise variance with all components."""
        return self._variance(None)

    @torch.no_grad()
    def start_at(self, noise_variance, decoder):
        """Set the noise variances from that of all components and a linear decoder.

        The noise variance of a prefix includes the variance of the masked components.
        """
        gains = np.square(decoder).sum(axis=0) / len(decoder)
        left = np.append(gains[:0:-1].cumsum()[::-1], 0.0)[-len(self.log_excess) :]
        excess = np.maximum(noise_variance - MIN_NOISE_VARIANCE + left, 1e-3 * MIN_NOISE_VARIANCE)
        self.log_excess.copy_(torch.from_numpy(np.log(excess)))

    @torch.no_grad()
    def complete(self, lengths):
        """Interpolate the noise variances between those of the lengths that were trained."""
        logs = self.log_excess.cpu().numpy()
        between = np.interp(
            np.log(np.arange(len(logs)) + 1), np.log(lengths), logs[np.array(lengths) - 1]
        )
        self.log_excess.copy_(torch.from_numpy(between))

    def set_bounds(self, lower, upper):
        """Set the bounds of the mean from arrays of shape (n_features,)."""
        self.mean.set_bounds(lower, upper)

    def forward(self, raw):
        return self.mean(raw)

    def distribution(self, raw, mask=None):
        return GaussianNoise(self.mean(raw), self._variance(mask))

    def _variance(self, mask):
        """Noise variance for a mask: a single one, or one for each sample (n,)."""
        index = -1 if mask is None else mask.length - 1
        return MIN_NOISE_VARIANCE + self.log_excess[index].exp().squeeze(-1)
