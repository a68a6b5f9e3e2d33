"""
From PCA to skae in six lines
=============================

Where you write ``PCA(8)``, write ``AutoencoderTransformer(8)``. Training starts at PCA and keeps the best epoch by rows that
no gradient has seen.
"""

# %%
# Eight numbers for 64 pixels. Above the digits, below what each makes of its eight numbers, and the share of the variance
# that is kept.
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, LossCurveDisplay, ReconstructionDisplay

X_train, X_test = train_test_split(load_digits().data, random_state=0)
pca = PCA(8).fit(X_train)
autoencoder = AutoencoderTransformer(8, max_iter=60, random_state=0).fit(X_train)
display = ReconstructionDisplay.from_estimator({"PCA": pca, "skae": autoencoder}, X_test)
figure, scores = display.figure_, display.scores

# %%
# How it got there: epoch 0 is PCA.
LossCurveDisplay.from_estimator(autoencoder)
