"""The kinds of body, dense and convolutional, as an estimator's parameters describe them.

A kind knows which values its parameters may have, checks them, describes a body in plain values and makes it from those.
"""

import math
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions

from skae._nn import networks


class Dense:
    """Fully connected layers: the parameter `hidden_layer_sizes`."""

    constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    }

    @classmethod
    def check(cls, estimator):
        """Refuse parameters that describe no body."""
        check_sizes("hidden_layer_sizes", cls._hidden_layer_sizes(estimator))

    @classmethod
    def describe(cls, estimator):
        """Plain values for `body`, beside the sizes that all kinds have."""
        return {"kind": "dense", "hidden_layer_sizes": tuple(map(int, cls._hidden_layer_sizes(estimator)))}

    @staticmethod
    def _hidden_layer_sizes(estimator):
        sizes = estimator.hidden_layer_sizes
        return (sizes,) if isinstance(sizes, Integral) else tuple(sizes)

    @staticmethod
    def body(architecture, code):
        """Residual paths of encoder and decoder around a code; see :mod:`skae._nn.networks`."""
        sizes = ("n_features", "n_components", "n_outputs", "hidden_layer_sizes", "activation")
        return networks.dense(
            code_width=code.width(architecture["n_components"]),
            n_told=code.n_told,
            **{name: architecture[name] for name in sizes},
        )


class Conv:
    """Convolutional layers on images: the parameters from `channels` to `upsampling`."""

    constraints = {
        "channels": ["array-like"],
        "decoder_channels": ["array-like", None],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "downsampling": [StrOptions(set(networks.DOWNSAMPLINGS))],
        "upsampling": [StrOptions(set(networks.UPSAMPLINGS))],
    }

    @staticmethod
    def check(estimator):
        """Refuse parameters that describe no body."""
        channels, decoder_channels = estimator.channels, estimator.decoder_channels
        check_sizes("channels", channels)
        if not len(channels):
            raise ValueError("channels=() has no layer: give the channels of at least one, such as (32, 64).")
        if decoder_channels is not None:
            check_sizes("decoder_channels", decoder_channels)
            if len(decoder_channels) + 1 < len(channels):
                raise ValueError(
                    f"decoder_channels={decoder_channels!r} makes a decoder of {len(decoder_channels) + 1} layers, which"
                    f" cannot undo the {len(channels)} halvings of channels={channels!r}: give at least"
                    f" {len(channels) - 1} values, or None to mirror channels."
                )
        if estimator.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={estimator.kernel_size} is even: give an odd number, such as 3 or 5.")

    @staticmethod
    def describe(estimator):
        """Plain values for `body`, beside the sizes that all kinds have."""
        mirrored = estimator.channels[:-1][::-1]
        given = estimator.decoder_channels
        return {
            "kind": "conv",
            "image_shape": (*estimator.image_shape_, 1)[:3],
            "spatial": estimator.n_components == "spatial",
            "channels": tuple(map(int, estimator.channels)),
            "decoder_channels": tuple(map(int, mirrored if given is None else given)),
            "kernel_size": int(estimator.kernel_size),
            "downsampling": estimator.downsampling,
            "upsampling": estimator.upsampling,
        }

    @staticmethod
    def body(architecture, code):
        """Residual paths of encoder and decoder around a code; see :mod:`skae._nn.networks`."""
        n_components = architecture["n_components"]
        code_width, n_components = (None, None) if architecture["spatial"] else (code.width(n_components), n_components)
        sizes = ("image_shape", "channels", "decoder_channels", "kernel_size", "activation", "downsampling", "upsampling")
        return networks.conv(
            code_width=code_width,
            n_components=n_components,
            n_told=code.n_told,
            n_output_channels=architecture["n_outputs"] // math.prod(architecture["image_shape"][:2]),
            **{name: architecture[name] for name in sizes},
        )


KINDS = {"dense": Dense, "conv": Conv}


def spatial_width(image_shape, channels):
    """Number of values of the last feature maps."""
    return math.prod(networks.halved_sizes(image_shape[:2], len(channels))[-1]) * int(channels[-1])


def check_sizes(name, sizes):
    """Refuse a sequence of sizes that holds anything but integers of at least 1."""
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}={sizes!r} holds {size!r}: give integers of at least 1, such as (256, 64).")
