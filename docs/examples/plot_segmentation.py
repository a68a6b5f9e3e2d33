"""
Segmentation: from images to masks
==================================

:class:`~skae.DenoisingAutoencoder` learns to map images to other images of the
same height and width: ``fit(X, X_target=...)`` takes pairs. If the targets are
masks, this is segmentation.
"""

# %%
# The example generates noisy images of ellipses that are brighter or darker
# than an unevenly lit background. The mask is 1 inside the ellipses.
import matplotlib.pyplot as plt
import numpy as np

from skae import DenoisingAutoencoder

SIDE = 24
rng = np.random.default_rng(0)
height, width = np.mgrid[:SIDE, :SIDE]


def make_images(n_images):
    masks = np.zeros((n_images, SIDE, SIDE))
    for mask in masks:
        for _ in range(rng.integers(1, 4)):
            y, x = rng.uniform(3, SIDE - 3, 2)
            a, b = rng.uniform(2.5, 6, 2)
            mask[((height - y) / a) ** 2 + ((width - x) / b) ** 2 < 1] = 1
    contrast = rng.choice([-1, 1], n_images) * rng.uniform(0.3, 0.5, n_images)
    slopes = rng.uniform(-0.2, 0.2, (2, n_images, 1, 1))
    light = slopes[0] * height / SIDE + slopes[1] * width / SIDE
    images = contrast[:, np.newaxis, np.newaxis] * masks + light
    return images + rng.normal(0, 0.1, images.shape), masks


X_train, masks_train = make_images(2000)
X_test, masks_test = make_images(200)

# %%
# ``max_iter=0`` is where training starts: the best linear map from images to
# masks. It fails: a linear map that raises the mask where the image is
# brighter lowers it where the image is darker. The network learns to mark
# both. `denoise` returns the predicted masks.
models = {
    name: DenoisingAutoencoder(96, max_iter=max_iter, random_state=0).fit(
        X_train, X_target=masks_train
    )
    for name, max_iter in {"linear map": 0, "skae": 12}.items()
}
predictions = {name: model.denoise(X_test) for name, model in models.items()}


def intersection_over_union(masks, predicted):
    predicted = predicted > 0.5
    intersection = (predicted & (masks > 0)).sum(axis=(1, 2))
    union = (predicted | (masks > 0)).sum(axis=(1, 2))
    return float(np.mean(intersection / union))


scores = {
    name: intersection_over_union(masks_test, predicted)
    for name, predicted in predictions.items()
}

# %%
# Held-out images and masks. The intersection over union (IoU) is the number of
# pixels that both masks mark, divided by the number that at least one of them
# marks. A pixel counts as marked if its prediction is above 0.5, which the
# linear map does not reach. The label has the mean over all held-out images.
figure, grid = plt.subplots(4, 8, figsize=(7, 3.8), layout="constrained")
rows = {"image": X_test, "true mask": masks_test, **predictions}
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    label = f"{name}\nIoU {scores[name]:.2f}" if name in scores else name
    axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
    limits = {} if name == "image" else {"vmin": 0, "vmax": 1}
    for ax, image in zip(axes, shown, strict=False):
        ax.imshow(image, cmap="gray", **limits)
        ax.set(xticks=[], yticks=[])
