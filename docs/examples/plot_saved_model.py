"""
Saving and loading a fitted estimator
=====================================

A fitted estimator is saved as arrays and sizes. The file holds neither the
training samples nor the state of the optimizer. An estimator that was fitted
on a GPU loads on a machine without one.
"""

# %%
# skops loads a file without running code that it may contain, and asks which
# types to trust; those that it lists are skae's own. `pickle` and `joblib`
# work too, for files that you trust as a whole.
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
# The loaded estimator returns the same codes, as a DataFrame.
loaded = skops.io.load(path, trusted=types)
assert loaded.transform(X).equals(autoencoder.transform(X))
print(loaded.transform(X).iloc[:3, :3].round(2))

# %%
# The file also holds how the estimator was trained.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
_ = LossCurveDisplay.from_estimator(loaded, ax=ax)
