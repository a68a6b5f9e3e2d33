import pickle
from copy import deepcopy

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import KEEPS_EPOCH_0
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._nn.nested_dropout import NestedDropout

CLASSES = [AutoencoderTransformer, ConvAutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


def _make(n_components=8, **parameters):
    return AutoencoderTransformer(
        n_components, **{"ordered": True, "max_iter": 30, "random_state": 0} | parameters
    )


def _r2(X, X_hat):
    """R² of all features, including errors at constant ones, which scikit-learn leaves out."""
    return 1 - np.square(X - X_hat).sum() / np.square(X - X.mean(axis=0)).sum()


@pytest.fixture(scope="module")
def pixels(digits):
    return digits / 16


@pytest.fixture(scope="module", params=CLASSES, ids=lambda cls: cls.__name__)
def fitted(request, pixels):
    return request.param(8, ordered=True, max_iter=15, random_state=0).fit(pixels)


@pytest.fixture(scope="module")
def trained(pixels):
    return _make(max_iter=100).fit(pixels[:250])


# The start


def test_ratios_of_the_start_are_pcas(digits):
    start = _make(max_iter=0, output_activation="identity").fit(digits)
    np.testing.assert_allclose(
        start.explained_variance_ratio_, PCA(8).fit(digits).explained_variance_ratio_, atol=1e-6
    )


# Training


@pytest.mark.parametrize(
    ("n_components", "cuts"),
    [
        (1, {}),
        (2, {1: 1}),
        (6, {1: 2, 2: 3, 4: 12}),
        (48, {1: 2, 2: 3, 4: 12, 8: 4, 16: 4, 32: 4}),
    ],
)
@pytest.mark.parametrize("n_rows", [1, 128, 1000, 5000])
def test_each_batch_has_powers_of_two_in_their_proportions(n_components, cuts, n_rows):
    code = NestedDropout(n_components)
    assert code.lengths == [*cuts, n_components]
    drawn = [code.next_masks(n_rows).length[:, 0].numpy() for _ in range(300)]
    shares = (
        np.append(0.6 * np.array([*cuts.values()]) / sum(cuts.values()), 0.4)
        if cuts
        else np.ones(1)
    )
    counts = np.array([[(depths == depth).sum() for depth in code.lengths] for depths in drawn])
    # Of 128 or more random lengths, some counts would be off by ten.
    assert (np.abs(counts - shares * n_rows) <= 3).all()
    # A small batch does not always have the same lengths.
    np.testing.assert_allclose(counts.mean(axis=0) / n_rows, shares, atol=0.05)


def test_an_emphasized_length_is_trained_and_validated():
    depths = NestedDropout(128, 37)
    assert depths.lengths == [1, 2, 4, 8, 16, 32, 37, 64, 128]
    assert depths.validation_lengths == [16, 37, 128]
    assert NestedDropout(128, 64).validation_lengths == [8, 64, 128]
    assert NestedDropout(128).validation_lengths == [8, 128]
    assert NestedDropout(2).validation_lengths == [1, 2]
    assert NestedDropout(1).validation_lengths == [1]


class Cuts(Callback):
    """Keeps the lengths of the masked codes in training, in the order of the samples."""

    def __init__(self):
        self.depths = []

    def on_train_begin(self, net, **kwargs):
        net.module_.encoder.register_forward_pre_hook(self._keep_rows)
        net.module_.decoder.register_forward_pre_hook(self._keep_depths)

    def _keep_rows(self, module, inputs):
        self.order = np.lexsort(inputs[0].numpy().T)

    def _keep_depths(self, module, inputs):
        if module.training:
            self.depths.append((inputs[0] != 0).sum(1).numpy()[self.order])


def test_codes_are_masked_differently_in_each_epoch_and_only_in_training(pixels):
    cuts = Cuts()
    estimator = _make(
        max_iter=2, batch_size=1000, validation_fraction=None, skorch_callbacks=[cuts]
    ).fit(pixels)
    first, second = cuts.depths
    assert set(first) == {1, 2, 4, 8}
    assert not np.array_equal(first, second)
    assert (estimator.transform(pixels) != 0).all()


def test_every_prefix_is_better_than_pcas_on_held_out_samples(pixels, trained):
    held_out = pixels[250:]
    pca = PCA(8).fit(pixels[:250])
    for depth, r2 in enumerate(trained.explained_variance_curve(held_out), start=1):
        codes = pca.transform(held_out)
        codes[:, depth:] = 0
        assert r2 > _r2(held_out, pca.inverse_transform(codes))


def test_ordered_prefixes_are_better_than_those_of_other_codes(pixels, trained):
    unordered = _make(ordered=False, max_iter=100).fit(pixels[:250])
    codes = unordered.transform(pixels)
    codes[:, 2:] = 0
    assert (
        trained.explained_variance_curve(pixels)[1]
        > _r2(pixels, unordered.inverse_transform(codes)) + 0.05
    )


def test_validation_score_is_the_mean_over_the_judged_prefixes(pixels):
    # R² leaves out columns that do not vary, the objective has all.
    pixels = pixels[:, np.ptp(pixels[200:], axis=0) > 0]
    estimator = _make(max_iter=5).fit(pixels[:200], X_val=pixels[200:])
    curve = estimator.explained_variance_curve(pixels[200:])
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    assert scores[estimator.best_iter_] == pytest.approx(curve[[1, 7]].mean(), abs=1e-5)


def test_no_judged_prefix_of_the_epoch_kept_is_behind_pca(pixels):
    """A later epoch has a better mean over the prefixes, but is behind PCA with all components."""
    X, X_val = pixels[:200], pixels[200:]
    estimator = _make(24, max_iter=60, output_activation="identity", random_state=7).fit(
        X, X_val=X_val
    )
    curve = estimator.explained_variance_curve(X_val)
    pca = PCA(24, svd_solver="full").fit(X)
    for depth in (24, 8, 4, 2):  # judged are the first and the third
        codes = pca.transform(X_val)
        codes[:, depth:] = 0
        assert curve[depth - 1] >= _r2(X_val, pca.inverse_transform(codes)) - 1e-6
    assert 0 < estimator.best_iter_ < 1 + np.argmax(estimator.validation_scores_)


# The curve


def test_curve_is_the_score_of_each_prefix(fitted, pixels):
    curve = fitted.explained_variance_curve(pixels)
    assert curve.shape == (8,)
    # The corruptions differ: the curve in float32, `score` in the dtype of X.
    if isinstance(fitted, DenoisingAutoencoder):
        assert curve[-1] == pytest.approx(fitted.score(pixels), abs=0.04)
    else:
        assert curve[-1] == pytest.approx(_r2(pixels, fitted.reconstruct(pixels)), abs=1e-5)
    assert fitted.explained_variance_ratio_.shape == (8,)
    assert (fitted.explained_variance_ratio_ > -0.02).all()


def test_ratios_are_the_steps_of_the_curve(trained, pixels):
    steps = np.diff(trained.explained_variance_curve(pixels[:250]), prepend=0)
    np.testing.assert_allclose(trained.explained_variance_ratio_, steps, atol=1e-5)
    assert trained.explained_variance_ratio_.sum() == pytest.approx(
        trained.score(pixels[:250]), abs=1e-4
    )


def test_curve_of_measured_pairs(pixels):
    noisy = np.clip(pixels + np.random.default_rng(0).normal(0, 0.3, pixels.shape), 0, 1)
    denoiser = DenoisingAutoencoder(4, ordered=True, max_iter=5, random_state=0).fit(
        noisy, X_target=pixels
    )
    curve = denoiser.explained_variance_curve(noisy, X_target=pixels)
    assert curve[-1] == pytest.approx(denoiser.score(noisy, X_target=pixels), abs=1e-5)
    with pytest.raises(ValueError, match="this method needs it, too"):
        denoiser.explained_variance_curve(noisy)


# Truncation


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_truncated_codes_are_the_first_columns(fitted, pixels, depth):
    codes = fitted.transform(pixels)
    truncated = fitted.truncate(depth)
    np.testing.assert_allclose(truncated.transform(pixels), codes[:, :depth], rtol=1e-6, atol=1e-9)
    whole, unit = deepcopy(fitted.net_.module_).double(), fitted._model._code_scale
    with torch.no_grad():
        rows = whole.decode(torch.from_numpy(codes / unit), whole.latent.prefix(depth)).numpy()
    expected = fitted._from_samples(fitted._model.target_standardizer.inverse_transform(rows))
    np.testing.assert_allclose(truncated.inverse_transform(codes[:, :depth]), expected, atol=1e-6)
    np.testing.assert_allclose(fitted.inverse_transform(codes[:, :depth]), expected, atol=1e-6)
    np.testing.assert_allclose(truncated.reconstruct(pixels), expected, atol=1e-6)
    np.testing.assert_array_equal(
        truncated.explained_variance_ratio_, fitted.explained_variance_ratio_[:depth]
    )
    assert truncated.n_components_ == truncated.n_components == depth
    assert len(truncated.get_feature_names_out()) == depth
    np.testing.assert_array_equal(fitted.transform(pixels), codes)  # as it was


def test_other_columns_than_the_first_are_not_codes(fitted, pixels):
    names = fitted.get_feature_names_out()
    codes = pd.DataFrame(fitted.transform(pixels[:5]), columns=names)
    np.testing.assert_array_equal(
        fitted.inverse_transform(codes[names[:2]]),
        fitted.inverse_transform(codes.to_numpy()[:, :2]),
    )
    for columns in (names[1:3], names[[1, 0]]):
        with pytest.raises(ValueError, match="select them in that order"):
            fitted.inverse_transform(codes[columns])
    with pytest.raises(ValueError, match=r"X has 9 columns, but the latent codes .* have 8"):
        fitted.inverse_transform(np.zeros((2, 9)))


def test_truncated_estimators_are_estimators(fitted, pixels):
    truncated = fitted.truncate(2)
    twin = pickle.loads(pickle.dumps(truncated))
    np.testing.assert_array_equal(twin.transform(pixels), truncated.transform(pixels))
    assert len(pickle.dumps(truncated)) < len(pickle.dumps(fitted))
    assert truncated.summary().total < fitted.summary().total
    assert truncated.truncate(1).n_components_ == 1
    assert clone(truncated).set_params(max_iter=1).fit(pixels).n_components_ == 2


# Number of components by fraction of the variance


def test_a_fraction_takes_no_more_components_than_pca_by_the_same_rule(pixels):
    X, X_val = pixels[:200], pixels[200:]
    estimator = _make(0.9, max_iter=60, output_activation="identity").fit(X, X_val=X_val)
    pca = PCA(svd_solver="full").fit(X)
    codes, total = pca.transform(X_val), np.square(X_val - X_val.mean(axis=0)).sum()
    left = np.square(X_val - pca.mean_).sum() - np.square(codes).sum(axis=0).cumsum()
    assert estimator.n_components_ <= 1 + np.argmax(1 - left / total >= 0.9)
    assert estimator.best_iter_ > 0
    assert estimator.score(X_val) >= 0.9


@pytest.mark.parametrize(
    ("cls", "share", "cap"),
    [
        (AutoencoderTransformer, 0.8, 64),
        (ConvAutoencoderTransformer, 0.6, 64),
        (DenoisingAutoencoder, 0.3, 64),
        (VAETransformer, 0.4, 32),
    ],
)
@KEEPS_EPOCH_0
def test_n_components_is_the_smallest_that_reaches_the_fraction(pixels, cls, share, cap):
    estimator = cls(share, max_iter=20, random_state=0).fit(pixels[:200], X_val=pixels[200:])
    k = estimator.n_components_
    curve = estimator.explained_variance_curve(pixels[200:])
    assert 1 < k < cap
    assert curve[k - 1] >= share > curve[: k - 1].max()
    assert (
        estimator.explained_variance_ratio_.shape == estimator.transform(pixels).shape[1:] == (k,)
    )
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(twin.transform(pixels), estimator.transform(pixels))
    assert clone(estimator).n_components == share


def test_start_chooses_the_n_components_that_pca_chooses(digits):
    for share in (0.5, 0.9, 0.99):
        start = _make(share, ordered=False, max_iter=0, output_activation="identity").fit(
            digits, X_val=digits
        )
        assert start.n_components_ == PCA(share).fit(digits).n_components_


def test_fraction_that_is_not_reached_is_warned_of(pixels):
    with pytest.warns(
        UserWarning, match=r"n_components=0.999 is not reached: the R² .* with all 64 components"
    ) as caught:
        estimator = _make(0.999, max_iter=1, init="random").fit(pixels)
    assert caught[0].filename == __file__
    assert estimator.n_components_ == 64


# Use


def test_search_over_n_components_fits_the_autoencoder_once_a_fold(pixels, tmp_path):
    from sklearn.datasets import load_digits

    pipeline = Pipeline(
        [
            ("autoencoder", _make(16, max_iter=10)),
            ("first", FunctionTransformer(_first)),
            ("classifier", LogisticRegression(max_iter=1000)),
        ],
        memory=str(tmp_path),
    )
    grid = {"first__kw_args": [{"k": k} for k in (2, 4, 8, 16)]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(pixels, load_digits().target[:300])
    fits = [
        path
        for path in tmp_path.rglob("output.pkl")
        if isinstance(joblib.load(path)[1], AutoencoderTransformer)
    ]
    assert len(fits) == 3 + 1  # the folds, and all samples
    scores = search.cv_results_["mean_test_score"]
    assert scores[3] > scores[0]


def _first(Z, k):
    return Z[:, :k]


# Bad input


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, -0.5])
def test_bad_fractions(pixels, share):
    with pytest.raises(ValueError, match="n_components"):
        _make(share).fit(pixels)


@pytest.mark.parametrize("depth", [0, 9, 2.0, True, None])
def test_bad_numbers_of_components(trained, depth):
    with pytest.raises(ValueError, match=rf"n_components={depth}: give an int from 1 to 8"):
        trained.truncate(depth)


def test_codes_without_order(pixels):
    estimator = _make(ordered=False, max_iter=1).fit(pixels)
    for call in (lambda: estimator.truncate(2), lambda: estimator.explained_variance_curve(pixels)):
        with pytest.raises(ValueError, match="not ordered: fit with ordered=True"):
            call()
    assert not hasattr(estimator, "explained_variance_ratio_")


def test_refit_without_order_forgets_it(pixels):
    estimator = _make(max_iter=1).fit(pixels)
    assert not hasattr(estimator.set_params(ordered=False).fit(pixels), "explained_variance_ratio_")


def test_spatial_codes_have_no_order(pixels):
    with pytest.raises(ValueError, match="n_components='spatial' cannot be ordered"):
        ConvAutoencoderTransformer("spatial", ordered=True).fit(pixels)


# Densities


@pytest.fixture(scope="module")
def density(pixels):
    return VAETransformer(8, ordered=True, max_iter=60, random_state=2).fit(pixels[:250])


@pytest.mark.parametrize("depth", [2, 3, 4, 8])
def test_every_prefix_is_a_better_density_than_pcas(pixels, density, depth):
    held_out, pca = pixels[250:], PCA(depth).fit(pixels[:250])
    truncated = density.truncate(depth)
    assert truncated.score(held_out) > pca.score(held_out) + 1
    assert truncated.score(held_out, n_importance_samples=50) >= truncated.score(held_out) - 0.5
    assert (
        truncated.score_samples(held_out).min()
        > (pca.score_samples(held_out) - np.log(251) - 1e-6).min()
    )


@pytest.mark.parametrize("depth", [1, 5])
def test_start_of_a_truncated_density_is_pca(pixels, depth):
    """However bad the networks, the part of the start is PCA with that many components."""
    truncated = VAETransformer(8, ordered=True, max_iter=0).fit(pixels).truncate(depth)
    with torch.no_grad():
        truncated.net_.module_.decoder.linear.weight.fill_(100.0)
    expected = PCA(depth).fit(pixels).score_samples(pixels) - np.log(len(pixels) + 1)
    np.testing.assert_allclose(truncated.score_samples(pixels), expected, rtol=1e-6, atol=1e-5)


def test_ordered_start_is_still_pcas_density(digits):
    start = VAETransformer(8, ordered=True, max_iter=0).fit(digits)
    assert start.score(digits) == pytest.approx(PCA(8).fit(digits).score(digits), rel=1e-6)
    # The start of each number of components is a probabilistic PCA of its own.
    left = [start.truncate(depth).noise_variance_ for depth in (1, 4, 8)]
    expected = [PCA(depth).fit(digits).noise_variance_ for depth in (1, 4, 8)]
    np.testing.assert_allclose(left, expected, rtol=1e-4)


def test_truncated_densities_describe_themselves(pixels, density):
    truncated = density.truncate(3)
    np.testing.assert_array_equal(truncated.kl_per_component_, density.kl_per_component_[:3])
    assert truncated.n_active_components_ == 3
    assert truncated.noise_variance_ > density.noise_variance_
    residuals = pixels[:250] - truncated.reconstruct(pixels[:250])
    assert truncated.noise_variance_ == pytest.approx(np.square(residuals).mean(), rel=0.4)
    assert truncated.sample(5, random_state=0).shape == (5, 64)
    assert pickle.loads(pickle.dumps(truncated)).score(pixels) == truncated.score(pixels)
    mean, std = truncated.encode_distribution(pixels)
    full_mean, full_std = density.encode_distribution(pixels)
    np.testing.assert_allclose(mean, full_mean[:, :3], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(std, full_std[:, :3], rtol=1e-6)


def test_ordered_bernoulli(pixels):
    estimator = VAETransformer(
        6, likelihood="bernoulli", ordered=True, max_iter=10, random_state=0
    ).fit(pixels)
    scores = [estimator.truncate(depth).score(pixels) for depth in (1, 3, 6)]
    assert scores == sorted(scores)
    curve = estimator.explained_variance_curve(pixels)
    # scikit-learn's score leaves out pixels that are always black, whose probability is never zero.
    assert curve[-1] == pytest.approx(_r2(pixels, estimator.reconstruct(pixels)), abs=1e-4)
