"""
Novelty detection: digits that the training set does not have
=============================================================

The lower the log-density of a sample is, the more anomalous is the sample.
PCA models the density as one Gaussian. A variational autoencoder starts with
that density, and training then fits the curved shape of the data.
"""

# %%
# The training set has sixes and nines only. The test set has other sixes and
# nines, and 200 of the other digits.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skae import VAETransformer

X, y = load_digits(return_X_y=True)
is_known = np.isin(y, [6, 9])
X_train = X[is_known][:250]
X_test = np.concatenate([X[is_known][250:], X[~is_known][:200]])
is_novel = np.arange(len(X_test)) >= is_known.sum() - 250

# %%
# All three have `score_samples`, which is low for an anomalous sample. For PCA
# it is the log-density, for the autoencoder the evidence lower bound (ELBO).
# For the isolation forest it is a score and not a density.
detectors = {
    "PCA": PCA(8),
    "isolation forest": IsolationForest(random_state=0),
    "skae": VAETransformer(8, max_iter=60, random_state=0),
}
densities = {
    name: detector.fit(X_train).score_samples(X_test)
    for name, detector in detectors.items()
}
scores = {
    name: float(roc_auc_score(is_novel, -density))
    for name, density in densities.items()
}

# %%
# The distribution of the scores, each on a scale where the known digits have
# mean 0 and standard deviation 1, and clipped to the range from -8 to 4. The
# area under the ROC curve (AUC) is 1 if each known digit scores higher than
# all the others. The autoencoder is only slightly ahead of PCA here.
figure, axes = plt.subplots(
    1, 3, figsize=(7, 2.8), sharey=True, layout="constrained"
)
for ax, (name, density) in zip(axes, densities.items(), strict=True):
    known = density[~is_novel]
    scaled = np.clip((density - known.mean()) / known.std(), -8, 4)
    bins = np.linspace(-8, 4, 40)
    ax.hist(scaled[~is_novel], bins, alpha=0.7, label="6 and 9")
    ax.hist(scaled[is_novel], bins, alpha=0.7, label="other digits")
    ax.set_title(f"{name}\nAUC {scores[name]:.3f}", fontsize=11)
    ax.set_xlabel("scaled score")
axes[0].set_ylabel("test samples")
_ = axes[0].legend(loc="upper left", fontsize=8)
