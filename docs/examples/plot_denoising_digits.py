"""
Denoising images
================

A denoising autoencoder is trained on clean images alone: it corrupts each
batch itself, with new noise each time, and learns to restore the clean
images. Epoch 0 is the best linear map of that rank from noisy to clean images.
"""

# %%
# Digits with values in [0, 1], and Gaussian noise that is clipped to that
# range.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder

images = load_digits().images / 16
X_train, clean = images[:1400], images[1400:]
noise = np.random.default_rng(0).normal(0, 0.4, clean.shape)
noisy = np.clip(clean + noise, 0, 1)

# %%
# Images make the residual networks convolutional; flat samples would make
# them dense. For comparison, PCA denoises by projection on the components of
# the clean images, and ``max_iter=0`` is the linear map of epoch 0.
denoisers = {
    name: DenoisingAutoencoder(
        32,
        corruption="gaussian",
        noise_level=0.4,
        max_iter=max_iter,
        random_state=0,
    ).fit(X_train)
    for name, max_iter in {"linear map": 0, "skae": 40}.items()
}
pca = PCA(8).fit(X_train.reshape(len(X_train), -1))
projected = pca.inverse_transform(pca.transform(noisy.reshape(len(noisy), -1)))
denoised = {
    "noisy": noisy,
    "PCA(8)": projected.reshape(noisy.shape),
    **{name: one.denoise(noisy) for name, one in denoisers.items()},
}
errors = {
    name: float(np.mean((shown - clean) ** 2))
    for name, shown in denoised.items()
}

# %%
# The mean squared error per pixel is on the left. Where the noise hides the
# digit, the autoencoder shows the average of what it may have been.
figure, grid = plt.subplots(5, 10, figsize=(7, 4), layout="constrained")
rows = {"clean": clean, **denoised}
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    label = f"{name}\n{errors[name]:.3f}" if name in errors else name
    axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
