"""Containers: DataFrames on their way in, and on the way out as scikit-learn's `set_output` says."""

import torch

from skae._compat import get_container_adapter, get_feature_names


def in_container(X_hat, X, estimator, names):
    """Reconstructed samples in the container that `transform` of the estimator gives codes in.

    `set_output` does so for `transform` alone, whose columns are the codes'.

    Parameters
    ----------
    X_hat : ndarray
        Images of more than two dimensions stay an array.
    X : object
        What they were made of; a pandas DataFrame gives them its index.
    estimator : object
        Whose `set_output`, or else the global configuration, decides.
    names : ndarray of str or None
        Of the columns; None leaves them to the container.
    """
    adapter = get_container_adapter("transform", estimator)
    return (
        X_hat
        if adapter is None or X_hat.ndim != 2
        else adapter.create_container(X_hat, X, columns=names)
    )


def as_array(X):
    """A tensor as an array, which scikit-learn's dispatch to other array libraries leaves alone; others as they are."""
    return X.numpy(force=True) if isinstance(X, torch.Tensor) else X


def check_order(codes, names):
    """Refuse a DataFrame whose columns have the names, but in another order, or not the first of them."""
    given = get_feature_names(codes)
    if given is not None and set(given) <= set(names) and list(given) != list(names[: len(given)]):
        raise ValueError(
            f"X has the columns {_shown(given)}, but the codes are {_shown(names)}: select them in that order,"
            " X[estimator.get_feature_names_out()], or the first of them where they are ordered."
        )


def _shown(names):
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
