"""
Rows unlike the others
======================

The log density of a row says how usual it is: the lower, the stranger. A variational autoencoder knows the curved shape of
the data, where PCA knows an ellipsoid.
"""

# %%
# Sixes and nines are trained on; held-out ones are to be told from the other digits.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skae import VAETransformer

X, y = load_digits(return_X_y=True)
usual = np.isin(y, [6, 9])
X_train, X_test = X[usual][:250], np.concatenate([X[usual][250:], X[~usual][:200]])
strange = np.arange(len(X_test)) >= usual.sum() - 250

# %%
# All three have `score_samples`, low where a row is unusual.
detectors = {
    "PCA": PCA(8),
    "isolation forest": IsolationForest(random_state=0),
    "skae": VAETransformer(8, max_iter=60, random_state=0),
}
densities = {
    name: detector.fit(X_train).score_samples(X_test) for name, detector in detectors.items()
}
scores = {name: float(roc_auc_score(strange, -density)) for name, density in densities.items()}
print({name: round(score, 3) for name, score in scores.items()})

# %%
# What each finds strangest, from left to right. Sixes and nines among them are framed: false alarms.
figure, grid = plt.subplots(len(densities), 12, figsize=(9, 2.8), layout="constrained")
for axes, (name, density) in zip(grid, densities.items(), strict=True):
    axes[0].set_ylabel(f"{name}\nAUC {scores[name]:.3f}", rotation=0, ha="right", va="center")
    for ax, row in zip(axes, np.argsort(density)[:12], strict=True):
        ax.imshow(X_test[row].reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        if not strange[row]:
            ax.spines[:].set(color="tab:red", linewidth=3)
