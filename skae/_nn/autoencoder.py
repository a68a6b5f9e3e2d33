"""The autoencoder: linear and residual paths, a latent space and an output, in the network's units."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from skae._nn.latents import DeterministicLatent
from skae._nn.nested_dropout import NestedDropout
from skae._nn.networks import ACTIVATIONS, Linear, Sizes, initialize
from skae._nn.objectives import Reconstruction
from skae._nn.outputs import OUTPUTS


@dataclass(frozen=True)
class Spec:
    """Sizes and choices from which an autoencoder and its objective are built.

    Parameters
    ----------
    n_features, n_components, n_outputs : int
        Sizes of a sample, of its latent code and of its reconstruction.
    network : object
        Such as :class:`skae._nn.networks.Dense`.
    is_anchored : bool
        Whether there are linear paths.
    is_ordered : bool
        Whether every prefix of a code is a code.
    output : str
        A key of `OUTPUTS`.
    """

    n_features: int
    n_components: int
    n_outputs: int
    network: object
    is_anchored: bool
    is_ordered: bool
    output: str

    def _nested_dropout(self):
        return NestedDropout(self.n_components) if self.is_ordered else None

    def _parts(self, latent):
        """What :class:`Autoencoder` is composed of around a latent space."""
        sizes = Sizes(
            n_features=self.n_features,
            n_components=self.n_components,
            n_outputs=self.n_outputs,
            latent_width=latent.width(self.n_components),
            n_condition_features=latent.n_condition_features,
        )
        return (
            self.network.build(sizes),
            sizes,
            latent,
            OUTPUTS[self.output](self.n_outputs),
            self.is_anchored,
        )


@dataclass(frozen=True)
class AutoencoderSpec(Spec):
    """Sizes and choices of an autoencoder with deterministic codes.

    Parameters
    ----------
    latent_activation : str
        A key of `ACTIVATIONS`.
    loss : str
        A key of `LOSSES`.
    sufficient_score : float
        See :class:`skae._nn.objectives.Reconstruction`.
    """

    latent_activation: str
    loss: str
    sufficient_score: float

    def build(self):
        """The module, its weights without values."""
        latent = DeterministicLatent(ACTIVATIONS[self.latent_activation](), self._nested_dropout())
        return Autoencoder(*self._parts(latent))

    def build_objective(self, scale, seed):
        """The objective, for targets of that scale, with draws of that seed."""
        return Reconstruction(self.loss, self.sufficient_score)


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
        Whether the linear path is trained. If not, no gradient reaches it, whatever a callback
        freezes and unfreezes.
    """

    def __init__(self, residual, linear=None):
        super().__init__()
        self.linear = linear
        self.residual = residual
        self.trains_linear = True

    def forward(self, x, residual_x=None):
        """Map samples; the residual path may be given something of its own."""
        residual = self.residual(x if residual_x is None else residual_x)
        if self.linear is None:
            return residual
        weight = self.linear.weight if self.trains_linear else self.linear.weight.detach()
        return torch.addmm(residual, x, weight.t())  # one kernel for product and sum

    @torch.no_grad()
    def initialize(self, rng):
        """Draw the weights of the residual path; the linear path is zero."""
        initialize(self.residual, rng)
        if self.linear is not None:
            self.linear.weight = nn.Parameter(torch.zeros_like(self.linear.weight, device="cpu"))

    @torch.no_grad()
    def start_at(self, matrix):
        """Make the map equal to a matrix: the linear path is it, the residual path gives zero."""
        self.linear.weight = nn.Parameter(
            torch.from_numpy(matrix).to(self.linear.weight).contiguous()
        )
        *_, last = (layer for layer in self.residual if any(True for _ in layer.parameters()))
        for parameter in last.parameters():
            parameter.zero_()


class AutoencoderOutput(NamedTuple):
    """What an autoencoder returns.

    Attributes
    ----------
    reconstruction : Tensor of shape (n, n_outputs)
    latent : Tensor of shape (n, n_components)
    """

    reconstruction: torch.Tensor
    latent: torch.Tensor


class Autoencoder(nn.Module):
    """Encoder, latent space, decoder and output.

    Parameters
    ----------
    paths : pair of nn.Module
        Residual paths ``(f, g)`` of encoder and decoder.
    sizes : skae._nn.networks.Sizes
    latent : skae._nn.latents.Latent
    output : nn.Module
        What the decoder's output goes through.
    is_anchored : bool
        Whether there are linear paths.
    """

    def __init__(self, paths, sizes, latent, output, is_anchored):
        super().__init__()
        f, g = paths
        self.encoder = AnchoredMap(
            f, Linear(sizes.n_features, sizes.latent_width, bias=False) if is_anchored else None
        )
        self.decoder = AnchoredMap(
            g, Linear(sizes.n_components, sizes.n_outputs, bias=False) if is_anchored else None
        )
        self.output = output
        self.latent = latent

    def inference(self, u):
        """What the encoder finds out about samples: their codes, or the distribution of these."""
        return self.latent(self.encoder(u))

    def generative(self, latent, mask=None, noise=None):
        """The output for codes of which a prefix is left; deterministic codes need no noise."""
        return AutoencoderOutput(self.decode(latent, mask), latent)

    def forward(self, u, rng=None):
        """All that an objective needs; in training for prefixes of the codes."""
        latent = self.inference(u)
        return self.generative(latent, self.latent.next_masks(len(u)) if self.training else None)

    def encode(self, u):
        """Deterministic code of each sample."""
        return self.inference(u)

    def decode(self, z, mask=None):
        """Reconstruction from each code, of which a prefix is left."""
        return self.output(self.raw(z, mask))

    def raw(self, z, mask=None):
        """The decoder's output before its last stage."""
        return self.decoder(*self.latent.decoder_inputs(z, mask))

    def initialize(self, rng):
        """Draw initial weights by a generator; linear paths get theirs by `start_at`."""
        self.encoder.initialize(rng)
        self.decoder.initialize(rng)

    def start_at(self, start):
        """Start at linear maps: a :class:`skae._linear.pca.LinearStart`."""
        self.encoder.start_at(start.encoder)
        self.decoder.start_at(start.decoder)

    def complete(self):
        """Set, after training, what no gradient has reached."""

    def set_bounds(self, lower, upper):
        """Set the bounds of the reconstruction from arrays of shape (n_outputs,)."""
        self.output.set_bounds(lower, upper)
