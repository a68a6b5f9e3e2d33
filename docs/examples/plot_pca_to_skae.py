"""
Dimensionality reduction: PCA and an autoencoder at eight components
====================================================================

Where you write ``PCA(8)``, write ``AutoencoderTransformer(8)``. Both have
`fit`, `transform` and `inverse_transform`. Training starts at PCA and keeps
the epoch that reconstructs a validation set best. By default, `fit` holds out
a tenth of the training samples for it.
"""

# %%
# Each digit has 64 pixels, and both estimators reduce it to eight numbers. The
# figure shows held-out digits and their reconstructions from these numbers.
# R² is the fraction of the variance of the held-out digits that the
# reconstruction explains: 1 is perfect.
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
# R² after each epoch, which is one pass over the training samples. Epoch 0 is
# PCA, before the first of them: the dotted line is its R² on the validation
# set. The epoch with the dot is kept.
_, ax = plt.subplots(figsize=(7, 4), layout="constrained")
_ = LossCurveDisplay.from_estimator(autoencoder, ax=ax)
