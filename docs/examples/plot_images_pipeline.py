"""
Feature extraction from images in a Pipeline
============================================

:class:`~skae.ConvAutoencoderTransformer` takes images as an array of shape
(n_samples, height, width), and passes their latent codes to the next step of
a Pipeline.
"""

# %%
# There are 1797 digits of 8 x 8 pixels, and the classifier is given eight
# components of each. PCA takes only flat samples, so a first step flattens the
# images. StandardScaler comes before the classifier, since neither PCA nor the
# autoencoder scales the components to the same variance.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import ConvAutoencoderTransformer

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, random_state=0
)


def flatten(images):
    return images.reshape(len(images), -1)


extractors = {
    "PCA": make_pipeline(FunctionTransformer(flatten), PCA(8)),
    "skae": ConvAutoencoderTransformer(8, max_iter=40, random_state=0),
}
pipelines = {
    name: make_pipeline(
        extractor, StandardScaler(), LogisticRegression(max_iter=1000)
    ).fit(X_train, y_train)
    for name, extractor in extractors.items()
}
scores = {
    name: pipeline.score(X_test, y_test)
    for name, pipeline in pipelines.items()
}

# %%
# The confusion matrices of the classifier on the test set, with eight
# components of PCA and with eight of the autoencoder.
figure, axes = plt.subplots(1, 2, figsize=(7, 3.9), layout="constrained")
for ax, (name, pipeline) in zip(axes, pipelines.items(), strict=True):
    ConfusionMatrixDisplay.from_estimator(
        pipeline, X_test, y_test, colorbar=False, cmap="Blues", ax=ax
    )
    ax.set_title(f"{name}: accuracy {scores[name]:.3f}")

# %%
# The steps before the classifier have `inverse_transform`: they reconstruct
# images from the standardized codes that the classifier is given.
codes = pipelines["skae"][:-1].transform(X_test)
images = pipelines["skae"][:-1].inverse_transform(codes)
print(codes.shape, images.shape)
