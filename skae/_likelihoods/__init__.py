"""Likelihoods of a variational autoencoder, a file for each: how samples are distributed given their latent code."""

from skae._likelihoods.bernoulli import Bernoulli
from skae._likelihoods.gaussian import Gaussian

LIKELIHOODS = {"bernoulli": Bernoulli(), "gaussian": Gaussian()}
