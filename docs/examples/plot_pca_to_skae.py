"""
Dimensionality reduction: PCA and an autoencoder at eight components
====================================================================

Where you write ``PCA(8)``, write ``AutoencoderTransformer(8)``. Both have
`fit`, `transform` and `inverse_transform`. Training starts at PCA and keeps
the epoch that reconstructs a validation set best.
"""

# %%
# Each digit has 64 pixels, and both estimators keep eight numbers of it. The
# figure shows held-out digits and their reconstructions from these numbers,
# with R², the fraction of the held-out variance that is reconstructed.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import (
    AutoencoderTransformer,
    LossCurveDisplay,
    ReconstructionDisplay,
)

X_train, X_test = train_test_split(load_digits().data, random_state=0)
pca = PCA(8).fit(X_train)
autoencoder = AutoencoderTransformer(8, max_iter=60, random_state=0)
autoencoder.fit(X_train)

figure, ax = plt.subplots(figsize=(7, 2.1), layout="constrained")
display = ReconstructionDisplay.from_estimator(
    {"PCA": pca, "skae": autoencoder}, X_test, ax=ax
)
scores = display.scores

# %%
# R² after each epoch. Epoch 0 is PCA, so the dotted line is where training
# starts.
_, ax = plt.subplots(figsize=(7, 4), layout="constrained")
_ = LossCurveDisplay.from_estimator(autoencoder, ax=ax)
