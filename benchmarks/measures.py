"""What is measured of an estimator."""

from contextlib import contextmanager
from time import perf_counter

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
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
        `r2`, held-out R²; `mse`, mean squared error per value; `accuracy` of logistic regression on the codes;
        `fit_seconds`.
    """
    start = perf_counter()
    estimator.fit(split.train.X)
    seconds = perf_counter() - start
    X = split.held_out.X
    errors = X - reconstruct(estimator, X)
    return {
        "r2": reconstruction_score(estimator, X),
        "mse": float(np.mean(np.square(errors), dtype=np.float64)),
        "accuracy": _code_accuracy(estimator, split),
        "fit_seconds": seconds,
    }


def reconstruct(estimator, X):
    """Rows after the way through the code and back."""
    return estimator.inverse_transform(estimator.transform(X))


def _code_accuracy(estimator, split):
    # In float64, whatever the codes are in: lbfgs ends early on what float32 leaves of small gradients.
    train, held_out = (estimator.transform(part.X).astype(np.float64) for part in (split.train, split.held_out))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(classifier.fit(train, split.train.y).score(held_out, split.held_out.y))


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
