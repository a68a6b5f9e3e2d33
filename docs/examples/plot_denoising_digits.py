"""
Noisy digits made clean
=======================

A denoising autoencoder is trained on clean images alone: in each batch it damages them anew and learns to give back what
was there. Its epoch 0 is the best linear map from noisy to clean images of that rank, and training only improves on it.
Beside it stands what PCA can do, which is to project the noisy image on the components of clean ones.
"""

# %%
# Digits with values in [0, 1], and noise that is clipped to that range.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder

images = load_digits().images / 16
clean, held_out = images[:1400], images[1400:]
noisy = np.clip(held_out + np.random.default_rng(0).normal(0, 0.4, held_out.shape), 0, 1)

# %%
# Images make the network convolutional. Given as flat rows, they would make it dense.
denoiser = DenoisingAutoencoder(
    32, corruption="gaussian", noise_level=0.4, max_iter=40, random_state=0
).fit(clean)
pca = PCA(8).fit(clean.reshape(len(clean), -1))
projected = pca.inverse_transform(pca.transform(noisy.reshape(len(noisy), -1))).reshape(noisy.shape)

rows = {"clean": held_out, "noisy": noisy, "PCA(8)": projected, "skae": denoiser.denoise(noisy)}
errors = {name: np.mean((shown - held_out) ** 2) for name, shown in rows.items()}
print({name: round(float(error), 4) for name, error in errors.items()})

# %%
# What is below the noise comes back; where the noise has hidden it, the average of what it may have been.
figure, grid = plt.subplots(len(rows), 10, figsize=(8, 3.6), layout="constrained")
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    axes[0].set_ylabel(f"{name}\n{errors[name]:.3f}", rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
figure.suptitle("Mean squared error per pixel at the left")
