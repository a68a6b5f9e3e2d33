"""Moments against numpy's on all samples at once."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._threads import one_blas_thread


def _moments(X, chunk_size=1024, cross=True):
    return Moments.of(ArraySource(X).chunks(chunk_size), cross=cross)


def _assert_those_of(moments, X, rtol=1e-12):
    X = X.astype(np.float64)
    assert moments.weight == len(X)
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=rtol)
    np.testing.assert_allclose(
        moments.squares, np.square(X - X.mean(axis=0)).sum(axis=0), rtol=rtol
    )
    np.testing.assert_array_equal(moments.low, X.min(axis=0))
    np.testing.assert_array_equal(moments.high, X.max(axis=0))
    np.testing.assert_array_equal(moments.low_weight, (X.min(axis=0) == X).sum(axis=0))
    np.testing.assert_array_equal(moments.high_weight, (X.max(axis=0) == X).sum(axis=0))


@pytest.fixture(name="X")
def correlated(rng):
    """Correlated columns, clipped so that several samples have the extremes, and a constant one."""
    return np.c_[
        (rng.normal(size=(90, 6)) @ rng.normal(size=(6, 6)) + 3).clip(-1, 5), np.full(90, 0.5)
    ]


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk_size", [1, 7, 45, 1024])
def test_moments_are_numpys(X, chunk_size, dtype, cross):
    X = X.astype(dtype)
    moments = _moments(X, chunk_size, cross)
    _assert_those_of(moments, X)
    if cross:
        np.testing.assert_allclose(
            moments.scatter, np.cov(X.T.astype(np.float64)) * 89, rtol=1e-11, atol=1e-11
        )
    else:
        assert moments.scatter is None


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("at", [1, 20, 89])
def test_merged_moments_are_those_of_the_union(X, at, cross):
    merged = _moments(X[:at], cross=cross).merge(_moments(X[at:], cross=cross))
    _assert_those_of(merged, X)
    if cross:
        np.testing.assert_allclose(merged.scatter, np.cov(X.T) * 89, rtol=1e-11, atol=1e-11)


def test_order_of_merges_does_not_matter(X):
    a, b, c = (_moments(part) for part in (X[:10], X[10:50], X[50:]))
    for merged in (a.merge(b.merge(c)), c.merge(a).merge(b)):
        _assert_those_of(merged, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("part", [slice(0, 1), slice(20, 50), slice(0, 90, 3), slice(2, 90)])
def test_moments_without_a_part_are_those_of_the_other_samples(X, part, cross, dtype):
    X = X.astype(dtype)
    everything, others = (
        _moments(X, cross=cross),
        np.delete(X, np.arange(90)[part], axis=0).astype(np.float64),
    )
    without = everything.without(_moments(X[part], cross=cross))
    deviations = others - others.mean(axis=0)
    assert without.weight == len(others)
    np.testing.assert_allclose(without.mean, others.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(without.squares, np.square(deviations).sum(axis=0), rtol=1e-10)
    if cross:
        np.testing.assert_allclose(
            without.scatter, deviations.T @ deviations, rtol=1e-10, atol=1e-10
        )
    else:
        assert without.scatter is None
    for extreme in ("low", "high", "low_weight", "high_weight"):
        np.testing.assert_array_equal(getattr(without, extreme), getattr(everything, extreme))


def test_a_part_that_was_merged_can_be_taken_off_again(X):
    part, others = _moments(X[:30]), _moments(X[30:])
    again = others.merge(part).without(part)
    assert again.weight == 60
    np.testing.assert_allclose(again.mean, others.mean, rtol=1e-12)
    np.testing.assert_allclose(again.scatter, others.scatter, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e4, -1e6, 1e9])
def test_a_feature_that_varies_only_in_the_part_has_no_variance_without_it(X, value, rng):
    X = np.c_[X, np.full(90, value)]
    X[:10, -1] += rng.normal(size=10)
    without = _moments(X).without(_moments(X[:10]))
    assert without.mean[-1] == pytest.approx(value, rel=1e-15, abs=1e-14)
    assert without.squares[-1] == 0
    np.testing.assert_array_equal(without.scatter[-1], 0)
    np.testing.assert_array_equal(without.scatter[:, -1], 0)
    np.testing.assert_allclose(
        without.scatter[:6, :6], np.cov(X[10:, :6].T) * 79, rtol=1e-10, atol=1e-10
    )
    assert (without.low[-1], without.high[-1]) == (X[:, -1].min(), X[:, -1].max())


@pytest.mark.parametrize("chunk_size", [7, 1024])
def test_no_digits_are_lost_at_a_large_offset(X, chunk_size):
    shifted = X[:, :6].astype(np.float32) + np.float32(1e5)
    moments = _moments(shifted, chunk_size)
    expected = np.cov((shifted.astype(np.float64) - 1e5).T) * 89
    np.testing.assert_allclose(moments.scatter, expected, rtol=1e-10, atol=1e-10)


def test_the_mean_of_a_constant_feature_is_its_value():
    values = np.array([0.1, 1e9 + 0.3, -7e-12])
    moments = _moments(np.tile(values, (1000, 1)), 64)
    np.testing.assert_array_equal(moments.mean, values)
    np.testing.assert_array_equal(moments.squares, 0)


def test_samples_are_neither_changed_nor_looked_at_twice(X):
    before, n_seen = X.copy(), []
    Moments.of(
        (n_seen.append(len(chunk[0])) or chunk for chunk in ArraySource(X).chunks(40)), cross=True
    )
    assert n_seen == [40, 40, 10]
    np.testing.assert_array_equal(X, before)


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_its_threads_again_after_an_error():
    def fail():
        with one_blas_thread():
            assert set(threads()) == {1}
            raise KeyError

    before = threads()
    with pytest.raises(KeyError):
        fail()
    assert threads() == before


def test_blas_has_its_threads_again_after_fits_that_overlap():
    with threadpool_limits(2, user_api="blas"):
        before, first, second = threads(), one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(threads()) == {1}
        second.__exit__(None, None, None)
        assert threads() == before == [2] * len(before)
