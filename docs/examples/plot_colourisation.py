"""
Grey patches to colour
======================

Pairs need not be drawn, they can have been measured: ``fit(X_damaged, X_target=X_clean)``, of any two widths. Here the
damage is that of a grey film. With as many components as a grey patch has pixels, epoch 0 is the best linear map from grey
to colour, the least-squares one, and training adds what is not linear: dark green is foliage, bright blue is sky.
"""

# %%
# Patches of scikit-learn's two photographs; the right quarter of both is held out.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.linear_model import LinearRegression

from skae import DenoisingAutoencoder

SIZE = 8
photographs = [
    photograph[::2, ::2].astype(np.float32) / 255 for photograph in load_sample_images().images
]
split = photographs[0].shape[1] * 3 // 4
left, right = (
    [photograph[:, columns] for photograph in photographs]
    for columns in (slice(split), slice(split, None))
)
colour = np.concatenate(
    [extract_patches_2d(part, (SIZE, SIZE), max_patches=6000, random_state=0) for part in left]
)
grey = colour.mean(axis=-1)

# %%
# The autoencoder and the least-squares map, on the same patches.
denoiser = DenoisingAutoencoder(SIZE * SIZE, max_iter=20, random_state=0).fit(grey, X_target=colour)
linear = LinearRegression().fit(grey.reshape(len(grey), -1), colour.reshape(len(colour), -1))


def colourise(photograph, predict):
    """Colourise all patches of a grey photograph and average them where they overlap."""
    patches = extract_patches_2d(photograph.mean(axis=-1), (SIZE, SIZE))
    return reconstruct_from_patches_2d(predict(patches).clip(0, 1), photograph.shape)


def by_least_squares(patches):
    return linear.predict(patches.reshape(len(patches), -1)).reshape(-1, SIZE, SIZE, 3)


held_out = np.concatenate(
    [extract_patches_2d(part, (SIZE, SIZE), max_patches=2000, random_state=1) for part in right]
)
errors = {
    name: float(np.mean((predict(held_out.mean(axis=-1)).clip(0, 1) - held_out) ** 2))
    for name, predict in {"least squares": by_least_squares, "skae": denoiser.denoise}.items()
}
print({name: round(error, 5) for name, error in errors.items()})

# %%
# The held-out quarter of each photograph, put together again from its patches.
columns = {
    "photograph": right,
    "grey": [part.mean(axis=-1) for part in right],
    "least squares": [colourise(part, by_least_squares) for part in right],
    "skae": [colourise(part, denoiser.denoise) for part in right],
}
figure, grid = plt.subplots(2, len(columns), figsize=(7, 8), layout="constrained")
for axes, (name, parts) in zip(grid.T, columns.items(), strict=True):
    axes[0].set_title(f"{name}\n{errors[name]:.5f}" if name in errors else name)
    for ax, part in zip(axes, parts, strict=True):
        ax.imshow(part, cmap="gray" if part.ndim == 2 else None, vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
