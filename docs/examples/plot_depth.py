"""
Choosing the number of components
=================================

With ``ordered=True`` the first k components of a code are a code of their
own, as they are for PCA. One fit then answers how many components are enough.
"""

# %%
# R² of held-out digits, reconstructed from the first 1, 2, … components.
# Nothing is fitted again for a smaller number of components.
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
# `truncate` returns the fitted estimator with fewer components. Its codes are
# the first columns of the longer ones.
small = ordered.truncate(6)
print(small.transform(X_test).shape, f"R² = {small.score(X_test):.3f}")

# %%
# You can also ask for an R², as you do with ``PCA(0.9)``. The estimator then
# keeps the smallest number of components that reaches it on the validation
# set.
enough = AutoencoderTransformer(0.9, max_iter=60, random_state=0).fit(X_train)
print("skae:", enough.n_components_, "components")
print("PCA: ", PCA(0.9).fit(X_train).n_components_, "components")
