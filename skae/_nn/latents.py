"""Latent codes: what lies between encoder and decoder.

A latent space is called with the encoder's output ``h`` of shape (n, width(k)). A deterministic one
returns codes (n, k), a Gaussian one their distribution. Both mask codes on their way to the
decoder, where there is nested dropout.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class Latent(nn.Module):
    """A latent space of which a prefix may be masked.

    Parameters
    ----------
    nested_dropout : skae._nn.nested_dropout.NestedDropout or None
        None leaves the components without order.
    """

    def __init__(self, nested_dropout):
        super().__init__()
        self.nested_dropout = nested_dropout

    @property
    def n_condition_features(self):
        """Number of values that the decoder is conditioned on next to the code."""
        return 0 if self.nested_dropout is None else self.nested_dropout.n_condition_features

    @property
    def validation_masks(self):
        """Masks that an epoch is validated at; None is all components."""
        dropout = self.nested_dropout
        return (
            [None]
            if dropout is None
            else [dropout.prefix(length) for length in dropout.validation_lengths]
        )

    def next_masks(self, n):
        """Masks of a batch of n codes in training; None masks nothing."""
        return None if self.nested_dropout is None else self.nested_dropout.next_masks(n)

    def prefix(self, length):
        """The mask that leaves the first components; None where they have no order."""
        return None if self.nested_dropout is None else self.nested_dropout.prefix(length)

    def decoder_inputs(self, z, mask):
        """What the decoder's linear and its residual path are given for masked codes (n, k); None masks nothing.

        With nested dropout, the residual path is given pairs of codes and their condition.
        """
        if self.nested_dropout is None:
            return z, z
        mask = mask or self.nested_dropout.prefix(z.shape[-1])
        z = z * mask.mask
        return z, (z, mask.condition)


class DeterministicLatent(Latent):
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : nn.Module
    nested_dropout : NestedDropout, default=None
    """

    # The code of centered data divided by one scale; multiplied by it again it has the units of X,
    # as PCA's.
    in_units_of_x = True

    def __init__(self, activation, nested_dropout=None):
        super().__init__(nested_dropout)
        self.activation = activation

    @staticmethod
    def width(n_components):
        return n_components

    def forward(self, h):
        return self.activation(h)


class GaussianPosterior(NamedTuple):
    """Normal distributions q(z|x) of independent components.

    Attributes
    ----------
    mean, logit : Tensor of shape (n, n_components)
        The variance is ``sigmoid(logit)``.
    """

    mean: torch.Tensor
    logit: torch.Tensor

    @property
    def variance(self):
        return self.logit.sigmoid()

    @property
    def log_std(self):
        return logsigmoid(self.logit) / 2

    def rsample(self, noise):
        """Codes (n_draws, n, k) of standard normal draws that broadcast to them."""
        return self.mean + self.log_std.exp() * noise

    def kl(self, mask=None):
        """Kullback-Leibler divergence from N(0, 1) of each component that is left, in nats (n, k)."""
        kl = (self.mean.square() + self.variance - 1 - logsigmoid(self.logit)) / 2
        return kl if mask is None else kl * mask.mask


class GaussianLatent(Latent):
    """A normal distribution of each component, with the prior N(0, 1).

    The encoder gives its mean and the logit of its variance, which so stays below the prior's: an
    observation narrows a distribution. An exponential in its place would take off where a sample
    lies far out.

    Parameters
    ----------
    n_components : int
    nested_dropout : NestedDropout, default=None

    Notes
    -----
    Inside the network the code has the units of PCA's, in which all weights are of one size:
    `scale` divides by it, and `gain` multiplies by it again. With codes of unit variance instead,
    the optimizer's steps are large for the encoder and small for the decoder.
    """

    in_units_of_x = False

    def __init__(self, n_components, nested_dropout=None):
        super().__init__(nested_dropout)

        def buffer(name, value):
            self.register_buffer(
                name, torch.full((n_components,), value, dtype=torch.float32, device="cpu")
            )

        buffer("logit", 0.0)  # of the variance, at the start
        buffer("scale", 1.0)  # the mean, for one of the encoder's output
        buffer("gain", 1.0)  # the decoder's input, for one of the code

    def start_at(self, variance, scale, gain):
        """Take arrays of shape (n_components,): variances in (0, 1], `scale` and `gain`."""
        self.logit.copy_(torch.from_numpy(variance).clamp(max=1 - 1e-4).logit())
        self.scale.copy_(torch.from_numpy(scale))
        self.gain.copy_(torch.from_numpy(gain))

    @staticmethod
    def width(n_components):
        return 2 * n_components

    def forward(self, h):
        # In turns: a prefix of means and logits is a prefix of h.
        return GaussianPosterior(self.scale * h[:, 0::2], self.logit + h[:, 1::2])

    def decoder_inputs(self, z, mask):
        return super().decoder_inputs(self.gain * z, mask)
