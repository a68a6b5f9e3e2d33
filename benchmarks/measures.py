"""What is measured of an estimator."""

from contextlib import contextmanager
from time import perf_counter

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import reconstruction_score


def evaluate(estimator, split):
    """Fit on the training part and measure on the held-out part.

    Parameters
    ----------
    estimator : object
        Transformer with `inverse_transform`.
    split : benchmarks.datasets.Split

    Returns
    -------
    measures : dict of str to float
        `r2`, held-out R²; `mse`, mean squared error per value; `accuracy` of logistic regression and
        `accuracy_5nn` of five nearest neighbours on the codes; `parameters`, their number; `fit_seconds`.
    """
    start = perf_counter()
    estimator.fit(split.train.X)
    seconds = perf_counter() - start
    X = split.held_out.X
    errors = X - reconstruct(estimator, X)
    return {
        "r2": reconstruction_score(estimator, X),
        "mse": float(np.mean(np.square(errors), dtype=np.float64)),
        **_code_accuracies(estimator, split),
        "parameters": _n_parameters(estimator),
        "fit_seconds": seconds,
    }


def reconstruct(estimator, X):
    """Rows after the way through the code and back."""
    return estimator.inverse_transform(estimator.transform(X))


def _n_parameters(estimator):
    if isinstance(estimator, PCA):
        return estimator.components_.size + estimator.mean_.size
    return estimator.summary().total


def _code_accuracies(estimator, split):
    # In float64, whatever the codes are in: lbfgs ends early on what float32 leaves of small gradients.
    train, held_out = (estimator.transform(part.X).astype(np.float64) for part in (split.train, split.held_out))
    classifiers = {"accuracy": LogisticRegression(max_iter=1000), "accuracy_5nn": KNeighborsClassifier(5)}
    return {
        name: float(make_pipeline(StandardScaler(), classifier).fit(train, split.train.y).score(held_out, split.held_out.y))
        for name, classifier in classifiers.items()
    }


@contextmanager
def one_thread():
    """Compute with one thread, as each of several workers should."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
