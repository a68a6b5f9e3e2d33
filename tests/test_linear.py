import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from skae._data.group import SINGLE
from skae._data.joint_moments import JointMoments
from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._data.standardizer import Standardizer
from skae._linear import pca, reduced_rank


def _samples(X, chunk_size=1024):
    source = ArraySource(X)
    moments = Moments.of(source.chunks(chunk_size), cross=pca.needs_scatter(*X.shape))
    standardizer = Standardizer.of(moments, centered=True, bounded=False)
    return pca.StandardizedSamples(source, moments, standardizer, seed=0)


def _start(X, n_components, chunk_size=1024):
    return pca.pca(_samples(X, chunk_size), n_components)


def test_many_features_are_copied_once():
    """scikit-learn's PCA would copy what is a copy already."""
    X = np.random.default_rng(0).normal(size=(1_000, 2_500)).astype(np.float32)
    samples, before = _samples(X), X.copy()
    tracemalloc.start()
    try:
        pca.principal_components(samples, 4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * X.nbytes
    np.testing.assert_array_equal(X, before)


def _table(rng, n, p, offset=0.0):
    return rng.normal(size=(n, p)) * np.linspace(3, 0.5, p) + offset


@pytest.mark.parametrize(("n", "p"), [(200, 30), (30, 200), (40, 40), (41, 40), (400, 300)])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_components_are_pcas_with_their_signs(rng, n, p, offset):
    X = _table(rng, n, p, offset)
    start = _start(X, 5)
    np.testing.assert_allclose(
        start.encoder, PCA(5, svd_solver="full").fit(X).components_, atol=1e-7
    )
    np.testing.assert_array_equal(start.decoder, start.encoder.T)


def test_tables_too_wide_for_a_covariance_matrix(rng, monkeypatch):
    X = _table(rng, 60, 20)
    monkeypatch.setattr(pca, "MAX_FEATURES_OF_SCATTER", 10)
    np.testing.assert_allclose(
        _start(X, 5).encoder, PCA(5, svd_solver="full").fit(X).components_, atol=1e-7
    )


@pytest.mark.parametrize(("n", "p", "rank"), [(50, 4, 4), (3, 6, 3)])
def test_zeros_past_the_number_of_components(rng, n, p, rank):
    X = _table(rng, n, p)
    start = _start(X, 9)
    assert start.encoder.shape == (9, p)
    assert start.decoder.shape == (p, 9)
    np.testing.assert_array_equal(start.encoder[rank:], 0)
    np.testing.assert_array_equal(start.decoder[:, rank:], 0)
    centered = X - X.mean(axis=0)
    np.testing.assert_allclose(centered @ start.encoder.T @ start.decoder.T, centered, atol=1e-9)


def test_chunks_do_not_matter(cancer):
    np.testing.assert_allclose(
        _start(cancer, 4, chunk_size=50).encoder, _start(cancer, 4).encoder, atol=1e-10
    )


def test_float32_at_a_large_offset_against_float64(rng):
    X = _table(rng, 300, 20, offset=1e5).astype(np.float32)
    expected = PCA(4, svd_solver="full").fit(X.astype(float)).components_
    np.testing.assert_allclose(_start(X, 4).encoder, expected, atol=1e-4)


def _pairs(u, target, size=30):
    """Pairs that can be looked at but once."""
    return ((u[i : i + size], target[i : i + size], None) for i in range(0, len(u), size))


def _joint(u, target):
    return JointMoments.of(_pairs(u, target), cross=True)


def _reduced_rank(u, target, validation, n_components):
    return reduced_rank.reduced_rank(_joint(u, target), _joint(*validation), n_components)


@pytest.mark.parametrize("n_components", [1, 2, 3, 6])
def test_reduced_rank_is_pca_of_the_least_squares_fit(rng, n_components):
    u = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5))
    target = u @ rng.normal(size=(5, 3)) + rng.normal(size=(200, 3))
    u, target = u - u.mean(axis=0), target - target.mean(axis=0)
    start = _reduced_rank(u, target, (u, target), n_components)
    fitted = LinearRegression(fit_intercept=False).fit(u, target).predict(u)
    rank = min(n_components, 3)
    fitted_pca = PCA(rank).fit(fitted)
    expected = fitted_pca.inverse_transform(fitted_pca.transform(fitted))
    # The smallest penalty.
    np.testing.assert_allclose(u @ start.encoder.T @ start.decoder.T, expected, atol=1e-3)
    assert start.encoder.shape == (n_components, 5)
    np.testing.assert_array_equal(start.encoder[rank:], 0)


def test_reduced_rank_penalty_is_chosen_on_the_validation_set(rng):
    u, unseen = rng.normal(size=(2, 25, 20))
    weights = rng.normal(size=(20, 4)) / 10
    target, unseen_target = (
        samples @ weights + rng.normal(size=(25, 4)) for samples in (u, unseen)
    )
    error = {}
    for name, samples in {"train": (u, target), "unseen": (unseen, unseen_target)}.items():
        start = _reduced_rank(u, target, samples, 4)
        error[name] = np.square(unseen @ start.encoder.T @ start.decoder.T - unseen_target).mean()
    assert error["unseen"] < 0.7 * error["train"]


def test_reduced_rank_is_never_worse_than_the_mean_on_the_validation_set(rng):
    u, target = rng.normal(size=(2, 25, 20))
    start = _reduced_rank(u, target, (u, -target), 4)
    np.testing.assert_array_equal(u @ start.encoder.T @ start.decoder.T, np.zeros((25, 20)))


def test_the_error_on_the_validation_set_is_that_of_its_samples(rng):
    u, target = rng.normal(1, 1, size=(30, 5)), rng.normal(2, 1, size=(30, 3))
    start = pca.LinearStart(rng.normal(size=(2, 5)), rng.normal(size=(3, 2)))
    error = np.square(u @ start.encoder.T @ start.decoder.T - target).sum()
    expected = error - np.square(target).sum()
    assert reduced_rank._squared_error(start, _joint(u, target)) == pytest.approx(expected)


def test_regression_on_codes_is_least_squares(rng):
    u, target = rng.normal(size=(200, 6)), rng.normal(size=(200, 3))
    u, target = u - u.mean(axis=0), target - target.mean(axis=0)
    encoder = rng.normal(size=(2, 6))
    start = reduced_rank.regression_on_codes(
        np.vstack([encoder, np.zeros((1, 6))]), _pairs(u, target), SINGLE
    )
    expected = (
        LinearRegression(fit_intercept=False).fit(u @ encoder.T, target).predict(u @ encoder.T)
    )
    np.testing.assert_allclose(u @ start.encoder.T @ start.decoder.T, expected, atol=1e-6)
