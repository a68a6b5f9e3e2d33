"""Likelihoods of a variational autoencoder: distributions of samples given their latent codes."""

from skae._likelihoods.bernoulli import Bernoulli
from skae._likelihoods.gaussian import Gaussian

LIKELIHOODS = {"bernoulli": Bernoulli(), "gaussian": Gaussian()}
