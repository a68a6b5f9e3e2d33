"""Methods of arrays of dask: computed block by block, where the blocks are."""

from functools import wraps

import numpy as np

from skae._compat import check_sample_weight
from skae._data.streams import DaskStream, is_dask


def lazy(method):
    """Decorate a method of samples so that it maps an array of dask block by block.

    The result is an array of dask. The estimator is one node of the graph, which each worker gets
    once. Values are checked in each block as it is computed, all else at once.
    """

    @wraps(method)
    def of_any(self, X, **parameters):
        return _mapped(self, method, X, parameters) if is_dask(X) else method(self, X, **parameters)

    return of_any


def _mapped(estimator, method, X, parameters):
    import dask

    names = None
    if hasattr(X, "to_dask_array"):
        names, X = X.columns, X.to_dask_array()
    if any(len(lengths) > 1 for lengths in X.chunks[1:]):
        X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    # One sample tells whether the features are those of the fit, and what the result is like.
    sample = _named(np.zeros((1, *X.shape[1:]), X.dtype), names)
    example = np.asarray(method(estimator, sample, **parameters))
    return X.map_blocks(
        _applied,
        estimator=dask.delayed(estimator, pure=False, traverse=False),
        method=method.__name__,
        names=names,
        parameters=parameters,
        dtype=example.dtype,
        chunks=(X.chunks[0], *((length,) for length in example.shape[1:])),
        drop_axis=list(range(1, X.ndim)),
        new_axis=list(range(1, example.ndim)),
        meta=example[:0],
    )


def score_of_blocks(estimator, X, sample_weight):
    """R² of the reconstruction of an array of dask, from the sums of its blocks."""
    import dask

    names = getattr(X, "columns", None)
    X = DaskStream(X, "X").array
    if sample_weight is not None:
        sample_weight = check_sample_weight(
            np.asarray(sample_weight), np.empty((len(X), 0)), ensure_non_negative=True
        )
    model = dask.delayed(estimator, pure=False, traverse=False)
    ends, parts = np.append(0, np.cumsum(X.chunks[0])), []
    for i, block in enumerate(X.to_delayed().ravel()):
        weights = None if sample_weight is None else sample_weight[ends[i] : ends[i + 1]]
        if ends[i] < ends[i + 1]:
            parts.append(dask.delayed(_error_sums)(block, model, names, weights))
    total, *others = dask.compute(*parts)
    for part in others:
        total.merge(part)
    return float(total.scores()[0])


def _error_sums(block, estimator, names, weights):
    X = estimator._validate_samples(_named(block, names))
    return estimator._model.error_sums(X, X, sample_weight=weights)


def _applied(block, estimator, method, names, parameters):
    return np.asarray(getattr(estimator, method)(_named(block, names), **parameters))


def _named(samples, names):
    if names is None:
        return samples
    import pandas as pd

    return pd.DataFrame(samples, columns=names)
