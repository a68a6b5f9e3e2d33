"""Codes: what lies between encoder and decoder.

A code takes the encoder's output ``h`` of shape (n, width(k)) and gives

- ``mean(h)``: the deterministic code (n, k) that ``transform`` returns,
- ``sample(h, rng)``: the code that the decoder sees in training,
- ``expand(z)``: what the decoder is given for a code ``z``.
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class Plain:
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : callable
        Of the code.
    """

    # The code of centred data divided by one scale; multiplied by it again it has the unit of the data, as PCA's.
    in_unit_of_data = True

    def __init__(self, activation):
        self._activation = activation

    def width(self, n_components):
        return n_components

    def mean(self, h):
        return self._activation(h)

    def sample(self, h, rng):
        return self.mean(h)

    def expand(self, z):
        return z


class Gaussian(nn.Module):
    """A normal distribution of each component, to be held against the prior N(0, 1).

    The encoder gives its mean and the logit of its variance, which so stays below the prior's: an observation narrows a
    distribution. An exponential in its place would take off where a row lies far out.

    Parameters
    ----------
    n_components : int

    Notes
    -----
    Inside the network the code has the unit of PCA's, in which all weights are of one size: `scale` divides by it, and
    `gain` multiplies by it again. With codes of unit variance instead, the optimiser's steps are large for the encoder and
    small for the decoder.
    """

    in_unit_of_data = False

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer("logit", torch.zeros(n_components))  # of the variance, at the start
        self.register_buffer("scale", torch.ones(n_components))  # the mean, for one of the encoder's output
        self.register_buffer("gain", torch.ones(n_components))  # the decoder's input, for one of the code

    def start_at(self, variance, scale, gain):
        """Take arrays of shape (n_components,): variances in (0, 1], `scale` and `gain`."""
        self.logit.copy_(torch.from_numpy(variance).clamp(max=1 - 1e-4).logit())
        self.scale.copy_(torch.from_numpy(scale))
        self.gain.copy_(torch.from_numpy(gain))

    def width(self, n_components):
        return 2 * n_components

    def mean(self, h):
        return self.scale * h[:, : len(self.logit)]

    def variance(self, h):
        return self._logit(h).sigmoid()

    def deviation(self, h):
        return (logsigmoid(self._logit(h)) / 2).exp()

    def kl(self, h):
        """Kullback-Leibler divergence from the prior of each component, in nats (n, k)."""
        return (self.mean(h).square() + self.variance(h) - 1 - logsigmoid(self._logit(h))) / 2

    def sample(self, h, rng):
        return self.mean(h) + self.deviation(h) * torch.empty_like(self.mean(h)).normal_(generator=rng)

    def expand(self, z):
        return self.gain * z

    def _logit(self, h):
        return self.logit + h[:, len(self.logit) :]
