"""The Bernoulli likelihood: independent values in [0, 1], of which those between are taken as probabilities."""

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
    """Probabilities, which start at logistic regression on the codes of probabilistic PCA."""

    def check(self, low, high, name, other):
        check_unit_interval(low, high, name, other)

    def standardizers(self, moments, standardizer):
        # In their own units, targets are the values of which there are probabilities.
        n_features = len(moments.mean)
        return Standardizer.of(moments, centered=True, bounded=False), Standardizer.identity(
            n_features
        )

    def build(self, output, n_outputs, n_lengths, is_anchored):
        return BernoulliLikelihood(n_outputs, is_anchored)

    def start(self, module, samples, n_components):
        start = logistic_ppca(samples, n_components)
        module.output.start_at(start.offset)
        start_at_linear(module, start.encoder, start.decoder, start.variance)


class BernoulliProbabilities(NamedTuple):
    """Bernoulli distributions of samples.

    Attributes
    ----------
    logits : Tensor of shape (..., n, n_outputs)
    """

    logits: torch.Tensor

    @property
    def mean(self):
        return self.logits.sigmoid()

    def log_prob(self, x):
        return -binary_cross_entropy_with_logits(
            self.logits, x.expand_as(self.logits), reduction="none"
        ).sum(-1)


class BernoulliLikelihood(nn.Module):
    """Probabilities with the decoder's output as logits.

    Parameters
    ----------
    n_outputs : int
    is_anchored : bool
        Whether each value has an offset of its own, at which its logit starts.
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
        """Take logits of shape (n_outputs,)."""
        self.offset.copy_(torch.from_numpy(offset))

    def complete(self, lengths):
        """Nothing: there is no parameter of a length."""

    def forward(self, raw):
        return self.distribution(raw).mean

    def distribution(self, raw, mask=None):
        return BernoulliProbabilities(raw + self.offset)
