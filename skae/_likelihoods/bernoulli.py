"""The Bernoulli likelihood of independent values in [0, 1].

Values between 0 and 1 count as probabilities.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skae._data.standardizer import Standardizer, check_unit_interval
from skae._likelihoods.likelihood import Likelihood, start_at_linear
from skae._linear.logistic import logistic_ppca


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Bernoulli distributions, which start at logistic regression on codes of probabilistic PCA."""

    def check(self, low, high, name, other):
        check_unit_interval(low, high, name, other)

    def standardizers(self, moments, standardizer):
        # Targets are not standardized, as the output is their probability.
        n_features = len(moments.mean)
        return Standardizer.of(moments, centered=True, bounded=False), Standardizer.identity(
            n_features
        )

    def build(self, output, n_outputs, n_lengths, is_anchored):
        return BernoulliLikelihood(n_outputs, is_anchored)

    def draw(self, mean, noise_variance, rng):
        return (rng.uniform(size=mean.shape) < mean).astype(mean.dtype)

    def start(self, module, samples, n_components):
        start = logistic_ppca(samples, n_components)
        module.output.start_at(start.offset)
        start_at_linear(module, start.encoder, start.decoder, start.variance)


class BernoulliProbabilities(NamedTuple):
    """Bernoulli distributions of the values of samples.

    Attributes
    ----------
    logits : Tensor of shape (..., n, n_outputs)
        Log-odds of the values.
    """

    logits: torch.Tensor

    @property
    def mean(self):
        return self.logits.sigmoid()

    def log_prob(self, x, observed=None):
        losses = binary_cross_entropy_with_logits(
            self.logits, x.expand_as(self.logits), reduction="none"
        )
        return -(losses if observed is None else losses * observed).sum(-1)


class BernoulliLikelihood(nn.Module):
    """Bernoulli distributions with the decoder's output as logits.

    Parameters
    ----------
    n_outputs : int
        Number of values of a sample.
    is_anchored : bool
        Whether training starts at a linear model, which has an offset for the logit of each value.
    """

    def __init__(self, n_outputs, is_anchored):
        super().__init__()
        self.offset = (
            nn.Parameter(torch.zeros(n_outputs, dtype=torch.float32, device="cpu"))
            if is_anchored
            else 0.0
        )

    @torch.no_grad()
    def start_at(self, offset):
        """Set the offsets from an array of shape (n_outputs,)."""
        self.offset.copy_(torch.from_numpy(offset))

    def complete(self, lengths):
        """Do nothing: no parameter depends on the length."""

    def forward(self, raw):
        return self.distribution(raw).mean

    def distribution(self, raw, mask=None):
        return BernoulliProbabilities(raw + self.offset)
