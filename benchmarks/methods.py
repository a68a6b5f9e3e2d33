"""What is compared, methods by name and their fits, and what is measured of an estimator."""

from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import datasets
from benchmarks.cells import remembered
from skae import AutoencoderTransformer, ConvAutoencoderTransformer, VAETransformer

ORDERED = "skae ordered"
CLASSIFIERS = {
    "logistic_regression": LogisticRegression(max_iter=1000),
    "nearest_neighbors": KNeighborsClassifier(5),
}


def methods(epochs="auto", image_shape=None):
    """Functions ``(n_components, random_state) -> estimator`` by name; `skae conv` for images."""

    def trained(cls, **parameters):
        def make(n_components, random_state=None):
            return cls(n_components, max_iter=epochs, random_state=random_state, **parameters)

        return make

    dense = {
        "PCA": lambda n_components, random_state=None: PCA(n_components, random_state=random_state),
        "skae": trained(AutoencoderTransformer),
        ORDERED: trained(AutoencoderTransformer, ordered=True),
        "skae VAE": trained(VAETransformer),
    }
    conv = {"skae conv": trained(ConvAutoencoderTransformer, image_shape=image_shape)}
    return dense | (conv if image_shape else {})


def fits(names, sizes):
    """Pairs of a method and numbers of components: each is fitted on its own by :func:`fitted`."""
    alone = [(size,) for size in sizes]
    return [(name, k) for name in names for k in ([tuple(sizes)] if name == ORDERED else alone)]


def fitted(method, sizes, source, epochs, cache=None):
    """Estimators by number of components; an ordered one is fitted once and truncated."""
    fit = remembered(_fit, cache)
    if method == ORDERED:
        widest = fit(method, max(sizes), source, epochs)
        return {size: widest.truncate(size) for size in sizes}
    return {size: fit(method, size, source, epochs) for size in sizes}


def _fit(method, n_components, source, epochs):
    split = datasets.load(source)
    make = methods(epochs, split.image_shape)[method]
    return make(n_components, source.seed).fit(split.train.X)


def seconds_to_fit(estimator, X):
    """Fit an estimator, and return the seconds that it takes."""
    started = perf_counter()
    estimator.fit(X)
    return perf_counter() - started


def reconstruct(estimator, X):
    """Samples after encoding and decoding."""
    return estimator.inverse_transform(estimator.transform(X))


def reconstruction(X, reconstructed):
    """R², as `skae.reconstruction_score`, and the mean squared error per value."""
    X, reconstructed = (values.astype(np.float64) for values in (X, reconstructed))
    return {
        "r2": float(r2_score(X, reconstructed, multioutput="variance_weighted")),
        "mse": float(np.square(X - reconstructed).mean()),
    }


def held_out_errors(estimator, split):
    """R² and mean squared error of an estimator on the held-out samples."""
    return reconstruction(split.held_out.X, reconstruct(estimator, split.held_out.X))


def n_parameters(estimator):
    """Number of parameters: components and mean of PCA, all that `summary` counts otherwise."""
    if isinstance(estimator, PCA):
        return estimator.components_.size + estimator.mean_.size
    return estimator.summary().total


def encoded(estimator, split):
    """Training and held-out parts with their latent codes in the place of X."""
    return [part._replace(X=estimator.transform(part.X)) for part in (split.train, split.held_out)]


def accuracies(train, held_out, *, standardize=True):
    """Accuracies of the `CLASSIFIERS` by name, on parts that are standardized by the first."""
    # In float64: lbfgs ends early on what float32 leaves of small gradients.
    train, held_out = (part._replace(X=part.X.astype(np.float64)) for part in (train, held_out))
    steps = [StandardScaler()] if standardize else []
    return {
        name: float(make_pipeline(*steps, classifier).fit(*train).score(*held_out))
        for name, classifier in CLASSIFIERS.items()
    }
