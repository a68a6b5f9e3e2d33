"""Parameters of estimators: valid values and combinations, and the networks they describe."""

from numbers import Integral, Real

import torch

from skae._compat import Interval, RealNotInt, StrOptions
from skae._nn.custom import Custom
from skae._nn.networks import ACTIVATIONS, DOWNSAMPLINGS, UPSAMPLINGS, Conv, Dense
from skae._nn.objectives import LOSSES

COMMON = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        StrOptions({"auto"}),
    ],
    "network": [callable, None],
    "ordered": ["boolean"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "output_activation": [StrOptions({"auto", "clip", "identity", "sigmoid"})],
    "init": [StrOptions({"pca", "random"})],
    "optimizer": [StrOptions({"adam"}), type],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, 1, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"}), None],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "skorch_callbacks": [list, None],
    "verbose": ["verbose"],
}
RECONSTRUCTION = {
    "code_activation": [StrOptions({"identity", "relu"})],
    "loss": [StrOptions(set(LOSSES))],
}
DENSE = {"hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")]}
CONV = {
    "channels": ["array-like"],
    "decoder_channels": ["array-like", None],
    "kernel_size": [Interval(Integral, 1, None, closed="left")],
    "downsampling": [StrOptions(set(DOWNSAMPLINGS))],
    "upsampling": [StrOptions(set(UPSAMPLINGS))],
}
SPATIAL = {"n_components": [*COMMON["n_components"], StrOptions({"spatial"})]}


def check_together(estimator):
    """Refuse invalid values and combinations that scikit-learn's validation lets pass."""
    if estimator.n_components == "spatial" and estimator.ordered:
        raise ValueError(
            "n_components='spatial' cannot be ordered: give n_components as an int, or set"
            " ordered=False."
        )
    if estimator.n_components == "spatial" and estimator.network is not None:
        raise ValueError(
            "n_components='spatial' is the size of the feature maps of the default network, but"
            f" network={estimator.network!r} is given: give n_components as an int."
        )
    for name in ("n_components", "n_draws", "batch_size", "max_iter"):
        if isinstance(getattr(estimator, name, None), bool):  # an Integral for Python
            raise ValueError(f"{name}={getattr(estimator, name)!r} is a boolean: give an int.")
    optimizer = estimator.optimizer
    if isinstance(optimizer, type) and torch.optim.Optimizer not in optimizer.__mro__[1:]:
        raise ValueError(
            f"optimizer={optimizer!r} is not derived from torch.optim.Optimizer: give 'adam' or a"
            " class such as torch.optim.SGD."
        )


def check_pca_start(estimator):
    """Refuse a loss or an activation that cannot start as PCA, or that contradict each other."""
    needs_random = {"code_activation": "relu", "output_activation": "sigmoid", "loss": "log_loss"}
    for name, value in needs_random.items():
        if estimator.init == "pca" and getattr(estimator, name) == value:
            raise ValueError(
                f"{name}={value!r} cannot start as PCA, as init='pca' requires, because the codes"
                f" and the output of PCA are linear: set init='random' or choose another {name}."
            )
    if estimator.loss == "log_loss" and estimator.output_activation not in ("auto", "sigmoid"):
        raise ValueError(
            "loss='log_loss' requires an output in (0, 1): set output_activation='sigmoid' instead"
            f" of {estimator.output_activation!r}, or choose another loss."
        )


def dense_network(estimator):
    """Dense network that the parameters of an estimator describe."""
    sizes = estimator.hidden_layer_sizes
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    check_sizes("hidden_layer_sizes", sizes)
    return Dense(tuple(map(int, sizes)), estimator.activation)


def conv_network(estimator):
    """Convolutional network that an estimator describes, for images of its `image_shape_`."""
    channels, decoder_channels = estimator.channels, estimator.decoder_channels
    check_sizes("channels", channels)
    if not len(channels):
        raise ValueError(
            "channels=() has no layer: give the channels of at least one layer, such as (32, 64)."
        )
    if decoder_channels is not None:
        check_sizes("decoder_channels", decoder_channels)
        if len(decoder_channels) + 1 < len(channels):
            raise ValueError(
                f"decoder_channels={decoder_channels!r} makes a decoder of"
                f" {len(decoder_channels) + 1} layers, which cannot undo the {len(channels)}"
                f" halvings of channels={channels!r}: give at least {len(channels) - 1} values, or"
                " None to mirror channels."
            )
    if estimator.kernel_size % 2 == 0:
        raise ValueError(
            f"kernel_size={estimator.kernel_size} is even: give an odd number, such as 3 or 5."
        )
    return Conv(
        image_shape=(*estimator.image_shape_, 1)[:3],
        is_spatial=estimator.n_components == "spatial",
        channels=tuple(map(int, channels)),
        decoder_channels=tuple(
            map(int, channels[:-1][::-1] if decoder_channels is None else decoder_channels)
        ),
        kernel_size=int(estimator.kernel_size),
        activation=estimator.activation,
        downsampling=estimator.downsampling,
        upsampling=estimator.upsampling,
    )


def custom_network(estimator, seed):
    """Network that the function `network` of an estimator makes."""
    image_shape = getattr(estimator, "image_shape_", None)
    return Custom(
        estimator.network,
        image_shape=None if image_shape is None else (*image_shape, 1)[:3],
        n_components=estimator.n_components_,
        is_gated=estimator.init == "pca",
        seed=seed,
    )


def check_count(name, value, least=1, most=None):
    """Refuse a value that is not an int within the limits."""
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)
        or value < least
        or (most is not None and value > most)
    ):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r}: give an int {limits}.")


def check_sizes(name, sizes):
    """Refuse a sequence of sizes with other values than integers of at least 1."""
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"{name}={sizes!r} holds {size!r}: give integers of at least 1, such as (256, 64)."
            )
