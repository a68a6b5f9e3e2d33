"""Sources: samples that are read a chunk or a batch at a time.

A source has a `shape`, a `dtype` and a length, and its samples are read by

- ``chunks(size)``: consecutive samples in order, each once, which must not be modified;
- ``batches(size, rng, positions)``: pairs of positions and samples, shuffled if `rng` is given, of
  all samples or those at `positions`;
- ``take(positions)``: the samples at these positions. Like the samples of batches, they are a new
  array, which may be modified;
- ``to_array()``: all samples in one array, for a solver that needs them at once.
"""

import numpy as np
from sklearn.utils import gen_batches

from skae._data.moments import Moments
from skae._data.splitting import hash_samples

CHUNK_SIZE = 1024  # default number of samples in a chunk


class ArraySource:
    """Samples of an array in memory.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Array of any memory layout.
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
        # `X.take` would first copy all of X where it is not C-contiguous.
        if self._X.flags.c_contiguous:
            return self._X.take(positions, axis=0)
        if self._X.flags.f_contiguous:
            return np.ascontiguousarray(self._X.T.take(positions, axis=1).T)
        return np.ascontiguousarray(self._X[positions])

    def to_array(self):
        return self._X


def measure(source, *, cross, hashed=False):
    """Compute moments and hashes of all samples in one pass.

    Parameters
    ----------
    source : ArraySource
        Samples.
    cross : bool
        Whether the moments have a scatter matrix.
    hashed : bool, default=False
        Whether to compute hashes, which a split into training samples and a validation set needs.

    Returns
    -------
    moments : skae._data.moments.Moments
        Moments of the samples.
    hashes : ndarray of shape (n_samples,), or None
        Hash of each sample, if `hashed` is true.
    """
    hashes = []

    def chunks():
        for chunk in source.chunks():
            if hashed:
                hashes.append(hash_samples(chunk))
            yield chunk

    moments = Moments.of(chunks(), cross=cross)
    return moments, np.concatenate(hashes) if hashed else None
