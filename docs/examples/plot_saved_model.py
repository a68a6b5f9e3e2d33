"""
Saving and loading a fitted estimator
=====================================

The file of a fitted estimator contains its parameters, the weights of the
networks and the scores of the epochs. It contains neither the training samples
nor the state of the optimizer. An estimator that was fitted on a GPU loads on
a machine without one.
"""

# %%
# skops, a package of its own, loads a file without running code that it may
# contain. It lists the types in the file that it does not know, here two of
# skae, and loads them only if you pass them as `trusted`. `pickle` and
# `joblib` work too, but load such a file only if you trust its source.
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import skops.io
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, LossCurveDisplay

X = load_digits(as_frame=True).data
autoencoder = AutoencoderTransformer(8, max_iter=30, random_state=0)
autoencoder.set_output(transform="pandas").fit(X)
path = Path(mkdtemp()) / "autoencoder.skops"
skops.io.dump(autoencoder, path)

types = skops.io.get_untrusted_types(file=path)
print(types)

# %%
# The loaded estimator returns the same codes, as a DataFrame: `set_output` is
# saved as well.
loaded = skops.io.load(path, trusted=types)
assert loaded.transform(X).equals(autoencoder.transform(X))
print(loaded.transform(X).iloc[:3, :3].round(2))

# %%
# The file also contains R² after each epoch of training.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
_ = LossCurveDisplay.from_estimator(loaded, ax=ax)
