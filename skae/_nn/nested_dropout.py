"""Nested dropout: latent codes of which every prefix is a code."""

from typing import NamedTuple

import torch
from torch import nn

# Fraction of the codes whose prefix has the emphasized length, and relative weights of the other
# lengths, 1 where none is given: what the first two components can do is little, and what they take
# from the length 4 is much.
_EMPHASIS = 0.4
_WEIGHTS = {1: 0.5, 2: 0.75, 4: 3.0}
_STOCK_SIZE = 1024  # masks that are made together, at least those of a batch


class PrefixMask(NamedTuple):
    """Which components are left: tensors with a row for each code, or one for all of them.

    Attributes
    ----------
    length : Tensor of shape (n, 1)
        Number of components that are left, at least 1.
    mask : Tensor of shape (n, n_components)
        1 for a component that is left, else 0.
    condition : Tensor of shape (n, n_condition_features)
        What the decoder is conditioned on.
    """

    length: torch.Tensor
    mask: torch.Tensor
    condition: torch.Tensor

    def repeated(self, n_draws):
        """The mask of that many draws of each code, one draw of all codes after the other."""
        return (
            self
            if len(self.length) == 1
            else PrefixMask(*(part.repeat(n_draws, 1) for part in self))
        )


class NestedDropout(nn.Module):
    """Masks that leave a prefix of each code in training, so that every prefix is a code [1]_.

    The lengths are 1, 2, 4 and so on [2]_, all components, and an emphasized one. Between two of
    them the error decreases as well, though no mask has such a length; masks of every length cost
    those that are there.

    The decoder is conditioned on the length, since one that has to guess it from zeros fits small
    data badly at full length: on a 1 and, for each doubling of the length (from 1 to 2, from 2 to
    4, from 4 to 8 and so on), on the fraction of its components that are left, times the root of
    their number, as a sum of one weight for each of them would vary.

    Parameters
    ----------
    n_components : int
    emphasized : int, default=None
        A length from 1 to `n_components`, which is the default.

    Attributes
    ----------
    lengths : list of int
        Those of the masks.
    validation_lengths : list of int
        Those at which an epoch is validated; to decode at all would take its time.

    References
    ----------
    .. [1] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested Dropout", ICML 2014.
       :arxiv:`1402.0915`
    .. [2] A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022. :arxiv:`2205.13147`
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
        """The mask of all codes that leaves a prefix of that length."""
        return self._rows(slice(length, length + 1))

    def next_masks(self, n):
        """Masks of n codes: any that many that follow one another have the lengths in their proportions.

        Nothing is random about them, as the samples of a batch are in random order. A stock of
        masks is used again and again: to make them again would take a twentieth of a step where
        batches are small.
        """
        masks = None if self._stock is None else self._stock.mask
        # Of another device or dtype.
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
        """Lengths in their proportions, as evenly as may be in any stretch of them."""
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
        # Multiples of the golden ratio, less their integers, are spread evenly over [0, 1], and so
        # are any n in a row.
        places = (_integers(n) * round(2**31 * (5**0.5 - 1)) % 2**32).float() / 2**32
        lengths = torch.tensor(self.lengths, device="cpu")[
            torch.searchsorted(ends[:-1] / ends[-1], places)
        ]
        return lengths.to(self._lengths.device)


def _integers(n):
    """0 to n - 1; the process may have another default device than the CPU."""
    return torch.arange(n, device="cpu")
