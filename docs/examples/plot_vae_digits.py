"""
New digits, and a walk between two
==================================

A variational autoencoder is a density of the data, and a generator: codes drawn from a standard normal distribution become
new images. Its score is a lower bound of the log density of held-out images, in nats. At epoch 0 it equals that of PCA.
"""

# %%
# The same number of components for all three densities.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skae import VAETransformer

X = load_digits().data
X, held_out = X[:1400], X[1400:]
pca = PCA(16).fit(X)
vae = VAETransformer(16, max_iter=50, n_draws=4, random_state=0).fit(X)
scores = {
    "PCA": pca.score(held_out),
    "skae at epoch 0": vae.baseline_score_,
    "skae": vae.score(held_out),
}
print({name: round(float(score), 1) for name, score in scores.items()})

# %%
# Above, what the densities make up: a mixture of ten Gaussians on the codes of PCA stands beside the autoencoder. Below, the
# way from a 0 to a 9 in the code, and along a straight line of pixels.
mixture = make_pipeline(PCA(16), GaussianMixture(10, random_state=0)).fit(X)
rows = {
    "PCA + mixture": mixture[0].inverse_transform(mixture[1].sample(12)[0][::-1]),
    "skae": vae.sample(12, random_state=0),
    "skae, more": vae.sample(12, random_state=1),
    "0 to 9, skae": vae.interpolate(X[0], X[9], n_steps=12),
    "0 to 9, pixels": np.linspace(X[0], X[9], 12),
}
figure, grid = plt.subplots(len(rows), 12, figsize=(10, 4), layout="constrained")
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
