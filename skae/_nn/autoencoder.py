"""The one module: an autoencoder composed of a body, an anchor, a code, an output and a corruption."""

import torch
from torch import nn

from skae._nn.networks import WITHOUT_VALUES, initialize


class AnchoredMap(nn.Module):
    """``x -> V x + f(x)``: a linear path V and a residual path f.

    Parameters
    ----------
    residual : nn.Sequential
        Its last layer with weights starts at zero where there is a linear path.
    linear : nn.Linear or None
        None leaves the residual path alone: the textbook network.

    Attributes
    ----------
    trains_linear : bool
        Whether the linear path is trained. If not, no gradient reaches it, whatever a callback freezes and unfreezes.
    """

    def __init__(self, residual, linear=None):
        super().__init__()
        self.linear = linear
        self.residual = residual
        self.trains_linear = True

    def forward(self, x, residual_x=None):
        """Map rows; the residual path may be given something of its own."""
        residual = self.residual(x if residual_x is None else residual_x)
        if self.linear is None:
            return residual
        weight = self.linear.weight if self.trains_linear else self.linear.weight.detach()
        return torch.addmm(residual, x, weight.t())  # one kernel for product and sum

    @torch.no_grad()
    def start_at(self, matrix):
        """Make the map equal to a matrix: the linear path is it, the residual path gives zero."""
        self.linear.weight = nn.Parameter(torch.from_numpy(matrix).to(self.linear.weight).contiguous())
        *_, last = (layer for layer in self.residual if any(True for _ in layer.parameters()))
        for parameter in last.parameters():
            parameter.zero_()


def _matrix(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False, **WITHOUT_VALUES)


class Autoencoder(nn.Module):
    """Encoder, code and decoder, in the network's units.

    Parameters
    ----------
    body : pair of nn.Module
        Residual paths ``(f, g)`` of encoder and decoder.
    code : nn.Module
        See :mod:`skae._nn.latents`.
    output : nn.Module
        What the decoder's output goes through.
    corruption : callable
        See :mod:`skae._nn.corruptions`.
    n_features, n_components, n_outputs : int
        Sizes of a row, of its code and of its reconstruction.
    anchored : bool
        Whether there are linear paths.
    """

    def __init__(self, body, code, output, corruption, *, n_features, n_components, n_outputs, anchored):
        super().__init__()
        f, g = body
        self.code_width = code.width(n_components)
        self.encoder = AnchoredMap(f, _matrix(n_features, self.code_width) if anchored else None)
        self.decoder = AnchoredMap(g, _matrix(n_components, n_outputs) if anchored else None)
        self.output = output
        self.code = code
        self.corruption = corruption

    def encode(self, u):
        """Deterministic code of each row."""
        return self.code.mean(self.encoder(u))

    def decode(self, z, cut=None):
        """Reconstruction of each code, which is cut; see :mod:`skae._nn.latents`."""
        return self.output(self.raw(z, cut))

    def raw(self, z, cut=None):
        """The decoder's output before its last stage."""
        return self.decoder(*self.code.decoder_inputs(z, cut))

    def forward(self, u, rng=None):
        """Reconstruction and the encoder's output; in training of damaged rows, from codes that are cut."""
        h = self.encoder(self.corruption(u, rng) if self.training else u)
        cut = self.code.next_cut(len(h)) if self.training else None
        return self.decode(self.code.mean(h), cut), h

    def initialize(self, rng):
        """Draw initial weights by a generator; linear paths get theirs by `start_at`."""
        initialize(self.encoder.residual, rng)
        initialize(self.decoder.residual, rng)
        for path in (self.encoder, self.decoder):
            if path.linear is not None:
                path.linear.weight = nn.Parameter(torch.zeros_like(path.linear.weight, device="cpu"))

    def start_at(self, anchor):
        """Start at the anchor's linear maps."""
        self.encoder.start_at(anchor.encoder)
        self.decoder.start_at(anchor.decoder)
