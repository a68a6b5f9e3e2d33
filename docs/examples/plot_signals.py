"""
Compression of one-dimensional signals
======================================

A signal can be treated as an image that is one pixel high. With
``image_shape=(1, length)``, :class:`~skae.ConvAutoencoderTransformer` takes an
array of shape (n_samples, length), and its convolutions run along the signals.
"""

# %%
# The example generates wave packets. Each has its own position, width,
# frequency and height: these four numbers determine it, except for the noise.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import ConvAutoencoderTransformer, reconstruction_score

LENGTH = 96
rng = np.random.default_rng(0)
time = np.linspace(0, 1, LENGTH)


def make_signals(n_signals):
    def uniform(low, high):
        return rng.uniform(low, high, (n_signals, 1))

    shifted = time - uniform(0.15, 0.85)
    envelope = np.exp(-((shifted / uniform(0.02, 0.08)) ** 2) / 2)
    waves = np.cos(2 * np.pi * uniform(6, 14) * shifted)
    signals = uniform(0.5, 1.5) * envelope * waves
    return signals + rng.normal(0, 0.03, signals.shape)


X_train, X_test = make_signals(2000), make_signals(500)

# %%
# PCA reconstructs a signal as a weighted sum of fixed shapes, and four of them
# cannot fit a packet that may be anywhere. The decoder of the autoencoder is
# not linear, so a component can move a packet. The networks have fewer
# channels and larger kernels than by default.
estimators = {
    "PCA": PCA(4),
    "skae": ConvAutoencoderTransformer(
        4,
        image_shape=(1, LENGTH),
        channels=(16, 32),
        kernel_size=5,
        max_iter=40,
        random_state=0,
    ),
}
scores = {
    name: float(reconstruction_score(estimator.fit(X_train), X_test))
    for name, estimator in estimators.items()
}

# %%
# Held-out signals in gray, and their reconstructions from four components.
figure, grid = plt.subplots(
    2, 3, figsize=(7, 4), sharex=True, sharey=True, layout="constrained"
)
colors = {"PCA": "tab:red", "skae": "tab:blue"}
for axes, (name, estimator) in zip(grid, estimators.items(), strict=True):
    reconstructed = estimator.inverse_transform(estimator.transform(X_test))
    axes[0].set_ylabel(f"{name}\nR² = {scores[name]:.2f}")
    for ax, signal, curve in zip(axes, X_test, reconstructed, strict=False):
        ax.plot(time, signal, color="0.7", linewidth=4)
        ax.plot(time, curve, color=colors[name])
for ax in grid[-1]:
    ax.set_xlabel("time")
