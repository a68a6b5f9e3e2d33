"""
Images in a Pipeline
====================

Images go in as they are, and their codes to the next step.
"""

# %%
# 1797 digits of 8 x 8 pixels, and a classifier that sees 8 numbers of each.
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ConvAutoencoderTransformer, ReconstructionDisplay

digits = load_digits()
images, held_out, y, y_held_out = train_test_split(digits.images, digits.target, random_state=0)
autoencoder = ConvAutoencoderTransformer(8, max_iter=30, random_state=0)
pipeline = make_pipeline(autoencoder, StandardScaler(), LogisticRegression(max_iter=1000))
pipeline.fit(images, y)

# %%
# What the classifier makes of the codes of held-out images.
print(round(pipeline.score(held_out, y_held_out), 3))
ConfusionMatrixDisplay.from_estimator(pipeline, held_out, y_held_out, colorbar=False)

# %%
# What the codes hold: the steps before the classifier lead back to images.
display = ReconstructionDisplay.from_estimator({"from 8 numbers": pipeline[:-1]}, held_out)
figure = display.figure_
