"""Nested dropout, which trains latent codes to be decoded from any number of components."""

from typing import NamedTuple

import torch
from torch import nn

# Fraction of the codes that are masked to the emphasized length.
_EMPHASIS = 0.4
# Relative frequencies of the other lengths, by default 1. To train lengths 1 and 2 more often would
# improve them little, at a high cost at length 4.
_WEIGHTS = {1: 0.5, 2: 0.75, 4: 3.0}
_STOCK_SIZE = 1024  # number of masks that are made at once; more if a batch is larger


class PrefixMask(NamedTuple):
    """Masks that keep a prefix of each code: n masks for n codes, or one for all codes.

    Attributes
    ----------
    length : Tensor of shape (n, 1)
        Number of components that are kept, at least 1.
    mask : Tensor of shape (n, n_components)
        1 for a component that is kept, 0 for a masked one.
    condition : Tensor of shape (n, n_condition_features)
        Encoding of the length, on which the decoder is conditioned.
    """

    length: torch.Tensor
    mask: torch.Tensor
    condition: torch.Tensor

    def repeated(self, n_draws):
        """Masks for `n_draws` Monte Carlo samples of all codes, one after the other."""
        return (
            self
            if len(self.length) == 1
            else PrefixMask(*(part.repeat(n_draws, 1) for part in self))
        )


class NestedDropout(nn.Module):
    """Nested dropout: in training, all but a prefix of each latent code is masked with zeros [1]_.

    The lengths of the prefixes are 1, 2, 4 and so on [2]_, the number of components, and an
    emphasized one. Between two of these lengths, the error decreases as well, though none is
    trained. To train every length would raise the error at those above.

    The decoder is conditioned on the length: on small data, a decoder that has to infer it from
    zeros fits badly at full length. The condition is a constant 1 and, for each doubling of the
    length (from 1 to 2, from 2 to 4, from 4 to 8 and so on), the fraction of its components that is
    kept, multiplied by the square root of their number. It thus has the scale of a sum over these
    components with random weights.

    Parameters
    ----------
    n_components : int
        Number of components.
    emphasized : int, default=None
        Length that a fixed fraction of the masks has, from 1 to `n_components`. With None, it is
        `n_components`.

    Attributes
    ----------
    lengths : list of int
        Lengths of the masks in training.
    validation_lengths : list of int
        Lengths at which an epoch is validated. To decode at all lengths would take too long.

    References
    ----------
    .. [1] Rippel, O., Gelbart, M. and Adams, R. "Learning Ordered Representations with Nested
       Dropout". ICML, 2014. :arxiv:`1402.0915`
    .. [2] Kusupati, A. et al. "Matryoshka Representation Learning". NeurIPS, 2022.
       :arxiv:`2205.13147`
    """

    def __init__(self, n_components, emphasized=None):
        super().__init__()
        self.emphasized = emphasized or n_components
        n_doublings = (n_components - 1).bit_length()
        self.lengths = sorted({*(2**i for i in range(n_doublings)), self.emphasized, n_components})
        middle = self.lengths[(len(self.lengths) - 1) // 2]
        self.validation_lengths = sorted({middle, self.emphasized, n_components})

        lengths = _integers(n_components + 1)[:, None]
        starts = 2.0 ** _integers(n_doublings).float()
        fractions = (lengths / starts - 1).clamp(0, 1) * starts.sqrt()
        ones = torch.ones(n_components + 1, 1, dtype=torch.float32, device="cpu")
        self.register_buffer("_lengths", lengths, persistent=False)
        self.register_buffer(
            "_masks", (_integers(n_components) < lengths).float(), persistent=False
        )
        self.register_buffer("_conditions", torch.cat([ones, fractions], dim=1), persistent=False)
        self._stock = None

    @property
    def n_condition_features(self):
        return self._conditions.shape[1]

    def prefix(self, length):
        """Mask for all codes that keeps a prefix of that length."""
        return self._rows(slice(length, length + 1))

    def next_masks(self, n):
        """Masks for the next n codes, with lengths in their proportions.

        The lengths need not be random, as the samples of a batch are in random order. Masks are
        reused: to make new ones for each batch would take a twentieth of the time of a step with
        small batches.
        """
        masks = None if self._stock is None else self._stock.mask
        # New masks are needed for a larger batch, and for another device or dtype.
        if masks is None or len(masks) < n or masks.to(self._masks) is not masks:
            self._stock, self._n_used = self._rows(self._spread(max(n, _STOCK_SIZE))), 0
        if self._n_used + n > len(self._stock.length):
            self._n_used = 0
        rows = slice(self._n_used, self._n_used + n)
        self._n_used = rows.stop
        return PrefixMask(*(part[rows] for part in self._stock))

    def _rows(self, index):
        return PrefixMask(self._lengths[index], self._masks[index], self._conditions[index])

    def _spread(self, n):
        """Lengths in their proportions, spread evenly over any consecutive part."""
        weights = {
            length: _WEIGHTS.get(length, 1.0)
            for length in self.lengths
            if length != self.emphasized
        }
        rest = sum(weights.values())
        weights[self.emphasized] = rest * _EMPHASIS / (1 - _EMPHASIS) or 1.0
        ends = torch.tensor(
            [weights[length] for length in self.lengths], dtype=torch.float32, device="cpu"
        ).cumsum(0)
        # The fractional parts of consecutive multiples of the golden ratio are spread evenly over
        # [0, 1].
        places = (_integers(n) * round(2**31 * (5**0.5 - 1)) % 2**32).float() / 2**32
        lengths = torch.tensor(self.lengths, device="cpu")[
            torch.searchsorted(ends[:-1] / ends[-1], places)
        ]
        return lengths.to(self._lengths.device)


def _integers(n):
    """Integers from 0 to n - 1 on the CPU, which need not be the default device of the process."""
    return torch.arange(n, device="cpu")
