"""Likelihoods: how rows are distributed about what the decoder gives; the last stage of a variational autoencoder.

Called as a module, a likelihood gives the mean of a row from the decoder's output ``raw``. ``log_density(raw, x)`` is in
nats, in the network's units, over the last axis.
"""

import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

# Least variance of the noise, relative to the mean variance of a feature (which is 1 in the network's units).
MIN_NOISE_VARIANCE = 1e-9


class GaussianNoise(nn.Module):
    """Normal noise of one variance, which is learnt, about a mean.

    Parameters
    ----------
    mean : nn.Module
        From the decoder's output to the mean.
    """

    def __init__(self, mean):
        super().__init__()
        self.mean = mean
        self.log_excess = nn.Parameter(torch.zeros(()))  # of the variance over the least that it may have

    @property
    def noise_variance(self):
        return MIN_NOISE_VARIANCE + self.log_excess.exp()

    @torch.no_grad()
    def start_at(self, anchor):
        """Take the anchor's noise variance."""
        excess = anchor.noise_variance - MIN_NOISE_VARIANCE
        self.log_excess.fill_(math.log(max(excess, 1e-3 * MIN_NOISE_VARIANCE)))

    def set_bounds(self, lower, upper):
        """Set the bounds of the mean from arrays of shape (n_features,)."""
        self.mean.set_bounds(lower, upper)

    def forward(self, raw):
        return self.mean(raw)

    def log_density(self, raw, x):
        variance = self.noise_variance
        squares = (x - self.mean(raw)).square().sum(-1)
        return -(squares / variance + x.shape[-1] * (math.log(2 * math.pi) + variance.log())) / 2


class Bernoulli(nn.Module):
    """Independent values in [0, 1] with the decoder's output as logits.

    Parameters
    ----------
    n_outputs : int
    anchored : bool
        Whether each value has an offset of its own, at which its logit starts.
    """

    def __init__(self, n_outputs, anchored):
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_outputs)) if anchored else 0.0

    @torch.no_grad()
    def start_at(self, anchor):
        """Take the anchor's logits."""
        self.offset.copy_(torch.from_numpy(anchor.offset))

    def forward(self, raw):
        return (raw + self.offset).sigmoid()

    def log_density(self, raw, x):
        logits = raw + self.offset
        return -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
