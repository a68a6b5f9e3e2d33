"""
Reading a saved model
=====================

A fitted estimator is arrays and sizes: its file holds neither the rows that it was trained on nor the state of the
optimiser, and opens on a machine without the GPU that it was fitted on.
"""

# %%
# skops reads a file without running what it may hold, and asks which types to trust: those of skae are its own. `pickle` and
# `joblib` do too, for files that you trust as a whole.
from pathlib import Path
from tempfile import mkdtemp

import skops.io
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, LossCurveDisplay

X = load_digits(as_frame=True).data
autoencoder = (
    AutoencoderTransformer(8, max_iter=30, random_state=0).set_output(transform="pandas").fit(X)
)
path = Path(mkdtemp()) / "autoencoder.skops"
skops.io.dump(autoencoder, path)

types = skops.io.get_untrusted_types(file=path)
print(types)

# %%
# What was read does as what was written, and is written smaller than the rows that it was trained on.
restored = skops.io.load(path, trusted=types)
assert restored.transform(X).equals(autoencoder.transform(X))
print(restored.transform(X).head(3).round(2))

# %%
# How it was trained is in the file too.
figure = LossCurveDisplay.from_estimator(restored).figure_
