"""Autoencoders for scikit-learn that start as PCA and only get better."""

from skae._autoencoder import AutoencoderTransformer
from skae._conv import ConvAutoencoderTransformer
from skae._denoising import DenoisingAutoencoder
from skae._scores import reconstruction_score
from skae._vae import VAETransformer

__all__ = [
    "AutoencoderTransformer",
    "ConvAutoencoderTransformer",
    "DenoisingAutoencoder",
    "VAETransformer",
    "reconstruction_score",
]
__version__ = "0.1.0"
