"""Containers: DataFrames as input, and as output after scikit-learn's `set_output`."""

import torch

from skae._compat import get_container_adapter, get_feature_names


def in_container(X_hat, X, estimator, names):
    """Put reconstructed samples in the container that `transform` of the estimator returns.

    `set_output` itself does so for `transform` alone, whose columns are the components.

    Parameters
    ----------
    X_hat : ndarray
        Reconstructed samples. N-dimensional images stay an array.
    X : object
        Input of the method. The index of a pandas DataFrame is kept.
    estimator : object
        Estimator whose `set_output`, or else the global configuration, chooses the container.
    names : ndarray of str or None
        Column names; with None the container makes them.
    """
    adapter = get_container_adapter("transform", estimator)
    return (
        X_hat
        if adapter is None or X_hat.ndim != 2
        else adapter.create_container(X_hat, X, columns=names)
    )


def as_array(X):
    """Convert a tensor to an array, so that scikit-learn does not dispatch to PyTorch."""
    return X.numpy(force=True) if isinstance(X, torch.Tensor) else X


def check_order(codes, names):
    """Refuse a DataFrame of codes whose columns are in another order, or not the first ones."""
    given = get_feature_names(codes)
    if given is not None and set(given) <= set(names) and list(given) != list(names[: len(given)]):
        raise ValueError(
            f"X has the columns {_shown(given)}, but the latent components are {_shown(names)}:"
            " select them in that order with X[estimator.get_feature_names_out()], or the first of"
            " them if the codes are ordered."
        )


def _shown(names):
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
