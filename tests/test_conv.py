"""The convolutional autoencoder: sizes, image forms, and its start."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import ConvAutoencoderTransformer, reconstruction_score


def _make(n_components=4, **parameters):
    return ConvAutoencoderTransformer(
        n_components, **{"channels": (4, 8), "max_iter": 2, "random_state": 0} | parameters
    )


def _images(*shape, n=40):
    return np.random.default_rng(0).random((n, *shape))


@pytest.fixture(scope="module")
def images():
    return load_digits().images[:300]


@pytest.fixture(scope="module")
def labels():
    return load_digits().target[:300]


# In scikit-learn's tools


@pytest.mark.parametrize("form", ["n-D", "flat"])
def test_images_in_a_pipeline(images, labels, form):
    X = images if form == "n-D" else images.reshape(len(images), -1)
    pipeline = make_pipeline(_make(16, max_iter=5), LogisticRegression(max_iter=1000)).fit(
        X[:200], labels[:200]
    )
    assert pipeline.score(X[200:], labels[200:]) > 0.8


@pytest.mark.parametrize("form", ["n-D", "flat"])
def test_search_over_n_components(images, labels, form):
    X = images if form == "n-D" else images.reshape(len(images), -1)
    pipeline = make_pipeline(_make(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(
        pipeline, {"convautoencodertransformer__n_components": [2, 16]}, cv=2
    ).fit(X, labels)
    assert search.best_params_ == {"convautoencodertransformer__n_components": 16}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# The start


@pytest.mark.parametrize("shape", [(8, 8), (4, 4, 4), (1, 64)])
@pytest.mark.parametrize("n_components", [5, "spatial"])
def test_starts_as_pca(images, shape, n_components):
    X = images.reshape(-1, *shape)
    rows = images.reshape(len(images), -1)
    estimator = _make(n_components, max_iter=0, output_activation="identity").fit(X)
    rank = min(estimator.n_components_, 64)
    pca = PCA(rank, svd_solver="full").fit(rows)
    if n_components == 5:
        np.testing.assert_allclose(
            estimator.transform(X), pca.transform(rows), atol=1e-5 * np.abs(rows).max()
        )
    expected = pca.inverse_transform(pca.transform(rows))
    np.testing.assert_allclose(estimator.reconstruct(X).reshape(len(X), -1), expected, atol=1e-4)


def test_keeps_the_best_epoch(images):
    X, X_val = images[:200], images[200:]
    estimator = _make(max_iter=4).fit(X, X_val=X_val)
    errors = X_val - estimator.reconstruct(X_val)
    score = 1 - np.square(errors).sum() / np.square(X_val - X_val.mean(axis=0)).sum()
    assert score == pytest.approx(
        max(estimator.baseline_score_, *estimator.validation_scores_), abs=1e-5
    )
    assert score > estimator.baseline_score_


# Sizes


@pytest.mark.parametrize("upsampling", ["transpose", "nearest", "bilinear", "zeros"])
@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((7, 5), 2 * 2 * 3),
        ((1, 9), 1 * 3 * 3),
        ((9, 1), 3 * 1 * 3),
        ((6, 5, 2), 2 * 2 * 3),
        ((1, 1), 3),
    ],
)
def test_any_size_is_reconstructed(shape, code, downsampling, upsampling):
    X = _images(*shape)
    parameters = {
        "downsampling": downsampling,
        "upsampling": upsampling,
        "channels": (2, 3),
        "max_iter": 1,
    }
    estimator = _make("spatial", **parameters).fit(X)
    assert estimator.transform(X).shape == (40, code)
    assert estimator.reconstruct(X).shape == X.shape
    assert _make(2, init="random", **parameters).fit(X).inverse_transform(
        np.zeros((3, 2))
    ).shape == (3, *shape)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_kernel_size(kernel_size):
    X = _images(7, 6)
    rows = _make(channels=(2,), kernel_size=kernel_size, max_iter=0).fit(X).summary().rows
    assert {row.shape[2:] for row in rows if len(row.shape) == 4} == {(kernel_size, kernel_size)}


def test_layers_beyond_those_of_the_encoder_do_not_double():
    X = _images(6, 6)
    estimator = _make(
        "spatial", channels=(4,), decoder_channels=(3, 2), init="random", max_iter=0
    ).fit(X)
    decoder = [
        row.shape
        for row in estimator.summary().rows
        if row.name.startswith("decoder") and len(row.shape) == 4
    ]
    # Transposed (in, out), then (out, in) twice.
    assert decoder == [(4, 3, 3, 3), (2, 3, 3, 3), (1, 2, 3, 3)]
    assert estimator.reconstruct(X).shape == X.shape


# The form of images


def test_flat_samples_and_images_are_the_same(images):
    rows = images.reshape(len(images), -1)
    by_image, by_row = _make().fit(images), _make(image_shape=(8, 8)).fit(rows)
    np.testing.assert_array_equal(by_image.transform(images), by_row.transform(rows))
    np.testing.assert_array_equal(by_image.transform(rows), by_image.transform(images))
    np.testing.assert_array_equal(by_image.score_samples(images), by_row.score_samples(rows))
    assert by_image.score(images) == by_row.score(rows)
    assert by_image.reconstruct(rows).shape == images.shape
    assert by_row.reconstruct(images).shape == rows.shape
    assert by_image.n_features_in_ == 64
    assert reconstruction_score(by_image, images) == pytest.approx(by_image.score(images), abs=1e-9)


@pytest.mark.parametrize(("n_features", "shape"), [(64, (8, 8)), (60, (1, 60)), (1, (1, 1))])
def test_flat_samples_are_square_images_or_signals(n_features, shape):
    assert _make(max_iter=0).fit(_images(n_features)).image_shape_ == shape


def test_channels_come_last():
    X = _images(4, 6, 3)
    estimator = _make(max_iter=0, init="random").fit(X)
    weights = estimator.net_.module_.encoder.residual[1].weight.detach().numpy()
    bias = estimator.net_.module_.encoder.residual[1].bias.detach().numpy()
    u = (X[0] - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    padded = np.pad(u, ((1, 1), (1, 1), (0, 0)))
    # The first output pixel, by hand.
    expected = np.einsum("oihw,hwi->o", weights, padded[:3, :3]) + bias
    first = estimator.net_.module_.encoder.residual[:2].double()
    import torch

    given = first(torch.from_numpy(u.reshape(1, -1)))[0, :, 0, 0].detach().numpy()
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_dataframes_are_flat_samples(images):
    frame = pd.DataFrame(images.reshape(len(images), -1)).add_prefix("pixel")
    estimator = _make().fit(frame)
    assert estimator.reconstruct(frame).shape == frame.shape
    assert list(estimator.set_output(transform="pandas").transform(frame).columns) == [
        f"convautoencodertransformer{i}" for i in range(4)
    ]


# Bad input


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        (
            {"image_shape": (7, 8)},
            _images(64),
            r"image_shape=\(7, 8\) has 56 values, but X has 64 features",
        ),
        (
            {"image_shape": (7, 8)},
            _images(8, 7),
            r"image_shape=\(7, 8\), but X holds images of shape \(8, 7\)",
        ),
        ({"image_shape": (64,)}, _images(64), r"image_shape=\(64,\) does.*: give \(height,"),
        ({"image_shape": (0, 64)}, _images(64), r"image_shape=\(0, 64\) holds 0"),
        ({}, _images(2, 2, 2, 2), "X has 5 dimensions"),
        ({}, np.float64(1.0), "Expected 2D array, got scalar"),
        ({}, _images(3, 8, 8), r"looks like channels first.*X.transpose\(0, 2, 3, 1\)"),
        ({"channels": ()}, _images(64), r"channels=\(\) has no layer"),
        ({"channels": (4, 0)}, _images(64), r"channels=\(4, 0\) holds 0"),
        (
            {"decoder_channels": ()},
            _images(64),
            r"decoder_channels=\(\) makes a decoder of 1 layers",
        ),
        ({"kernel_size": 2}, _images(64), "kernel_size=2 is even"),
        ({"downsampling": "average"}, _images(64), "'downsampling'.*'max_pool'.*Got 'average'"),
        ({"upsampling": "cubic"}, _images(64), "'upsampling'.*'nearest'.*Got 'cubic'"),
        ({"n_components": "many"}, _images(64), "'n_components'.*'spatial'.*Got 'many'"),
        ({}, _images(4, 4)[:1], "minimum of 2 is required"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_fitted(parameters, X, message):
    estimator = _make().set_params(**parameters)
    with pytest.raises(ValueError, match="(?s)" + message):
        estimator.fit(X)
    assert not [name for name in vars(estimator) if name.endswith("_") or name.startswith("_")]


def test_images_of_another_size_are_refused(images):
    estimator = _make().fit(images)
    for X, message in [
        (images[:, :7], r"images of shape \(7, 8\), but fit was given images of shape \(8, 8\)"),
        (images.reshape(-1, 64)[:, :63], "X has 63 features"),
    ]:
        with pytest.raises(ValueError, match=message):
            estimator.transform(X)


def test_channels_first_by_the_shape_given_is_taken():
    X = _images(3, 8, 8)
    assert _make(image_shape=(3, 8, 8), max_iter=0).fit(X).image_shape_ == (3, 8, 8)
