"""Codes: what lies between encoder and decoder.

A code takes the encoder's output ``h`` of shape (n, width(k)) and gives

- ``mean(h)``: the deterministic code (n, k) that ``transform`` returns,
- ``sample(h, rng)``: the code that the decoder sees in training,
- ``expand(z)``: what the decoder is given for a code ``z``,
- ``cut(z, depth)``: the code of that depth,
- ``judged``: the depths that an epoch is judged by; None is the full one.
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


def _cut(z, depth):
    """Codes whose components past a depth are zero: an int, one of each row (n, 1), or None for all components."""
    return z if depth is None else z * (torch.arange(z.shape[-1], device=z.device) < depth)


class Plain:
    """The encoder's output, through an activation, is the code.

    Parameters
    ----------
    activation : callable
        Of the code.
    """

    # The code of centred data divided by one scale; multiplied by it again it has the unit of the data, as PCA's.
    in_unit_of_data = True
    cut = staticmethod(_cut)

    def __init__(self, activation):
        self._activation = activation

    def width(self, n_components):
        return n_components

    def mean(self, h):
        return self._activation(h)

    def sample(self, h, rng):
        return self.mean(h)

    def expand(self, z):
        return z

    @property
    def judged(self):
        return [None]


class Ordered(Plain):
    """Every prefix of the code is a code: nested dropout [1]_ at the depths 1, 2, 4 and so on [2]_.

    In training half of the rows keep all components. The code of each other row is cut after one of these depths, the
    greater the more often, by its rank among them. Between two of them the error falls as well, though no cut falls there;
    cuts at every depth cost those that are cut at.

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

    def __init__(self, activation, n_components):
        super().__init__(activation)
        self.depths = Depths(n_components)

    def sample(self, h, rng):
        return self.cut(self.mean(h), self.depths.draw(h, rng))

    @property
    def judged(self):
        return self.depths.judged


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
        self.judged = sorted({*self.all[::-2], self.wanted})  # every other one: to decode them all takes its time
        ranks = torch.arange(1.0, len(self.all))
        self._shares = torch.cat([ranks, ranks.sum()[None].clamp(min=1)])
        self._depths = torch.tensor(self.all)

    def draw(self, h, rng):
        """A depth of each row (n, 1): the full one of half of them."""
        if self._shares.device != h.device:
            self._shares, self._depths = self._shares.to(h.device), self._depths.to(h.device)
        drawn = torch.multinomial(self._shares, len(h), replacement=True, generator=rng)
        return self._depths[drawn, None]


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
    cut = staticmethod(_cut)

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

    def mean(self, h):
        return self.scale * h[:, 0::2]  # in turns with the variances: a prefix of both is a prefix of h

    def variance(self, h):
        return self._logit(h).sigmoid()

    def log_deviation(self, h):
        return logsigmoid(self._logit(h)) / 2

    def kl(self, h):
        """Kullback-Leibler divergence from the prior of each component, in nats (n, k)."""
        return (self.mean(h).square() + self.variance(h) - 1 - logsigmoid(self._logit(h))) / 2

    def draw(self, h, noise):
        """Codes (n_draws, n, k) of standard normal draws that broadcast to them."""
        return self.mean(h) + self.log_deviation(h).exp() * noise

    def sample(self, h, rng):
        noise = torch.empty_like(self.mean(h)).normal_(generator=rng)
        return self.cut(self.draw(h, noise), self.draw_depth(h, rng))

    def draw_depth(self, h, rng):
        """Depths that codes are cut at in training, one of each row (n, 1); None where they are not."""
        return None if self.depths is None else self.depths.draw(h, rng)

    @property
    def judged(self):
        return [None] if self.depths is None else self.depths.judged

    def expand(self, z):
        return self.gain * z

    def _logit(self, h):
        return self.logit + h[:, 1::2]
