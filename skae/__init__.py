"""Autoencoders for scikit-learn that start as PCA and only get better at reconstruction."""

from skae._autoencoder import AutoencoderTransformer
from skae._conv import ConvAutoencoderTransformer
from skae._denoising import DenoisingAutoencoder
from skae._plot._code_map import CodeMapDisplay
from skae._plot._depth_curve import DepthCurveDisplay
from skae._plot._loss_curve import LossCurveDisplay
from skae._plot._reconstruction import ReconstructionDisplay
from skae._scores import reconstruction_score
from skae._vae import VAETransformer
from skae._version import __version__ as __version__

__all__ = [
    "AutoencoderTransformer",
    "CodeMapDisplay",
    "ConvAutoencoderTransformer",
    "DenoisingAutoencoder",
    "DepthCurveDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "VAETransformer",
    "reconstruction_score",
]
