"""Bounds of the output, detected in the training data.

Most pixels of an image are exactly black or white. An output beyond such a bound costs nothing once
it is clipped, so a network with clipped output spends no capacity on flat background. A feature
with a heavy tail has a largest value, too, but new samples exceed it: clipping there would raise
the error.
"""

import numpy as np

MIN_FRACTION = 0.05  # least fraction of the samples, by weight, that lie exactly on a bound
MIN_SAMPLES = 5  # least weight of them, so that one sample among twenty does not make a bound
MIN_SHARED = 0.5  # least fraction of the features with the same extreme, for it to bound them all


def bounds(moments, *, everywhere=False):
    """Lower and upper bound of each feature, infinite where the data show none.

    Parameters
    ----------
    moments : skae._data.moments.Moments
        Moments of the training samples.
    everywhere : bool, default=False
        Whether to bound every feature by its range in the training data, without a look at how
        many samples lie on its ends.

    Returns
    -------
    lower, upper : ndarray of shape (n_features,), float64
        Bounds in the units of X.
    """
    low, high = moments.low, moments.high
    if everywhere:
        return low.astype(np.float64), high.astype(np.float64)
    varies = low < high
    # The upper side is the lower side of -X.
    lower = _lower_bounds(low, moments.low_weight, varies, moments.weight)
    return lower, -_lower_bounds(-high, moments.high_weight, varies, moments.weight)


def clip_in_place(X, lower, upper):
    """Clip X to the bounds of its features; the array is modified, and returned.

    With arrays of bounds, ``np.clip`` takes several times as long for float32.
    """
    np.maximum(X, lower.astype(X.dtype), out=X)
    return np.minimum(X, upper.astype(X.dtype), out=X)


def _lower_bounds(low, weight_on_it, varies, weight):
    crowded = weight_on_it >= np.maximum(MIN_SAMPLES, MIN_FRACTION * weight)
    lower = np.where(crowded, low, -np.inf).astype(np.float64)
    values, counts = np.unique(low[varies], return_counts=True)
    if len(values) and counts.max() >= max(2, MIN_SHARED * varies.sum()):
        shared = values[counts.argmax()]
        lower = np.where(low >= shared, np.maximum(lower, shared), lower)
    return lower
