"""
Choosing the depth
==================

With ``ordered=True`` each prefix of a code is a code, as of PCA. One fit then answers how many components are enough.
"""

# %%
# R² of held-out digits from the first 1, 2, … components; nothing is fitted again for a smaller depth.
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, DepthCurveDisplay

X_train, X_test = train_test_split(load_digits().data, random_state=0)
ordered = AutoencoderTransformer(32, ordered=True, max_iter=60, random_state=0).fit(X_train)
display = DepthCurveDisplay.from_estimator({"PCA": PCA(32).fit(X_train), "skae": ordered}, X_test)
figure = display.figure_

# %%
# The depth that was chosen, as a fitted estimator. Its codes are the first columns of the deep one's.
small = ordered.truncate(6)
print(small.transform(X_test).shape, round(small.score(X_test), 3))

# %%
# Or say how much has to be kept, and get the smallest depth that keeps as much of the validation rows.
enough = AutoencoderTransformer(0.9, max_iter=60, random_state=0).fit(X_train)
print(enough.n_components_, "components; PCA needs", PCA(0.9).fit(X_train).n_components_)
