"""Streams: samples outside of memory, read a chunk of consecutive ones at a time.

A stream has a `shape`, a `dtype`, the numbers of samples in its chunks as `lengths`, and
``read(start, stop)``, which returns these samples as an array; they are of one chunk.
"""

from collections import OrderedDict
from copy import copy

import numpy as np

from skae._data.sources import ArraySource, check_integers, chunk_size

# A memory map of at most this many bytes is read as an array in memory is: samples at random, which
# is fast as soon as the file is in the cache of the operating system.
MIN_STREAMED_BYTES = 2**28
# Number of chunks that are shuffled together, and of those that are kept. Where the training
# samples of a chunk are few, a batch needs some more than a window.
_WINDOW, _N_KEPT = 8, 12


class Stream:
    """Base class of streams."""

    header = None  # names of the features, in a container that scikit-learn knows

    def __len__(self):
        return self.shape[0]

    def flat(self):
        """The same samples, each as a vector."""
        other = copy(self)
        other.shape = len(self), int(np.prod(self.shape[1:]))
        return other


class ArrayStream(Stream):
    """Samples of a memory map, or of an array of h5py or zarr.

    Parameters
    ----------
    X : object
        Array with a `shape` and a `dtype`, whose slices are arrays. It has two or more dimensions,
        of which the first is that of the samples.
    name : str
        Name in error messages.
    """

    def __init__(self, X, name):
        self._X = X
        self.name = name
        self.shape = tuple(X.shape)
        self.dtype = np.dtype(X.dtype)
        stored = (getattr(X, "chunks", None) or [1])[0]
        least = chunk_size(int(np.prod(self.shape[1:])))
        self.lengths = _lengths(self.shape[0], -(-least // stored) * stored)

    def read(self, start, stop):
        part = np.asarray(self._X[start:stop])
        return np.array(part.reshape(len(part), -1))  # read all of it now


class ParquetStream(Stream):
    """Samples of a Parquet file, of columns of numbers or one column of lists of equal length.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        File, of which whole row groups are read.
    name : str
        Name in error messages.

    Raises
    ------
    ValueError
        If a column does not hold numbers.
    """

    def __init__(self, file, name):
        import pyarrow as pa

        self._file = file
        self.name = name
        schema = file.schema_arrow
        self._lists = len(schema) == 1 and pa.types.is_fixed_size_list(schema[0].type)
        types = [schema[0].type.value_type] if self._lists else schema.types
        for field, kind in zip(schema, types, strict=True):
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or kind == pa.bool_()):
                raise ValueError(
                    f"{name} has values of type {field.type} in column {field.name}, but features"
                    " are numbers: drop the column, or encode it first."
                )
        # Integers that may be missing are floats in numpy.
        is_single = all(kind in (pa.float32(), pa.float16()) for kind in types)
        self.dtype = np.dtype(np.float32 if is_single else np.float64)
        if not self._lists:
            self.header = schema.empty_table()
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        n_features = schema[0].type.list_size if self._lists else len(schema)
        self.shape = sum(groups), n_features
        self._groups = np.append(0, np.cumsum(groups))
        self.lengths = _joined(groups, chunk_size(n_features))

    def read(self, start, stop):
        import pyarrow as pa

        first, last = np.searchsorted(self._groups, [start, stop])
        table = self._file.read_row_groups(range(first, last))
        kind = pa.from_numpy_dtype(self.dtype)
        if self._lists:
            values = table.column(0).combine_chunks().flatten().cast(kind)
            return values.to_numpy(zero_copy_only=False).reshape(-1, self.shape[1])
        part = np.empty((table.num_rows, self.shape[1]), self.dtype)
        for i, column in enumerate(table.columns):
            part[:, i] = column.cast(kind).to_numpy()
        return part


class DaskStream(Stream):
    """Samples of an array or a DataFrame of dask, of which blocks are computed as they are needed.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
        Samples.
    name : str
        Name in error messages.

    Raises
    ------
    ValueError
        If the number of samples is not known, or features are in different blocks.
    """

    def __init__(self, X, name):
        if hasattr(X, "to_dask_array"):
            self.header = X.dtypes.to_frame().T
            X = X.to_dask_array(lengths=True)
        if np.isnan(X.shape[0]):
            raise ValueError(
                f"{name} is an array of dask whose number of samples is not known: call"
                f" {name}.compute_chunk_sizes() first, which computes the array once."
            )
        if any(len(lengths) > 1 for lengths in X.chunks[1:]):
            raise ValueError(
                f"{name} has features of a sample in different blocks, {X.chunks[1:]}: call"
                f" {name}.rechunk({{{', '.join(f'{i}: -1' for i in range(1, X.ndim))}}}). It moves"
                " blocks between workers, so store the array in that form if you use it often."
            )
        self.array = X
        self.name = name
        self.shape, self.dtype = X.shape, X.dtype
        self.lengths = _joined(X.chunks[0], chunk_size(int(np.prod(X.shape[1:]))))

    def read(self, start, stop):
        part = np.asarray(self.array[start:stop].compute())
        return part.reshape(len(part), -1)


class BlockStream(Stream):
    """Samples in a list of arrays, which are not copied into one.

    Parameters
    ----------
    blocks : list of ndarray
        Arrays, each of some consecutive samples.
    header : object
        Names of the features, in a container that scikit-learn knows, or None.
    """

    name = "X"

    def __init__(self, blocks, header):
        self._blocks = blocks
        self.header = header
        self._starts = np.append(0, np.cumsum([len(block) for block in blocks]))
        self.shape = int(self._starts[-1]), *blocks[0].shape[1:]
        self.dtype = blocks[0].dtype
        self.lengths = _joined(map(len, blocks), chunk_size(int(np.prod(self.shape[1:]))))

    def read(self, start, stop):
        first, last = np.searchsorted(self._starts, [start, stop])
        part = np.concatenate(self._blocks[first:last])
        return part.reshape(len(part), -1)


def is_dask(X):
    """Whether X is an array or a DataFrame of dask."""
    return _library(X).startswith("dask") and hasattr(X, "__dask_graph__")


def opened(X, name="X"):
    """Open X as a stream if it is outside of memory, otherwise return it.

    Parameters
    ----------
    X : object
        Samples in any container.
    name : str, default="X"
        Name in error messages.
    """
    library = _library(X)
    is_large = isinstance(X, np.memmap) and X.nbytes > MIN_STREAMED_BYTES
    is_stored = library in ("h5py", "zarr") and hasattr(X, "shape")  # a group has no shape
    if (is_large or is_stored) and len(X.shape) > 1:
        return ArrayStream(X, name)
    if library == "pyarrow" and hasattr(X, "read_row_groups"):
        return ParquetStream(X, name)
    return DaskStream(X, name) if is_dask(X) else X


def is_stream(X):
    """Whether X is a stream."""
    return isinstance(X, Stream)


def _library(X):
    """Name of the library that the class of X comes from."""
    return type(X).__module__.partition(".")[0]


class StreamSource(ArraySource):
    """Samples of a stream.

    Shuffled batches come from a window of eight chunks, which slides over all chunks in random
    order: with each step it takes in one chunk, of which it yields a part in each of the next eight
    steps. Each sample occurs once in a pass. If there are no more chunks than that, the order is
    the one of an array in memory.

    Parameters
    ----------
    X : Stream
        Samples.
    dtype, name, sample_weight
        See :class:`skae._data.sources.ArraySource`.
    used : ndarray of bool of shape (n_stream_samples,), default=None
        Which samples of the stream are those of the source. With None, they are all.
    """

    is_streamed = True
    is_sparse = False

    def __init__(self, X, dtype=None, name="X", sample_weight=None, used=None):
        # Position in the stream of each sample of the source.
        self._rows = None if used is None else np.flatnonzero(used)
        self._starts = np.append(0, np.cumsum(X.lengths))
        self._chunks = OrderedDict()
        self._sums = {}
        super().__init__(X, dtype, name, sample_weight)
        self.shape = len(X) if used is None else len(self._rows), X.shape[1]

    def __getitem__(self, batch):
        return self.take(np.arange(len(self))[batch])

    def _keep(self, positions):
        self._rows = self._in_stream(positions)

    def range(self):
        low, high = np.inf, -np.inf
        for chunk, _ in self.chunks():
            low, high = (
                np.fmin.reduce(chunk, axis=None, initial=low),
                np.fmax.reduce(chunk, axis=None, initial=high),
            )
        return low, high

    def to_array(self):
        return self[:]

    def _shuffled(self, positions, rng):
        chunks, starts = self._chunks_of(positions)
        groups = np.split(positions, starts[1:])
        if len(chunks) <= _WINDOW:
            return rng.permutation(positions)
        groups = [rng.permutation(groups[i]) for i in rng.permutation(len(groups))]
        return np.concatenate([rng.permutation(part) for part in _slid(groups)])

    def _gather(self, positions):
        order = np.argsort(positions, kind="stable")
        chunks, starts = self._chunks_of(positions[order])
        result = None if len(positions) else np.empty((0, self.shape[1]), self.dtype)
        for i, places in zip(chunks, np.split(order, starts[1:]), strict=True):
            chunk = self._chunk(i)
            if result is None:
                result = np.empty((len(positions), self.shape[1]), chunk.dtype)
            result[places] = chunk[self._in_stream(positions[places]) - self._starts[i]]
        return result

    def _in_stream(self, positions):
        return positions if self._rows is None else self._rows[positions]

    def _chunks_of(self, positions):
        """Chunks of sorted positions, and where the positions of each of them start."""
        chunks = np.searchsorted(self._starts, self._in_stream(positions), side="right") - 1
        return np.unique(chunks, return_index=True)

    def _chunk(self, i):
        """Read a chunk, unless it was kept."""
        if i in self._chunks:
            self._chunks.move_to_end(i)
            return self._chunks[i]
        start, stop = self._starts[i : i + 2]
        chunk = self._X.read(start, stop)
        if chunk.shape != (stop - start, self.shape[1]):
            raise ValueError(
                f"{self._name} returned an array of shape {chunk.shape} for its samples {start} to"
                f" {stop - 1}, where {(int(stop - start), self.shape[1])} was announced: its size"
                " must not change."
            )
        self._check_unchanged(i, chunk)
        check_integers(chunk, self._name)
        if chunk.dtype.kind == "f" and np.isinf(chunk).any():
            row, column = np.argwhere(np.isinf(chunk))[0]
            raise ValueError(
                f"{self._name} has infinity in sample {start + row}, feature {column}: replace it,"
                " or remove the sample."
            )
        self._chunks[i] = chunk
        if len(self._chunks) > _N_KEPT:
            self._chunks.popitem(last=False)
        return chunk

    def _check_unchanged(self, i, chunk):
        """Refuse a chunk that differs from what was read before."""
        content = np.ascontiguousarray(chunk).reshape(-1).view(np.uint8)
        words = content[: len(content) // 8 * 8].view(np.uint64)
        found = int(words.sum(dtype=np.uint64)), content[len(words) * 8 :].tobytes()
        if self._sums.setdefault(i, found) != found:
            raise ValueError(
                f"{self._name} changed while it was read, in its samples {self._starts[i]} to"
                f" {self._starts[i + 1] - 1}: fit to data that nothing writes to."
            )


def source_of(X, dtype=None, name="X", sample_weight=None, used=None):
    """Source of validated samples: an array, a sparse matrix or a stream.

    Parameters
    ----------
    X, dtype, name, sample_weight
        See :class:`skae._data.sources.ArraySource`. Weights are those of the samples that are used.
    used : ndarray of bool of shape (n_samples,), default=None
        Which samples are those of the source. With None, they are all.
    """
    if is_stream(X):
        return StreamSource(X, dtype, name, sample_weight, used)
    return ArraySource(X if used is None else X[used], dtype, name, sample_weight)


def _slid(groups):
    """Parts of a sliding window over groups: each group is spread over up to eight of them."""
    n_steps = len(groups) - _WINDOW + 1
    parts = [[] for _ in range(n_steps)]
    for i, group in enumerate(groups):
        first, last = max(0, i - _WINDOW + 1), min(i, n_steps - 1)
        for step, part in enumerate(np.array_split(group, last - first + 1), first):
            parts[step].append(part)
    return map(np.concatenate, parts)


def _lengths(n_samples, length):
    """Lengths of chunks of which all but the last have that length."""
    n_chunks, rest = divmod(n_samples, length)
    return [length] * n_chunks + [rest] * (rest > 0)


def _joined(lengths, least):
    """Lengths of chunks that consist of consecutive ones and have at least that many samples."""
    joined, last = [], 0
    for length in lengths:
        last += length
        if last >= least:
            joined.append(last)
            last = 0
    return joined + [last] * (last > 0)
