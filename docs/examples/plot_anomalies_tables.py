"""
Outlier detection in tabular data
=================================

The training set contains a few outliers, and no label says which samples they
are. An isolation forest, PCA and a variational autoencoder (VAE) score how
anomalous each sample is. On these data the isolation forest is the best.
"""

# %%
# Measurements of benign tumors, and of 20 malignant ones as outliers. The
# result depends on which 20, so there are three such data sets. The detectors
# are fitted to all samples of a data set and score the same samples. Labels
# are used only to evaluate the scores.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer

N_OUTLIERS, N_COMPONENTS = 20, 15
X, y = load_breast_cancer(return_X_y=True)
benign, malignant = X[y == 1], X[y == 0]
is_outlier = np.repeat([False, True], [len(benign), N_OUTLIERS])
rng = np.random.default_rng(0)
data_sets = [
    StandardScaler().fit_transform(
        np.concatenate([benign, rng.choice(malignant, N_OUTLIERS, False)])
    )
    for _ in range(3)
]

# %%
# Six scores, each high for an outlier. `score_samples` is low for an outlier,
# hence the minus. It is the log-density of PCA, the evidence lower bound
# (ELBO) of the VAE, and for the isolation forest a score that is not a
# density. A VAE that is trained on outliers may fit them as well. With
# ``contamination=0.1``, it starts without the tenth of the samples that is the
# least likely for PCA, and each gradient step leaves out the tenth with the
# lowest ELBO. A detector of outliers may also follow an autoencoder in a
# pipeline, and then scores latent codes.


def reconstruction_error(X):
    pca = PCA(N_COMPONENTS).fit(X)
    X_hat = pca.inverse_transform(pca.transform(X))
    return ((X - X_hat) ** 2).mean(axis=1)


def vae(contamination):
    return VAETransformer(
        N_COMPONENTS,
        contamination=contamination,
        max_iter=40,
        random_state=0,
    )


detectors = {
    "PCA, reconstruction error": reconstruction_error,
    "PCA, density": lambda X: -PCA(N_COMPONENTS).fit(X).score_samples(X),
    "VAE, density": lambda X: -vae(0.0).fit(X).score_samples(X),
    "VAE, density,\ncontamination=0.1": lambda X: (
        -vae(0.1).fit(X).score_samples(X)
    ),
    "autoencoder,\nenvelope of codes": lambda X: (
        -make_pipeline(
            AutoencoderTransformer(N_COMPONENTS, max_iter=40, random_state=0),
            EllipticEnvelope(support_fraction=0.9, random_state=0),
        )
        .fit(X)
        .score_samples(X)
    ),
    "isolation forest": lambda X: (
        -IsolationForest(random_state=0).fit(X).score_samples(X)
    ),
}
aucs = {
    name: [roc_auc_score(is_outlier, detector(X)) for X in data_sets]
    for name, detector in detectors.items()
}
results = {
    name.replace("\n", " "): float(np.mean(auc)) for name, auc in aucs.items()
}

# %%
# The area under the ROC curve (AUC) is the probability that an outlier scores
# higher than a sample that is not one. Points are the three data sets, bars
# are their means.
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, auc in aucs.items():
    bar = ax.barh(name, np.mean(auc), color="tab:blue", alpha=0.5)
    ax.bar_label(bar, fmt="%.2f", label_type="center")
    ax.plot(auc, [name] * len(auc), "o", color="tab:blue")
ax.set(xlim=(0.5, 1), xlabel="AUC of outliers against other samples")

# %%
# A threshold comes from ``contamination``: `predict` returns -1 for the tenth
# of the training samples with the lowest ELBO, and for any new sample that
# scores lower than they do.
X = data_sets[0]
is_predicted = vae(0.1).fit_predict(X) == -1
print(
    f"{is_predicted.sum()} of {len(X)} samples are predicted to be outliers,"
)
print(f"among them {is_predicted[is_outlier].sum()} of {N_OUTLIERS} outliers.")
