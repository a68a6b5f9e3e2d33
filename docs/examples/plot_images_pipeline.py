"""
Feature extraction from images in a Pipeline
============================================

:class:`~skae.ConvAutoencoderTransformer` takes images as they are, and passes
the latent codes to the next step of a Pipeline.
"""

# %%
# 1797 digits of 8 x 8 pixels, and a classifier that sees eight numbers of
# each. PCA takes the pixels as flat samples. The classifier needs its inputs
# on one scale, and neither PCA nor the autoencoder scales its codes.
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
# Which digits the classifier confuses, from eight components of PCA and from
# eight of the autoencoder.
figure, axes = plt.subplots(1, 2, figsize=(7, 3.9), layout="constrained")
for ax, (name, pipeline) in zip(axes, pipelines.items(), strict=True):
    ConfusionMatrixDisplay.from_estimator(
        pipeline, X_test, y_test, colorbar=False, cmap="Blues", ax=ax
    )
    ax.set_title(f"{name}: accuracy {scores[name]:.3f}")

# %%
# The steps before the classifier invert: they reconstruct images from the
# codes that the classifier sees.
codes = pipelines["skae"][:-1].transform(X_test)
images = pipelines["skae"][:-1].inverse_transform(codes)
print(codes.shape, images.shape)
