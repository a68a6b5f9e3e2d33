"""What a likelihood is made of: its units, its check of X, its module and its start."""

from abc import ABC, abstractmethod

import numpy as np

from skae._linear.pca import LinearStart, row_lengths


class Likelihood(ABC):
    """A kind of distribution of samples given their latent code. Instances have no state: fitted values are the module's."""

    keeps_start = False  # whether the density of the start stays a part of the density

    def check(self, low, high, name, other):  # noqa: B027
        """Refuse samples with that smallest and largest value that have no likelihood; `other` is what would take them."""

    @abstractmethod
    def standardizers(self, moments, standardizer):
        """Standardizers of the samples and of their targets.

        Parameters
        ----------
        moments : skae._data.moments.Moments
        standardizer : callable
            Called with `moments`, it makes the one that the estimator's parameters ask for.
        """

    @abstractmethod
    def build(self, output, n_outputs, n_lengths, is_anchored):
        """The module, which is the last stage of the decoder.

        Called with the decoder's output, it gives the mean of a sample; ``distribution(raw, mask)``
        has `mean` and ``log_prob(x)``, in nats and the network's units, over the last axis.
        ``complete(lengths)`` is called after training with the lengths of prefixes that were
        trained.

        Parameters
        ----------
        output : nn.Module
            What the mean goes through where the estimator's parameters ask for it.
        n_outputs : int
        n_lengths : int
            Number of lengths that a prefix of ordered codes may have; 1 where the codes have no
            order.
        is_anchored : bool
            Whether training starts at a linear model.
        """

    @abstractmethod
    def start(self, module, samples, n_components):
        """Make a module the linear model that training starts at.

        Parameters
        ----------
        module : skae._nn.vae.VariationalAutoencoder
        samples : skae._linear.pca.StandardizedSamples
        n_components : int
        """

    def start_prefix(self, module, smaller, n_components):  # noqa: B027
        """Make a module the start of the first components, where `module` is still the start of all."""

    def attributes(self, module, scale):
        """Fitted attributes of the estimator, in the units of X."""
        return {}

    def is_degenerate(self, module):
        """Whether the density says more of a limit of its own than of the samples."""
        return False


def start_at_linear(module, encoder, decoder, variance):
    """Make the networks a linear encoder and decoder, and the variance of the code that of no sample in particular."""
    scale, gain = row_lengths(encoder), row_lengths(decoder.T)
    means = encoder / scale[:, None]
    variances = np.zeros_like(means)  # do not depend on the sample
    in_turns = np.stack([means, variances], axis=1).reshape(-1, means.shape[1])
    module.start_at(LinearStart(in_turns, decoder / gain))
    module.latent.start_at(variance, scale, gain)
