"""Bounds of the output: which sides of which features the training data show to be a bound.

Most pixels of an image sit exactly on black or white. An output beyond such a bound is no error once it is clipped, so a
clipped network need not spend itself on flat background. A column with a heavy tail has a largest value too, but new
rows lie beyond it: there, clipping would cost more than it gains.
"""

import numpy as np
import torch
from torch import nn

MIN_SHARE = 0.05  # of the rows that sit exactly on a bound, for it to be one
MIN_ROWS = 5  # of them, so that one row among twenty is no bound
MIN_SHARED = 0.5  # of the features that share an extreme, for it to bound them all


def bounds(X, *, everywhere=False, chunk_size=1024):
    """Lower and upper bound of each feature, infinite where the data show none.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    everywhere : bool, default=False
        Take the range of the training data for every feature, whether it looks like a bound or not.
    chunk_size : int, default=1024
        Rows looked at together.

    Returns
    -------
    lower, upper : ndarray of shape (n_features,)
    """
    low, high = X.min(axis=0), X.max(axis=0)
    if everywhere:
        return low.astype(np.float64), high.astype(np.float64)
    on_low, on_high = np.zeros(len(low), dtype=int), np.zeros(len(high), dtype=int)
    for start in range(0, len(X), chunk_size):
        chunk = X[start : start + chunk_size]
        on_low += (chunk == low).sum(axis=0)
        on_high += (chunk == high).sum(axis=0)
    varies = low < high
    # The upper side is the lower side of -X.
    return _lower_bounds(low, on_low, varies, len(X)), -_lower_bounds(-high, on_high, varies, len(X))


def _lower_bounds(low, n_rows_on_it, varies, n_samples):
    crowded = n_rows_on_it >= max(MIN_ROWS, MIN_SHARE * n_samples)
    lower = np.where(crowded, low, -np.inf).astype(np.float64)
    values, counts = np.unique(low[varies], return_counts=True)
    if len(values) and counts.max() >= max(2, MIN_SHARED * varies.sum()):
        shared = values[counts.argmax()]
        lower = np.where(low >= shared, np.maximum(lower, shared), lower)
    return lower


class StraightThroughClip(nn.Module):
    """Clip to [lower, upper]; in training the gradient passes as though nothing had been clipped.

    A plain clamp has no gradient outside its range, so that an output which left it would never come back.

    Parameters
    ----------
    n_features : int
        Length of the buffers `lower` and `upper`, infinite until they are set. No file has them: the border knows them.
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer(
            "lower", torch.full((n_features,), -torch.inf, dtype=torch.float32, device="cpu"), persistent=False
        )
        self.register_buffer(
            "upper", torch.full((n_features,), torch.inf, dtype=torch.float32, device="cpu"), persistent=False
        )

    def set_bounds(self, lower, upper):
        """Set the bounds from arrays of shape (n_features,)."""
        self.lower.copy_(torch.from_numpy(lower))
        self.upper.copy_(torch.from_numpy(upper))

    def forward(self, x):
        if not self.training:
            return x.clamp(self.lower, self.upper)
        clipped = x.clone()
        clipped.detach().clamp_(self.lower, self.upper)  # which autograd does not see
        return clipped


# Each makes the last stage of the decoder for a number of features.
OUTPUTS = {
    "clip": StraightThroughClip,
    "identity": lambda n_features: nn.Identity(),
    "sigmoid": lambda n_features: nn.Sigmoid(),
}
