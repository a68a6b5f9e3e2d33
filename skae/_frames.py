"""Containers: DataFrames as input, and as output after scikit-learn's `set_output`."""

import numpy as np
import scipy.sparse
import torch
from sklearn.utils import check_array

from skae._compat import get_container_adapter, get_feature_names
from skae._data.streams import is_stream

# Dtypes, containers and missing values that are accepted, for `check_array`.
ACCEPTED = {"dtype": "numeric", "accept_sparse": "csr", "ensure_all_finite": "allow-nan"}


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


def with_missing_filled(X, values):
    """Copy X with its missing values replaced by those of an array of the same shape."""
    if hasattr(X, "iloc"):  # pandas
        X = X.copy()
        for i in np.flatnonzero(X.isna().to_numpy().any(axis=0)):
            column = X.iloc[:, i]
            if getattr(column.dtype, "kind", "f") != "f":  # of integers that may be missing
                column = column.astype("Float64")
            X.isetitem(i, column.where(column.notna(), values[:, i]))
        return X
    if hasattr(X, "get_columns"):  # polars
        columns = {}
        for i, column in enumerate(X.get_columns()):
            given = column.to_numpy()
            missing = np.isnan(given) if given.dtype.kind == "f" else column.is_null().to_numpy()
            if missing.any():
                columns[column.name] = np.where(missing, values[:, i], given)
        return X.with_columns(**{name: X[name].__class__(name, v) for name, v in columns.items()})
    X = as_array(X)
    X = np.array(X, dtype=values.dtype if not hasattr(X, "dtype") else None)
    if X.dtype.kind == "O":
        X = X.astype(values.dtype)
    if X.dtype.kind == "f":
        np.copyto(X, values.astype(X.dtype), where=np.isnan(X))
    return X


def string_columns(X):
    """Name the columns of a DataFrame or an array that hold strings, for messages; "" if none."""
    values = np.asarray(X)
    if values.ndim != 2 or values.dtype.kind not in "OUST":
        return ""
    names = getattr(X, "columns", range(values.shape[1]))
    found = [
        str(name)
        for name, column in zip(names, values.T, strict=True)
        if any(isinstance(value, str) for value in column)
    ]
    return ("column " if len(found) == 1 else "columns ") + _shown(found) if found else ""


def check_samples(X, name, **options):
    """Samples as an array or in CSR format, after scikit-learn's `check_array`, or as a stream."""
    if is_stream(X):
        return check_stream(X, options.get("ensure_min_samples", 1))
    X = check_array(X, input_name=name, **ACCEPTED, **options)
    check_sparse(X, name)
    return X


def check_stream(X, ensure_min_samples):
    """Refuse a stream of other values than numbers, or of too few samples."""
    if X.dtype.kind not in "biuf" or len(X.shape) != 2:
        raise ValueError(
            f"{X.name} has the dtype {X.dtype} and the shape {X.shape}: give samples of real"
            " numbers, in two dimensions if they are not images."
        )
    if len(X) < ensure_min_samples:
        raise ValueError(
            f"Found array with {len(X)} sample(s) (shape={X.shape}) while a minimum of"
            f" {ensure_min_samples} is required."
        )
    return X


def check_sparse(X, name):
    """Refuse NaN in a sparse matrix."""
    if scipy.sparse.issparse(X) and X.dtype.kind == "f" and np.isnan(X.data).any():
        column = X.tocoo().col[np.isnan(X.data).argmax()]
        raise ValueError(
            f"{name} is sparse and has NaN in column {column}: missing values are supported only in"
            f" dense samples. Give {name}.toarray(), or replace them."
        )


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
