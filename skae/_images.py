"""Images as flat samples: conversion of the input, and back to its form."""

import math

import numpy as np
from sklearn.utils import check_array

from skae._data.streams import is_stream, opened
from skae._frames import as_array
from skae._parameters import check_sizes, conv_network, dense_network

_MAX_COLORS = 4  # red, green, blue and opacity


class ImageInput:
    """Mixin for estimators that take images, N-dimensional or as flat samples.

    It uses the parameter `image_shape` and sets the attribute `image_shape_`.
    """

    def _to_samples(self, X, *, fitting=False):
        X, given = flatten(X, "X")
        if fitting:
            self.image_shape_ = self._find_shape(X, given)
            self._output_shape = given
        elif given is not None and given != self.image_shape_:
            seen = (
                "flat samples"
                if self.image_shape_ is None
                else f"images of shape {self.image_shape_}"
            )
            raise ValueError(
                f"The samples are images of shape {given}, but fit was given {seen}: give samples"
                " of the same form as in fit, with channels last."
            )
        return X

    def _find_shape(self, X, given):
        """Find height, width and, if there is a third axis, channels."""
        wanted = None if isinstance(self.image_shape, str) else self.image_shape
        if wanted is not None:
            check_sizes("image_shape", wanted)
            if len(wanted) not in (2, 3):
                raise ValueError(
                    f"image_shape={wanted!r} does not have two or three values: give (height,"
                    " width) or (height, width, channels)."
                )
            wanted = tuple(map(int, wanted))
        if given is not None:
            if wanted is None:
                _refuse_channels_first(given)
            elif given != wanted:
                raise ValueError(
                    f"image_shape={self.image_shape!r}, but X holds images of shape {given}: set"
                    " image_shape to that shape, or leave it None."
                )
            return given
        if len(X.shape) != 2:
            check_array(X)  # raises an error
        n_features = X.shape[1]
        if wanted is None:
            return self._shape_of_flat_samples(n_features)
        if math.prod(wanted) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape!r} has {math.prod(wanted)} values, but X has"
                f" {n_features} features: give (height, width) or (height, width, channels) with"
                " that product."
            )
        return wanted

    def _shape_of_flat_samples(self, n_features):
        """Shape of flat samples as images, if `image_shape` does not say it."""
        side = math.isqrt(n_features)
        return (side, side) if side * side == n_features else (1, n_features)

    def _make_network(self):
        return conv_network(self)

    def _from_samples(self, X_hat):
        return (
            X_hat if self._output_shape is None else X_hat.reshape(len(X_hat), *self._output_shape)
        )


class OptionalImageInput(ImageInput):
    """Mixin for estimators that are convolutional for images, and dense for other samples.

    Flat samples are images if `image_shape` is not None.
    """

    def _make_network(self):
        return dense_network(self) if self.image_shape_ is None else super()._make_network()

    def _shape_of_flat_samples(self, n_features):
        return super()._shape_of_flat_samples(n_features) if self.image_shape == "auto" else None


def flatten(X, name):
    """Flatten images; the second value is the shape of an image, None for flat samples."""
    X = opened(as_array(X), name)
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    n_dims = len(X.shape)
    if n_dims > 4:
        raise ValueError(
            f"{name} has {n_dims} dimensions, shape {X.shape}: give images of shape (n_samples,"
            " height, width) or (n_samples, height, width, channels), or flat samples of shape"
            " (n_samples, n_features)."
        )
    if n_dims < 3:
        return X, None
    shape = tuple(X.shape[1:])
    return X.flat() if is_stream(X) else X.reshape(len(X), math.prod(shape)), shape


def _refuse_channels_first(shape):
    if len(shape) == 3 and shape[0] <= _MAX_COLORS < min(shape[1:]):
        raise ValueError(
            f"X holds images of shape {shape}, which looks like channels first: give channels last"
            f" with X.transpose(0, 2, 3, 1), or set image_shape={shape} if the images are"
            f" {shape[0]} pixels high."
        )
