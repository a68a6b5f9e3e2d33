"""Likelihoods: how rows are distributed about what the decoder gives; the last stage of a variational autoencoder.

Called as a module, a likelihood gives the mean of a row from the decoder's output ``raw``. ``log_density(raw, x, depth)`` is
in nats, in the network's units, over the last axis; the depth of codes is that of each row (n, 1) or of all (1, 1), None the
full one.
"""

import math

import numpy as np
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
    n_depths : int
        Number of depths that codes can be cut at, each with a variance of its own; 1 where they are not cut.
    """

    def __init__(self, mean, n_depths):
        super().__init__()
        self.mean = mean
        self.log_excess = nn.Parameter(
            torch.zeros(n_depths, dtype=torch.float32, device="cpu")
        )  # of the variance over the least that it may have

    @property
    def noise_variance(self):
        """Variance at full depth."""
        return self._variance(None)

    @torch.no_grad()
    def start_at(self, noise_variance, decoder):
        """Take a noise variance, and at a smaller depth that of what a linear decoder's components past it give as well."""
        gains = np.square(decoder).sum(axis=0) / len(decoder)
        left = np.append(gains[:0:-1].cumsum()[::-1], 0.0)[-len(self.log_excess) :]
        excess = np.maximum(noise_variance - MIN_NOISE_VARIANCE + left, 1e-3 * MIN_NOISE_VARIANCE)
        self.log_excess.copy_(torch.from_numpy(np.log(excess)))

    @torch.no_grad()
    def fill_between(self, depths):
        """Give depths between those of a list, all that codes were cut at, a variance between theirs."""
        logs = self.log_excess.cpu().numpy()
        between = np.interp(np.log(np.arange(len(logs)) + 1), np.log(depths), logs[np.array(depths) - 1])
        self.log_excess.copy_(torch.from_numpy(between))

    def set_bounds(self, lower, upper):
        """Set the bounds of the mean from arrays of shape (n_features,)."""
        self.mean.set_bounds(lower, upper)

    def forward(self, raw):
        return self.mean(raw)

    def log_density(self, raw, x, depth=None):
        variance = self._variance(depth)
        squares = (x - self.mean(raw)).square().sum(-1)
        return -(squares / variance + x.shape[-1] * (math.log(2 * math.pi) + variance.log())) / 2

    def _variance(self, depth):
        """Variance at a depth: a number, or one of each row (n,)."""
        index = -1 if depth is None else depth - 1
        return MIN_NOISE_VARIANCE + self.log_excess[index].exp().squeeze(-1)


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
        self.offset = nn.Parameter(torch.zeros(n_outputs, dtype=torch.float32, device="cpu")) if anchored else 0.0

    @torch.no_grad()
    def start_at(self, offset):
        """Take logits of shape (n_outputs,)."""
        self.offset.copy_(torch.from_numpy(offset))

    def forward(self, raw):
        return (raw + self.offset).sigmoid()

    def log_density(self, raw, x, depth=None):
        logits = raw + self.offset
        return -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
