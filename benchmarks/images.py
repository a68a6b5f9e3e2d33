"""Images as text, for a cell of a CSV."""

import base64
import zlib

import numpy as np

LEVELS = 32  # of brightness


def pack(X, image_shape):
    """Write images as text: 32 levels of brightness, compressed, in base 85.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_pixels)
        Values beyond [0, 1] are clipped.
    image_shape : tuple of int
        Height and width, and channels where there are more than one.

    Returns
    -------
    text : str
    """
    levels = (np.clip(X, 0, 1) * (LEVELS - 1)).round().astype(np.uint8)
    shape = "x".join(map(str, (len(X), *image_shape)))
    return f"{shape}:{base64.b85encode(zlib.compress(levels.tobytes(), 9)).decode()}"


def unpack(text):
    """Images of a text of :func:`pack`.

    Returns
    -------
    images : ndarray of shape (n_images, height, width) or (n_images, height, width, n_channels)
        In [0, 1].
    """
    shape, _, packed = text.partition(":")
    levels = np.frombuffer(zlib.decompress(base64.b85decode(packed)), np.uint8)
    return levels.reshape(tuple(map(int, shape.split("x")))) / (LEVELS - 1)
