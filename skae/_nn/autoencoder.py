"""The autoencoder: linear and residual paths, a latent space and an output.

Everything is in the network's units; see :mod:`skae._data.standardizer`.
"""

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
        Specification of the residual paths, such as :class:`skae._nn.networks.Dense`.
    is_anchored : bool
        Whether there are linear paths.
    is_ordered : bool
        Whether the components are ordered, so that samples can be decoded from a prefix of a code.
    output : str
        Last stage of the decoder, a key of `OUTPUTS`.
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
        """Arguments of :class:`Autoencoder` for a latent space."""
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
        Activation function of the code, a key of `ACTIVATIONS`.
    loss : str
        Loss of the reconstruction, a key of `LOSSES`.
    sufficient_score : float
        See :class:`skae._nn.objectives.Reconstruction`.
    """

    latent_activation: str
    loss: str
    sufficient_score: float

    def build(self):
        """Build the module, with weights that are not yet initialized."""
        latent = DeterministicLatent(ACTIVATIONS[self.latent_activation](), self._nested_dropout())
        return Autoencoder(*self._parts(latent))

    def build_objective(self, scale, seed):
        """Build the objective; this one needs neither the scale of the targets nor a seed."""
        return Reconstruction(self.loss, self.sufficient_score)


class AnchoredMap(nn.Module):
    """The map ``V x + f(x)``, with a linear path V and a residual path f.

    Parameters
    ----------
    residual : nn.Sequential
        Residual path. Where there is a linear path, the last layer that has weights starts at zero.
    linear : nn.Linear or None
        Linear path. With None, the residual path alone is an ordinary network.

    Attributes
    ----------
    trains_linear : bool
        Whether the linear path is trained. If not, no gradient reaches it, even if a callback
        unfreezes it.
    training_dtype : torch.dtype
        Dtype of the products in the residual path in training, otherwise float32.
    """

    def __init__(self, residual, linear=None):
        super().__init__()
        self.linear = linear
        self.residual = residual
        self.trains_linear = True
        self.training_dtype = torch.float32

    def forward(self, x, residual_x=None):
        """Map x; if `residual_x` is given, it is the input of the residual path instead of x."""
        residual = self._residual(x if residual_x is None else residual_x)
        if self.linear is None:
            return residual
        weight = self.linear.weight if self.trains_linear else self.linear.weight.detach()
        return torch.addmm(residual, x, weight.t())  # one kernel for product and sum

    def _residual(self, x):
        if not self.training or self.training_dtype == torch.float32:
            return self.residual(x)
        with torch.autocast("cpu", self.training_dtype):
            residual = self.residual(x)
        return residual.float()

    @torch.no_grad()
    def initialize(self, rng):
        """Draw random weights of the residual path, and set those of the linear path to zero."""
        initialize(self.residual, rng)
        if self.linear is not None:
            self.linear.weight = nn.Parameter(torch.zeros_like(self.linear.weight, device="cpu"))

    @torch.no_grad()
    def start_at(self, matrix):
        """Set the linear path to a matrix, and make the residual path return zero."""
        self.linear.weight = nn.Parameter(
            torch.from_numpy(matrix).to(self.linear.weight).contiguous()
        )
        layers = self.residual.children()
        *_, last = (layer for layer in layers if any(True for _ in layer.parameters()))
        for parameter in last.parameters():
            parameter.zero_()


class AutoencoderOutput(NamedTuple):
    """Output of an autoencoder.

    Attributes
    ----------
    reconstruction : Tensor of shape (n, n_outputs)
        Reconstructed samples.
    latent : Tensor of shape (n, n_components)
        Latent codes.
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
        Sizes of inputs and outputs.
    latent : skae._nn.latents.Latent
        Latent space.
    output : nn.Module
        Last stage of the decoder.
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
        """Latent codes of samples, or their distributions."""
        return self.latent(self.encoder(u))

    def generative(self, latent, mask=None, noise=None):
        """Output for masked codes; deterministic codes do not use the noise."""
        return AutoencoderOutput(self.decode(latent, mask), latent)

    def forward(self, u, rng=None):
        """Output from which objectives are computed; in training, for masked codes if ordered."""
        latent = self.inference(u)
        return self.generative(latent, self.latent.next_masks(len(u)) if self.training else None)

    def encode(self, u):
        """Latent code of each sample."""
        return self.inference(u)

    def decode(self, z, mask=None):
        """Reconstruction from each masked code."""
        return self.output(self.raw(z, mask))

    def raw(self, z, mask=None):
        """The decoder's output before its last stage."""
        return self.decoder(*self.latent.decoder_inputs(z, mask))

    def initialize(self, rng):
        """Draw random weights of the residual paths; `start_at` sets the linear paths."""
        self.encoder.initialize(rng)
        self.decoder.initialize(rng)

    def start_at(self, start):
        """Set the weights to a linear model, a :class:`skae._linear.pca.LinearStart`."""
        self.encoder.start_at(start.encoder)
        self.decoder.start_at(start.decoder)

    def train_in(self, dtype):
        """Set the dtype of the products in the residual paths in training."""
        self.encoder.training_dtype = self.decoder.training_dtype = dtype

    def complete(self):
        """Set parameters that no gradient has reached, after training."""

    def set_bounds(self, lower, upper):
        """Set the bounds of the reconstruction from arrays of shape (n_outputs,)."""
        self.output.set_bounds(lower, upper)
