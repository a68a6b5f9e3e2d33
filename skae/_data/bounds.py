"""Bounds of the output: which sides of which features the training data show to be a bound.

Most pixels of an image sit exactly on black or white. An output beyond such a bound is no error
once it is clipped, so a clipped network need not spend itself on flat background. A column with a
heavy tail has a largest value too, but new samples lie beyond it: there, clipping would cost more
than it gains.
"""

import numpy as np

MIN_FRACTION = 0.05  # of the samples that sit exactly on a bound, for it to be one
MIN_SAMPLES = 5  # of them, so that one sample among twenty is no bound
MIN_SHARED = 0.5  # of the features that share an extreme, for it to bound them all


def bounds(moments, *, everywhere=False):
    """Lower and upper bound of each feature, infinite where the data show none.

    Parameters
    ----------
    moments : skae._data.moments.Moments
    everywhere : bool, default=False
        Take the range of the training data for every feature, whether it looks like a bound or not.

    Returns
    -------
    lower, upper : ndarray of shape (n_features,), float64
    """
    low, high = moments.low, moments.high
    if everywhere:
        return low.astype(np.float64), high.astype(np.float64)
    varies = low < high
    # The upper side is the lower side of -X.
    lower = _lower_bounds(low, moments.n_low, varies, moments.n_samples)
    return lower, -_lower_bounds(-high, moments.n_high, varies, moments.n_samples)


def _lower_bounds(low, n_on_it, varies, n_samples):
    crowded = n_on_it >= max(MIN_SAMPLES, MIN_FRACTION * n_samples)
    lower = np.where(crowded, low, -np.inf).astype(np.float64)
    values, counts = np.unique(low[varies], return_counts=True)
    if len(values) and counts.max() >= max(2, MIN_SHARED * varies.sum()):
        shared = values[counts.argmax()]
        lower = np.where(low >= shared, np.maximum(lower, shared), lower)
    return lower
