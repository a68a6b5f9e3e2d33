"""
Choosing the number of components
=================================

With PCA you can keep the first k components and drop the others. With
``ordered=True`` you can do so with an autoencoder, too. One fit then shows how
many components are enough.
"""

# %%
# R² of held-out digits, reconstructed from the first 1, 2, … components.
# Each estimator is fitted only once, with 32 components. The curve of the
# autoencoder has bends, since training uses the first 1, 2, 4, 8, 16 or 32
# components: it is not trained for the numbers in between.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, DepthCurveDisplay

X_train, X_test = train_test_split(load_digits().data, random_state=0)
pca = PCA(32).fit(X_train)
ordered = AutoencoderTransformer(
    32, ordered=True, max_iter=60, random_state=0
).fit(X_train)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
display = DepthCurveDisplay.from_estimator(
    {"PCA": pca, "skae": ordered}, X_test, ax=ax
)
ax.grid(alpha=0.3)

# %%
# `truncate` returns a fitted estimator with fewer components; nothing is
# trained. Its codes are the first columns of those of the original.
small = ordered.truncate(6)
print(small.transform(X_test).shape, f"R² = {small.score(X_test):.3f}")

# %%
# You can also ask for an R², as you do with ``PCA(0.9)``. The components are
# then ordered, and the estimator keeps the smallest number that reaches this
# R² on its validation set, by default a tenth of the training samples. PCA
# has no validation set: it uses the variance of the training samples.
enough = AutoencoderTransformer(0.9, max_iter=60, random_state=0).fit(X_train)
print("skae:", enough.n_components_, "components")
print("PCA: ", PCA(0.9).fit(X_train).n_components_, "components")
