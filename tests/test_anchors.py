import numpy as np
import pytest
from sklearn.decomposition import PCA

from skae import _anchors
from skae._border import measure


def _anchor(X, n_components, **options):
    border, _ = measure(X, standardize=True, bounded=False)
    return _anchors.pca(X, border, n_components, random_state=0, **options)


def _table(rng, n, p, offset=0.0):
    return rng.normal(size=(n, p)) * np.linspace(3, 0.5, p) + offset


@pytest.mark.parametrize(("n", "p"), [(200, 30), (30, 200), (40, 40), (41, 40)])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_components_are_pcas_with_their_signs(rng, n, p, offset):
    X = _table(rng, n, p, offset)
    anchor = _anchor(X, 5)
    np.testing.assert_allclose(anchor.encoder, PCA(5, svd_solver="full").fit(X).components_, atol=1e-7)
    np.testing.assert_array_equal(anchor.decoder, anchor.encoder.T)


def test_tables_too_wide_for_a_covariance_matrix(rng, monkeypatch):
    X = _table(rng, 60, 20)
    monkeypatch.setattr(_anchors, "_MAX_COVARIANCE", 10)
    np.testing.assert_allclose(_anchor(X, 5).encoder, PCA(5, svd_solver="full").fit(X).components_, atol=1e-7)


@pytest.mark.parametrize(("n", "p", "rank"), [(50, 4, 4), (3, 6, 3)])
def test_zeros_past_the_number_of_components(rng, n, p, rank):
    X = _table(rng, n, p)
    anchor = _anchor(X, 9)
    assert anchor.encoder.shape == (9, p)
    assert anchor.decoder.shape == (p, 9)
    np.testing.assert_array_equal(anchor.encoder[rank:], 0)
    np.testing.assert_array_equal(anchor.decoder[:, rank:], 0)
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(centred @ anchor.encoder.T @ anchor.decoder.T, centred, atol=1e-9)


def test_chunks_do_not_matter(cancer):
    np.testing.assert_allclose(_anchor(cancer, 4, chunk_size=50).encoder, _anchor(cancer, 4).encoder, atol=1e-10)


def test_float32_at_a_large_offset_against_float64(rng):
    X = _table(rng, 300, 20, offset=1e5).astype(np.float32)
    expected = PCA(4, svd_solver="full").fit(X.astype(float)).components_
    np.testing.assert_allclose(_anchor(X, 4).encoder, expected, atol=1e-4)
