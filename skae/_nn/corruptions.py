"""Corruptions: what happens to the input in training, and only there.

A corruption is drawn by ``draw(corruption, u, rng)``, in the network's units, from what the corruption holds of the data.
"""

import math

import numpy as np
import torch
from torch import nn


def none(u, rng):
    """Leave the input as it is."""
    return u


class Corruption(nn.Module):
    """Damage rows afresh at each call.

    Parameters
    ----------
    draw : callable
        A value of `CORRUPTIONS`, or `by_function` of a user's function.
    noise_level : float
        Standard deviation in the unit of the data, or a share of the features.
    n_features : int
    image_shape : tuple of int or None
        Height, width and channels.
    units : object
        With the attributes `mean`, a float64 ndarray of shape (n_features,), and `scale`, a float, of which
        ``u = (x - mean) / scale``. Only a user's function needs it.

    Notes
    -----
    What its draws need of the data are buffers, to be set by `set_data`, so that they follow the module to its device.
    """

    def __init__(self, draw, noise_level, n_features, image_shape=None, units=None):
        super().__init__()
        self.units = units
        self.draw = draw
        self.noise_level = noise_level
        self.image_shape = image_shape
        for name in _NEEDS.get(draw, ()):
            self.register_buffer(name, torch.zeros(() if name == "scale" else n_features, dtype=torch.float32, device="cpu"))

    def set_data(self, **values):
        """Set what draws need, of these arrays of shape (n_features,).

        Parameters
        ----------
        scale : float
            Of the units. The others are in units of u.
        lower, upper : ndarray
            Bounds that additive noise stays within, infinite where there is none.
        low, high : ndarray
            What "salt_and_pepper" sets.
        fill : ndarray
            What "masking" and "erase" set.
        """
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.as_tensor(values[name], device="cpu"))

    def forward(self, u, rng):
        return self.draw(self, u, rng)


def gaussian(corruption, u, rng):
    """Add noise and clip to the bounds of the data."""
    noise = torch.empty_like(u).normal_(generator=rng)
    return (u + corruption.noise_level / corruption.scale * noise).clamp(corruption.lower, corruption.upper)


def masking(corruption, u, rng):
    """Set a share of the features of each row to the fill value."""
    return torch.where(_uniform(u, rng) < corruption.noise_level, corruption.fill, u)


def salt_and_pepper(corruption, u, rng):
    """Set a share of the features of each row to their lowest or highest value."""
    share, draws = corruption.noise_level, _uniform(u, rng)
    damaged = torch.where(draws < share / 2, corruption.low, u)
    return torch.where(draws >= 1 - share / 2, corruption.high, damaged)


def erase(corruption, u, rng):
    """Set a rectangle of each image to the fill value; it covers a share of it, and is up to four times as long as wide."""
    height, width, n_channels = corruption.image_shape
    share, draws = corruption.noise_level, _uniform(u.new_empty(len(u), 3), rng)
    widest = min(1.0, -math.log2(share)) if share > 0 else 1.0  # beyond, one side would be longer than the image
    ratio = torch.exp2(widest * (2 * draws[:, 0] - 1))
    inside = [
        _interval(height, height * (share * ratio).sqrt(), draws[:, 1]),
        _interval(width, width * (share / ratio).sqrt(), draws[:, 2]),
    ]
    erased = (inside[0][:, :, None] & inside[1][:, None, :])[..., None].expand(-1, -1, -1, n_channels)
    return torch.where(erased.flatten(1), corruption.fill, u)


def _interval(size, length, where):
    """Which of `size` pixels lie in an interval of that length, at a place in [0, 1) of where it can be; (n, size)."""
    length = length.round().clamp(max=size)
    start = (where * (size - length + 1)).floor()
    pixels = torch.arange(size, device=length.device)
    return (pixels >= start[:, None]) & (pixels < (start + length)[:, None])


def _uniform(u, rng):
    return torch.empty_like(u).uniform_(generator=rng)


def by_function(function, shape=None):
    """A draw by a user's function ``(X, random_state) -> X_damaged`` on float64 arrays in the units of X.

    Parameters
    ----------
    function : callable
    shape : tuple of int or None
        Of an image that the function takes; None gives it flat rows.
    """
    name = getattr(function, "__name__", repr(function))

    def draw(corruption, u, rng):
        # In float64: at a large offset, float32 has no digits left for what differs between samples.
        units = corruption.units
        X = units.mean + units.scale * u.numpy(force=True).astype(np.float64)
        given = X if shape is None else X.reshape(len(X), *shape)
        seed = torch.randint(2**31 - 1, (), generator=rng, device=u.device).item()
        damaged = np.asarray(function(given, np.random.RandomState(seed)))
        if damaged.shape != given.shape:
            raise ValueError(
                f"corruption={name} made {damaged.shape} of an array of shape {given.shape}: return one of the same shape."
            )
        if not np.isfinite(damaged).all():
            raise ValueError(f"corruption={name} returned NaN or infinity: return finite values.")
        return torch.from_numpy((damaged.reshape(X.shape) - units.mean) / units.scale).to(u)

    return draw


CORRUPTIONS = {"erase": erase, "gaussian": gaussian, "masking": masking, "salt_and_pepper": salt_and_pepper}
# What each draws from.
_NEEDS = {erase: ("fill",), gaussian: ("scale", "lower", "upper"), masking: ("fill",), salt_and_pepper: ("low", "high")}
