import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    CodeMapDisplay,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    DepthCurveDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    VAETransformer,
)


@pytest.fixture(autouse=True)
def _figures():
    matplotlib.use("Agg")
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()  # what cannot be drawn fails
    plt.close("all")


@pytest.fixture(scope="module")
def pixels(digits):
    return digits / 16


@pytest.fixture(scope="module")
def pca(pixels):
    return PCA(8).fit(pixels)


@pytest.fixture(scope="module")
def ordered(pixels):
    return AutoencoderTransformer(8, ordered=True, max_iter=3, random_state=0).fit(pixels)


@pytest.fixture(scope="module")
def vae(pixels):
    return VAETransformer(3, max_iter=3, random_state=0).fit(pixels)


@pytest.fixture(scope="module")
def colors():
    """200 patches of 6 x 5 pixels in three colors."""
    photograph = load_sample_images().images[1]
    return extract_patches_2d(photograph, (6, 5), max_patches=200, random_state=0) / 255


def _r2(X, X_hat):
    return r2_score(
        X.reshape(len(X), -1), X_hat.reshape(len(X), -1), multioutput="variance_weighted"
    )


def _image(display, row, column, height, width):
    """The image in a row and a column of the figure."""
    gap = math.ceil(min(height, width) / 16)
    top, left = row * (height + gap), column * (width + gap)
    return np.asarray(display.im_.get_array())[top : top + height, left : left + width]


def _labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Reconstructions


def test_originals_stand_over_reconstructions(pixels, pca, ordered):
    display = ReconstructionDisplay.from_estimator(
        {"linear": pca, "deep": ordered}, pixels, n_images=5
    )
    X_hat = pca.inverse_transform(pca.transform(pixels))
    np.testing.assert_allclose(_image(display, 0, 4, 8, 8), pixels[4].reshape(8, 8))
    np.testing.assert_allclose(_image(display, 1, 3, 8, 8), X_hat[3].reshape(8, 8))
    np.testing.assert_allclose(
        _image(display, 2, 0, 8, 8), ordered.reconstruct(pixels[:1]).reshape(8, 8)
    )
    assert display.im_.get_array().shape == (3 * 9 - 1, 5 * 9 - 1)
    assert display.im_.get_array().mask.sum() == (3 * 9 - 1) * (5 * 9 - 1) - 15 * 64  # the gaps
    assert display.im_.get_clim() == (0, 1)
    assert display.scores["linear"] == pytest.approx(_r2(pixels, X_hat))
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [
        "original",
        f"linear\nR² = {_r2(pixels, X_hat):.3f}",
        f"deep\nR² = {ordered.score(pixels):.3f}",
    ]
    # The middle of each row.
    np.testing.assert_array_equal(display.ax_.get_yticks(), [3.5, 12.5, 21.5])
    assert display.figure_ is display.ax_.figure


def test_labels_of_reconstructions_are_within_the_figure(pixels, pca):
    estimators = dict.fromkeys(["DenoisingAutoencoder", "PCA", "another"], pca)
    display = ReconstructionDisplay.from_estimator(estimators, pixels)
    display.figure_.canvas.draw()
    whole = display.figure_.bbox
    for label in display.ax_.get_yticklabels():
        box = label.get_window_extent()
        assert whole.x0 <= box.x0 < box.x1 <= display.ax_.get_window_extent().x0
    assert display.ax_.get_window_extent().x1 <= whole.x1


def test_reconstructions_in_color(colors):
    conv = ConvAutoencoderTransformer(4, max_iter=1, random_state=0).fit(colors)
    pca = PCA(4).fit(colors.reshape(len(colors), -1))
    display = ReconstructionDisplay.from_estimator(conv, colors, n_images=3)
    low, high = colors[:3].min(), colors[:3].max()
    expected = np.clip((conv.reconstruct(colors[:3])[2] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(
        _image(display, 1, 2, 6, 5), np.dstack([expected, np.ones((6, 5))]), atol=1e-6
    )
    flat = colors.reshape(len(colors), -1)
    flat_display = ReconstructionDisplay.from_estimator(
        pca, flat, image_shape=(6, 5, 3), n_images=3
    )
    np.testing.assert_allclose(flat_display.originals, colors[:3])
    np.testing.assert_allclose(_image(flat_display, 0, 1, 6, 5), _image(display, 0, 1, 6, 5))


def test_corrupted_samples_stand_between_clean_and_denoised_ones(colors):
    gray = colors.mean(axis=-1)
    denoiser = DenoisingAutoencoder(4, max_iter=1, random_state=0).fit(gray, X_target=colors)
    display = ReconstructionDisplay.from_estimator(denoiser, gray, X_target=colors, n_images=2)
    low, high = colors[:2].min(), colors[:2].max()
    for row, images in enumerate(
        [colors, np.repeat(gray[..., None], 3, axis=-1), denoiser.denoise(gray)]
    ):
        expected = np.clip((images[1] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(_image(display, row, 1, 6, 5)[..., :3], expected, atol=1e-6)
    assert display.scores["DenoisingAutoencoder"] == pytest.approx(
        denoiser.score(gray, X_target=colors)
    )
    with pytest.raises(
        ValueError, match=r"DenoisingAutoencoder reconstructs samples of shape .* give X_target"
    ):
        ReconstructionDisplay.from_estimator(denoiser, gray)


def test_estimators_are_named_by_class(pixels, pca, ordered):
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(pixels)
    display = ReconstructionDisplay.from_estimator([pca, ordered, pipeline], pixels)
    assert list(display.scores) == ["PCA 1", "AutoencoderTransformer", "PCA 2"]
    assert display.scores["PCA 2"] == pytest.approx(
        _r2(pixels, pipeline.inverse_transform(pipeline.transform(pixels)))
    )


def test_samples_that_are_not_images(cancer):
    pca = PCA(2).fit(cancer)
    with pytest.raises(
        ValueError, match="A sample has 30 values, which is not a square image: give image_shape"
    ):
        ReconstructionDisplay.from_estimator(pca, cancer)
    with pytest.raises(ValueError, match=r"image_shape=\(4, 8\), but a sample has 30 values"):
        ReconstructionDisplay.from_estimator(pca, cancer, image_shape=(4, 8))
    with pytest.raises(ValueError, match="in one, three or four channels"):
        ReconstructionDisplay.from_estimator(pca, cancer, image_shape=(3, 5, 2))
    assert ReconstructionDisplay.from_estimator(
        pca, cancer, image_shape=(5, 6)
    ).originals.shape == (10, 5, 6)


def test_estimators_that_do_not_reconstruct(pixels, pca):
    with pytest.raises(ValueError, match="LinearRegression has no inverse_transform"):
        ReconstructionDisplay.from_estimator(LinearRegression().fit(pixels, pixels), pixels)
    with pytest.raises(ValueError, match="give at least one"):
        ReconstructionDisplay.from_estimator([], pixels)
    with pytest.raises(ValueError, match="n_images=0: give an int"):
        ReconstructionDisplay.from_estimator(pca, pixels, n_images=0)
    assert not plt.get_fignums()


# Losses


def test_losses_by_epoch(ordered):
    display = LossCurveDisplay.from_estimator(ordered, name="mine", line_kw={"lw": 3})
    epochs, scores = display.validation_line_.get_data()
    np.testing.assert_array_equal(epochs, [0, 1, 2, 3])
    np.testing.assert_allclose(scores, [ordered.baseline_score_, *ordered.validation_scores_])
    np.testing.assert_array_equal(display.training_line_.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(display.start_line_.get_ydata(), ordered.baseline_score_)
    best = ordered.best_iter_
    np.testing.assert_allclose(display.best_line_.get_data(), [[best], [scores[best]]])
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_ylabel() == "R², mean over prefixes of the code"
    assert display.validation_line_.get_linewidth() == display.training_line_.get_linewidth() == 3
    assert _labels(display.ax_)[:3] == [
        "mine: training",
        "mine: validation",
        f"mine: PCA, {scores[0]:.4g}",
    ]


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "log_loss"])
def test_training_loss_has_the_unit_of_the_validation_scores(pixels, loss):
    init = "random" if loss == "log_loss" else "pca"
    estimator = AutoencoderTransformer(4, loss=loss, init=init, max_iter=2, random_state=0)
    estimator.fit(pixels[:200], X_val=pixels[200:])
    display = LossCurveDisplay.from_estimator(estimator)
    x, scale = (
        pixels[200:],
        1.0 if loss == "log_loss" else math.sqrt(pixels[:200].var(axis=0).mean()),
    )
    mean = x.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reference = {
            "squared_error": np.square((x - mean) / scale).mean(),
            "absolute_error": np.abs((x - mean) / scale).mean(),
            "log_loss": -np.nan_to_num(x * np.log(mean) + (1 - x) * np.log1p(-mean)).mean(),
        }[loss]
    np.testing.assert_allclose(
        display.training_scores, 1 - np.array(estimator.loss_curve_) / reference, rtol=1e-3
    )
    assert display.start_name == ("epoch 0" if init == "random" else "PCA")


def test_bound_by_epoch(vae):
    display = LossCurveDisplay.from_estimator(vae)
    np.testing.assert_allclose(display.training_line_.get_ydata(), -np.array(vae.loss_curve_))
    np.testing.assert_allclose(display.validation_line_.get_ydata()[0], vae.baseline_score_)
    assert display.ax_.get_ylabel() == "evidence lower bound (nats)"


def test_losses_of_no_epoch(pixels):
    display = LossCurveDisplay.from_estimator(AutoencoderTransformer(2, max_iter=0).fit(pixels))
    assert display.validation_scores.shape == (1,)
    assert display.training_scores.shape == (0,)
    left, right = display.ax_.get_xlim()
    assert [tick for tick in display.ax_.get_xticks() if left <= tick <= right] == [0]


def test_losses_of_two_estimators_on_one_axes(ordered):
    linear = DenoisingAutoencoder(2, max_iter=1, random_state=0).fit(load_digits().data[:100])
    first = LossCurveDisplay.from_estimator(ordered, name="a")
    second = LossCurveDisplay.from_estimator(linear, name="b", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert len(first.ax_.lines) == 8
    assert first.validation_line_.get_color() != second.validation_line_.get_color()
    assert second.start_name == "best linear map"


def test_losses_of_what_has_none(pixels, pca):
    pipeline = make_pipeline(AutoencoderTransformer(2, max_iter=0)).fit(pixels)
    for estimator in (pca, pipeline):
        with pytest.raises(ValueError, match=r"has no validation_scores_: .* the step"):
            LossCurveDisplay.from_estimator(estimator)


# Depths


def test_r2_by_number_of_components(pixels, ordered):
    pca = PCA().fit(pixels)
    display = DepthCurveDisplay.from_estimator({"PCA": pca, "ordered": ordered}, pixels)
    depths, scores = display.lines_[0].get_data()
    np.testing.assert_array_equal(depths, np.arange(1, 65))
    # On the samples it was fitted to.
    np.testing.assert_allclose(scores, pca.explained_variance_ratio_.cumsum(), atol=1e-9)
    np.testing.assert_allclose(
        display.lines_[1].get_ydata(), ordered.explained_variance_curve(pixels)
    )
    assert display.lines_[0].get_markevery() == [0, 1, 3, 7, 15, 31, 63]
    assert _labels(display.ax_) == ["PCA", "ordered"]
    assert len({(to_hex(line.get_color()), line.get_marker()) for line in display.lines_}) == 2
    display.figure_.canvas.draw()
    low, high = display.ax_.get_xlim()
    ticks = display.ax_.get_xticklabels()
    shown = [tick.get_text() for tick in ticks if low <= tick.get_position()[0] <= high]
    assert shown == ["1", "2", "4", "8", "16", "32", "64"]


def test_codes_of_pipelines_are_truncated_after_the_last_step(pixels, ordered):
    scaled = make_pipeline(StandardScaler(), PCA(5)).fit(pixels)
    display = DepthCurveDisplay.from_estimator([scaled, make_pipeline(ordered)], pixels)
    codes = scaled.transform(pixels)
    codes[:, 2:] = 0
    assert display.scores["PCA"][1] == pytest.approx(_r2(pixels, scaled.inverse_transform(codes)))
    np.testing.assert_allclose(
        display.scores["AutoencoderTransformer"],
        ordered.explained_variance_curve(pixels),
        atol=1e-5,
    )


def test_many_numbers_of_components_are_sampled(rng):
    X = rng.normal(size=(200, 150))
    display = DepthCurveDisplay.from_estimator(PCA().fit(X), X)
    depths = display.depths["PCA"]
    assert len(depths) < 150
    assert set(depths) >= {1, 2, 4, 8, 16, 32, 64, 128, 150}
    assert (np.diff(depths) > 0).all()
    np.testing.assert_allclose(
        display.scores["PCA"], PCA().fit(X).explained_variance_ratio_.cumsum()[depths - 1]
    )


def test_codes_without_order_have_no_depth_curve(pixels, vae):
    for estimator in (vae, make_pipeline(AutoencoderTransformer(2, max_iter=0)).fit(pixels)):
        with pytest.raises(
            ValueError, match="are not ordered: give an autoencoder fitted with ordered=True"
        ):
            DepthCurveDisplay.from_estimator(estimator, pixels)


# Maps


def test_map_of_classes(pixels, pca):
    y = load_digits().target[: len(pixels)]
    display = CodeMapDisplay.from_estimator(pca, pixels, y, components=(2, 0), name="digits")
    codes = pca.transform(pixels)
    assert _labels(display.ax_) == [str(i) for i in range(10)]
    for label, points in enumerate(display.scatters_):
        np.testing.assert_allclose(points.get_offsets(), codes[y == label][:, [2, 0]])
    assert len({to_hex(points.get_facecolor()[0][:3]) for points in display.scatters_}) == 10
    # Ten markers.
    assert len({points.get_paths()[0].vertices.tobytes() for points in display.scatters_}) == 10
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("component 2", "component 0")
    assert display.ax_.get_title() == "digits"
    assert display.colorbar_ is None
    assert display.im_ is None


def test_map_of_many_classes_distinguishes_all(pixels, pca):
    y = np.array([f"class {i % 30}" for i in range(len(pixels))])
    display = CodeMapDisplay.from_estimator(pca, pixels, y)
    looks = {
        (to_hex(points.get_facecolor()[0][:3]), points.get_paths()[0].vertices.tobytes())
        for points in display.scatters_
    }
    assert len(looks) == 30


def test_map_of_numbers(pixels, pca):
    y = pixels.mean(axis=1)
    display = CodeMapDisplay.from_estimator(pca, pixels, y)
    np.testing.assert_allclose(display.scatters_[0].get_array(), y)
    assert display.colorbar_.mappable is display.scatters_[0]
    assert display.ax_.get_legend() is None
    plain = CodeMapDisplay.from_estimator(pca, pixels, scatter_kw={"c": "black"})
    assert to_rgb(plain.scatters_[0].get_facecolor()[0]) == (0, 0, 0)


def test_plane_is_decoded(pixels, vae):
    display = CodeMapDisplay.from_estimator(vae, pixels, components=(0, 2), n_decoded=4)
    codes = vae.transform(pixels)
    (left, right), (bottom, top) = np.percentile(codes[:, [0, 2]], [1, 99], axis=0).T
    z = np.array([[left, codes[:, 1].mean(), top], [right, codes[:, 1].mean(), bottom]])
    corners = vae.inverse_transform(z).clip(0, 1).reshape(2, 8, 8)
    np.testing.assert_allclose(_image(display, 0, 0, 8, 8), corners[0], atol=1e-6)
    np.testing.assert_allclose(_image(display, 3, 3, 8, 8), corners[1], atol=1e-6)
    step = (right - left) / 3
    np.testing.assert_allclose(display.im_.get_extent()[:2], [left - step / 2, right + step / 2])
    assert [ax.get_xlabel() for ax in display.axes_] == ["component 0"] * 2
    figure, axes = plt.subplots(1, 2)
    assert display.plot(axes).figure_ is figure
    with pytest.raises(ValueError, match="ax holds 1 axes: give 2"):
        display.plot(axes[0])


def test_plane_in_color(colors):
    conv = ConvAutoencoderTransformer(2, max_iter=0).fit(colors)
    display = CodeMapDisplay.from_estimator(conv, colors, n_decoded=3)
    assert display.plane.shape == (3, 3, 6, 5, 3)
    assert display.im_.get_array().shape == (3 * 7 - 1, 3 * 6 - 1, 4)


@pytest.mark.parametrize("components", [(0, 8), (0,), (-1, 0), (0.0, 1), (0, 1, 2)])
def test_bad_components(pixels, pca, components):
    with pytest.raises(ValueError, match="give two indices from 0 to 7"):
        CodeMapDisplay.from_estimator(pca, pixels, components=components)


def test_bad_maps(pixels, pca):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CodeMapDisplay.from_estimator(pca, pixels, np.zeros(3))
    with pytest.raises(ValueError, match="n_decoded=1: give an int of at least 2"):
        CodeMapDisplay.from_estimator(pca, pixels, n_decoded=1)


# All


@pytest.mark.parametrize(
    "make", [ReconstructionDisplay, DepthCurveDisplay, CodeMapDisplay, LossCurveDisplay]
)
def test_second_plot_on_axes_given(pixels, ordered, make):
    rows = () if make is LossCurveDisplay else (pixels,)
    display = make.from_estimator(ordered, *rows)
    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.has_data()
