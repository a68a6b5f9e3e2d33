"""Latent spaces, which lie between encoder and decoder.

A latent space is called with the encoder's output ``h`` of shape (n, width(k)). A deterministic one
returns latent codes (n, k), a Gaussian one their distributions; the method `code` of both returns
latent codes. With nested dropout, both mask the codes that enter the decoder.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class Latent(nn.Module):
    """Base class of latent spaces.

    Parameters
    ----------
    nested_dropout : skae._nn.nested_dropout.NestedDropout or None
        Nested dropout, which orders the components. With None, they are not ordered.
    """

    def __init__(self, nested_dropout):
        super().__init__()
        self.nested_dropout = nested_dropout

    @property
    def n_condition_features(self):
        """Number of values, besides the code, that the decoder is conditioned on."""
        return 0 if self.nested_dropout is None else self.nested_dropout.n_condition_features

    @property
    def validation_masks(self):
        """Masks with which an epoch is validated; None stands for all components."""
        dropout = self.nested_dropout
        return (
            [None]
            if dropout is None
            else [dropout.prefix(length) for length in dropout.validation_lengths]
        )

    def next_masks(self, n):
        """Masks for a batch of n codes in training, or None without nested dropout."""
        return None if self.nested_dropout is None else self.nested_dropout.next_masks(n)

    def prefix(self, length):
        """Mask that keeps the first components, or None without nested dropout."""
        return None if self.nested_dropout is None else self.nested_dropout.prefix(length)

    def decoder_inputs(self, z, mask):
        """Inputs of the decoder's linear path and residual path.

        With nested dropout, the input of the residual path is a pair of codes and their condition.

        Parameters
        ----------
        z : Tensor of shape (n, n_components)
            Latent codes.
        mask : skae._nn.nested_dropout.PrefixMask or None
            Mask of the codes. With None, all components are used.
        """
        if self.nested_dropout is None:
            return z, z
        mask = mask or self.nested_dropout.prefix(z.shape[-1])
        z = z * mask.mask
        return z, (z, mask.condition)


class DeterministicLatent(Latent):
    """Latent space in which the code is the encoder's output after an activation function.

    Parameters
    ----------
    activation : nn.Module
        Activation function of the code.
    nested_dropout : NestedDropout, default=None
        Nested dropout, which orders the components.
    """

    # Whether codes are multiplied by the scale of X. At the start they are then those of PCA.
    in_units_of_x = True

    def __init__(self, activation, nested_dropout=None):
        super().__init__(nested_dropout)
        self.activation = activation

    @staticmethod
    def width(n_components):
        return n_components

    def forward(self, h):
        return self.activation(h)

    def code(self, h):
        """Latent code of each sample."""
        return self.activation(h)


class GaussianPosterior(NamedTuple):
    """Normal distributions q(z|x) of codes with independent components.

    Attributes
    ----------
    mean, logit : Tensor of shape (n, n_components)
        Mean and logit of the variance: the variance is ``sigmoid(logit)``.
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
        """Sample codes (n_draws, n, k) from standard normal noise that broadcasts to this shape."""
        return self.mean + self.log_std.exp() * noise

    def kl(self, mask=None):
        """Kullback-Leibler divergence from N(0, 1) of each component, in nats (n, k).

        It is zero for masked components.
        """
        kl = (self.mean.square() + self.variance - 1 - logsigmoid(self.logit)) / 2
        return kl if mask is None else kl * mask.mask


class GaussianLatent(Latent):
    """Latent space in which the code has a normal distribution, with the prior N(0, 1).

    The encoder returns the mean of each component and the logit of its variance. The variance is
    therefore smaller than that of the prior, as an observation always makes it. An exponential
    instead of the sigmoid could overflow for outliers.

    Parameters
    ----------
    n_components : int
        Number of components.
    nested_dropout : NestedDropout, default=None
        Nested dropout, which orders the components.

    Notes
    -----
    The components of the encoder's output and of the decoder's input have the variances of PCA's
    codes, with which all weights have similar sizes. The factor `scale` maps the encoder's output
    to the code, and `gain` maps the code to the decoder's input. Networks that worked with codes of
    unit variance would get steps from the optimizer that are too large for the encoder and too
    small for the decoder.
    """

    in_units_of_x = False

    def __init__(self, n_components, nested_dropout=None):
        super().__init__(nested_dropout)

        def buffer(name, value):
            self.register_buffer(
                name, torch.full((n_components,), value, dtype=torch.float32, device="cpu")
            )

        buffer("logit", 0.0)  # logit of the variance where the encoder's output is zero
        buffer("scale", 1.0)  # factor from the encoder's output to the mean of the code
        buffer("gain", 1.0)  # factor from the code to the decoder's input

    def start_at(self, variance, scale, gain):
        """Set variances in (0, 1], `scale` and `gain` from arrays of shape (n_components,)."""
        self.logit.copy_(torch.from_numpy(variance).clamp(max=1 - 1e-4).logit())
        self.scale.copy_(torch.from_numpy(scale))
        self.gain.copy_(torch.from_numpy(gain))

    @staticmethod
    def width(n_components):
        return 2 * n_components

    def forward(self, h):
        # Means and logits alternate, so that those of the first components are the first of h.
        return GaussianPosterior(self.code(h), self.logit + h[:, 1::2])

    def code(self, h):
        """Latent code of each sample: the mean of its distribution."""
        return self.scale * h[:, 0::2]

    def decoder_inputs(self, z, mask):
        return super().decoder_inputs(self.gain * z, mask)
