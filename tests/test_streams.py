"""Streams against the array that is in the file."""

import numpy as np
import pandas as pd
import pytest
from conftest import ESTIMATORS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
)
from skae._data import streams
from skae._data.sources import ArraySource
from skae._data.streams import opened, source_of
from skae._linear import pca as linear_pca


def _memory_mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def _h5py(X, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "X.h5", "w").create_dataset("X", data=X, chunks=(3, *X.shape[1:]))


def _h5py_without_chunks(X, folder):
    return pytest.importorskip("h5py").File(folder / "X.h5", "w").create_dataset("X", data=X)


def _zarr(X, folder):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(folder / "X.zarr", shape=X.shape, chunks=(5, 2), dtype=X.dtype)
    array[:] = X
    return array


def _parquet(X, folder, row_group_size=4):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    frame = (
        X
        if hasattr(X, "columns")
        else pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    )
    frame.to_parquet(folder / "X.parquet", row_group_size=row_group_size)
    return parquet.ParquetFile(folder / "X.parquet")


def _parquet_of_lists(X, folder):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    lists = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])
    parquet.write_table(pa.table({"X": lists}), folder / "X.parquet", row_group_size=4)
    return parquet.ParquetFile(folder / "X.parquet")


CONTAINERS = (
    _memory_mapped,
    _h5py,
    _h5py_without_chunks,
    _zarr,
    _parquet,
    _parquet_of_lists,
)
container = pytest.mark.parametrize("container", CONTAINERS, ids=lambda make: make.__name__[1:])


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """Stream all memory maps, in chunks of seven samples or a few more."""
    monkeypatch.setattr(streams, "MIN_STREAMED_BYTES", 0)
    monkeypatch.setattr(streams, "chunk_size", lambda n_features: 7)


@pytest.fixture(name="X")
def _samples(rng):
    return rng.normal(size=(200, 6)).astype(np.float32) @ np.diag([4, 3, 2, 1, 1, 1]).astype("f4")


class Counted:
    """Stream that notes what is read."""

    def __init__(self, stream):
        self.stream = stream
        self.reads = []

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __len__(self):
        return len(self.stream)

    def read(self, start, stop):
        self.reads.append((int(start), int(stop)))
        return self.stream.read(start, stop)


def _counted(X, folder):
    stream = Counted(opened(_memory_mapped(X, folder)))
    return streams.StreamSource(stream), stream


# Reading


@container
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64, bool])
def test_a_stream_is_read_as_its_array(container, dtype, rng, tmp_path):
    X = rng.normal(0, 50, size=(30, 4)).clip(0, 255).astype(dtype)
    array, stream = ArraySource(X), source_of(opened(container(X, tmp_path)))
    assert stream.is_streamed
    assert (stream.shape, stream.dtype, len(stream)) == (array.shape, array.dtype, 30)
    assert_array_equal(stream.to_array(), array.to_array())
    assert_array_equal(stream[3:20], array[3:20])
    positions = rng.integers(30, size=50)
    taken = stream.take(positions)
    assert_array_equal(taken, array.take(positions))
    assert taken.dtype == array.dtype
    taken += 1  # a copy, which may be modified
    assert_array_equal(stream.take(positions), array.take(positions))
    assert stream.range() == array.range()
    chunks = [chunk for chunk, _ in stream.chunks(8)]
    assert [len(chunk) for chunk in chunks] == [8, 8, 8, 6]
    assert_array_equal(np.concatenate(chunks), array.to_array())


def test_columns_of_integers_with_missing_values(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [0.5, 1.5, np.nan]})
    source = source_of(opened(_parquet(frame, tmp_path)))
    assert_array_equal(source.to_array(), [[1, 0.5], [np.nan, 1.5], [3, np.nan]])


def test_arrays_in_memory_and_small_memory_maps_are_not_streams(X, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MIN_STREAMED_BYTES", X.nbytes)
    for given in (X, _memory_mapped(X, tmp_path), X.tolist(), pd.DataFrame(X)):
        assert opened(given) is given


@pytest.mark.parametrize("n_samples", [20, 57, 200, 203])
def test_a_shuffled_pass_has_each_sample_once_and_reads_each_chunk_once(n_samples, rng, tmp_path):
    X = np.arange(3.0 * n_samples).reshape(-1, 3)
    source, stream = _counted(X, tmp_path)
    orders = []
    for _ in range(2):
        stream.reads.clear()
        source._chunks.clear()
        batches = list(source.batches(5, rng))
        orders.append(np.concatenate([positions for positions, _ in batches]))
        for positions, part in batches:
            assert_array_equal(part, X[positions])
        assert sorted(stream.reads) == [(i, min(i + 7, n_samples)) for i in range(0, n_samples, 7)]
    for order in orders:
        assert_array_equal(np.sort(order), np.arange(n_samples))
    assert (orders[0] != orders[1]).any()


def test_a_batch_comes_from_chunks_all_over_the_stream(rng, tmp_path):
    """Any 14 consecutive samples come from at least five chunks of seven; in order, from three."""
    source, _ = _counted(rng.normal(size=(700, 2)), tmp_path)
    order = np.concatenate([positions for positions, _ in source.batches(10, rng)])
    for i in range(0, 700 - 14):
        assert len(np.unique(order[i : i + 14] // 7)) >= 5
    # Chunks come in random order: neighbors in a batch are far apart.
    assert np.abs(np.diff(order)).mean() > 700 / 5


def test_validation_samples_are_read_once(X, tmp_path, monkeypatch):
    """They come from all over the stream, so that each epoch would have to read all of it."""
    monkeypatch.setattr("skae._training.fit.MAX_KEPT_VALUES", 0)
    reads, read = [], streams.ArrayStream.read
    monkeypatch.setattr(
        streams.ArrayStream, "read", lambda self, *at: reads.append(at) or read(self, *at)
    )
    numbers = []
    for max_iter in (2, 3):
        reads.clear()
        AutoencoderTransformer(2, max_iter=max_iter, random_state=0).fit(
            _memory_mapped(X, tmp_path)
        )
        numbers.append(len(reads))
    assert numbers[1] - numbers[0] == -(-len(X) // 7)  # one pass for one epoch


# Estimators


@container
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_fit_starts_as_that_to_the_array(container, estimator, X, tmp_path):
    start = estimator(2, max_iter=0, random_state=0)
    given = container(X, tmp_path)
    streamed, expected = start.fit(given), estimator(2, max_iter=0, random_state=0).fit(X)
    assert_allclose(streamed.baseline_score_, expected.baseline_score_, rtol=1e-6)
    X = pd.DataFrame(X, columns=getattr(streamed, "feature_names_in_", None))
    for method in ("transform", "reconstruct", "score_samples", "score"):
        assert_allclose(
            getattr(streamed, method)(given),
            getattr(expected, method)(X.to_numpy()),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_stream_of_eight_chunks_gives_the_bits_of_the_array(estimator, X, tmp_path):
    X = X[:56]
    parameters = {"max_iter": 3, "random_state": 0, "validation_fraction": 0.5}
    streamed = estimator(2, **parameters).fit(_memory_mapped(X, tmp_path))
    expected = estimator(2, **parameters).fit(X)
    assert streamed.validation_scores_ == expected.validation_scores_
    assert streamed.loss_curve_ == expected.loss_curve_
    assert_array_equal(streamed.transform(_memory_mapped(X, tmp_path)), expected.transform(X))


def test_training_helps_even_where_the_samples_are_sorted(tmp_path):
    X, y = load_digits(return_X_y=True)
    X = X[np.argsort(y, kind="stable")]
    parameters = {"max_iter": 10, "random_state": 0}
    streamed = AutoencoderTransformer(4, **parameters).fit(_memory_mapped(X, tmp_path))
    expected = AutoencoderTransformer(4, **parameters).fit(X)
    assert streamed.baseline_score_ == pytest.approx(expected.baseline_score_)
    gain, expected_gain = (
        estimator.score(X) - estimator.baseline_score_ for estimator in (streamed, expected)
    )
    assert gain > 0.9 * expected_gain > 0.05


def test_missing_values_and_weights(X, rng, tmp_path):
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    weights = rng.integers(0, 3, size=len(X))
    parameters = {"max_iter": 0, "random_state": 0}
    given = _memory_mapped(X, tmp_path)
    for estimator in (AutoencoderTransformer, DenoisingAutoencoder):
        streamed, expected = (
            estimator(2, **parameters).fit(samples, sample_weight=weights) for samples in (given, X)
        )
        assert_allclose(streamed.baseline_score_, expected.baseline_score_, rtol=1e-6)
        assert_allclose(streamed.impute(given), expected.impute(X), rtol=1e-5)
        assert_array_equal(streamed.impute(given)[~np.isnan(X)], X[~np.isnan(X)])


def test_clean_samples_of_pairs(X, rng, tmp_path):
    (tmp_path / "clean").mkdir()
    noisy = X + rng.normal(size=X.shape).astype(X.dtype)
    clean = _memory_mapped(X, tmp_path / "clean")
    given = _h5py(noisy, tmp_path)
    parameters = {"max_iter": 2, "random_state": 0}
    streamed = DenoisingAutoencoder(2, **parameters).fit(given, X_target=clean)
    expected = DenoisingAutoencoder(2, **parameters).fit(noisy, X_target=X)
    assert_allclose(streamed.baseline_score_, expected.baseline_score_, rtol=1e-5)
    assert streamed.score(given, X_target=clean) == pytest.approx(
        expected.score(noisy, X_target=X), abs=0.05
    )


@pytest.mark.parametrize("container", [_memory_mapped, _h5py])
def test_images(container, rng, tmp_path):
    images = rng.uniform(size=(60, 8, 6, 2)).astype(np.float32)
    parameters = {"max_iter": 0, "random_state": 0}
    given = container(images, tmp_path)
    streamed = ConvAutoencoderTransformer(3, **parameters).fit(given)
    expected = ConvAutoencoderTransformer(3, **parameters).fit(images)
    assert streamed.image_shape_ == (8, 6, 2)
    assert_allclose(streamed.reconstruct(given), expected.reconstruct(images), atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_features_start_as_pca(weighted, rng, tmp_path, monkeypatch):
    """Above 2,000 features, the start is computed in passes over a stream that is not small."""
    monkeypatch.setattr(linear_pca, "MAX_VALUES_IN_MEMORY", 0)
    monkeypatch.setattr(linear_pca, "PCA", None)  # it would need all samples at once
    X = rng.normal(size=(90, 5)) * [9, 7, 5, 3, 2] @ rng.normal(size=(5, 2100)) + 3
    X += 0.1 * rng.normal(size=X.shape)
    weights = rng.integers(1, 3, size=len(X)) if weighted else None
    repeated = X if weights is None else np.repeat(X, weights, axis=0)
    streamed = AutoencoderTransformer(4, max_iter=0, random_state=0).fit(
        _memory_mapped(X, tmp_path), sample_weight=weights
    )
    pca = PCA(4, svd_solver="full").fit(repeated)
    assert_allclose(streamed.transform(X), pca.transform(X), atol=1e-4)


def test_names_of_columns(X, tmp_path):
    estimator = AutoencoderTransformer(2, max_iter=0).fit(_parquet(X, tmp_path))
    assert estimator.feature_names_in_.tolist() == [f"x{i}" for i in range(6)]
    other = pd.DataFrame(X, columns=list("abcdef"))
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(_parquet(other, tmp_path))


# Bad input


def _assert_refused(X, message, estimator=None):
    estimator = estimator or AutoencoderTransformer(2, max_iter=1, random_state=0)
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
    assert vars(estimator) == before


def test_infinity_is_named(X, tmp_path):
    X[150, 3] = np.inf
    _assert_refused(_memory_mapped(X, tmp_path), "X has infinity in sample 150, feature 3")


def test_integers_that_float64_does_not_hold(tmp_path):
    X = np.arange(60).reshape(20, 3)
    X[15, 1] = 2**53 + 1
    _assert_refused(_h5py(X, tmp_path), "the integer 9007199254740993 in column 1")


def test_columns_of_strings(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "city": ["x", "y", "z"]})
    _assert_refused(_parquet(frame, tmp_path), "type .*string in column city.*encode it")


@pytest.mark.parametrize("dtype", ["S3", "complex64"])
def test_values_that_are_not_real_numbers(dtype, tmp_path):
    _assert_refused(_h5py(np.ones((9, 4)).astype(dtype), tmp_path), "give samples of real numbers")


def test_one_sample(X, tmp_path):
    _assert_refused(_zarr(X[:1], tmp_path), "minimum of 2")


def test_another_width_than_in_fit(X, tmp_path):
    estimator = AutoencoderTransformer(2, max_iter=0).fit(X)
    with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 6"):
        estimator.transform(_h5py(X[:, :4], tmp_path))


def test_a_file_that_changes_during_the_fit(X, tmp_path):
    given = _memory_mapped(X, tmp_path)
    writable = np.load(tmp_path / "X.npy", mmap_mode="r+")

    class Writing(AutoencoderTransformer):
        def _start(self, module, data):
            super()._start(module, data)
            writable[100] += 1

    _assert_refused(
        given,
        "X changed while it was read, in its samples 98 to 104",
        Writing(2, max_iter=1, random_state=0),
    )


def test_a_stream_that_is_shorter_than_it_says(X, tmp_path, monkeypatch):
    read = streams.ArrayStream.read
    monkeypatch.setattr(
        streams.ArrayStream, "read", lambda self, start, stop: read(self, start, min(stop, 150))
    )
    _assert_refused(
        _memory_mapped(X, tmp_path), r"array of shape \(3, 6\) for its samples 147 to 153"
    )


def test_a_file_of_h5py_instead_of_its_dataset(X, tmp_path):
    file = _h5py(X, tmp_path).file
    with pytest.raises((TypeError, ValueError)):
        AutoencoderTransformer(2).fit(file)
