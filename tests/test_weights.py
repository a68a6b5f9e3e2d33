"""Weights of the samples: an integer weight is that many copies, zero is absence."""

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data.group import SINGLE
from skae._data.moments import Moments
from skae._training.fit import _is_significant

ALL = {
    "autoencoder": AutoencoderTransformer(4),
    "ordered": AutoencoderTransformer(4, ordered=True),
    "conv": ConvAutoencoderTransformer(4, image_shape=(5, 6)),
    "masking": DenoisingAutoencoder(4, noise_level=0.2),
    "gaussian": DenoisingAutoencoder(4, corruption="gaussian", noise_level=0.3),
    "function": DenoisingAutoencoder(4, corruption=lambda X, rs: X + rs.normal(0, 0.3, X.shape)),
    "vae": VAETransformer(4),
    "bernoulli": VAETransformer(4, likelihood="bernoulli"),
}


@pytest.fixture(scope="module")
def samples():
    """Some samples in [0, 1], and integer weights from 0 to 4."""
    X = load_breast_cancer().data[:120]
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    return X, np.random.default_rng(0).integers(5, size=len(X))


def _fit(name, X, **given):
    estimator = clone(ALL[name]).set_params(max_iter=0, random_state=0, validation_fraction=None)
    return estimator.fit(X, **given)


@pytest.mark.parametrize("name", ALL)
def test_an_integer_weight_is_that_many_copies(name, samples):
    X, w = samples
    weighted, repeated = _fit(name, X, sample_weight=w), _fit(name, np.repeat(X, w, axis=0))
    # Some starts depend on random draws, which differ: "bernoulli" is a regression on codes.
    tolerance = {"bernoulli": 0.1, "function": 0.3}.get(name, 1e-6)
    for result in ("reconstruct",) if name == "function" else ("transform", "reconstruct"):
        a, b = (getattr(estimator, result)(X) for estimator in (weighted, repeated))
        np.testing.assert_allclose(a, b, atol=tolerance)
    if name not in ("masking", "gaussian", "function", "bernoulli"):  # without random numbers
        assert weighted.baseline_score_ == pytest.approx(repeated.baseline_score_, abs=1e-5)
    np.testing.assert_allclose(weighted.mean_, np.repeat(X, w, axis=0).mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("cls", "n_components"),
    # With as many components as samples, the density would be degenerate.
    [(AutoencoderTransformer, 3), (AutoencoderTransformer, 12), (VAETransformer, 3)],
)
def test_an_integer_weight_is_that_many_copies_above_2000_features(cls, n_components, sparse, rng):
    X = rng.random((12, 2100)) * (rng.random((12, 2100)) < 0.3) * np.arange(1, 13)[:, None]
    w = rng.integers(1, 4, size=12)
    container = scipy.sparse.csr_array if sparse else np.asarray
    fits = [
        cls(n_components, max_iter=0, random_state=0).fit(container(X), sample_weight=w),
        cls(n_components, max_iter=0, random_state=0).fit(container(np.repeat(X, w, axis=0))),
    ]
    a, b = (estimator.reconstruct(X) for estimator in fits)
    np.testing.assert_allclose(a, b, atol=1e-3 * np.abs(X).max())


@pytest.mark.parametrize("name", ALL)
def test_zero_weight_is_absence(name, samples):
    X, w = samples
    w = np.minimum(w, 1)
    weighted = clone(ALL[name]).set_params(max_iter=2, random_state=0).fit(X, sample_weight=w)
    without = clone(ALL[name]).set_params(max_iter=2, random_state=0).fit(X[w > 0])
    np.testing.assert_array_equal(weighted.transform(X), without.transform(X))


def test_zero_weight_is_absence_of_its_pair(samples):
    X, w = samples
    fits = [
        DenoisingAutoencoder(3, max_iter=2, random_state=0).fit(
            X[used], X_target=X[used] ** 2, sample_weight=w[used]
        )
        for used in (slice(None), w > 0)
    ]
    np.testing.assert_array_equal(*(estimator.transform(X) for estimator in fits))


@pytest.mark.parametrize("name", ["autoencoder", "ordered", "masking", "vae"])
def test_training_serves_the_samples_with_weight(name):
    """Two groups on two planes; the weights say which of them is to be reconstructed."""
    rng = np.random.default_rng(0)
    angle, shift = rng.uniform(0, 2 * np.pi, 400), np.repeat([0, 1], 200)
    curve = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(3 * angle)], axis=1)
    X = np.zeros((400, 30))
    X[shift == 0, :4], X[shift == 1, 4:8] = curve[shift == 0], curve[shift == 1]
    X = (X + 1) / 2
    errors = []
    for group in (0, 1):
        w = np.where(shift == group, 1.0, 0.02)
        estimator = clone(ALL[name]).set_params(n_components=2, max_iter=40, random_state=0)
        estimator.fit(X, sample_weight=w)
        assert estimator.best_iter_ > 0
        errors.append(np.square(X - estimator.reconstruct(X)).mean(axis=1))
    assert errors[0][shift == 0].mean() < 0.8 * errors[1][shift == 0].mean()
    assert errors[1][shift == 1].mean() < 0.8 * errors[0][shift == 1].mean()


def test_the_validation_score_is_weighted(samples):
    X, w = samples
    w = w + 1.0
    estimator = AutoencoderTransformer(3, max_iter=0, validation_fraction=None).fit(
        X, sample_weight=w
    )
    expected = r2_score(
        X, estimator.reconstruct(X), sample_weight=w, multioutput="variance_weighted"
    )
    assert estimator.baseline_score_ == pytest.approx(expected, abs=1e-6)


def test_the_training_loss_is_the_weighted_mean(samples):
    X, w = samples
    w = w + 1.0
    estimator = AutoencoderTransformer(
        3,
        max_iter=1,
        batch_size=len(X),
        validation_fraction=None,
        output_activation="identity",
        random_state=0,
    ).fit(X, sample_weight=w)
    start = clone(estimator).set_params(max_iter=0).fit(X, sample_weight=w)
    scale = estimator._model.standardizer.scale
    error = np.average(np.square(X - start.reconstruct(X)).mean(axis=1), weights=w) / scale**2
    assert estimator.loss_curve_[0] == pytest.approx(error, rel=1e-5)


def test_the_sign_test_is_that_of_scipys_normal_approximation(rng):
    gains, w = rng.normal(0.2, 1, 200), rng.exponential(1, 200)
    for shift in np.linspace(-1, 1, 41):
        wins = w @ (gains + shift > 0)
        p = norm.sf(wins, w.sum() / 2, np.sqrt(np.square(w).sum()) / 2)
        assert _is_significant(gains + shift, w, SINGLE) == (p < norm.sf(2))
        assert _is_significant(gains + shift, np.full(200, 3.0), SINGLE) == _is_significant(
            gains + shift, None, SINGLE
        )


def test_ties_do_not_count_in_the_sign_test():
    gains = np.repeat([1.0, -1.0], [60, 40])
    assert not _is_significant(gains, None, SINGLE)
    gains[60:80] = 0  # 60 of 80
    assert _is_significant(gains, None, SINGLE)
    assert not _is_significant(np.zeros(100), None, SINGLE)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_weighted_moments_are_numpys_of_copies(cross, size, samples):
    X, w = samples
    X, w = X[w > 0].round(1), w[w > 0]
    chunks = ((X[i : i + size], w[i : i + size].astype(float)) for i in range(0, len(X), size))
    moments, copies = Moments.of(chunks, cross=cross), np.repeat(X, w, axis=0)
    assert moments.weight == len(copies)
    np.testing.assert_allclose(moments.mean, copies.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.squares, copies.var(axis=0) * len(copies), rtol=1e-10)
    np.testing.assert_array_equal(moments.low_weight, (copies == copies.min(axis=0)).sum(axis=0))
    np.testing.assert_array_equal(moments.high_weight, (copies == copies.max(axis=0)).sum(axis=0))
    if cross:
        expected = np.cov(copies.T, bias=True) * len(copies)
        np.testing.assert_allclose(moments.scatter, expected, atol=1e-10)
    of_sparse = Moments.of_sparse(scipy.sparse.csr_array(X), w.astype(float))
    for name in ("mean", "squares", "low_weight", "high_weight"):
        np.testing.assert_allclose(
            getattr(of_sparse, name), getattr(moments, name), rtol=1e-9, atol=1e-12
        )


def test_the_scale_of_weights_below_one_does_not_matter(samples):
    X, w = samples
    w = w + 0.5
    fits = [
        VAETransformer(3, max_iter=2, random_state=0).fit(X, sample_weight=w / factor)
        for factor in (w.mean(), 1000 * w.mean())
    ]
    np.testing.assert_allclose(*(estimator.transform(X) for estimator in fits), atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_weights_of_one_are_no_weights(name, samples):
    X, _ = samples
    fits = [
        clone(ALL[name]).set_params(max_iter=2, random_state=0).fit(X, sample_weight=w)
        for w in (None, np.ones(len(X)), np.full(len(X), 0.25))
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0].transform(X), other.transform(X))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(120, -1.0), "Negative values in data passed to `sample_weight`"),
        (np.full(120, np.nan), "Input sample_weight contains NaN"),
        (np.zeros(120), "Sample weights must contain at least one non-zero number"),
        (np.ones(5), r"sample_weight.shape == \(5,\), expected \(120,\)"),
        (np.eye(1, 120)[0], "sample_weight is positive for one sample only: give at least two"),
        (["a"] * 120, "could not convert string to float"),
    ],
)
@pytest.mark.parametrize("name", ["autoencoder", "conv", "masking", "vae"])
def test_invalid_weights_are_refused_before_anything_is_fitted(name, weights, message, samples):
    estimator = clone(ALL[name]).set_params(max_iter=3).fit(samples[0][:30])
    before = estimator.transform(samples[0])
    with pytest.raises(ValueError, match=message):
        estimator.fit(samples[0], sample_weight=weights)
    np.testing.assert_array_equal(estimator.transform(samples[0]), before)


def test_weights_are_routed_through_a_pipeline(samples):
    X, w = samples
    with config_context(enable_metadata_routing=True):
        estimator = AutoencoderTransformer(3, max_iter=0).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, estimator).fit(X, sample_weight=w)
    scaled = StandardScaler().fit(X, sample_weight=w).transform(X)
    expected = AutoencoderTransformer(3, max_iter=0).fit(scaled, sample_weight=w)
    np.testing.assert_array_equal(pipeline.transform(X), expected.transform(scaled))


def test_weights_reach_no_float64_tensor(samples):
    """The mean of a loss over weights stays in float32, which every device supports."""
    X, w = samples
    seen = []

    class Types(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            seen.append((batch.weight.dtype, float(batch.weight.min())))

    AutoencoderTransformer(3, max_iter=1, skorch_callbacks=[Types()]).fit(X, sample_weight=w)
    assert all(dtype == torch.float32 and least > 0 for dtype, least in seen)
