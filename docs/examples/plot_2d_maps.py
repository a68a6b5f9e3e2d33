"""
Two-dimensional maps: PCA, t-SNE and an autoencoder
===================================================

A map shows samples as points of a plane. PCA is linear and mixes the classes.
t-SNE keeps neighbors together best, but it cannot map new samples, or
reconstruct a sample from a point of the map. An autoencoder with two
components can do both, and it keeps most neighbors together.
"""

# %%
# Maps of the digits. Trustworthiness is 1 if all neighbors in the map are
# neighbors in the data. The estimators do not use the classes; they are only
# the colors of the figure.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

from skae import AutoencoderTransformer, reconstruction_score

X, y = load_digits(return_X_y=True)
mappers = {
    "PCA": PCA(2),
    "t-SNE": TSNE(max_iter=500, random_state=0),
    "skae": AutoencoderTransformer(2, max_iter=100, random_state=0),
}
maps = {name: mapper.fit_transform(X) for name, mapper in mappers.items()}
results = {name: float(trustworthiness(X, Z)) for name, Z in maps.items()}

figure, axes = plt.subplots(1, 3, figsize=(8, 3.3), layout="constrained")
for ax, (name, Z) in zip(axes, maps.items(), strict=True):
    points = ax.scatter(*Z.T, c=y, cmap="tab10", s=4)
    ax.set_title(f"{name}\ntrustworthiness {results[name]:.3f}")
    ax.set(xticks=[], yticks=[])
_ = figure.legend(
    *points.legend_elements(), loc="outside lower center", ncols=10
)

# %%
# A swiss roll is a curved surface in three dimensions: two numbers say where a
# point lies on it, its position along the roll and across it. Two components
# of PCA span a plane, and one of the three dimensions is lost. Two components
# of the autoencoder follow most of the surface. The figure shows held-out
# points and their reconstructions; colors show the position along the roll.
X_train, _ = make_swiss_roll(2000, random_state=0)
X_test, position = make_swiss_roll(1000, random_state=1)
reducers = {
    "PCA": PCA(2),
    "skae": AutoencoderTransformer(2, max_iter=40, random_state=0),
}
scores = {
    name: float(reconstruction_score(reducer.fit(X_train), X_test))
    for name, reducer in reducers.items()
}

shown = {"swiss roll": X_test}
for name, reducer in reducers.items():
    title = f"{name}: R² = {scores[name]:.2f}"
    shown[title] = reducer.inverse_transform(reducer.transform(X_test))
_, axes = plt.subplots(
    1,
    3,
    figsize=(8, 3),
    layout="constrained",
    subplot_kw={"projection": "3d"},
)
limits = {
    f"{axis}lim": (column.min(), column.max())
    for axis, column in zip("xyz", X_test.T, strict=True)
}
for ax, (title, points) in zip(axes, shown.items(), strict=True):
    ax.scatter(*points.T, c=position, s=4)
    ax.set(title=title, xticks=[], yticks=[], zticks=[], **limits)
    ax.view_init(elev=15, azim=-60)
