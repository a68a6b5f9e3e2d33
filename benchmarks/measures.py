"""What is measured of an estimator."""

from contextlib import contextmanager
from time import sleep

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


def pause():
    """Wait before something is timed: for a tenth of a second numpy's threads look for more work and hold up torch's.

    Right after scikit-learn's MLPRegressor a fit of small batches in two threads takes one and a half times as long.
    """
    sleep(0.2)


def reconstruct(estimator, X):
    """Rows after the way through the code and back."""
    return estimator.inverse_transform(estimator.transform(X))


def reconstruction(X, reconstructed):
    """Measure a reconstruction.

    Parameters
    ----------
    X, reconstructed : ndarray of shape (n_rows, n_features)

    Returns
    -------
    measures : dict of str to float
        `r2`, the share of the variance that is kept, as `skae.reconstruction_score`; `mse`, mean squared error per value.
    """
    X, reconstructed = (rows.astype(np.float64) for rows in (X, reconstructed))
    return {
        "r2": float(r2_score(X, reconstructed, multioutput="variance_weighted")),
        "mse": float(np.square(X - reconstructed).mean()),
    }


def n_parameters(estimator):
    """Number of parameters: of PCA its components and mean, of an autoencoder all that `summary` counts."""
    if isinstance(estimator, PCA):
        return estimator.components_.size + estimator.mean_.size
    return estimator.summary().total


def accuracies(train, held_out, *, standardize=True):
    """Accuracy of two classifiers on rows, codes say.

    Parameters
    ----------
    train, held_out : benchmarks.datasets.Part
    standardize : bool, default=True
        By the training rows.

    Returns
    -------
    accuracies : dict of str to float
        `logistic_regression`, and `nearest_neighbors`, five of them.
    """
    # In float64, whatever the rows are in: lbfgs ends early on what float32 leaves of small gradients.
    train, held_out = (part._replace(X=part.X.astype(np.float64)) for part in (train, held_out))
    classifiers = {
        "logistic_regression": LogisticRegression(max_iter=1000),
        "nearest_neighbors": KNeighborsClassifier(5),
    }
    steps = [StandardScaler()] if standardize else []
    return {
        name: float(make_pipeline(*steps, c).fit(*train).score(*held_out))
        for name, c in classifiers.items()
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
