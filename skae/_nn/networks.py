"""Networks: the nonlinear residual paths of encoder and decoder.

A network is a frozen dataclass of its own sizes and choices. Its ``build(sizes)`` makes a pair of
modules: ``f`` maps features to latent codes, and ``g`` maps codes to features. In each of them, no
activation follows the last layer that has weights, which starts at zero where there is a linear
path. A network does not depend on losses, data or training.
"""

import math
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from torch import nn

ACTIVATIONS = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class WithoutValues:
    """Mixin of layers that are made without weights, on torch's meta device.

    The weights come from `initialize` with a generator of its own, or from a file. The default
    initialization of torch would use the global generator.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, device="meta", dtype=torch.float32, **kwargs)

    def reset_parameters(self):
        """Do nothing."""


class Linear(WithoutValues, nn.Linear):
    """A fully connected layer."""


class Conv2d(WithoutValues, nn.Conv2d):
    """A convolution."""


class ConvTranspose2d(WithoutValues, nn.ConvTranspose2d):
    """A transposed convolution."""


class MaxPool2d(nn.MaxPool2d):
    """Maximum of blocks of pixels, which halves the sides of an image, rounded up.

    Parameters
    ----------
    strides : tuple of int
        Height and width of the blocks.
    """

    def __init__(self, strides):
        super().__init__(strides, ceil_mode=True)


class Upsample(nn.Upsample):
    """Interpolation, which doubles the sides of an image, to these sizes."""


@torch.no_grad()
def initialize(path, rng):
    """Draw the weights of layers that have none, from the default distributions of torch.

    Parameters
    ----------
    path : nn.Module
        Residual path.
    rng : torch.Generator
        Generator on the CPU.
    """
    for layer in path.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.is_meta:
                # He's initialization, with the slope that torch uses.
                limit = 1 / math.sqrt(layer.weight[0].numel())
                values = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
                setattr(layer, name, nn.Parameter(values.uniform_(-limit, limit, generator=rng)))


@dataclass(frozen=True)
class Sizes:
    """Sizes that a network is built from, in addition to its own.

    Parameters
    ----------
    n_features, n_components, n_outputs : int
        Sizes of a sample, of its latent code and of its reconstruction.
    latent_width : int
        Number of outputs of the encoder.
    n_condition_features : int
        Number of values that the decoder is conditioned on. If it is positive, the input of the
        decoder is a pair of codes and these values.
    """

    n_features: int
    n_components: int
    n_outputs: int
    latent_width: int
    n_condition_features: int


@dataclass(frozen=True)
class Dense:
    """Fully connected networks; the decoder mirrors the encoder.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers of the encoder.
    activation : str
        Activation function of the hidden layers, a key of `ACTIVATIONS`.
    """

    hidden_layer_sizes: tuple
    activation: str

    def build(self, sizes):
        """Build the residual paths of encoder and decoder.

        Parameters
        ----------
        sizes : Sizes
            Sizes of inputs and outputs.

        Returns
        -------
        f, g : nn.Sequential
            Residual paths.
        """
        hidden = self.hidden_layer_sizes
        f = self._perceptron(
            [Linear(*pair) for pair in pairwise((sizes.n_features, *hidden, sizes.latent_width))]
        )
        widths = (*hidden[::-1], sizes.n_outputs)
        g = self._perceptron(
            [first_layer(sizes, widths[0]), *(Linear(*pair) for pair in pairwise(widths))]
        )
        return f, g

    def _perceptron(self, layers):
        first, *others = layers
        activated = ((ACTIVATIONS[self.activation](), layer) for layer in others)
        return nn.Sequential(first, *chain.from_iterable(activated))


def first_layer(sizes, n_out):
    """First layer of a decoder, fully connected.

    If the components are ordered, it is conditioned on the number of components that are kept.
    """
    if sizes.n_condition_features:
        return ConditionalLinear(sizes.n_condition_features, sizes.n_components, n_out)
    return Linear(sizes.n_components, n_out)


@dataclass(frozen=True)
class Conv:
    """Convolutional networks between flat images and flat codes.

    Each layer of the encoder halves height and width, rounding up. The first ``len(channels)``
    layers of the decoder double them, to exactly the sizes that the encoder had; any further layer
    keeps them. Either fully connected layers map the last feature maps to the code and the code to
    feature maps, or the feature maps are the code.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels.
    is_spatial : bool
        Whether the last feature maps are the code.
    channels, decoder_channels : tuple of int
        Number of channels after each layer of encoder and decoder, except for the decoder's last
        layer, which has those of the output.
    kernel_size : int
        Height and width of the kernels. It is odd, so that a layer without stride keeps the sizes.
    activation : str
        Activation function of the hidden layers, a key of `ACTIVATIONS`.
    downsampling, upsampling : str
        How layers halve and double the sizes, keys of `DOWNSAMPLINGS` and `UPSAMPLINGS`.
    """

    image_shape: tuple
    is_spatial: bool
    channels: tuple
    decoder_channels: tuple
    kernel_size: int
    activation: str
    downsampling: str
    upsampling: str

    def build(self, sizes):
        """Build the residual paths of encoder and decoder; see :meth:`Dense.build`."""
        f, g = self._encoder_layers(), self._decoder_layers(sizes)
        if self.is_spatial:
            f[-1] = ToSamples()
        else:
            width = self.spatial_width
            f += [ToSamples(), Linear(width, sizes.latent_width)]
            g = [first_layer(sizes, width), ACTIVATIONS[self.activation](), *g]
        return nn.Sequential(*f), nn.Sequential(*g)

    @property
    def spatial_width(self):
        """Number of values in the last feature maps."""
        return math.prod(self._maps_shape)

    @property
    def _maps_shape(self):
        return (*self._sides[-1], self.channels[-1])

    @property
    def _sides(self):
        return halved_sides(self.image_shape[:2], len(self.channels))

    def _encoder_layers(self):
        down, layers = DOWNSAMPLINGS[self.downsampling], [ToImages(self.image_shape)]
        n_channels = pairwise((self.image_shape[2], *self.channels))
        for (n_in, n_out), (size, half) in zip(n_channels, pairwise(self._sides), strict=True):
            layers += [
                *down(n_in, n_out, self.kernel_size, size, half),
                ACTIVATIONS[self.activation](),
            ]
        return layers

    def _decoder_layers(self, sizes):
        up, layers = UPSAMPLINGS[self.upsampling], [ToImages(self._maps_shape)]
        n_output_channels = sizes.n_outputs // math.prod(self.image_shape[:2])
        n_channels = list(pairwise((self.channels[-1], *self.decoder_channels, n_output_channels)))
        for (n_in, n_out), (half, size) in zip(
            n_channels, pairwise(self._sides[::-1]), strict=False
        ):
            layers += [
                *up(n_in, n_out, self.kernel_size, half, size),
                ACTIVATIONS[self.activation](),
            ]
        for n_in, n_out in n_channels[len(self.channels) :]:
            layers += [_same_conv(n_in, n_out, self.kernel_size), ACTIVATIONS[self.activation]()]
        layers[-1] = ToSamples()  # replaces the last activation: the output is linear
        return layers


def halved_sides(sides, n_times):
    """Height and width before and after each halving, rounded up."""
    sizes = [tuple(sides)]
    for _ in range(n_times):
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    return sizes


def _same_conv(n_in, n_out, kernel_size, stride=1):
    return Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2)


def _strides(size, half):
    return tuple(1 if a == b else 2 for a, b in zip(size, half, strict=True))  # 1 is not halved


def _stride_down(n_in, n_out, kernel_size, size, half):
    strides = _strides(size, half)
    return [
        StridedPointwise(n_in, n_out, strides)
        if kernel_size == 1
        else _same_conv(n_in, n_out, kernel_size, strides)
    ]


def _max_pool_down(n_in, n_out, kernel_size, size, half):
    return [
        _same_conv(n_in, n_out, kernel_size),
        MaxPool2d(_strides(size, half)),
    ]


def _transpose_up(n_in, n_out, kernel_size, half, size):
    if kernel_size == 1:  # an equivalent layer, for the reason given in StridedPointwise
        return _zeros_up(n_in, n_out, kernel_size, half, size)
    strides = _strides(size, half)
    rest = tuple(a - 1 - (b - 1) * s for a, b, s in zip(size, half, strides, strict=True))
    return [
        ConvTranspose2d(
            n_in, n_out, kernel_size, strides, padding=kernel_size // 2, output_padding=rest
        )
    ]


def _interpolate_up(mode):
    def up(n_in, n_out, kernel_size, half, size):
        return [Upsample(size, mode=mode), _same_conv(n_in, n_out, kernel_size)]

    return up


def _zeros_up(n_in, n_out, kernel_size, half, size):
    return [ZeroInsertion(size, _strides(size, half)), _same_conv(n_in, n_out, kernel_size)]


DOWNSAMPLINGS = {"max_pool": _max_pool_down, "stride": _stride_down}
UPSAMPLINGS = {
    "bilinear": _interpolate_up("bilinear"),
    "nearest": _interpolate_up("nearest"),
    "transpose": _transpose_up,
    "zeros": _zeros_up,
}


class StridedPointwise(Conv2d):
    """A 1 x 1 convolution with strides, which skips pixels before the convolution.

    On some processors, the backward pass of torch's strided 1 x 1 convolution of one input channel
    writes outside of its memory (torch 2.13 with oneDNN).

    Parameters
    ----------
    n_in, n_out : int
        Number of input and output channels.
    strides : tuple of int
        Vertical and horizontal stride.
    """

    def __init__(self, n_in, n_out, strides):
        super().__init__(n_in, n_out, 1)
        self.strides = strides

    def forward(self, x):
        return super().forward(x[:, :, :: self.strides[0], :: self.strides[1]])


class ConditionalLinear(Linear):
    """Linear layer of masked codes, with a bias that is a linear function of the condition.

    The condition lets the decoder distinguish a masked component from one that is zero.

    Parameters
    ----------
    n_condition_features : int
        Number of values that the decoder is conditioned on.
    n_components, n_outputs : int
        Number of inputs and outputs.
    """

    def __init__(self, n_condition_features, n_components, n_outputs):
        super().__init__(n_components, n_outputs, bias=False)
        self.biases = nn.Parameter(
            torch.empty(n_condition_features, n_outputs, device="meta", dtype=torch.float32)
        )

    def forward(self, codes_and_condition):
        z, condition = codes_and_condition
        return torch.addmm(condition @ self.biases, z, self.weight.t())


class ToImages(nn.Module):
    """Reshape flat samples, with channels last, to images with channels first, as in torch."""

    def __init__(self, image_shape):
        super().__init__()
        self.image_shape = image_shape

    def forward(self, x):
        return x.unflatten(1, self.image_shape).permute(0, 3, 1, 2)


class ToSamples(nn.Module):
    """Reshape images with channels first to flat samples, with channels last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class ZeroInsertion(nn.Module):
    """Insert zeros between the pixels of an image, as a transposed convolution does."""

    def __init__(self, size, strides):
        super().__init__()
        self.size = size
        self.strides = strides

    def forward(self, x):
        among = x.new_zeros(*x.shape[:2], *self.size)
        among[:, :, :: self.strides[0], :: self.strides[1]] = x
        return among
