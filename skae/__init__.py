"""Autoencoders for scikit-learn that start as PCA and only get better."""

from skae._autoencoder import AutoencoderTransformer
from skae._scores import reconstruction_score

__all__ = ["AutoencoderTransformer", "reconstruction_score"]
__version__ = "0.1.0"
