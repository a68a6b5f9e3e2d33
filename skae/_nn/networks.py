"""Residual paths: the nonlinear part of the encoder and of the decoder.

A body is a pair ``(f, g)`` of modules, ``f`` from features to code and ``g`` from code to features.
It knows sizes and activations, nothing of losses, data or training.
"""

import math
from functools import partial
from itertools import pairwise

import torch
from torch import nn

# Layers are made without weights: `initialize` draws them by a generator of its own, or a file has them. torch's own
# initialization would draw from the generator of the whole process.
WITHOUT_VALUES = {"device": "meta", "dtype": torch.float32}

ACTIVATIONS = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


@torch.no_grad()
def initialize(body, rng):
    """Draw the weights of layers that have none, as torch does by default.

    Parameters
    ----------
    body : nn.Module
    rng : torch.Generator
        Of the CPU.
    """
    for layer in body.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.is_meta:
                limit = 1 / math.sqrt(layer.weight[0].numel())  # He's rule with the slope that torch takes
                values = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
                setattr(layer, name, nn.Parameter(values.uniform_(-limit, limit, generator=rng)))


def dense(n_features, code_width, n_components, n_outputs, hidden_layer_sizes, activation, n_told):
    """Fully connected residual paths; the decoder's mirrors the encoder's, which gives `code_width` values.

    Where the decoder's is told the depth of codes, by `n_told` values, it takes pairs of codes and those.
    """
    f = _perceptron((n_features, *hidden_layer_sizes, code_width), activation)
    g = _perceptron((n_components, *hidden_layer_sizes[::-1], n_outputs), activation, _first_layer(n_told))
    return f, g


def _first_layer(n_told):
    return partial(DepthLinear, n_told) if n_told else _linear


def _linear(n_in, n_out):
    return nn.Linear(n_in, n_out, **WITHOUT_VALUES)


def _perceptron(widths, activation, first_layer=None):
    layers = []
    for n_in, n_out in pairwise(widths):
        make = _linear if layers or first_layer is None else first_layer
        layers += [make(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])  # the last layer is linear


def conv(
    image_shape,
    code_width,
    n_components,
    n_output_channels,
    channels,
    decoder_channels,
    kernel_size,
    activation,
    downsampling,
    upsampling,
    n_told,
):
    """Convolutional residual paths between rows of flat images and rows of codes.

    Each layer of the encoder halves the sides, rounding up. The first ``len(channels)`` layers of the decoder double them,
    back to the very sizes that the encoder had; any further one leaves them.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels.
    code_width, n_components : int or None
        A fully connected layer makes so many values of the last feature maps, and one makes such maps again of a code of
        that length; None for both makes the maps the code.
    n_output_channels : int
        Channels of the images that come out.
    channels, decoder_channels : sequence of int
        Channels after each layer, but for the decoder's last, which has the output's.
    kernel_size : int
        Odd, so that a layer that neither halves nor doubles keeps the sides.
    activation : str
    downsampling, upsampling : str
        Keys of `DOWNSAMPLINGS` and `UPSAMPLINGS`.
    n_told : int
        Number of values by which the decoder's path is told the depth of codes; beyond 0 it takes pairs of codes and those.
    """
    *sides, n_channels = image_shape
    sizes = halved_sizes(sides, len(channels))
    down, up = DOWNSAMPLINGS[downsampling], UPSAMPLINGS[upsampling]

    f = [ToImages(image_shape)]
    for (n_in, n_out), (size, half) in zip(pairwise((n_channels, *channels)), pairwise(sizes), strict=True):
        f += [*down(n_in, n_out, kernel_size, size, half), ACTIVATIONS[activation]()]

    g = [ToImages((*sizes[-1], channels[-1]))]
    layers = list(pairwise((channels[-1], *decoder_channels, n_output_channels)))
    for (n_in, n_out), (half, size) in zip(layers, pairwise(sizes[::-1]), strict=False):
        g += [*up(n_in, n_out, kernel_size, half, size), ACTIVATIONS[activation]()]
    for n_in, n_out in layers[len(channels) :]:
        g += [_same_conv(n_in, n_out, kernel_size), ACTIVATIONS[activation]()]
    g[-1] = ToRows()  # the last layer is linear

    if n_components is None:
        f[-1] = ToRows()
    else:
        width = math.prod(sizes[-1]) * channels[-1]
        f += [ToRows(), nn.Linear(width, code_width, **WITHOUT_VALUES)]
        g = [_first_layer(n_told)(n_components, width), ACTIVATIONS[activation](), *g]
    return nn.Sequential(*f), nn.Sequential(*g)


def halved_sizes(sides, n_times):
    """Height and width before and after each halving, which rounds up."""
    sizes = [tuple(sides)]
    for _ in range(n_times):
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    return sizes


def _same_conv(n_in, n_out, kernel_size, stride=1):
    return nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, **WITHOUT_VALUES)


def _strides(size, half):
    return tuple(1 if a == b else 2 for a, b in zip(size, half, strict=True))  # a side of 1 stays 1


def _stride_down(n_in, n_out, kernel_size, size, half):
    strides = _strides(size, half)
    return [StridedPointwise(n_in, n_out, strides) if kernel_size == 1 else _same_conv(n_in, n_out, kernel_size, strides)]


def _max_pool_down(n_in, n_out, kernel_size, size, half):
    return [_same_conv(n_in, n_out, kernel_size), nn.MaxPool2d(_strides(size, half), ceil_mode=True)]


def _transpose_up(n_in, n_out, kernel_size, half, size):
    if kernel_size == 1:  # the same map; see StridedPointwise
        return _zeros_up(n_in, n_out, kernel_size, half, size)
    strides = _strides(size, half)
    rest = tuple(a - 1 - (b - 1) * s for a, b, s in zip(size, half, strides, strict=True))
    return [
        nn.ConvTranspose2d(
            n_in, n_out, kernel_size, strides, padding=kernel_size // 2, output_padding=rest, **WITHOUT_VALUES
        )
    ]


def _interpolate_up(mode):
    def up(n_in, n_out, kernel_size, half, size):
        return [nn.Upsample(size, mode=mode), _same_conv(n_in, n_out, kernel_size)]

    return up


def _zeros_up(n_in, n_out, kernel_size, half, size):
    return [AmongZeros(size, _strides(size, half)), _same_conv(n_in, n_out, kernel_size)]


DOWNSAMPLINGS = {"max_pool": _max_pool_down, "stride": _stride_down}
UPSAMPLINGS = {
    "bilinear": _interpolate_up("bilinear"),
    "nearest": _interpolate_up("nearest"),
    "transpose": _transpose_up,
    "zeros": _zeros_up,
}


class StridedPointwise(nn.Conv2d):
    """A convolution with a kernel of 1 x 1 that leaves out pixels: those that a stride would pass over.

    On some processors, torch's own backward pass of such a convolution with a stride and one input channel writes outside of
    its memory (torch 2.13, oneDNN).

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    strides : tuple of int
    """

    def __init__(self, n_in, n_out, strides):
        super().__init__(n_in, n_out, 1, **WITHOUT_VALUES)
        self.strides = strides

    def forward(self, x):
        return super().forward(x[:, :, :: self.strides[0], :: self.strides[1]])


class DepthLinear(nn.Linear):
    """A linear layer of codes that are cut, whose bias is linear in what it is told of their depth.

    Otherwise a component that is cut off would be one that happens to be zero.

    Parameters
    ----------
    n_told : int
        Number of values that tell a depth.
    n_components, n_outputs : int
    """

    def __init__(self, n_told, n_components, n_outputs):
        super().__init__(n_components, n_outputs, bias=False, **WITHOUT_VALUES)
        self.biases = nn.Parameter(torch.empty(n_told, n_outputs, **WITHOUT_VALUES))

    def forward(self, codes_and_told):
        z, told = codes_and_told
        return torch.addmm(told @ self.biases, z, self.weight.t())


class ToImages(nn.Module):
    """Flat rows, channels last, to images, channels first as torch has them."""

    def __init__(self, image_shape):
        super().__init__()
        self.image_shape = image_shape

    def forward(self, x):
        return x.unflatten(1, self.image_shape).permute(0, 3, 1, 2)


class ToRows(nn.Module):
    """Images, channels first, to flat rows, channels last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class AmongZeros(nn.Module):
    """Each value set among zeros."""

    def __init__(self, size, strides):
        super().__init__()
        self.size = size
        self.strides = strides

    def forward(self, x):
        among = x.new_zeros(*x.shape[:2], *self.size)
        among[:, :, :: self.strides[0], :: self.strides[1]] = x
        return among
