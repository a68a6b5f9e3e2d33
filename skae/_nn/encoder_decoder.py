"""Encoder and decoder in the units of X, for use without the estimator."""

import torch
from torch import nn

from skae._nn.outputs import StraightThroughClip


class EncoderDecoder(nn.Module):
    """Encoder and decoder of a fitted estimator, from samples to codes to samples.

    Parameters
    ----------
    encoder : Encoder
        Maps samples in the units of X to latent codes, as `transform` does.
    decoder : Decoder
        Maps latent codes to samples in the units of X, as `inverse_transform` does.
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, X):
        """Latent codes of samples, and their reconstructions."""
        codes = self.encoder(X)
        return codes, self.decoder(codes)


class Encoder(nn.Module):
    """Encoder in the units of X.

    Parameters
    ----------
    standardize : Standardization
        Maps samples to the network's units.
    map : skae._nn.autoencoder.AnchoredMap
        Encoder in the network's units.
    latent : skae._nn.latents.Latent
        Latent space.
    code_scale : float
        Factor from the network's codes to those that are returned.
    """

    def __init__(self, standardize, map, latent, code_scale):
        super().__init__()
        self.standardize = standardize
        self.map = map
        self.latent = latent
        self.code_scale = code_scale

    def forward(self, X):
        """Latent codes (n, n_components) of flat samples or of images with channels last."""
        return self.latent.code(self.map(self.standardize(X.flatten(1)))) * self.code_scale


class Decoder(nn.Module):
    """Decoder in the units of X.

    Parameters
    ----------
    map : skae._nn.autoencoder.AnchoredMap
        Decoder in the network's units.
    latent : skae._nn.latents.Latent
        Latent space.
    code_scale : float
        Factor from the network's codes to those that are given.
    output : nn.Module
        Last stage of the decoder.
    restore : InverseStandardization
        Maps samples from the network's units.
    shape : tuple of int
        Shape of a sample.
    """

    def __init__(self, map, latent, code_scale, output, restore, shape):
        super().__init__()
        self.map = map
        self.latent = latent
        self.code_scale = code_scale
        self.output = output
        self.restore = restore
        self.shape = shape

    def forward(self, Z):
        """Samples (n, *shape) of latent codes (n, n_components)."""
        raw = self.map(*self.latent.decoder_inputs(Z / self.code_scale, None))
        return self.restore(self.output(raw)).unflatten(1, self.shape)


class Standardization(nn.Module):
    """The map ``(x - mean) / scale``.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
        Mean of each feature.
    scale : float
        Scale of all features.
    """

    def __init__(self, mean, scale):
        super().__init__()
        self.scale = scale
        _register_mean(self, mean)

    def forward(self, x):
        return (x - self.mean - self.mean_rest) * (1 / self.scale)


class InverseStandardization(nn.Module):
    """The map ``mean + scale * u``, clipped to bounds.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
        Mean of each feature.
    scale : float
        Scale of all features.
    lower, upper : ndarray of shape (n_features,) or (), float64
        Bounds, infinite where there is none.
    """

    def __init__(self, mean, scale, lower, upper):
        super().__init__()
        self.scale = scale
        _register_mean(self, mean)
        # Rounding can put a value beyond a bound to which the network has clipped it.
        self.clip = StraightThroughClip(len(mean))
        self.clip.set_bounds(lower, upper)

    def forward(self, u):
        return self.clip(u * self.scale + self.mean_rest + self.mean)


def _register_mean(module, mean):
    """Register a mean in two parts: a large one, rounded to float32, would be too inexact."""
    mean = torch.from_numpy(mean)
    module.register_buffer("mean", mean.float())
    module.register_buffer("mean_rest", (mean - module.mean).float())
