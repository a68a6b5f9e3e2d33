import pickle
from copy import deepcopy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skae import DenoisingAutoencoder, _denoising, _fitting, reconstruction_score
from skae._linear import pca
from skae._preparation import prepare


def _make(n_components=8, **parameters):
    return DenoisingAutoencoder(n_components, **{"max_iter": 3, "random_state": 0} | parameters)


def _r2(X, X_hat):
    return r2_score(
        X.reshape(len(X), -1), X_hat.reshape(len(X), -1), multioutput="variance_weighted"
    )


def _noisy(X, level=0.3, seed=5):
    return np.clip(X + np.random.default_rng(seed).normal(0, level, X.shape), 0, 1)


@pytest.fixture(scope="module")
def pixels(digits):
    """300 flat images with values in [0, 1]."""
    return digits / 16


@pytest.fixture(scope="module")
def images(pixels):
    return pixels.reshape(-1, 8, 8)


def _by_halves(X, random_state):
    return X * random_state.choice([0.5, 1.0], size=X.shape)


EVERY_CORRUPTION = [
    {"corruption": "gaussian", "noise_level": 0.3},
    {"corruption": "masking"},
    {"corruption": "salt_and_pepper", "noise_level": 0.2},
    {"corruption": "erase", "noise_level": 0.2, "image_shape": (8, 8)},
    {"corruption": _by_halves},
    {"corruption": None},
]


# The start


def test_with_measured_pairs_the_start_is_reduced_rank_regression(rng):
    X = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + 3
    target = X[:, :4] @ rng.normal(size=(4, 5)) + rng.normal(size=(400, 5))
    estimator = _make(2, max_iter=0, output_activation="identity", validation_fraction=None)
    denoised = estimator.fit(X, X_target=target).denoise(X)
    fitted = LinearRegression().fit(X, target).predict(X)
    pca = PCA(2).fit(fitted)
    np.testing.assert_allclose(denoised, pca.inverse_transform(pca.transform(fitted)), atol=1e-2)


def test_full_rank_pairs_start_at_least_squares(rng):
    X = rng.normal(size=(400, 6))
    target = X @ rng.normal(size=(6, 3)) + rng.normal(size=(400, 3))
    denoised = (
        _make(6, max_iter=0, output_activation="identity")
        .fit(X[:300], X_target=target[:300])
        .denoise(X[300:])
    )
    expected = LinearRegression().fit(X[:300], target[:300]).predict(X[300:])
    assert _r2(target[300:], denoised) == pytest.approx(_r2(target[300:], expected), abs=0.01)


@pytest.mark.parametrize("parameters", EVERY_CORRUPTION[:-1])
@pytest.mark.parametrize("n_rows", [100, 200])
def test_start_is_better_than_pca_of_the_corrupted_samples(pixels, parameters, n_rows):
    start = _make(16, max_iter=0, **parameters).fit(pixels[:n_rows])
    held_out = pixels[200:]
    damaged = _damaged(start, held_out)
    pca = PCA(16).fit(pixels[:n_rows])
    X_hat = np.clip(pca.inverse_transform(pca.transform(damaged)), 0, 1)
    assert start.score(held_out) > _r2(held_out, X_hat)
    assert start.score(held_out) == pytest.approx(_r2(held_out, start.denoise(damaged)), abs=1e-9)


def _damaged(estimator, X):
    """What `score` denoises: what the encoder is given meanwhile."""
    seen = []
    twin = deepcopy(estimator)
    twin.net_.module_.encoder.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].numpy())
    )
    twin.score(X)
    return np.concatenate(seen) * twin._model.standardizer.scale + twin._model.standardizer.mean


def test_start_of_many_features(pixels, monkeypatch):
    """With too many for covariance matrices, the clean samples are regressed on PCA's codes."""
    monkeypatch.setattr(_denoising, "MAX_FEATURES_OF_SCATTER", 50)
    monkeypatch.setattr(pca, "MAX_FEATURES_OF_SCATTER", 50)
    noisy = _noisy(pixels)
    start = _make(8, max_iter=0, output_activation="identity", validation_fraction=None).fit(
        noisy, X_target=pixels
    )
    codes = PCA(8).fit_transform(noisy)
    expected = LinearRegression().fit(codes, pixels).predict(codes)
    np.testing.assert_allclose(start.denoise(noisy), expected, atol=1e-4)


@pytest.mark.parametrize("parameters", EVERY_CORRUPTION)
def test_training_keeps_the_best_epoch_and_is_never_below_the_start(pixels, parameters):
    estimator = _make(max_iter=60, **parameters).fit(pixels)
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    assert estimator.best_iter_ > 0
    assert scores[estimator.best_iter_] == max(scores)


# Corruption: in training only, afresh, seeded


class Inputs(Callback):
    """Keeps what the encoder is given in training."""

    def __init__(self):
        self.inputs = []

    def on_train_begin(self, net, **kwargs):
        net.module_.encoder.register_forward_pre_hook(self._keep)

    def _keep(self, module, inputs):
        if module.training:
            self.inputs.append(inputs[0].numpy().copy())


def test_corruption_is_on_in_training_and_new_in_each_batch(pixels):
    clean, damaged = Inputs(), Inputs()
    common = {"max_iter": 2, "batch_size": 1000, "validation_fraction": None}
    _make(corruption=None, skorch_callbacks=[clean], **common).fit(pixels)
    _make(noise_level=0.25, skorch_callbacks=[damaged], **common).fit(pixels)
    first, second = damaged.inputs
    assert np.unique(first, axis=0).shape == first.shape
    assert not np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
    assert not np.array_equal(np.sort(first, axis=0), np.sort(clean.inputs[0], axis=0))


@pytest.mark.parametrize("parameters", EVERY_CORRUPTION)
def test_what_is_applied_draws_nothing(pixels, parameters):
    estimator = _make(**parameters).fit(pixels)
    for method in (estimator.transform, estimator.denoise, estimator.score_samples):
        np.testing.assert_array_equal(method(pixels), method(pixels))
        np.testing.assert_allclose(method(pixels[:10]), method(pixels)[:10], atol=1e-9)
    assert estimator.score(pixels) == estimator.score(pixels)
    np.testing.assert_array_equal(
        _make(**parameters).fit(pixels).denoise(pixels), estimator.denoise(pixels)
    )


def test_score_is_of_corrupted_samples(pixels):
    mild, heavy = (
        _make(corruption="masking", noise_level=level, max_iter=10).fit(pixels)
        for level in (0.0, 0.7)
    )
    assert heavy.score(pixels) < mild.score(pixels) - 0.1
    assert mild.score(pixels) == pytest.approx(reconstruction_score(mild, pixels), abs=1e-12)
    masked = np.where(np.random.default_rng(0).random(pixels.shape) < 0.7, 0, pixels)
    assert heavy.score(pixels) == pytest.approx(_r2(pixels, heavy.denoise(masked)), abs=0.03)
    assert heavy.score(pixels) != pytest.approx(reconstruction_score(heavy, pixels), abs=0.06)


def test_data_are_left_alone(pixels):
    def ruin(X, random_state):
        X[:] = 0
        return X

    X = pixels.copy()
    _make(corruption=ruin).fit(X).score(X)
    np.testing.assert_array_equal(X, pixels)


@pytest.mark.parametrize(("offset", "masked"), [(0.0, 0.0), (100.0, None)])
def test_masked_features_are_zero_or_their_mean(rng, offset, masked):
    X = rng.uniform(-1, 1, size=(200, 4)) + offset
    recorder = Inputs()
    estimator = _make(
        2, noise_level=0.5, max_iter=1, skorch_callbacks=[recorder], init="random"
    ).fit(X)
    seen = (
        np.concatenate(recorder.inputs) * estimator._model.standardizer.scale
        + estimator._model.standardizer.mean
    )
    expected = X.mean(axis=0) if masked is None else np.full(4, masked)
    np.testing.assert_allclose(np.isclose(seen, expected, atol=1e-4).mean(axis=0), 0.5, atol=0.1)


# Images and pairs


def test_images_are_convolutional_and_reconstructed_as_images(images):
    estimator = _make(max_iter=1, channels=(4, 8)).fit(images)
    assert any(
        "residual.1.weight" in row.name and len(row.shape) == 4 for row in estimator.summary().rows
    )
    assert estimator.denoise(images).shape == images.shape
    flat = _make(max_iter=1, channels=(4, 8), image_shape=(8, 8)).fit(
        images.reshape(len(images), -1)
    )
    np.testing.assert_array_equal(
        flat.denoise(images).reshape(images.shape), estimator.denoise(images)
    )


def test_flat_samples_are_dense(pixels):
    assert _make(max_iter=1).fit(pixels).image_shape_ is None


@pytest.mark.parametrize("flat", [False, True])
def test_gray_to_color(images, flat):
    colors = np.stack([images, 1 - images, images**2], axis=-1)
    target = colors.reshape(len(images), -1) if flat else colors
    estimator = _make(16, max_iter=5, channels=(4, 8)).fit(images, X_target=target)
    assert estimator.denoise(images).shape == target.shape
    assert estimator.inverse_transform(estimator.transform(images)).shape == target.shape
    assert estimator.score(images, X_target=target) == pytest.approx(
        _r2(target, estimator.denoise(images)), abs=1e-9
    )
    assert estimator.score(images, X_target=target) > 0.8


def test_pairs_of_another_width(pixels):
    target = pixels[:, :10] ** 2
    estimator = _make(max_iter=30).fit(pixels[:250], X_target=target[:250])
    linear = LinearRegression().fit(pixels[:250], target[:250])
    assert estimator.denoise(pixels).shape == (300, 10)
    assert _r2(target[250:], estimator.denoise(pixels[250:])) > _r2(
        target[250:], linear.predict(pixels[250:])
    )


def test_pairs_with_a_validation_set(pixels):
    noisy = _noisy(pixels)
    estimator = _make(validation_fraction=None).fit(
        noisy[:200], X_target=pixels[:200], X_val=noisy[200:], X_val_target=pixels[200:]
    )
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    mean_row = pixels[200:] - pixels[200:].mean(axis=0)
    error = (
        np.square(pixels[200:] - estimator.denoise(noisy[200:])).sum() / np.square(mean_row).sum()
    )
    assert scores[estimator.best_iter_] == pytest.approx(1 - error, abs=1e-5)


def test_pairs_are_not_corrupted_again(pixels):
    noisy = _noisy(pixels)
    fits = [
        _make(corruption=corruption).fit(noisy, X_target=pixels)
        for corruption in ("masking", "gaussian", None)
    ]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.denoise(noisy), fits[0].denoise(noisy))


def test_files(pixels):
    estimator = _make(corruption="gaussian", noise_level=0.3).fit(pixels)
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(twin.denoise(pixels), estimator.denoise(pixels))
    assert twin.score(pixels) == estimator.score(pixels)


# Searches


@pytest.mark.parametrize("grid", [{"noise_level": [0.1, 0.6]}, {"n_components": [2, 8]}])
def test_search_on_digits(pixels, grid):
    search = GridSearchCV(_make(), grid, cv=2).fit(pixels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_search_with_routed_targets(pixels):
    noisy = _noisy(pixels)
    with config_context(enable_metadata_routing=True):
        denoiser = _make().set_fit_request(X_target=True).set_score_request(X_target=True)
        search = GridSearchCV(denoiser, {"n_components": [2, 8]}, cv=2, error_score="raise")
        search.fit(noisy, X_target=pixels)
    assert search.best_params_ == {"n_components": 8}
    fold = _make(8).fit(noisy[150:], X_target=pixels[150:])
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(
        _r2(pixels[:150], fold.denoise(noisy[:150])), abs=1e-9
    )


# Before, the search of a Pipeline does not pass metadata to its score.
@pytest.mark.requires("scikit-learn>=1.8")
def test_search_of_a_pipeline_with_routed_targets(pixels):
    noisy = _noisy(pixels)
    with config_context(enable_metadata_routing=True):
        denoiser = _make().set_fit_request(X_target=True).set_score_request(X_target=True)
        pipeline = make_pipeline(StandardScaler(), denoiser)
        search = GridSearchCV(
            pipeline, {"denoisingautoencoder__n_components": [2, 8]}, cv=2, error_score="raise"
        )
        search.fit(noisy, X_target=pixels)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.best_params_ == {"denoisingautoencoder__n_components": 8}
        fold = (
            clone(pipeline)
            .set_params(denoisingautoencoder__n_components=8)
            .fit(noisy[150:], X_target=pixels[150:])
        )
        denoised = fold[-1].denoise(fold[0].transform(noisy[:150]))
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(
        _r2(pixels[:150], denoised), abs=1e-9
    )


def test_codes_in_a_pipeline(pixels):
    from sklearn.datasets import load_digits

    y = load_digits().target[:300]
    pipeline = make_pipeline(_make(16), LogisticRegression(max_iter=1000)).fit(pixels, y)
    assert pipeline.score(pixels, y) > 0.9


# Bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"corruption": "masking", "noise_level": 1.5},
            "noise_level=1.5 is not a fraction.*corruption='masking'",
        ),
        ({"corruption": "salt_and_pepper", "noise_level": 2}, "noise_level=2 is not a fraction"),
        ({"corruption": "erase"}, "corruption='erase' is for images.*image_shape"),
        ({"n_components": "spatial"}, "n_components='spatial' is for images"),
        ({"noise_level": -0.1}, "noise_level"),
        ({"corruption": "blur"}, "corruption"),
        ({"corruption": lambda X, random_state: X[:-1]}, "corruption=<lambda> returned an array"),
        (
            {"corruption": lambda X, random_state: X * np.inf},
            "corruption=<lambda> returned NaN or infinity",
        ),
    ],
)
def test_bad_parameters(pixels, parameters, message):
    estimator = _make(**parameters)
    with pytest.raises(ValueError, match=message), np.errstate(invalid="ignore"):
        estimator.fit(pixels)
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"X_target": lambda X: X[:-1]}, "X_target has 299 samples, but there are 300"),
        ({"X_target": lambda X: np.where(X > 0, np.inf, X)}, "X_target contains infinity"),
        ({"X_target": lambda X: X, "X_val": lambda X: X}, "X_val and X_val_target belong together"),
        (
            {"X_target": lambda X: X, "X_val_target": lambda X: X},
            "X_val and X_val_target belong together",
        ),
        (
            {"X_val": lambda X: X, "X_val_target": lambda X: X},
            "X_val_target is given, but X_target is not",
        ),
        (
            {"X_target": lambda X: X, "X_val": lambda X: X, "X_val_target": lambda X: X[:, :3]},
            "X_val_target has 3 features, but X_target has 64",
        ),
    ],
)
def test_bad_targets(pixels, targets, message):
    estimator = _make()
    with pytest.raises(ValueError, match=message):
        estimator.fit(pixels, **{name: make(pixels) for name, make in targets.items()})
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.mark.parametrize("parameters", [{}, {"init": "random", "loss": "log_loss"}])
def test_validation_targets_out_of_range_are_named(pixels, parameters):
    with pytest.raises(ValueError, match=r"^X_val_target "):
        _make(**parameters).fit(pixels, X_target=pixels, X_val=pixels, X_val_target=pixels * 1e30)


def test_target_images_of_another_size(images):
    with pytest.raises(
        ValueError, match=r"X_target has samples of shape \(4, 8\), but the images of X are 8 x 8"
    ):
        _make().fit(images, X_target=images[:, :4])


def test_score_without_its_target(pixels):
    estimator = _make().fit(pixels, X_target=pixels)
    with pytest.raises(ValueError, match=r"this method needs it, too.*metadata routing"):
        estimator.score(pixels)
    with pytest.raises(ValueError, match="compare denoise"):
        estimator.score_samples(pixels)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", lambda X, random_state: 2 * X])
def test_the_start_does_not_use_the_validation_set(pixels, corruption, monkeypatch):
    prepared = []

    def keeping(*args, **kwargs):
        prepared.append(prepare(*args, **kwargs))
        return prepared[0]

    monkeypatch.setattr(_fitting, "prepare", keeping)
    _make(corruption=corruption, noise_level=0.25, output_activation="identity", max_iter=0).fit(
        pixels
    )
    positions = prepared[0].train.positions
    assert 0 < len(positions) < len(pixels)
    products = (len(positions) - 1) * np.cov(pixels[positions].T)
    joint, n_copies = (
        prepared[0].joint[0],
        np.ceil(20 * 64 / len(positions)) if callable(corruption) else 1,
    )
    expected = {"masking": 0.75, "gaussian": 1.0}.get(corruption, 2 * n_copies) * products
    np.testing.assert_allclose(joint.cross, expected, rtol=1e-9, atol=1e-9)
