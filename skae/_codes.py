"""Codes: what lies between encoder and decoder.

A code takes the encoder's output ``h`` of shape (n, width(k)) and gives

- ``mean(h)``: the deterministic code (n, k) that ``transform`` returns,
- ``draw_depth(h, rng)``: the depths that codes are cut at in training, one of each row (n, 1); None where they are not,
- ``decoder_inputs(z, depth)``: what the decoder's linear and its residual path are given for codes ``z`` (n, k) that are cut
  at a depth; where the code ``tells_depth``, the residual path is given that with them,
- ``judged``: the depths that an epoch is judged by.

A depth is an int, one of each row (n, 1), or None for all components.
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


def _cut(values, depth):
    """Values of each component, zero past a depth."""
    if depth is None:
        return values
    return values.masked_fill(torch.arange(values.shape[-1], device=values.device) >= depth, 0)


class Plain:
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : callable
        Of the code.
    """

    # The code of centred data divided by one scale; multiplied by it again it has the unit of the data, as PCA's.
    in_unit_of_data = True
    tells_depth = False

    def __init__(self, activation):
        self._activation = activation

    def width(self, n_components):
        return n_components

    def mean(self, h):
        return self._activation(h)

    def draw_depth(self, h, rng):
        return None

    def decoder_inputs(self, z, depth):
        return z, z

    @property
    def judged(self):
        return [None]


class Ordered(Plain):
    """Every prefix of the code is a code: nested dropout [1]_ at the depths 1, 2, 4 and so on [2]_.

    In training the code of each row is cut after one of these depths, or keeps all components. Between two of them the error
    falls as well, though no cut falls there; cuts at every depth cost those that are cut at. The decoder is told the depth:
    one that has to guess it from zeros fits small data badly at full depth.

    Parameters
    ----------
    activation : callable
        Of the code.
    n_components : int

    References
    ----------
    .. [1] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested Dropout", ICML 2014.
       :arxiv:`1402.0915`
    .. [2] A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022. :arxiv:`2205.13147`
    """

    tells_depth = True

    def __init__(self, activation, n_components):
        super().__init__(activation)
        self.depths = Depths(n_components)

    def draw_depth(self, h, rng):
        return self.depths.draw(h, rng)

    def decoder_inputs(self, z, depth):
        z = _cut(z, depth)
        return z, (z, depth)

    @property
    def judged(self):
        return self.depths.judged


# Share of the codes that have the depth that is wanted, and relative weights of the other depths, 1 where none is given:
# what the first two components can do is little, and what they take from the depth 4 is much.
_WANTED = 0.4
_WEIGHTS = {1: 0.5, 2: 0.75, 4: 3.0}
_DRAWN = 4096  # depths drawn together, which spares time where batches are small


class Depths:
    """Depths that ordered codes are cut at in training: the powers of two, all components, and one that is asked for.

    Parameters
    ----------
    n_components : int
    wanted : int, default=None
        From 1 to `n_components`.
    """

    def __init__(self, n_components, wanted=None):
        self.wanted = wanted or n_components
        self.all = sorted({*(2**i for i in range((n_components - 1).bit_length())), self.wanted, n_components})
        middle = self.all[(len(self.all) - 1) // 2]
        self.judged = sorted({middle, self.wanted, n_components})  # to decode all would take its time
        weights = {depth: _WEIGHTS.get(depth, 1.0) for depth in self.all if depth != self.wanted}
        rest = sum(weights.values())
        weights[self.wanted] = rest * _WANTED / (1 - _WANTED) or 1.0
        ends = torch.tensor([weights[depth] for depth in self.all]).cumsum(0)
        self._ends = ends[:-1] / ends[-1]  # of the share of each depth but the last, in [0, 1]
        self._drawn = torch.empty(0, 1)  # and not used yet

    def draw(self, h, rng):
        """A depth of each row (n, 1): each batch has them in their shares, whose rows are in random order.

        Depths are drawn for many batches at once, and `rng` is asked only then.
        """
        n = len(h)
        if len(self._drawn) < n or self._drawn.device != h.device:
            # Multiples of the golden ratio, less their integers, are spread evenly over [0, 1], and so are any n in a row.
            steps = torch.arange(max(n, _DRAWN), device=h.device) * round(2**31 * (5**0.5 - 1)) % 2**32 / 2**32
            places = (steps + torch.rand((), generator=rng, device=h.device)) % 1
            depths = torch.tensor(self.all, device=h.device)
            self._drawn = depths[torch.searchsorted(self._ends.to(h.device), places), None]
        drawn, self._drawn = self._drawn[:n], self._drawn[n:]
        return drawn


class Gaussian(nn.Module):
    """A normal distribution of each component, to be held against the prior N(0, 1).

    The encoder gives its mean and the logit of its variance, which so stays below the prior's: an observation narrows a
    distribution. An exponential in its place would take off where a row lies far out.

    Parameters
    ----------
    n_components : int
    ordered : bool
        Whether every prefix of the code is a code, as of :class:`Ordered`.

    Notes
    -----
    Inside the network the code has the unit of PCA's, in which all weights are of one size: `scale` divides by it, and
    `gain` multiplies by it again. With codes of unit variance instead, the optimiser's steps are large for the encoder and
    small for the decoder.
    """

    in_unit_of_data = False

    def __init__(self, n_components, ordered):
        super().__init__()
        self.depths = Depths(n_components) if ordered else None
        self.register_buffer("logit", torch.zeros(n_components))  # of the variance, at the start
        self.register_buffer("scale", torch.ones(n_components))  # the mean, for one of the encoder's output
        self.register_buffer("gain", torch.ones(n_components))  # the decoder's input, for one of the code

    def start_at(self, variance, scale, gain):
        """Take arrays of shape (n_components,): variances in (0, 1], `scale` and `gain`."""
        self.logit.copy_(torch.from_numpy(variance).clamp(max=1 - 1e-4).logit())
        self.scale.copy_(torch.from_numpy(scale))
        self.gain.copy_(torch.from_numpy(gain))

    def width(self, n_components):
        return 2 * n_components

    @property
    def tells_depth(self):
        return self.depths is not None

    def mean(self, h):
        return self.scale * h[:, 0::2]  # in turns with the variances: a prefix of both is a prefix of h

    def variance(self, h):
        return self._logit(h).sigmoid()

    def log_deviation(self, h):
        return logsigmoid(self._logit(h)) / 2

    def kl(self, h, depth=None):
        """Kullback-Leibler divergence from the prior of each component up to a depth, in nats (n, k)."""
        kl = (self.mean(h).square() + self.variance(h) - 1 - logsigmoid(self._logit(h))) / 2
        return _cut(kl, depth)

    def draw(self, h, noise):
        """Codes (n_draws, n, k) of standard normal draws that broadcast to them."""
        return self.mean(h) + self.log_deviation(h).exp() * noise

    def draw_depth(self, h, rng):
        return None if self.depths is None else self.depths.draw(h, rng)

    @property
    def judged(self):
        return [None] if self.depths is None else self.depths.judged

    def decoder_inputs(self, z, depth):
        z = _cut(self.gain * z, depth)
        return z, ((z, depth) if self.tells_depth else z)

    def _logit(self, h):
        return self.logit + h[:, 1::2]
