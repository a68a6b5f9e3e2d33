"""Sources: samples that are read a chunk or a batch at a time.

A source has `shape`, `dtype` and a length, and gives its samples by

- ``chunks(size)``: consecutive samples, in order, each once; not to be written to,
- ``batches(size, rng, positions)``: positions and samples of some, shuffled where there is an rng,
- ``take(positions)``: the samples at those positions; like those of batches, an array of the
  reader's own,
- ``to_array()``: all of them in one array, for a solver that needs them together.
"""

import numpy as np
from sklearn.utils import gen_batches

from skae._data.moments import Moments
from skae._data.splitting import hash_samples

CHUNK_SIZE = 1024  # samples that are read together where nothing else decides


class ArraySource:
    """Samples of an array in memory, of any memory layout.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    """

    def __init__(self, X):
        self._X = X
        self.shape = X.shape
        self.dtype = X.dtype

    def __len__(self):
        return self.shape[0]

    def chunks(self, size=CHUNK_SIZE):
        for batch in gen_batches(len(self), size):
            yield self._X[batch]

    def batches(self, size, rng=None, positions=None):
        positions = np.arange(len(self)) if positions is None else positions
        order = positions if rng is None else rng.permutation(positions)
        for batch in gen_batches(len(order), size):
            yield order[batch], self.take(order[batch])

    def take(self, positions):
        # `X.take` would copy the whole of X first where X is not C-contiguous.
        if self._X.flags.c_contiguous:
            return self._X.take(positions, axis=0)
        if self._X.flags.f_contiguous:
            return np.ascontiguousarray(self._X.T.take(positions, axis=1).T)
        return np.ascontiguousarray(self._X[positions])

    def to_array(self):
        return self._X


def measure(source, *, cross, hashed=False):
    """Moments of all samples, and the hashes that a split needs, in one pass.

    Parameters
    ----------
    source : ArraySource
    cross : bool
        Whether the moments have a scatter matrix.
    hashed : bool, default=False

    Returns
    -------
    moments : skae._data.moments.Moments
    hashes : ndarray of shape (n_samples,), or None
    """
    hashes = []

    def chunks():
        for chunk in source.chunks():
            if hashed:
                hashes.append(hash_samples(chunk))
            yield chunk

    moments = Moments.of(chunks(), cross=cross)
    return moments, np.concatenate(hashes) if hashed else None
