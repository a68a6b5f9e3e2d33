"""Sources against the array itself, of any memory layout."""

import numpy as np
import pytest

from skae._data.sources import ArraySource, measure


def _memory_mapped(X, directory):
    np.save(directory / "X.npy", X)
    return np.load(directory / "X.npy", mmap_mode="r")


LAYOUTS = {
    "C": lambda X, _: np.ascontiguousarray(X),
    "F": lambda X, _: np.asfortranarray(X),
    "strided": lambda X, _: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X, _: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "memory-mapped": _memory_mapped,
    "memory-mapped, F": lambda X, directory: _memory_mapped(np.asfortranarray(X), directory),
}
SHAPES = [(23, 5), (23, 1), (1, 5)]


@pytest.fixture(params=LAYOUTS)
def lay_out(request, tmp_path):
    """Makes an array of a memory layout."""
    return lambda X: LAYOUTS[request.param](X, tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_source_is_as_its_array(lay_out, shape, dtype, rng):
    X = rng.normal(size=shape).astype(dtype)
    source = ArraySource(lay_out(X))
    assert (source.shape, source.dtype, len(source)) == (shape, dtype, shape[0])
    np.testing.assert_array_equal(source.to_array(), X)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 7, 23, 1024])
def test_chunks_are_all_samples_in_order(lay_out, shape, size, rng):
    X = rng.normal(size=shape)
    chunks = [chunk for chunk, _ in ArraySource(lay_out(X)).chunks(size)]
    assert [len(chunk) for chunk in chunks] == [
        len(X[i : i + size]) for i in range(0, len(X), size)
    ]
    np.testing.assert_array_equal(np.concatenate(chunks), X)


def _assert_of_its_own(taken, X, before):
    assert taken.flags.c_contiguous
    assert not np.shares_memory(taken, X)
    taken += 1
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_taken_samples_are_those_at_the_positions_in_an_array_of_ones_own(lay_out, shape, rng):
    before = rng.normal(size=shape)
    X = lay_out(before)
    for positions in (rng.integers(shape[0], size=40), np.arange(shape[0]), np.array([0])):
        taken = ArraySource(X).take(positions)
        np.testing.assert_array_equal(taken, before[positions])
        _assert_of_its_own(taken, X, before)


@pytest.mark.parametrize("positions", [None, np.array([5, 1, 9, 20])])
@pytest.mark.parametrize("size", [1, 3, 23, 1024])
@pytest.mark.parametrize("is_shuffled", [True, False])
def test_batches_have_every_position_once_shuffled_only_by_an_rng(
    lay_out, positions, size, is_shuffled, rng
):
    before = rng.normal(size=(23, 5))
    X, expected = lay_out(before), np.arange(23) if positions is None else positions
    batches = list(ArraySource(X).batches(size, rng if is_shuffled else None, positions))
    order = np.concatenate([of_batch for of_batch, _ in batches])
    np.testing.assert_array_equal(np.sort(order), np.sort(expected))
    assert np.array_equal(order, expected) is not is_shuffled
    assert [len(of_batch) for of_batch, _ in batches] == [
        min(size, len(order) - i) for i in range(0, len(order), size)
    ]
    for of_batch, samples in batches:
        np.testing.assert_array_equal(samples, before[of_batch])
        _assert_of_its_own(samples, X, before)


def test_each_pass_is_shuffled_again(rng):
    source = ArraySource(np.arange(50.0)[:, None])
    first, second = (
        np.concatenate([samples for _, samples in source.batches(8, rng)]) for _ in range(2)
    )
    assert not np.array_equal(first, second)


class _CountedSource(ArraySource):
    n_passes = 0

    def chunks(self, *args):
        self.n_passes += 1
        return super().chunks(*args)


@pytest.mark.parametrize("cross", [True, False])
def test_samples_are_measured_in_one_pass(lay_out, cross, rng):
    X = rng.normal(size=(2500, 3))
    X[1500:2000] = X[:500]  # copies in another chunk
    source = _CountedSource(lay_out(X))
    moments, hashes = measure(source, cross=cross, hashed=True)
    assert source.n_passes == 1
    assert moments.weight == 2500
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(moments.squares, X.var(axis=0) * 2500, rtol=1e-10)
    if cross:
        np.testing.assert_allclose(moments.scatter, np.cov(X.T) * 2499, rtol=1e-10)
    else:
        assert moments.scatter is None
    _, first, groups = np.unique(X, axis=0, return_index=True, return_inverse=True)
    # Equal samples have equal hashes.
    np.testing.assert_array_equal(hashes, hashes[first][groups.ravel()])
    assert len(np.unique(hashes)) == len(first) == 2000  # and others have others


def test_hashes_are_made_only_where_asked(cancer):
    assert measure(ArraySource(cancer), cross=False)[1] is None
