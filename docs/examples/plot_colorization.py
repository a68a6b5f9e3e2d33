"""
Colorization from pairs of patches
==================================

:class:`~skae.DenoisingAutoencoder` also learns from pairs that you have:
``fit(X, X_target=...)``, where X and the target may have different numbers of
features. Here X contains patches of a gray image, and the target the same
patches in color.
"""

# %%
# A strip of each photograph is turned gray. The patches for training come
# from the left and the right of it, where the color is known.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import (
    extract_patches_2d,
    reconstruct_from_patches_2d,
)
from sklearn.linear_model import LinearRegression

from skae import DenoisingAutoencoder

SIZE = 12  # of a patch: large enough to see what surrounds a pixel
photographs = [
    image[::3, ::3].astype(np.float32) / 255
    for image in load_sample_images().images
]
START, STOP = 88, 132  # columns of the strip


def to_gray(image):
    return image.mean(axis=-1)


def flatten(patches):
    return patches.reshape(len(patches), -1)


color = np.concatenate(
    [
        extract_patches_2d(
            part, (SIZE, SIZE), max_patches=2500, random_state=0
        )
        for photograph in photographs
        for part in (photograph[:, :START], photograph[:, STOP:])
    ]
)
X, X_target = flatten(to_gray(color)), flatten(color)

# %%
# The autoencoder starts at the best linear map of rank 100 from gray to
# color: one that passes through 100 numbers, its components. Training adds
# what is not linear, so that the color depends on the texture and the
# brightness. Linear regression cannot do that: it tints foliage and petals
# alike, and its error is larger than that of the gray strip. `denoise` returns
# the predicted colors.
linear = LinearRegression().fit(X, X_target)
autoencoder = DenoisingAutoencoder(100, max_iter=15, random_state=0)
autoencoder.fit(X, X_target=X_target)


def colorize(strip, predict):
    """Colorize all patches, and average them where they overlap."""
    patches = flatten(extract_patches_2d(to_gray(strip), (SIZE, SIZE)))
    colored = predict(patches).reshape(-1, SIZE, SIZE, 3)
    return reconstruct_from_patches_2d(colored.clip(0, 1), strip.shape)


strips = [photograph[:, START:STOP] for photograph in photographs]
colored = {
    "gray strip": [to_gray(strip)[..., np.newaxis] for strip in strips],
    "least squares": [colorize(strip, linear.predict) for strip in strips],
    "skae": [colorize(strip, autoencoder.denoise) for strip in strips],
}
errors = {
    name: float(np.mean([np.mean((a - b) ** 2) for a, b in pairs]))
    for name, pairs in (
        (name, list(zip(restored, strips, strict=True)))
        for name, restored in colored.items()
    )
}

# %%
# Each strip in its photograph, and the mean squared error of both strips. The
# autoencoder is the best, but the center of the flower stays too gray.
figure, grid = plt.subplots(2, 4, figsize=(7, 2.9), layout="constrained")
columns = {**colored, "photograph": strips}
for axes, (name, restored) in zip(grid.T, columns.items(), strict=True):
    error = f"\nerror {errors[name]:.4f}" if name in errors else ""
    axes[0].set_title(name + error, fontsize=10)
    for ax, photograph, strip in zip(axes, photographs, restored, strict=True):
        shown = photograph.copy()
        shown[:, START:STOP] = strip
        ax.imshow(shown)
        ax.axis("off")
