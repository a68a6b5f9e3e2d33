"""Rows as images, and many images as one."""

import math

import numpy as np

from skae._plot._common import last_step


def image_sides(rows, image_shape=None, estimator=None):
    """Height and width of images: those given, those of n-D rows, the estimator's, or of a square."""
    n_features = math.prod(rows.shape[1:])
    if image_shape is not None:
        if len(image_shape) not in (2, 3) or math.prod(image_shape) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r}, but a row has {n_features} values: give (height, width) or (height, width,"
                " channels) whose product is that number."
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
            f"A row has {n_features} values, which make no square image: give image_shape=(height, width) or (height, width,"
            " channels). Rows of a table cannot be shown as images."
        )
    return side, side


def as_images(rows, sides):
    """Images (n, height, width), or (n, height, width, channels) where they have 3 or 4, of rows or images."""
    n_features = math.prod(rows.shape[1:])
    n_channels, rest = divmod(n_features, math.prod(sides))
    if rest or n_channels not in (1, 3, 4):
        raise ValueError(
            f"Rows of {n_features} values are no images of {sides[0]} x {sides[1]} pixels in one, three or four channels,"
            " which can be shown."
        )
    return rows.reshape(len(rows), *sides, *([] if n_channels == 1 else [n_channels]))


def alike(groups, value_range):
    """Groups of images, stacked; where one has colors, all are made (…, height, width, 4) from 0 to 1.

    Parameters
    ----------
    groups : list of ndarray
        Images (n, height, width) or with 3 or 4 colors last.
    value_range : tuple of float
        Values that become 0 and 1 of a color.
    """
    if all(images.ndim == 3 for images in groups):
        return np.stack(groups).astype(float)
    return np.stack([_colored(images, *value_range) for images in groups])


def _colored(images, low, high):
    """Red, green, blue and opacity, from 0 to 1."""
    images = np.clip((images.astype(float) - low) / ((high - low) or 1.0), 0, 1)
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    return (
        images
        if images.shape[-1] == 4
        else np.concatenate([images, np.ones((*images.shape[:-1], 1))], axis=-1)
    )


def mosaic(images):
    """One image of many (n_rows, n_columns, height, width) or with 4 colors last, and the width of the gaps between them.

    The gaps are transparent.
    """
    n_rows, n_columns, height, width, *colors = images.shape
    gap = math.ceil(min(height, width) / 16)
    widths = [(0, 0), (0, 0), (0, gap), (0, gap), *[(0, 0) for _ in colors]]
    padded = np.pad(images, widths, constant_values=0.0 if colors else np.nan)
    whole = padded.swapaxes(1, 2).reshape(
        n_rows * (height + gap), n_columns * (width + gap), *colors
    )
    return whole[:-gap, :-gap], gap
