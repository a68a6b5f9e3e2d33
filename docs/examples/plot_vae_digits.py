"""
Generative modeling: new digits, and interpolation between two
==============================================================

A variational autoencoder models the density of the data, and generates new
samples from it. Its score is the evidence lower bound (ELBO): a value that the
mean log-density of the samples is at least, in nats (units of the natural
logarithm). At epoch 0 it equals the mean log-density of probabilistic PCA,
which is what ``PCA.score`` returns.
"""

# %%
# PCA and the autoencoder have the same number of components. ``max_iter=0``
# is the autoencoder at epoch 0, before training. Higher scores are better.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skae import VAETransformer

X, y = load_digits(return_X_y=True)
X, X_test, y = X[:1400], X[1400:], y[:1400]
pca = PCA(16).fit(X)
start = VAETransformer(16, max_iter=0, random_state=0).fit(X)
vae = VAETransformer(
    16,
    prior=GaussianMixture(10),
    max_iter=50,
    n_draws=4,
    random_state=0,
).fit(X)
scores = {
    "PCA": float(pca.score(X_test)),
    "skae at epoch 0": float(start.score(X_test)),
    "skae": float(vae.score(X_test)),
}
print({name: round(score, 1) for name, score in scores.items()})

# %%
# The upper lines of the figure show new samples. `sample` draws codes from
# `prior`, a mixture of ten Gaussians that is fitted to the codes after
# training, and returns the means that they decode to, without the noise of the
# pixels. For comparison, those of the first line are from such a mixture in
# the space of PCA. scikit-learn returns them sorted by Gaussian, hence the
# permutation. For samples of one class, a mixture is fitted to the codes of
# that class. The lower lines show a transition from a 0 to a 9. `interpolate`
# decodes points between the codes of both; the last line averages their pixels
# with changing weights instead.
mixture = make_pipeline(PCA(16), GaussianMixture(10, random_state=0)).fit(X)
codes = np.random.default_rng(0).permutation(mixture[1].sample(200)[0])
of_threes = GaussianMixture(3, random_state=0).fit(vae.transform(X[y == 3]))
rows = {
    "PCA + mixture": mixture[0].inverse_transform(codes[:10]),
    "skae + mixture": vae.sample(10, random_state=0),
    "only threes": vae.inverse_transform(of_threes.sample(10)[0]),
    "0 to 9 in codes": vae.interpolate(X[0], X[9], n_steps=10),
    "0 to 9 in pixels": np.linspace(X[0], X[9], 10),
}
figure, grid = plt.subplots(5, 10, figsize=(7, 3.7), layout="constrained")
for axes, (name, shown) in zip(grid, rows.items(), strict=True):
    axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
