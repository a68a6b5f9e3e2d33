import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Freezer, Unfreezer

from skae import VAETransformer
from skae._likelihoods.gaussian import MIN_NOISE_VARIANCE


def _make(n_components=8, **parameters):
    return VAETransformer(n_components, **{"max_iter": 3, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def pixels(digits):
    """300 flat images with values in [0, 1]."""
    return digits / 16


@pytest.fixture(scope="module")
def trained(digits):
    return _make(max_iter=40).fit(digits)


@pytest.fixture(scope="module")
def binary(pixels):
    """300 flat images, black and white."""
    return (pixels > 0.5).astype(float)


@pytest.fixture(scope="module")
def bernoulli(binary):
    return _make(likelihood="bernoulli", max_iter=20).fit(binary)


# The start is probabilistic PCA


@pytest.mark.parametrize("n_components", [1, 8, 40])
@pytest.mark.parametrize("parameters", [{}, {"image_shape": (8, 8)}, {"beta": 4.0}])
def test_score_of_the_start_is_pcas(digits, n_components, parameters):
    X, held_out = digits[:200], digits[200:]
    start = _make(n_components, max_iter=0, **parameters).fit(X)
    pca = PCA(n_components, svd_solver="full").fit(X)
    np.testing.assert_allclose(
        start.score_samples(held_out), pca.score_samples(held_out), rtol=1e-5
    )
    assert start.score(held_out) == pytest.approx(pca.score(held_out), rel=1e-6)
    assert start.noise_variance_ == pytest.approx(pca.noise_variance_, rel=1e-5)


@pytest.mark.parametrize("n_importance_samples", [1, 20])
def test_every_importance_weight_of_the_start_is_the_density(digits, n_importance_samples):
    start = _make(max_iter=0).fit(digits)
    expected = PCA(8, svd_solver="full").fit(digits).score_samples(digits)
    np.testing.assert_allclose(
        start.score_samples(digits, n_importance_samples=n_importance_samples), expected, rtol=1e-5
    )


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e5, 1.0), (-3.0, 1e-4), (0.0, 1e6)])
def test_scores_are_densities_in_the_units_of_x(cancer, offset, scale):
    X = cancer * scale + offset
    start = _make(5, max_iter=0).fit(X)
    assert start.score(X) == pytest.approx(PCA(5, svd_solver="full").fit(X).score(X), rel=1e-3)
    trained = _make(5, max_iter=20).fit(X)
    shift = X.shape[1] * np.log(scale)
    assert trained.score(X) + shift == pytest.approx(
        _make(5, max_iter=20).fit(cancer).score(cancer), abs=0.2
    )


def test_posterior_of_the_start_is_the_linear_models(cancer):
    start = _make(4, max_iter=0).fit(cancer)
    pca = PCA(4, svd_solver="full").fit(cancer)
    # Bishop, Pattern Recognition and Machine Learning, equations 12.42 and 12.43.
    W = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    M = W.T @ W + pca.noise_variance_ * np.eye(4)
    mean, std = start.encode_distribution(cancer)
    np.testing.assert_allclose(mean, (cancer - pca.mean_) @ W @ np.linalg.inv(M), atol=1e-5)
    np.testing.assert_allclose(
        std**2,
        np.tile(pca.noise_variance_ * np.diag(np.linalg.inv(M)), (len(cancer), 1)),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(start.transform(cancer), mean)


@pytest.mark.parametrize("n_components", [6, 9])
def test_as_many_components_as_features(rng, n_components):
    X = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    start = _make(n_components, max_iter=0).fit(X)
    expected = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T)).logpdf(X)
    np.testing.assert_allclose(start.score_samples(X), expected, rtol=1e-3)
    assert np.isfinite(_make(n_components).fit(X).score(X))


def test_more_features_than_samples(digits):
    X = digits[:40]
    assert _make(max_iter=0).fit(X).score(X) == pytest.approx(
        PCA(8, svd_solver="full").fit(X).score(X), rel=1e-4
    )


@pytest.mark.parametrize("n_importance_samples", [None, 5])
def test_no_sample_scores_far_below_pca(digits, trained, n_importance_samples):
    far = digits * np.linspace(1, 1000, 300)[:, None]
    pca = PCA(8, svd_solver="full").fit(digits)
    scores = trained.score_samples(far, n_importance_samples=n_importance_samples)
    least = pca.score_samples(far) - np.log(301)
    assert (scores > least - 0.01 - 1e-7 * abs(least)).all()  # components are kept in float32
    assert scores[-1] == pytest.approx(least[-1], rel=1e-6)


def test_the_components_stay_whatever_callbacks_freeze_and_unfreeze(digits):
    components = _make(max_iter=0).fit(digits).net_.module_.encoder.linear.weight
    callbacks = [Freezer("encoder.*"), Unfreezer("encoder.*", at=2)]
    for trained in (_make(max_iter=30), _make(max_iter=30, skorch_callbacks=callbacks)):
        module = trained.fit(digits).net_.module_
        assert trained.best_iter_ > 1
        assert torch.equal(module.encoder.linear.weight, components)
        assert pickle.loads(pickle.dumps(trained)).net_.module_.encoder.trains_linear is False


def test_scales_that_differ_widely_are_not_a_degenerate_density(rng):
    X = rng.normal(size=(300, 6)) * [5000, 1, 1, 1, 1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = _make(2, max_iter=0).fit(X)
    assert start.score(X) == pytest.approx(PCA(2, svd_solver="full").fit(X).score(X), rel=1e-3)


# Degenerate data


def _plane(rng):
    return rng.normal(size=(100, 3)) @ rng.normal(size=(3, 7))


@pytest.mark.parametrize("n_components", [3, 5])
def test_degenerate_density_is_bounded_and_warned_of(rng, n_components):
    X = _plane(rng)
    with pytest.warns(
        UserWarning, match=r"1e-09.*density is degenerate.*n_components than.*StandardScaler"
    ) as caught:
        estimator = _make(n_components).fit(X)
    assert caught[0].filename == __file__
    assert estimator.noise_variance_ == pytest.approx(
        MIN_NOISE_VARIANCE * X.var(axis=0).mean(), rel=0.5
    )
    assert np.isfinite(estimator.score_samples(X)).all()


@pytest.mark.parametrize(
    "X", [np.ones((20, 3)), np.eye(2)[[0, 1, 0, 1, 0, 1]]], ids=["constant", "two points"]
)
def test_samples_that_hardly_differ(X):
    with pytest.warns(UserWarning, match="degenerate"):
        estimator = _make(2).fit(X)
    assert np.isfinite(estimator.score(X))


def test_constant_features_are_accepted(cancer):
    X = np.column_stack([cancer, np.full(len(cancer), 3.0)])
    start = _make(4, max_iter=0).fit(X)
    assert start.score(X) == pytest.approx(PCA(4, svd_solver="full").fit(X).score(X), rel=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(_make(4).fit(X).score(X))


# Training


@pytest.mark.parametrize(
    "parameters", [{}, {"image_shape": (8, 8)}, {"n_draws": 3}, {"init": "random"}]
)
def test_training_keeps_the_best_epoch(digits, parameters):
    estimator = _make(max_iter=80, **parameters).fit(digits)
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    assert estimator.best_iter_ > 0
    assert scores[estimator.best_iter_] == max(scores)


def test_trained_density_beats_linear_ones_on_held_out_samples(digits, trained):
    from sklearn.datasets import load_digits

    held_out = load_digits().data[1200:]
    assert trained.score(held_out) > PCA(8).fit(digits).score(held_out) + 3
    assert trained.baseline_score_ < max(trained.validation_scores_)


def test_validation_score_is_the_elbo_of_the_validation_samples(digits):
    estimator = _make(max_iter=0).fit(digits[:200], X_val=digits[200:])
    assert estimator.baseline_score_ == pytest.approx(
        PCA(8).fit(digits[:200]).score(digits[200:]), rel=1e-5
    )


def test_beta_weighs_the_divergence(digits):
    loose, tight = (_make(max_iter=40, beta=beta).fit(digits) for beta in (0.2, 5.0))
    assert loose.kl_per_component_.sum() > tight.kl_per_component_.sum() * 1.3
    start = _make(max_iter=0, beta=3.0).fit(digits, X_val=digits)
    assert start.baseline_score_ == pytest.approx(
        start.score(digits) - 2 * start.kl_per_component_.sum(), rel=1e-6
    )


@pytest.mark.parametrize("name", ["trained", "bernoulli"])
def test_bounds_are_ordered(name, request, digits, binary):
    estimator = request.getfixturevalue(name)
    X = binary if name == "bernoulli" else digits
    one, many = (estimator.score(X, n_importance_samples=n) for n in (1, 200))
    assert estimator.score(X) < many
    assert one < many


def test_elbo_against_a_sum_over_many_monte_carlo_samples(digits, trained):
    """The mean of log p(x|z) + log p(z) - log q(z|x), computed from public methods only."""
    X, rng, n_draws = digits[:50], np.random.default_rng(0), 2000
    mean, std = trained.encode_distribution(X)
    bounds = np.zeros(len(X))
    sigma = np.sqrt(trained.noise_variance_)
    for _ in range(n_draws):
        z = rng.normal(mean, std)
        log_weights = stats.norm.logpdf(X, trained.inverse_transform(z), sigma).sum(axis=1)
        log_weights += (stats.norm.logpdf(z) - stats.norm.logpdf(z, mean, std)).sum(axis=1)
        bounds += log_weights / n_draws
    start = PCA(8, svd_solver="full").fit(digits).score_samples(X)
    expected = np.logaddexp(bounds + np.log(300 / 301), start - np.log(301))
    np.testing.assert_allclose(trained.score_samples(X), expected, atol=1)
    assert trained.score(X) == pytest.approx(expected.mean(), abs=0.1)


def test_divergence_of_each_component(digits, trained):
    mean, std = trained.encode_distribution(digits)
    kl = (mean**2 + std**2 - 1 - 2 * np.log(std)) / 2
    np.testing.assert_allclose(trained.kl_per_component_, kl.mean(axis=0), rtol=1e-6)
    assert trained.n_active_components_ == (kl.mean(axis=0) > 0.01).sum() == 8


def test_collapse_is_warned_of(digits):
    with pytest.warns(
        UserWarning, match=r"0 of 8 components are in use, although 8 could.*beta smaller than 1000"
    ) as caught:
        estimator = _make(beta=1000.0, max_iter=40).fit(digits)
    assert caught[0].filename == __file__
    assert estimator.n_active_components_ == 0


# Application


@pytest.mark.parametrize("name", ["trained", "bernoulli"])
def test_nothing_is_left_to_chance_or_to_the_order_of_samples(name, request, pixels):
    estimator = request.getfixturevalue(name)
    for method in (
        estimator.transform,
        estimator.score_samples,
        lambda X: estimator.score_samples(X, n_importance_samples=7),
    ):
        np.testing.assert_array_equal(method(pixels), method(pixels))
        np.testing.assert_allclose(method(pixels[::-7]), method(pixels)[::-7], rtol=1e-9)


def test_weighted_score(digits, trained):
    weights = np.arange(300.0)
    assert trained.score(digits, sample_weight=weights) == pytest.approx(
        np.average(trained.score_samples(digits), weights=weights)
    )


def test_samples(digits, trained):
    X = trained.sample(500, random_state=0)
    assert X.shape == (500, 64)
    np.testing.assert_array_equal(X, trained.sample(500, random_state=0))
    assert not np.array_equal(X, trained.sample(500, random_state=1))
    # As far from each pixel's mean as the data, but for the noise.
    assert X.var(axis=0).sum() == pytest.approx(
        digits.var(axis=0).sum() - 64 * trained.noise_variance_, rel=0.3
    )


def test_samples_of_the_start_have_pcas_covariance(cancer):
    start, pca = _make(6, max_iter=0).fit(cancer), PCA(6).fit(cancer)
    expected = pca.get_covariance() - pca.noise_variance_ * np.eye(30)
    np.testing.assert_allclose(np.cov(start.sample(40_000, random_state=0).T), expected, atol=0.1)


def test_way_between_two_samples(digits, trained):
    way = trained.interpolate(digits[0], digits[1].astype(np.float32), n_steps=5)
    assert way.shape == (5, 64)
    np.testing.assert_allclose(way[[0, -1]], trained.reconstruct(digits[:2]), atol=1e-4)
    middle = trained.transform(digits[:2]).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(way[2:3], trained.inverse_transform(middle), atol=1e-4)


def test_images(pixels):
    images = pixels.reshape(-1, 8, 8)
    estimator = _make(channels=(4, 8)).fit(images)
    assert any(len(row.shape) == 4 for row in estimator.summary().rows)
    assert estimator.sample(4).shape == (4, 8, 8)
    assert estimator.interpolate(images[0], images[1]).shape == (10, 8, 8)
    assert estimator.reconstruct(images).shape == images.shape
    flat = _make(channels=(4, 8), image_shape="auto").fit(pixels)
    np.testing.assert_array_equal(flat.score_samples(pixels), estimator.score_samples(images))


@pytest.mark.parametrize("name", ["trained", "bernoulli"])
def test_files(name, request, pixels):
    estimator = request.getfixturevalue(name)
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(twin.score_samples(pixels), estimator.score_samples(pixels))
    np.testing.assert_array_equal(
        twin.sample(3, random_state=0), estimator.sample(3, random_state=0)
    )


def test_float32_in_float32_out(digits, trained):
    X = digits.astype(np.float32)
    for result in (*trained.encode_distribution(X), trained.score_samples(X), trained.transform(X)):
        assert result.dtype == np.float32
    np.testing.assert_allclose(trained.score_samples(X), trained.score_samples(digits), rtol=1e-3)


def test_search_over_n_components(digits):
    search = GridSearchCV(_make(), {"n_components": [1, 8]}, cv=2, error_score="raise").fit(digits)
    assert search.best_params_ == {"n_components": 8}


def test_outliers_have_low_scores(digits, trained):
    rng = np.random.default_rng(0)
    strange = rng.permuted(digits, axis=1)
    scores = trained.score_samples(np.concatenate([digits, strange]))
    assert roc_auc_score(np.repeat([0, 1], 300), -scores) > 0.95


def test_a_refit_forgets_the_density_of_its_start(digits):
    refitted = _make(4, max_iter=1).fit(digits).set_params(init="random").fit(digits)
    fresh = _make(4, max_iter=1, init="random").fit(digits)
    # As much as the components of 64 features.
    assert len(pickle.dumps(refitted)) < len(pickle.dumps(fresh)) + 4 * 64 * 4
    assert vars(refitted).keys() == vars(fresh).keys()
    assert not [
        name for name in refitted.net_.module_.state_dict() if name.startswith("start_density")
    ]
    assert refitted.net_.module_.state_dict().keys() == fresh.net_.module_.state_dict().keys()


# Bernoulli


def test_bernoulli_start_is_better_than_independent_values_and_training_than_it(binary):
    held_out = binary[200:]
    mean = binary[:200].mean(axis=0).clip(1e-2, 1 - 1e-2)
    independent = (held_out * np.log(mean) + (1 - held_out) * np.log(1 - mean)).sum(axis=1).mean()
    start = _make(likelihood="bernoulli", max_iter=0).fit(binary[:200])
    assert start.score(held_out) > independent + 2
    trained = _make(likelihood="bernoulli", max_iter=60).fit(binary[:200])
    assert trained.score(held_out) > start.score(held_out) + 0.5


def test_bernoulli_start_is_never_worse_than_independent_values(rng):
    X = (rng.uniform(size=(400, 10)) < 0.3).astype(float)
    start = _make(2, likelihood="bernoulli", max_iter=0).fit(X)
    mean = X.mean(axis=0)
    assert start.score(X) == pytest.approx(
        (X * np.log(mean) + (1 - X) * np.log(1 - mean)).sum(axis=1).mean(), rel=1e-2
    )


def test_bernoulli_bound_against_a_sum_over_many_independent_draws(binary, bernoulli):
    X, rng, n_draws = binary[:20], np.random.default_rng(0), 1000
    mean, std = bernoulli.encode_distribution(X)
    bound = 0.0
    for _ in range(n_draws):
        z = rng.normal(mean, std)
        p = bernoulli.inverse_transform(z)
        log_weights = (X * np.log(p) + (1 - X) * np.log1p(-p)).sum(axis=1)
        log_weights += (stats.norm.logpdf(z) - stats.norm.logpdf(z, mean, std)).sum(axis=1)
        bound += log_weights.mean() / n_draws
    assert bernoulli.score(X) == pytest.approx(bound, abs=0.3)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_bernoulli_gives_probabilities(pixels, init):
    estimator = _make(likelihood="bernoulli", init=init).fit(pixels)
    for X in (estimator.reconstruct(pixels), estimator.sample(20)):
        assert X.min() >= 0
        assert X.max() <= 1
    assert not hasattr(estimator, "noise_variance_")


@pytest.mark.filterwarnings("ignore:.*collapsed")
@pytest.mark.parametrize(
    "X", [np.zeros((10, 3)), np.ones((10, 3)), np.eye(3)], ids=["zeros", "ones", "identity"]
)
def test_bernoulli_data_without_information(X):
    assert np.isfinite(_make(2, likelihood="bernoulli").fit(X).score(X))


@pytest.mark.parametrize("n_rows", [12, 16, 40])
def test_logistic_start_of_few_samples_is_better_than_independent_columns(n_rows):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, 40)) > 0).astype(float)
    mean = X.mean(axis=0).clip(1e-3, 1 - 1e-3)
    independent = (X * np.log(mean) + (1 - X) * np.log(1 - mean)).sum(axis=1).mean()
    assert _make(20, likelihood="bernoulli", max_iter=0).fit(X).score(X) > independent


def test_refit_forgets_the_other_likelihood(pixels):
    estimator = _make(max_iter=0).fit(pixels)
    assert not hasattr(estimator.set_params(likelihood="bernoulli").fit(pixels), "noise_variance_")


# Use


def test_way_between_named_samples(digits):
    X = pd.DataFrame(digits[:, 10:20], columns=list("abcdefghij"))
    estimator = _make(2).fit(X)
    expected = estimator.interpolate(X.iloc[:1], X.iloc[1:2])
    np.testing.assert_array_equal(estimator.interpolate(X.iloc[0], X.iloc[1]), expected)
    with pytest.raises(ValueError, match="feature names"):
        estimator.interpolate(X.iloc[0, ::-1], X.iloc[1])


def test_codes_in_a_pipeline(digits):
    from sklearn.datasets import load_digits

    y = load_digits().target[:300]
    pipeline = make_pipeline(
        MinMaxScaler(),
        _make(8, likelihood="bernoulli", max_iter=30),
        LogisticRegression(max_iter=1000),
    )
    assert pipeline.fit(digits, y).score(digits, y) > 0.9


def test_score_is_comparable_with_other_densities(cancer):
    """On Gaussian data all of them are about the truth."""
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal(np.zeros(5), np.diag([9.0, 4.0, 1.0, 1.0, 1.0]), size=2000)
    scores = [
        m.fit(X[:1000]).score(X[1000:])
        for m in (_make(2), GaussianMixture(1), FactorAnalysis(2), PCA(2))
    ]
    np.testing.assert_allclose(scores, scores[0], atol=0.1)


# Bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": -1.0}, "beta"),
        ({"n_draws": 0}, "n_draws"),
        ({"contamination": 0.6}, "contamination"),
        ({"contamination": -0.1}, "contamination"),
        ({"n_draws": True}, "n_draws=True is a boolean"),
        ({"likelihood": "poisson"}, "likelihood"),
        ({"output_activation": "sigmoid"}, "output_activation"),
        ({"n_components": "spatial"}, "n_components"),
        (
            {"likelihood": "bernoulli"},
            r"X must lie in \[0, 1\].*range from 0 to 16.*MinMaxScaler.*likelihood='gaussian'",
        ),
    ],
)
def test_bad_parameters(digits, parameters, message):
    estimator = _make(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(digits)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_bernoulli_samples_out_of_range(pixels, bernoulli):
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\]"):
        bernoulli.score(pixels * 1.5)
    with pytest.raises(ValueError, match=r"X_val must lie in \[0, 1\]"):
        _make(likelihood="bernoulli").fit(pixels, X_val=pixels - 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, X: e.sample(0), "n_samples=0: give an int of at least 1"),
        (lambda e, X: e.sample(2.5), "n_samples=2.5"),
        (lambda e, X: e.interpolate(X[0], X[1], n_steps=1), "n_steps=1: give an int of at least 2"),
        (
            lambda e, X: e.interpolate(X[0], X[:2]),
            r"b has shape \(2, 64\): give one sample of 64 features",
        ),
        (lambda e, X: e.interpolate(X[0] + np.inf, X[1]), "contains infinity"),
        (
            lambda e, X: e.interpolate(X[0][:9], X[1]),
            "9 features, but VAETransformer is expecting 64",
        ),
        (lambda e, X: e.score(X, sample_weight=[1.0, 2.0]), "sample_weight"),
        (lambda e, X: e.score(X, n_importance_samples=0), "n_importance_samples=0"),
        (lambda e, X: e.score_samples(X, n_importance_samples=True), "n_importance_samples=True"),
    ],
)
def test_bad_arguments(digits, trained, call, message):
    with pytest.raises(ValueError, match=message):
        call(trained, digits)


def test_torch_state_is_left_alone(digits):
    before = torch.get_rng_state()
    _make(max_iter=1).fit(digits).sample(2, random_state=0)
    assert torch.equal(torch.get_rng_state(), before)
