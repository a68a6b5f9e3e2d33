"""
Denoising images
================

A denoising autoencoder needs only clean images for training: `fit` adds new
noise to each batch, and the networks learn to restore the clean images.
Training starts at epoch 0, the best linear map from noisy to clean images
whose rank is the number of components.
"""

# %%
# Digits with values in [0, 1]. Gaussian noise is added to the test images,
# and the noisy values are clipped to [0, 1].
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
# The networks are convolutional if X is an array of images, and dense if it
# is an array of flat samples. For comparison, ``max_iter=0`` is the linear map
# of epoch 0, and PCA denoises by projection on the components of the clean
# images. PCA has 8 components, close to its best number here: more of them
# would keep more of the noise.
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
# The numbers on the left are mean squared errors per pixel. Where the noise
# hides the digit, the autoencoder blurs: the average of all plausible images
# has the smallest expected error.
figure, grid = plt.subplots(5, 10, figsize=(7, 4), layout="constrained")
rows = {"clean": clean, **denoised}
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    label = f"{name}\n{errors[name]:.3f}" if name in errors else name
    axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
