"""Samples as images, and many images as one."""

import math

import numpy as np

from skae._plot._common import last_step


def image_sides(rows, image_shape=None, estimator=None):
    """Height and width: as given, of N-dimensional samples, of the estimator, or a square."""
    n_features = math.prod(rows.shape[1:])
    if image_shape is not None:
        if len(image_shape) not in (2, 3) or math.prod(image_shape) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r}, but a sample has {n_features} values: give (height,"
                " width) or (height, width, channels) with that product."
            )
        return tuple(image_shape[:2])
    fitted = (
        rows.shape[1:] if rows.ndim > 2 else getattr(last_step(estimator), "image_shape_", None)
    )
    if fitted is not None and n_features % math.prod(fitted[:2]) == 0:
        return tuple(fitted[:2])
    side = math.isqrt(n_features)
    if side * side != n_features:
        raise ValueError(
            f"A sample has {n_features} values, which is not a square image: give"
            " image_shape=(height, width) or (height, width, channels). Samples that are not images"
            " cannot be shown."
        )
    return side, side


def as_images(rows, sides):
    """Reshape samples to images: (n, height, width), or with 3 or 4 channels last."""
    n_features = math.prod(rows.shape[1:])
    n_channels, rest = divmod(n_features, math.prod(sides))
    if rest or n_channels not in (1, 3, 4):
        raise ValueError(
            f"Samples of {n_features} values are not images of {sides[0]} x {sides[1]} pixels in"
            " one, three or four channels, and cannot be shown: give another image_shape."
        )
    return rows.reshape(len(rows), *sides, *([] if n_channels == 1 else [n_channels]))


def alike(groups, value_range):
    """Stack groups of images. If one has colors, all get four channels, with values from 0 to 1.

    Parameters
    ----------
    groups : list of ndarray
        Images of shape (n, height, width), or with 3 or 4 channels last.
    value_range : tuple of float
        Values that become 0 and 1.
    """
    if all(images.ndim == 3 for images in groups):
        return np.stack(groups).astype(float)
    return np.stack([_colored(images, *value_range) for images in groups])


def _colored(images, low, high):
    """Convert images to red, green, blue and opacity, from 0 to 1."""
    images = np.clip((images.astype(float) - low) / ((high - low) or 1.0), 0, 1)
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    return (
        images
        if images.shape[-1] == 4
        else np.concatenate([images, np.ones((*images.shape[:-1], 1))], axis=-1)
    )


def mosaic(images):
    """Join images (n_rows, n_columns, height, width[, 4]) to one image with transparent gaps.

    The second value is the width of the gaps.
    """
    n_rows, n_columns, height, width, *colors = images.shape
    gap = math.ceil(min(height, width) / 16)
    widths = [(0, 0), (0, 0), (0, gap), (0, gap), *[(0, 0) for _ in colors]]
    padded = np.pad(images, widths, constant_values=0.0 if colors else np.nan)
    whole = padded.swapaxes(1, 2).reshape(
        n_rows * (height + gap), n_columns * (width + gap), *colors
    )
    return whole[:-gap, :-gap], gap
