"""Base class of likelihoods."""

from abc import ABC, abstractmethod

import numpy as np

from skae._linear.pca import LinearStart, row_lengths


class Likelihood(ABC):
    """A family of distributions of samples given their latent codes.

    It defines the units of the samples, a check of X, a torch module and the linear model at which
    training starts. Instances have no state: fitted values belong to the module.
    """

    keeps_start = False  # whether the fitted density is a mixture with that of the start

    def check(self, low, high, name, other):  # noqa: B027
        """Raise an error if samples with this smallest and largest value have no likelihood.

        Parameters
        ----------
        low, high : float
            Smallest and largest value.
        name : str
            Name of the samples in the message.
        other : str
            A setting that accepts such samples, which the message proposes.
        """

    @abstractmethod
    def standardizers(self, moments, standardizer):
        """Standardizers of the samples and of their targets.

        Parameters
        ----------
        moments : skae._data.moments.Moments
            Moments of the samples.
        standardizer : callable
            Function of moments that makes a standardizer from the parameters of the estimator.

        Returns
        -------
        standardizer, target_standardizer : skae._data.standardizer.Standardizer
            Standardizers.
        """

    @abstractmethod
    def build(self, output, n_outputs, n_lengths, is_anchored):
        """Build the module, which is the last stage of the decoder.

        Called with the decoder's output, it returns the mean of each sample. Its method
        ``distribution(raw, mask)`` returns an object with the attribute `mean` and the method
        ``log_prob(x, observed=None)``, which sums over the observed values on the last axis, in
        nats and in the network's units. After training, its method ``complete(lengths)`` is called
        with the trained lengths of prefixes.

        Parameters
        ----------
        output : nn.Module
            Module that the mean passes through, such as a clipping to bounds.
        n_outputs : int
            Number of values of a sample.
        n_lengths : int
            Number of lengths that a prefix of ordered codes may have, or 1 where the components are
            not ordered.
        is_anchored : bool
            Whether training starts at a linear model.

        Returns
        -------
        module : nn.Module
            Module.
        """

    @abstractmethod
    def start(self, module, samples, n_components):
        """Set the weights of a module to the linear model at which training starts.

        Parameters
        ----------
        module : skae._nn.vae.VariationalAutoencoder
            Module to set.
        samples : skae._linear.pca.StandardizedSamples
            Training samples.
        n_components : int
            Number of components.
        """

    def start_prefix(self, module, smaller, n_components):  # noqa: B027
        """Set the weights of `smaller`, a module of the first components, to their linear model.

        It is called where `module` is still the linear model of all components.
        """

    @abstractmethod
    def draw(self, mean, noise_variance, rng):
        """Draw samples from the distributions with these means, in the units of X.

        Parameters
        ----------
        mean : ndarray
            Means.
        noise_variance : float or None
            Variance of a value, where the likelihood has one.
        rng : numpy.random.RandomState
            Source of random numbers.
        """

    def attributes(self, module, scale):
        """Fitted attributes of the estimator, in the units of X."""
        return {}

    def is_degenerate(self, module):
        """Whether the density depends on a limit of the model more than on the samples."""
        return False


def start_at_linear(module, encoder, decoder, variance):
    """Set the networks to a linear encoder and decoder, and the latent space to a variance.

    The variance of the code is then the same for all samples.
    """
    scale, gain = row_lengths(encoder), row_lengths(decoder.T)
    means = encoder / scale[:, None]
    variances = np.zeros_like(means)  # the variance does not depend on the sample
    in_turns = np.stack([means, variances], axis=1).reshape(-1, means.shape[1])
    module.start_at(LinearStart(in_turns, decoder / gain))
    module.latent.start_at(variance, scale, gain)
