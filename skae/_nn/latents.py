"""Codes: what lies between encoder and decoder.

A code takes the encoder's output ``h`` of shape (n, width(k)) and gives

- ``mean(h)``: the deterministic code (n, k) that ``transform`` returns,
- ``next_cut(n)``: where the codes of a batch of n rows are cut in training; None where they are not,
- ``cut_at(depth)``: the cut of all rows at a depth; None where codes have no order,
- ``decoder_inputs(z, cut)``: what the decoder's linear and its residual path are given for codes ``z`` (n, k) that are cut;
  where the residual path is told the depth, by ``n_told`` values, it is given those with the codes,
- ``judged``: the cuts that an epoch is judged by.

A cut of None leaves all components.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class Cut(NamedTuple):
    """Where codes are cut: tensors with a row for each code, or one for all of them.

    Attributes
    ----------
    depth : Tensor of shape (n, 1)
        Number of components that are left, at least 1.
    there : Tensor of shape (n, k)
        1 for a component that is left, else 0.
    told : Tensor of shape (n, n_told)
        What the decoder is told of the depth.
    """

    depth: torch.Tensor
    there: torch.Tensor
    told: torch.Tensor

    def for_draws(self, n_draws):
        """The cut of so many draws of each code, one draw of all codes after the other."""
        return self if len(self.depth) == 1 else Cut(*(part.repeat(n_draws, 1) for part in self))


class Code(nn.Module):
    """A code that may be cut.

    Parameters
    ----------
    depths : Depths or None
        Where; None leaves the code without order.
    """

    def __init__(self, depths):
        super().__init__()
        self.depths = depths

    @property
    def n_told(self):
        return 0 if self.depths is None else self.depths.n_told

    @property
    def judged(self):
        return [None] if self.depths is None else [self.depths.cut_at(depth) for depth in self.depths.judged]

    def next_cut(self, n_rows):
        return None if self.depths is None else self.depths.next_cut(n_rows)

    def cut_at(self, depth):
        return None if self.depths is None else self.depths.cut_at(depth)

    def decoder_inputs(self, z, cut):
        if self.depths is None:
            return z, z
        cut = cut or self.depths.cut_at(z.shape[-1])
        z = z * cut.there
        return z, (z, cut.told)


class Plain(Code):
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : nn.Module
        Of the code.
    depths : Depths, default=None
    """

    # The code of centred data divided by one scale; multiplied by it again it has the unit of the data, as PCA's.
    in_unit_of_data = True

    def __init__(self, activation, depths=None):
        super().__init__(depths)
        self.activation = activation

    def width(self, n_components):
        return n_components

    def mean(self, h):
        return self.activation(h)


# Share of the codes that have the depth that is wanted, and relative weights of the other depths, 1 where none is given:
# what the first two components can do is little, and what they take from the depth 4 is much.
_WANTED = 0.4
_WEIGHTS = {1: 0.5, 2: 0.75, 4: 3.0}
_STOCK = 1024  # cuts made together, at least those of a batch


class Depths(nn.Module):
    """Where the codes of rows are cut in training, so that every prefix is a code: nested dropout [1]_.

    The depths are 1, 2, 4 and so on [2]_, all components, and one that is asked for. Between two of them the error falls as
    well, though no cut falls there; cuts at every depth cost those that are cut at.

    The decoder is told the depth, since one that has to guess it from zeros fits small data badly at full depth: by a 1 and,
    for each doubling of the depth (from 1 to 2, from 2 to 4, from 4 to 8 and so on), by the share of its components that are
    left, times the root of their number, as a sum of one weight for each of them would vary.

    Parameters
    ----------
    n_components : int
    wanted : int, default=None
        From 1 to `n_components`.

    References
    ----------
    .. [1] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested Dropout", ICML 2014.
       :arxiv:`1402.0915`
    .. [2] A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022. :arxiv:`2205.13147`
    """

    def __init__(self, n_components, wanted=None):
        super().__init__()
        self.wanted = wanted or n_components
        self.all = sorted({*(2**i for i in range((n_components - 1).bit_length())), self.wanted, n_components})
        middle = self.all[(len(self.all) - 1) // 2]
        self.judged = sorted({middle, self.wanted, n_components})  # to decode all would take its time

        depths, starts = (
            torch.arange(n_components + 1, device="cpu")[:, None],
            2.0 ** _integers((n_components - 1).bit_length()).float(),
        )
        shares = (depths / starts - 1).clamp(0, 1) * starts.sqrt()
        self.register_buffer("_depth", depths, persistent=False)
        self.register_buffer("_there", (_integers(n_components) < depths).float(), persistent=False)
        self.register_buffer(
            "_told",
            torch.cat([torch.ones(n_components + 1, 1, dtype=torch.float32, device="cpu"), shares], dim=1),
            persistent=False,
        )
        self._stock = None

    @property
    def n_told(self):
        return self._told.shape[1]

    def cut_at(self, depth):
        return self._rows(slice(depth, depth + 1))

    def next_cut(self, n_rows):
        """A cut of each row: any so many that follow one another have the depths in their shares.

        Nothing is random about it, as the rows of a batch are in random order. A stock of cuts is used again and again: to
        make them anew would take a twentieth of a step where batches are small.
        """
        there = None if self._stock is None else self._stock.there
        if there is None or len(there) < n_rows or there.to(self._there) is not there:  # of another device or dtype
            self._stock, self._n_used = self._rows(self._spread(max(n_rows, _STOCK))), 0
        if self._n_used + n_rows > len(self._stock.depth):
            self._n_used = 0
        rows = slice(self._n_used, self._n_used + n_rows)
        self._n_used = rows.stop
        return Cut(*(part[rows] for part in self._stock))

    def _rows(self, index):
        return Cut(self._depth[index], self._there[index], self._told[index])

    def _spread(self, n_cuts):
        """Depths in their shares, as evenly as may be in any stretch of them."""
        weights = {depth: _WEIGHTS.get(depth, 1.0) for depth in self.all if depth != self.wanted}
        rest = sum(weights.values())
        weights[self.wanted] = rest * _WANTED / (1 - _WANTED) or 1.0
        ends = torch.tensor([weights[depth] for depth in self.all], dtype=torch.float32, device="cpu").cumsum(0)
        # Multiples of the golden ratio, less their integers, are spread evenly over [0, 1], and so are any n in a row.
        places = (_integers(n_cuts) * round(2**31 * (5**0.5 - 1)) % 2**32).float() / 2**32
        return torch.tensor(self.all, device="cpu")[torch.searchsorted(ends[:-1] / ends[-1], places)].to(self._depth.device)


def _integers(n):
    """0 to n - 1; the process may have another default device than the CPU."""
    return torch.arange(n, device="cpu")


class Gaussian(Code):
    """A normal distribution of each component, to be held against the prior N(0, 1).

    The encoder gives its mean and the logit of its variance, which so stays below the prior's: an observation narrows a
    distribution. An exponential in its place would take off where a row lies far out.

    Parameters
    ----------
    n_components : int
    depths : Depths, default=None

    Notes
    -----
    Inside the network the code has the unit of PCA's, in which all weights are of one size: `scale` divides by it, and
    `gain` multiplies by it again. With codes of unit variance instead, the optimiser's steps are large for the encoder and
    small for the decoder.
    """

    in_unit_of_data = False

    def __init__(self, n_components, depths=None):
        super().__init__(depths)
        self.register_buffer(
            "logit", torch.zeros(n_components, dtype=torch.float32, device="cpu")
        )  # of the variance, at the start
        self.register_buffer(
            "scale", torch.ones(n_components, dtype=torch.float32, device="cpu")
        )  # the mean, for one of the encoder's output
        self.register_buffer(
            "gain", torch.ones(n_components, dtype=torch.float32, device="cpu")
        )  # the decoder's input, for one of the code

    def start_at(self, variance, scale, gain):
        """Take arrays of shape (n_components,): variances in (0, 1], `scale` and `gain`."""
        self.logit.copy_(torch.from_numpy(variance).clamp(max=1 - 1e-4).logit())
        self.scale.copy_(torch.from_numpy(scale))
        self.gain.copy_(torch.from_numpy(gain))

    def width(self, n_components):
        return 2 * n_components

    def mean(self, h):
        return self.scale * h[:, 0::2]  # in turns with the variances: a prefix of both is a prefix of h

    def variance(self, h):
        return self._logit(h).sigmoid()

    def log_deviation(self, h):
        return logsigmoid(self._logit(h)) / 2

    def kl(self, h, cut=None):
        """Kullback-Leibler divergence from the prior of each component that is left, in nats (n, k)."""
        kl = (self.mean(h).square() + self.variance(h) - 1 - logsigmoid(self._logit(h))) / 2
        return kl if cut is None else kl * cut.there

    def draw(self, h, noise):
        """Codes (n_draws, n, k) of standard normal draws that broadcast to them."""
        return self.mean(h) + self.log_deviation(h).exp() * noise

    def decoder_inputs(self, z, cut):
        return super().decoder_inputs(self.gain * z, cut)

    def _logit(self, h):
        return self.logit + h[:, 1::2]
