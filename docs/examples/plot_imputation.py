"""
Imputing missing values
=======================

Missing values are NaN in X, in `fit` as well as afterwards. A denoising
autoencoder with ``corruption="masking"`` then learns to impute: in each batch
it hides some of the values that are known, and is trained to reconstruct
them. Epoch 0 is the imputation by a normal distribution: the expected value
of what is missing, given the known values of the sample.
"""

# %%
# First a table: measurements of tumors, in a DataFrame, of which a fifth of
# the values is missing. As for PCA, features with different units are
# standardized first. Dividing by the standard deviation is enough, since the
# estimator subtracts the mean.
#
# `impute` returns a DataFrame with the same columns and index as its input,
# and without missing values. For an imputer, set `n_components` to the number
# of features: the code need not be shorter than the sample. A quarter is a
# good fraction of the known values to hide (`noise_level`).
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder

rng = np.random.default_rng(0)
X = load_breast_cancer(as_frame=True).data
X_missing = X.mask(rng.random(X.shape) < 0.2)
train, test = train_test_split(X_missing, random_state=0)

std = train.std()
imputer = DenoisingAutoencoder(
    n_components=30,
    corruption="masking",
    noise_level=0.25,
    max_iter=0,
    random_state=0,
)
imputer.fit(train / std)
filled = imputer.impute(test / std) * std
print(test.iloc[:3, :3].round(2))
print(filled.iloc[:3, :3].round(2))

# %%
# The mean squared error of the imputed values of the test set, in units of the
# variance of each feature. On these data, the normal distribution is hard to
# beat: only 426 samples are trained on, many features are almost linear
# functions of others, and no epoch is significantly better on the validation
# set. `fit` would train, keep epoch 0 and warn of that; ``max_iter=0`` returns
# epoch 0 at once. It is better than the imputers of scikit-learn here.
imputers = {
    "SimpleImputer": SimpleImputer(),
    "KNNImputer": KNNImputer(),
    "IterativeImputer": IterativeImputer(random_state=0),
}
filled_by = {
    name: one.fit(train / std).transform(test / std) * std.to_numpy()
    for name, one in imputers.items()
}
filled_by["skae"] = filled.to_numpy()
is_missing = test.isna().to_numpy()
deviations = {
    name: (values - X.loc[test.index].to_numpy()) / std.to_numpy()
    for name, values in filled_by.items()
}
results = {
    name: float(np.mean(one[is_missing] ** 2))
    for name, one in deviations.items()
}
for name, result in results.items():
    print(f"{name:17}{result:.2f}")

# %%
# Now images, with values in [0, 1]. A square of 4 x 4 pixels is missing in
# each of them, and a tenth of the other pixels. `impute` takes and returns
# images; the imputers of scikit-learn take flat samples. Here training gains:
# compare skae with epoch 0, which ``max_iter=0`` returns.
images = load_digits().images / 16
corners = rng.integers(0, 5, size=(2, len(images), 1))
rows, columns = (
    (corner <= np.arange(8)) & (np.arange(8) < corner + 4)
    for corner in corners
)
hidden = rows[:, :, None] & columns[:, None, :]
hidden |= rng.random(images.shape) < 0.1
incomplete = np.where(hidden, np.nan, images)
X_train, X_test = incomplete[:1400], incomplete[1400:]

flat_train, flat_test = (
    part.reshape(len(part), -1) for part in (X_train, X_test)
)
imputed = {
    name: one.fit(flat_train).transform(flat_test).reshape(X_test.shape)
    for name, one in imputers.items()
}
for name, max_iter in {"skae at epoch 0": 0, "skae": 40}.items():
    imputer = DenoisingAutoencoder(
        n_components=64,
        corruption="masking",
        noise_level=0.25,
        max_iter=max_iter,
        random_state=0,
    )
    imputed[name] = imputer.fit(X_train).impute(X_test)
errors = {
    name: float(np.mean((shown - images[1400:])[hidden[1400:]] ** 2))
    for name, shown in imputed.items()
}

# %%
# The numbers on the left are mean squared errors of the missing pixels, which
# are orange in the second row of images.
figure, grid = plt.subplots(7, 10, figsize=(7, 5), layout="constrained")
colors = plt.get_cmap("gray_r").with_extremes(bad="tab:orange")
shown_rows = {"complete": images[1400:], "incomplete": X_test, **imputed}
for axes, (name, shown) in zip(grid, shown_rows.items(), strict=True):
    label = f"{name}\n{errors[name]:.3f}" if name in errors else name
    axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, image in zip(axes, shown, strict=False):
        ax.imshow(image, cmap=colors, vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
