"""Sources: samples that are read a chunk or a batch at a time.

A source has a `shape`, a length and the floating-point `dtype` in which its samples are computed.
Where several processes fit together, it has the samples of one of them; `group` is their group, and
`n_samples` the number of samples of all of them; see :mod:`skae._data.group`.
Where values are missing, it has a `fill`, which puts others in their place as it reads them; see
:mod:`skae._data.missing`. Its samples are read by

- ``chunks(size)``: pairs of consecutive samples, in order and each once, and their weights; they
  must not be modified;
- ``source[a:b]``: the samples of a slice, like those of chunks;
- ``batches(size, rng, positions)``: pairs of positions and samples, shuffled if `rng` is given, of
  all samples or those at `positions`; `size` may be a list of the size of each batch;
- ``take(positions)``: the samples at these positions. Like the samples of batches, they are a new
  array, which may be modified;
- ``weights(index)``: weights of the samples at an index, None where all have the weight 1;
- ``observed(positions)``: whether each value is observed, None where there is no `fill`;
- ``with_fill(fill)``: the same source with a fill;
- ``subset(positions)``: a source of the samples at these positions, which are copied unless they
  are those of a stream;
- ``range()``: the smallest and the largest value that is observed;
- ``to_array()``: all samples in one array, for a solver that needs them at once.
"""

from copy import copy
from dataclasses import replace

import numpy as np
import scipy.sparse
from sklearn.utils import gen_batches

from skae._data.group import SINGLE
from skae._data.moments import Moments, merged
from skae._data.splitting import hash_samples

# Default number of samples in a chunk, and the number of values in it at most.
_CHUNK_SIZE, _MAX_CHUNK_VALUES = 1024, 2**22
_LARGEST_INTEGER = 2**53  # float64 does not represent every larger integer
FLOATS = (np.dtype(np.float64), np.dtype(np.float32))  # samples of other dtypes become the first


def chunk_size(n_features):
    """Number of samples that are read, or pass through the network, at once in bounded memory."""
    return max(1, min(_CHUNK_SIZE, _MAX_CHUNK_VALUES // n_features))


class ArraySource:
    """Samples of an array, a memory map or a sparse matrix, converted chunk by chunk.

    Parameters
    ----------
    X : ndarray or sparse matrix or array in CSR format, of shape (n_samples, n_features)
        Samples of any real or boolean dtype, an array in any memory layout.
    dtype : dtype, default=None
        Floating-point dtype of the samples that are read. None keeps float64 and float32 and makes
        float64 of all others, as scikit-learn's PCA does.
    name : str, default="X"
        Name of X in error messages.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each sample. None is a weight of 1.

    Raises
    ------
    ValueError
        If float64 does not represent an integer of X.
    """

    is_streamed = False
    group = SINGLE

    def __init__(self, X, dtype=None, name="X", sample_weight=None):
        self._X = X
        self._name = name
        self.sample_weight = sample_weight
        self.shape = X.shape
        self.dtype = np.dtype(dtype or (X.dtype if X.dtype in FLOATS else FLOATS[0]))
        self.fill = None
        if not self.is_streamed:
            check_integers(X, name)  # once, not at each batch

    @property
    def n_samples(self):
        return len(self) if self.group.size == 1 else self._n_samples

    def of_group(self, group):
        """The same samples, as those of one process of a group."""
        other = copy(self)
        other.group, other._n_samples = group, sum(group.gather(len(self)))
        return other

    def with_fill(self, fill):
        other = copy(self)
        other.fill = fill
        return other

    def subset(self, positions):
        other = copy(self)
        other.shape = len(positions), self.shape[1]
        if self.sample_weight is not None:
            other.sample_weight = self.sample_weight[positions]
        other._keep(positions)
        return other.of_group(self.group)

    def _keep(self, positions):
        self._X = self._gather(positions)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, batch):
        return self._convert(self._X[batch])

    @property
    def is_sparse(self):
        return scipy.sparse.issparse(self._X)

    def chunks(self, size=None):
        for batch in gen_batches(len(self), size or chunk_size(self.shape[1])):
            yield self[batch], self.weights(batch)

    def batches(self, size=None, rng=None, positions=None):
        size = size or chunk_size(self.shape[1])
        order = np.arange(len(self)) if positions is None else positions
        if rng is not None:
            order = self._shuffled(order, rng)
        if isinstance(size, list):
            batches = np.split(order, np.cumsum(size)[:-1])
        else:
            batches = (order[batch] for batch in gen_batches(len(order), size))
        for batch in batches:
            yield batch, self.take(batch)

    def take(self, positions):
        return self._convert(self._gather(positions))

    def weights(self, index):
        return None if self.sample_weight is None else self.sample_weight[index]

    def observed(self, positions):
        return None if self.fill is None else ~np.isnan(self._as_floats(self._gather(positions)))

    def range(self):
        if self.is_sparse or self._X.dtype.kind != "f":
            return self._X.min(), self._X.max()
        return np.fmin.reduce(self._X, axis=None), np.fmax.reduce(self._X, axis=None)

    def to_array(self):
        return self._convert(self._X)

    def to_sparse(self):
        """All samples of a sparse matrix as one of `dtype`, in canonical format."""
        X = self._X.astype(self.dtype, copy=False)
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X

    def _shuffled(self, positions, rng):
        """Positions in random order."""
        return rng.permutation(positions)

    def _gather(self, positions):
        """Copy samples at some positions, not yet converted."""
        # `X.take` would first copy all of X where it is not C-contiguous.
        if self.is_sparse:
            return self._X[positions]
        if self._X.flags.c_contiguous:
            return self._X.take(positions, axis=0)
        if self._X.flags.f_contiguous:
            return np.ascontiguousarray(self._X.T.take(positions, axis=1).T)
        return np.ascontiguousarray(self._X[positions])

    def _convert(self, part):
        """Samples as a dense array of `dtype` without missing values, if there is a fill."""
        part = self._as_floats(part)
        return part if self.fill is None else self.fill(part)

    def _as_floats(self, part):
        """Samples as a dense array of `dtype`, which is a copy where they have to be converted."""
        return np.asarray(part.toarray() if self.is_sparse else part).astype(self.dtype, copy=False)


def check_integers(X, name):
    """Raise an error if X has an integer that float64 does not represent."""
    if X.dtype.kind not in "iu" or X.dtype.itemsize < 8:
        return
    low, high = X.min(), X.max()
    if high > _LARGEST_INTEGER or low < -_LARGEST_INTEGER:
        is_high = high > _LARGEST_INTEGER
        position = X.argmax() if is_high else X.argmin()
        raise ValueError(
            f"{name} has the integer {high if is_high else low} in column"
            f" {position % X.shape[1]}, but float64 represents every integer only up to"
            f" {_LARGEST_INTEGER}: subtract an offset, or convert {name} to float64 to round it."
        )


def measure(source, *, cross, hashed=False):
    """Compute moments and hashes in one pass; the moments are those of all processes of a group.

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
        Moments of the samples of all processes.
    hashes : ndarray of shape (n_samples,), or None
        Hash of each sample, if `hashed` is true.
    """
    if source.is_sparse and not cross:
        X = source.to_sparse()
        moments = Moments.of_sparse(X, source.sample_weight) if len(source) else None
        return merged(moments, source.group), hash_samples(X) if hashed else None
    hashes = []

    def chunks():
        for chunk, weights in source.chunks():
            if hashed:
                hashes.append(hash_samples(chunk))
            yield chunk, weights

    moments = merged(Moments.of(chunks(), cross=cross), source.group)
    if not moments.is_complete:  # features without any value count as constant
        low, high = (
            np.where(moments.weight > 0, extreme, 0) for extreme in (moments.low, moments.high)
        )
        moments = replace(moments, low=low, high=high)
    return moments, np.concatenate(hashes) if hashed else None
