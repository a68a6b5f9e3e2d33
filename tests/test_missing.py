"""Missing values: fills, moments of incomplete samples, and all estimators on them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from conftest import KEEPS_EPOCH_0
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    reconstruction_score,
)
from skae._data import missing
from skae._data.missing import FactorFill, GaussianFill, complete
from skae._data.moments import Moments
from skae._data.sources import ArraySource, measure

UNBOUNDED = np.full(12, -np.inf), np.full(12, np.inf)
ALL = {
    "autoencoder": AutoencoderTransformer(8),
    "random": AutoencoderTransformer(8, init="random"),
    "ordered": AutoencoderTransformer(8, ordered=True),
    "conv": ConvAutoencoderTransformer(8, image_shape=(5, 6)),
    "masking": DenoisingAutoencoder(30, noise_level=0.25),
    "gaussian": DenoisingAutoencoder(8, corruption="gaussian", noise_level=0.3),
    "vae": VAETransformer(8),
}


@pytest.fixture(scope="module")
def table():
    """Standardized samples, and the same with a fifth of the values missing."""
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    hidden = np.random.default_rng(0).random(X.shape) < 0.2
    return X, np.where(hidden, np.nan, X)


@pytest.fixture
def normal(rng):
    """A mean, a covariance, and samples of which some have missing values, one has no value."""
    A, mean = rng.normal(size=(12, 12)), rng.normal(size=12)
    X = rng.multivariate_normal(mean, A @ A.T, 60)
    hidden = rng.random(X.shape) < 0.3
    hidden[3], hidden[4] = True, False
    return mean, A @ A.T, np.where(hidden, np.nan, X)


def _conditional(mean, covariance, x):
    """Conditional mean and covariance of the missing values of one sample, by the textbook."""
    m, o = np.isnan(x), ~np.isnan(x)
    S_mo, S_oo = covariance[np.ix_(m, o)], covariance[np.ix_(o, o)]
    regression = np.linalg.solve(S_oo, S_mo.T).T if o.any() else np.zeros((m.sum(), 0))
    filled, spread = x.copy(), np.zeros_like(covariance)
    filled[m] = mean[m] + regression @ (x[o] - mean[o])
    spread[np.ix_(m, m)] = covariance[np.ix_(m, m)] - regression @ S_mo.T
    return filled, spread


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_values", [1, 500, 2**17])
def test_the_gaussian_fill_is_the_conditional_mean(normal, max_values, dtype, monkeypatch):
    monkeypatch.setattr(missing, "_MAX_VALUES", max_values)
    mean, covariance, X = normal
    given, before = X.astype(dtype), X.astype(dtype)
    weights = np.arange(60.0)
    filled, total = GaussianFill.of(mean, covariance, *UNBOUNDED).with_covariance(given, weights)
    expected, spreads = zip(*(_conditional(mean, covariance, x) for x in X), strict=True)
    assert filled.dtype == dtype
    np.testing.assert_allclose(filled, expected, atol=1e-8 if dtype == np.float64 else 1e-3)
    if dtype == np.float64:
        np.testing.assert_allclose(total, np.tensordot(weights, spreads, 1), atol=1e-6)
    np.testing.assert_array_equal(given, before)
    observed = ~np.isnan(given)
    np.testing.assert_array_equal(filled[observed], given[observed])


def test_a_fill_stays_within_the_range_and_leaves_complete_samples_alone(normal):
    mean, covariance, X = normal
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    fill = GaussianFill.of(mean, 100 * covariance, low, high)
    filled = fill(X)
    assert (filled >= low).all()
    assert (filled <= high).all()
    without = filled[:5]
    assert fill(without) is without


def test_the_factor_fill_is_the_conditional_mean_of_probabilistic_pca(normal, monkeypatch):
    monkeypatch.setattr(missing, "_RANK", 3)
    mean, covariance, X = normal
    std = np.sqrt(covariance.diagonal())
    values, vectors = np.linalg.eigh(covariance / np.outer(std, std))
    noise = values[:-3].mean()
    W = vectors[:, -3:] * np.sqrt(values[-3:] - noise)
    model = (W @ W.T + noise * np.eye(12)) * np.outer(std, std)
    expected = [_conditional(mean, model, x)[0] for x in X]
    np.testing.assert_allclose(FactorFill.of(mean, covariance, *UNBOUNDED)(X), expected, atol=1e-8)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_complete_is_the_em_algorithm(normal, is_weighted, rng):
    _, _, X = normal
    X, w = np.delete(X, 3, axis=0), rng.integers(1, 4, size=59).astype(float)
    w = w if is_weighted else np.ones(59)
    source = ArraySource(X, sample_weight=w if is_weighted else None)
    fill, completed = complete(source, measure(source, cross=True)[0])

    seen = ~np.isnan(X)
    mean = (w[:, None] * np.where(seen, X, 0)).sum(0) / (w @ seen)
    variance = (w[:, None] * np.where(seen, X - mean, 0) ** 2).sum(0) / (w @ seen)
    covariance = np.diag(variance)
    for _ in range(5):
        filled, spreads = zip(*(_conditional(mean, covariance, x) for x in X), strict=True)
        filled = np.clip(filled, np.nanmin(X, axis=0), np.nanmax(X, axis=0))
        mean = w @ filled / w.sum()
        scatter = (w[:, None] * (filled - mean)).T @ (filled - mean) + np.tensordot(w, spreads, 1)
        covariance = (scatter + np.diag(variance)) / (w.sum() + 1)
    np.testing.assert_allclose(completed.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(completed.scatter, scatter, rtol=1e-7, atol=1e-7)
    filled = [_conditional(mean, covariance, x)[0] for x in X]
    np.testing.assert_allclose(
        fill(X), np.clip(filled, np.nanmin(X, axis=0), np.nanmax(X, axis=0)), atol=1e-7
    )


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_moments_count_observed_values_alone(table, size, is_weighted, rng):
    X = table[1][:100].round(1)
    w = rng.integers(1, 4, size=100) if is_weighted else np.ones(100, int)
    chunks = (
        (X[i : i + size], w[i : i + size].astype(float) if is_weighted else None)
        for i in range(0, 100, size)
    )
    moments, copies = Moments.of(chunks, cross=True), np.repeat(X, w, axis=0)
    assert not moments.is_complete
    assert moments.scatter is None
    np.testing.assert_array_equal(moments.weight, (~np.isnan(copies)).sum(axis=0))
    np.testing.assert_allclose(moments.mean, np.nanmean(copies, axis=0), rtol=1e-10, atol=1e-12)
    variances = np.nanvar(copies, axis=0)
    np.testing.assert_allclose(moments.squares / moments.weight, variances, rtol=1e-10)
    assert moments.mean_variance == pytest.approx(variances.mean())
    for extreme, function in {"low": np.nanmin, "high": np.nanmax}.items():
        np.testing.assert_array_equal(getattr(moments, extreme), function(X, axis=0))
        np.testing.assert_array_equal(
            getattr(moments, f"{extreme}_weight"), (copies == function(X, axis=0)).sum(axis=0)
        )


def test_a_complete_part_merges_with_an_incomplete_one(table):
    X, incomplete = table
    both = np.vstack([X[:50], incomplete[50:100]])
    moments = Moments.of([(X[:50], None), (incomplete[50:100], None)], cross=True)
    np.testing.assert_allclose(
        moments.squares / moments.weight, np.nanvar(both, axis=0), rtol=1e-10
    )


@pytest.mark.parametrize("name", ALL)
def test_all_estimators_take_missing_values(name, table):
    X, incomplete = table
    estimator = clone(ALL[name]).set_params(max_iter=3, random_state=0)
    codes = estimator.fit(incomplete).transform(incomplete)
    assert np.isfinite(codes).all()
    for result in (
        estimator.reconstruct(incomplete),
        estimator.score_samples(incomplete),
        estimator.impute(incomplete),
        estimator.score(incomplete),
        estimator.transform(X),
    ):
        assert np.isfinite(result).all()
    again = clone(estimator).fit(incomplete)
    np.testing.assert_array_equal(again.transform(incomplete), codes)
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(restored.transform(incomplete), codes)


@pytest.mark.parametrize("name", ALL)
def test_a_complete_sample_is_encoded_as_if_no_other_lacked_a_value(name, table):
    X, incomplete = table
    estimator = clone(ALL[name]).set_params(max_iter=1, random_state=0).fit(X)
    mixed = X.copy()
    mixed[::2] = incomplete[::2]
    np.testing.assert_array_equal(estimator.transform(mixed)[1::2], estimator.transform(X)[1::2])


def _r2(X, X_hat):
    seen = ~np.isnan(X)
    mean = np.nanmean(X, axis=0)
    return 1 - np.square(X - X_hat)[seen].sum() / np.square(X - mean)[seen].sum()


@pytest.mark.parametrize("n_components", [2, 8])
@pytest.mark.parametrize("data", ["breast_cancer", "digits"])
@KEEPS_EPOCH_0
def test_r2_of_observed_values_is_not_below_that_of_pca_after_mean_imputation(data, n_components):
    X = {"breast_cancer": load_breast_cancer, "digits": load_digits}[data]().data
    X = StandardScaler().fit_transform(X)
    incomplete = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    train, test = incomplete[::2], incomplete[1::2]
    imputer = SimpleImputer().fit(train)
    pca = PCA(n_components).fit(imputer.transform(train))
    expected = _r2(test, pca.inverse_transform(pca.transform(imputer.transform(test))))
    for max_iter in (0, 30):
        estimator = AutoencoderTransformer(n_components, max_iter=max_iter, random_state=0)
        estimator.fit(train)
        # Features that are constant in the test set do not count in the score.
        assert estimator.score(test) == pytest.approx(
            _r2(test, estimator.reconstruct(test)), abs=5e-3
        )
        assert estimator.score(test) > expected - 0.003


@pytest.mark.parametrize("name", ["autoencoder", "conv", "gaussian"])
def test_the_validation_score_is_that_of_observed_values(name, table):
    _, incomplete = table
    estimator = (
        clone(ALL[name]).set_params(max_iter=0, random_state=0, noise_level=1e-9)
        if (name == "gaussian")
        else clone(ALL[name]).set_params(max_iter=0, random_state=0)
    )
    estimator.fit(incomplete[:400], X_val=incomplete[400:])
    expected = _r2(incomplete[400:], estimator.reconstruct(incomplete[400:]))
    assert estimator.baseline_score_ == pytest.approx(expected, abs=1e-3)


def test_scores_count_observed_values_alone(table):
    X, incomplete = table
    estimator = AutoencoderTransformer(4, max_iter=2, random_state=0).fit(incomplete)
    X_hat, seen = estimator.reconstruct(incomplete), ~np.isnan(incomplete)
    errors = np.square(incomplete - X_hat)
    np.testing.assert_allclose(
        estimator.score_samples(incomplete), -np.nanmean(errors, axis=1), rtol=1e-10
    )
    w = np.random.default_rng(1).random(len(X))
    per_feature = [r2_score(X[s, j], X_hat[s, j], sample_weight=w[s]) for j, s in enumerate(seen.T)]
    spreads = [
        w[s] @ np.square(X[s, j] - np.average(X[s, j], weights=w[s])) for j, s in enumerate(seen.T)
    ]
    expected = np.average(per_feature, weights=spreads)
    assert estimator.score(incomplete, sample_weight=w) == pytest.approx(expected)
    assert reconstruction_score(estimator, incomplete) == pytest.approx(_r2(incomplete, X_hat))


def test_the_elbo_of_what_is_observed_is_a_tight_bound_at_the_start(table):
    X, incomplete = table
    vae = VAETransformer(8, max_iter=0, random_state=0).fit(X)
    pca = PCA(8).fit(X)
    covariance = pca.get_covariance()
    exact = []
    for x in incomplete[:100]:
        o = ~np.isnan(x)
        exact.append(multivariate_normal(pca.mean_[o], covariance[np.ix_(o, o)]).logpdf(x[o]))
    bound = vae.score_samples(incomplete[:100])
    assert (bound <= np.array(exact) + 1e-3).all()
    assert np.mean(exact - bound) < 3
    complete_bound = vae.score_samples(X[:100])
    np.testing.assert_allclose(complete_bound, pca.score_samples(X[:100]), atol=1e-3)
    importance = vae.score_samples(incomplete[:100], n_importance_samples=200)
    assert (importance <= np.array(exact) + 1).all()
    assert np.mean(exact - importance) < np.mean(exact - bound)


def test_the_elbo_of_a_sample_without_any_value_is_that_of_nothing(table):
    nothing = np.full((1, 30), np.nan)
    vae = VAETransformer(8, max_iter=0).fit(table[0])
    assert vae.score_samples(nothing)[0] <= 0
    assert vae.score_samples(nothing)[0] > -12  # the divergence from the prior alone


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_vae_trains_on_what_is_observed(likelihood):
    X = (load_digits().data > 8).astype(float)
    incomplete = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    vae = VAETransformer(8, likelihood=likelihood, max_iter=10, random_state=0)
    vae.fit(incomplete)
    assert vae.best_iter_ > 0
    hidden = np.isnan(incomplete)
    error = np.square(vae.impute(incomplete) - X)[hidden].mean()
    mean = np.square(SimpleImputer().fit_transform(incomplete) - X)[hidden].mean()
    assert error < 0.75 * mean


def test_masking_learns_to_impute(table):
    """Epoch 0 with all components is the conditional mean; training improves on it."""
    X = load_digits().data
    incomplete = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    hidden = np.isnan(incomplete)
    errors = {}
    for max_iter in (0, 30):
        imputer = DenoisingAutoencoder(64, noise_level=0.25, max_iter=max_iter, random_state=0)
        errors[max_iter] = np.square(imputer.fit(incomplete).impute(incomplete) - X)[hidden].mean()
    source = ArraySource(incomplete)
    fill, _ = complete(source, measure(source, cross=True)[0])
    assert errors[0] == pytest.approx(np.square(fill(incomplete) - X)[hidden].mean(), rel=1e-3)
    mean = np.square(SimpleImputer().fit_transform(incomplete) - X)[hidden].mean()
    assert errors[30] < 0.9 * errors[0] < 0.9 * 0.5 * mean


def test_the_score_of_masking_is_that_of_hidden_values(table):
    _, incomplete = table
    denoiser = clone(ALL["masking"]).set_params(max_iter=0, random_state=0).fit(incomplete)
    # All components reconstruct what is not hidden exactly: the score would be higher with it.
    assert 0.5 < denoiser.score(incomplete) < 0.93
    assert _r2(incomplete, denoiser.reconstruct(incomplete)) > 0.999
    assert abs(denoiser.score(incomplete) - denoiser.baseline_score_) < 0.1
    assert denoiser.score(incomplete) == denoiser.score(incomplete)


def test_masking_without_missing_values_in_training_fills_as_it_masks():
    X = load_digits().data
    denoiser = DenoisingAutoencoder(16, noise_level=0.3, max_iter=2, random_state=0).fit(X)
    hidden = np.random.default_rng(0).random(X.shape) < 0.3
    np.testing.assert_array_equal(
        denoiser.transform(np.where(hidden, np.nan, X)), denoiser.transform(np.where(hidden, 0, X))
    )


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_changed_in_place(name, table):
    given = table[1].copy()
    estimator = clone(ALL[name]).set_params(max_iter=1, random_state=0).fit(given)
    estimator.transform(given), estimator.impute(given), estimator.score(given)
    np.testing.assert_array_equal(given, table[1])


CONTAINERS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "list": lambda X: X.tolist(),
    "Fortran order": np.asfortranarray,
    "pandas": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(30)]).set_index(
        np.arange(len(X)) + 7
    ),
    "polars": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(30)]),
    "polars with null": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(30)]).fill_nan(
        None
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_impute_returns_the_container_that_came_in(container, table):
    incomplete = table[1]
    given = CONTAINERS[container](incomplete)
    estimator = AutoencoderTransformer(8, max_iter=1, random_state=0).fit(given)
    filled = estimator.impute(given)
    assert isinstance(filled, np.ndarray if container == "list" else type(given))
    if container == "pandas":
        pd.testing.assert_index_equal(filled.index, given.index)
        pd.testing.assert_index_equal(filled.columns, given.columns)
    if container.startswith("polars"):
        assert filled.schema == given.schema
    values = np.asarray(filled)
    seen = ~np.isnan(incomplete)
    np.testing.assert_array_equal(values[seen], incomplete.astype(values.dtype)[seen])
    expected = np.asarray(estimator.reconstruct(given))
    np.testing.assert_allclose(values[~seen], expected[~seen], rtol=1e-5, atol=1e-6)
    if container == "float32":
        assert values.dtype == np.float32


def test_columns_that_hold_pandas_na_are_imputed(table):
    X = pd.DataFrame(
        {
            "counts": pd.array([1, 2, None, 4, 5, 6] * 5, dtype="Int64"),
            "flags": pd.array([True, None, False] * 10, dtype="boolean"),
            "whole": np.arange(30),
            "real": [0.5, np.nan, 1.5] * 10,
        }
    )
    before = X.copy()
    filled = AutoencoderTransformer(2, max_iter=0).fit(X).impute(X)
    pd.testing.assert_frame_equal(X, before)
    assert filled.dtypes.astype(str).tolist() == ["Float64", "Float64", "int64", "float64"]
    assert not filled.isna().any().any()
    for name in X:
        seen = X[name].notna()
        np.testing.assert_array_equal(filled[name][seen].astype(float), X[name][seen].astype(float))


def test_images_are_imputed_in_their_shape():
    images = load_digits().images[:200]
    incomplete = images.copy()
    incomplete[:, 2:4, 2:4] = np.nan
    incomplete[::2] = images[::2]
    estimator = ConvAutoencoderTransformer(8, max_iter=1, random_state=0).fit(incomplete)
    filled = estimator.impute(incomplete)
    assert filled.shape == images.shape
    np.testing.assert_array_equal(filled[::2], images[::2])
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("n_features", [300, 2100])
def test_many_features_are_filled_by_few_factors_or_the_mean(n_features, rng):
    X = rng.normal(size=(400, 5)) @ rng.normal(size=(5, n_features))
    X += 0.1 * rng.normal(size=X.shape)
    hidden = rng.random(X.shape) < 0.2
    incomplete = np.where(hidden, np.nan, X)
    estimator = AutoencoderTransformer(5, max_iter=0).fit(incomplete)
    assert estimator.score(incomplete) > (0.98 if n_features == 300 else 0.6)
    error = np.square(estimator.impute(incomplete) - X)[hidden].mean() / X.var()
    assert error < (0.02 if n_features == 300 else 0.5)


@pytest.mark.parametrize("name", ["autoencoder", "conv", "vae"])
def test_an_integer_weight_is_that_many_copies(name, table):
    incomplete = table[1][:120]
    w = np.random.default_rng(0).integers(4, size=120)
    settings = {"max_iter": 0, "random_state": 0, "validation_fraction": None}
    weighted = clone(ALL[name]).set_params(**settings).fit(incomplete, sample_weight=w)
    repeated = clone(ALL[name]).set_params(**settings).fit(np.repeat(incomplete, w, axis=0))
    np.testing.assert_allclose(
        weighted.transform(incomplete), repeated.transform(incomplete), atol=1e-5
    )


@pytest.mark.parametrize("name", ALL)
def test_a_column_without_any_value_is_named_and_filled_with_zero(name, table):
    incomplete = table[1][:200].copy()
    incomplete[:, 4] = np.nan
    frame = pd.DataFrame(incomplete, columns=[f"c{i}" for i in range(30)])
    estimator = clone(ALL[name]).set_params(max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match=r"Features without any observed values: \['c4'\]") as seen:
        estimator.fit(frame)
    assert len(seen) == 1
    filled = estimator.impute(frame)["c4"]
    np.testing.assert_allclose(filled, 0, atol=1e-6 if name != "random" else 10)


def test_a_sample_without_any_value_is_the_mean(table):
    incomplete = table[1].copy()
    incomplete[5] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("autoencoder", "conv", "masking", "vae"):
            estimator = clone(ALL[name]).set_params(max_iter=0).fit(incomplete)
            np.testing.assert_allclose(estimator.impute(incomplete)[5], estimator.mean_, atol=1e-5)
    assert AutoencoderTransformer(8, max_iter=1).fit(incomplete).score_samples(incomplete)[5] == 0


def test_targets_of_pairs_may_have_missing_values(table):
    X, incomplete = table
    pairs = {"X_target": incomplete[:400], "X_val": X[400:], "X_val_target": incomplete[400:]}
    denoiser = DenoisingAutoencoder(8, max_iter=5, random_state=0).fit(X[:400], **pairs)
    score = denoiser.score(X, X_target=incomplete)
    assert score == pytest.approx(_r2(incomplete, denoiser.denoise(X)))
    assert score > 0.8
    with pytest.raises(ValueError, match="impute compares X with its reconstruction, but fit was"):
        denoiser.impute(incomplete)


def test_a_search_over_an_imputer(table):
    search = GridSearchCV(
        clone(ALL["masking"]).set_params(max_iter=1, random_state=0), {"noise_level": [0.2, 0.3]}
    )
    search.fit(table[1][:150])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("method", ["fit", "transform", "impute", "score"])
def test_infinity_stays_refused(method, table):
    X = table[1].copy()
    X[0, 0] = np.inf
    estimator = AutoencoderTransformer(2, max_iter=0).fit(table[1])
    with pytest.raises(ValueError, match="infinity"):
        getattr(estimator, method)(X)


@pytest.mark.parametrize("name", ["autoencoder", "masking", "vae"])
def test_a_sparse_matrix_with_nan_is_refused_with_its_column(name, table):
    X = scipy.sparse.csr_array(np.eye(40, 30))
    estimator = clone(ALL[name]).set_params(max_iter=0).fit(X)
    X.data[3] = np.nan
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match="X is sparse and has NaN in column 3: missing values"):
            getattr(estimator, method)(X)
    with pytest.raises(ValueError, match="X_val is sparse and has NaN in column 3"):
        estimator.fit(np.eye(40, 30), X_val=X)


def test_a_filled_source_is_the_source_with_values_in_the_gaps(table):
    incomplete = table[1]
    fill = missing.ConstantFill(np.arange(30.0))
    source = ArraySource(incomplete).with_fill(fill)
    expected = np.where(np.isnan(incomplete), np.arange(30.0), incomplete)
    np.testing.assert_array_equal(source.to_array(), expected)
    np.testing.assert_array_equal(source.take(np.array([5, 3])), expected[[5, 3]])
    np.testing.assert_array_equal(source[10:20], expected[10:20])
    np.testing.assert_array_equal(source.observed(np.array([5])), ~np.isnan(incomplete[[5]]))
    assert source.range() == (np.nanmin(incomplete), np.nanmax(incomplete))
