"""Networks of the user: modules of torch that become the residual paths."""

import math
import pickle
from functools import partial
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import skops.io
import torch
from conftest import ESTIMATORS
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._nn.custom import EncoderPath
from skae._nn.draws import Draws
from skae._training.optimization import FlatAdam, WeightDecay

pytestmark = pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, x):
        return x + self.inner(x)


def _perceptron(n_in, n_out, *others, width=16):
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, n_out), *others)


def perceptron(sizes, width=16):
    return (
        _perceptron(sizes.n_features, sizes.n_encoder_outputs, width=width),
        _perceptron(sizes.n_decoder_inputs, sizes.n_outputs, width=width),
    )


def residual(sizes):
    return tuple(
        nn.Sequential(nn.Linear(n_in, 8), Block(8), Block(8), nn.Linear(8, n_out))
        for n_in, n_out in (
            (sizes.n_features, sizes.n_encoder_outputs),
            (sizes.n_decoder_inputs, sizes.n_outputs),
        )
    )


def saturated(sizes):
    """Its outputs are positive: no last layer that is zero makes them zero."""
    return (
        _perceptron(sizes.n_features, sizes.n_encoder_outputs, nn.Softplus()),
        _perceptron(sizes.n_decoder_inputs, sizes.n_outputs, nn.Sigmoid()),
    )


def normalized(sizes):
    """It ends in batch normalization, and draws in training."""
    return (
        _perceptron(
            sizes.n_features,
            sizes.n_encoder_outputs,
            nn.Dropout(0.2),
            nn.BatchNorm1d(sizes.n_encoder_outputs),
        ),
        _perceptron(
            sizes.n_decoder_inputs, sizes.n_outputs, nn.BatchNorm1d(sizes.n_outputs, affine=False)
        ),
    )


def lazy(sizes):
    """Its layers find their widths themselves, and encoder and decoder share weights."""
    first = nn.LazyLinear(8)
    encoder = nn.Sequential(first, nn.Tanh(), nn.Linear(8, sizes.n_encoder_outputs))
    decoder = nn.Sequential(nn.LazyLinear(8), nn.Tanh(), Transposed(first))
    return encoder, decoder


class Transposed(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x @ self.layer.weight


def convolutional(sizes):
    """For images whose sides are multiples of four, with `view`, which needs contiguous ones."""
    (n_in, height, width), n_out = sizes.input_shape, sizes.output_shape[0]
    maps = (8, height // 4, width // 4)
    encoder = nn.Sequential(
        nn.Conv2d(n_in, 4, 4, 2, 1),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Conv2d(4, 8, 4, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(math.prod(maps), sizes.n_encoder_outputs),
    )
    decoder = nn.Sequential(
        nn.Linear(sizes.n_decoder_inputs, math.prod(maps)),
        nn.Unflatten(1, maps),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.ConvTranspose2d(4, n_out, 4, 2, 1),
    )
    return encoder, decoder


NETWORKS = {
    AutoencoderTransformer: residual,
    ConvAutoencoderTransformer: convolutional,
    DenoisingAutoencoder: normalized,
    VAETransformer: perceptron,
}


def _fit(cls, X, network=perceptron, **parameters):
    parameters = {"max_iter": 2, "random_state": 0} | parameters
    return cls(3, network=network, **parameters).fit(X)


@pytest.fixture(scope="module")
def pixels(digits):
    return digits[:200]


# The start


@pytest.mark.parametrize("network", [perceptron, residual, saturated, normalized, lazy])
def test_epoch_0_is_pca(network, pixels):
    estimator = _fit(
        AutoencoderTransformer, pixels, network, max_iter=0, output_activation="identity"
    )
    pca = PCA(3).fit(pixels)
    scale = np.sqrt(pixels.var(axis=0).mean())
    for result, expected in [
        (estimator.transform(pixels), pca.transform(pixels)),
        (estimator.reconstruct(pixels), pca.inverse_transform(pca.transform(pixels))),
    ]:
        np.testing.assert_allclose(result / scale, expected / scale, atol=1e-5)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_epoch_0_is_that_without_the_parameter(cls, pixels):
    start = cls(3, max_iter=0, random_state=0).fit(pixels)
    estimator = _fit(cls, pixels, NETWORKS[cls], max_iter=0)
    np.testing.assert_allclose(estimator.transform(pixels), start.transform(pixels), atol=1e-3)
    assert estimator.baseline_score_ == pytest.approx(start.baseline_score_, rel=1e-5)


def test_with_random_weights_the_modules_are_used_as_they_are(pixels):
    """The same layers as those of the default network have its weights, bit by bit."""
    choices = {"init": "random", "max_iter": 3}
    default = _fit(AutoencoderTransformer, pixels, None, hidden_layer_sizes=16, **choices)
    estimator = _fit(AutoencoderTransformer, pixels, **choices)
    assert estimator.loss_curve_ == default.loss_curve_
    assert estimator.summary().total == default.summary().total
    np.testing.assert_array_equal(estimator.transform(pixels), default.transform(pixels))


# Training


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_training_improves_on_the_start(cls, digits):
    estimator = _fit(cls, digits, NETWORKS[cls], max_iter=40, batch_size=32)
    assert estimator.best_iter_ > 0
    assert estimator.validation_scores_[-1] > estimator.baseline_score_


def test_images_are_the_ones_that_are_given(rng):
    """The modules see channels first, and what they return is put in the order of X."""
    images, seen = rng.normal(size=(20, 4, 6, 3)), []

    class Encoder(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x.view(len(x), -1))

    class Decoder(nn.Linear):
        def forward(self, z):
            return torch.arange(72).to(z).view(3, 4, 6).expand(len(z), -1, -1, -1)

    estimator = ConvAutoencoderTransformer(
        2,
        network=lambda sizes: (Encoder(72, 2), Decoder(1, 1)),
        init="random",
        max_iter=0,
        output_activation="identity",
    ).fit(images)
    result = estimator.reconstruct(images)
    scale, mean = np.sqrt(images.reshape(20, -1).var(axis=0).mean()), images.mean(axis=0)
    np.testing.assert_allclose(
        seen[-1].numpy(), ((images - mean) / scale).transpose(0, 3, 1, 2), atol=1e-6
    )
    expected = mean + scale * np.arange(72).reshape(3, 4, 6).transpose(1, 2, 0)
    np.testing.assert_allclose(result, np.broadcast_to(expected, images.shape), rtol=1e-6)


def test_statistics_of_batch_normalization_are_those_of_the_data(digits):
    """They would be 0 and 1, had they stayed in the module that is trained."""

    def first_normalized(sizes):
        norm = nn.BatchNorm1d(sizes.n_features)
        return (
            nn.Sequential(norm, _perceptron(sizes.n_features, sizes.n_encoder_outputs)),
            _perceptron(sizes.n_decoder_inputs, sizes.n_outputs),
        )

    estimator = _fit(AutoencoderTransformer, digits, first_normalized, max_iter=40)
    assert estimator.best_iter_ > 0
    norm = estimator.net_.module_.encoder.residual.network[0]
    variances = digits.var(axis=0) / digits.var(axis=0).mean()
    np.testing.assert_allclose(norm.running_var.numpy(), variances, rtol=0.3, atol=0.02)
    assert norm.num_batches_tracked.dtype == torch.int64
    assert norm.num_batches_tracked > 0


@pytest.mark.parametrize("batch_size", [1, 11])
def test_a_batch_of_one_sample_can_be_normalized(batch_size, pixels):
    settings = {"batch_size": batch_size, "validation_fraction": None, "max_iter": 1}
    estimator = _fit(AutoencoderTransformer, pixels[:12], normalized, **settings)
    assert np.isfinite(estimator.loss_curve_).all()


@pytest.mark.parametrize("optimizer", [FlatAdam, torch.optim.Adam])
def test_weight_decay_is_that_of_wide_layers_and_of_the_decoder(optimizer):
    """Each weight once, though encoder and decoder share a layer and one of them is frozen."""
    wide, frozen = nn.Linear(257, 4), nn.Linear(4, 3).requires_grad_(False)
    norm, narrow = nn.BatchNorm1d(4), nn.Linear(256, 4)
    module, scalar = nn.Module(), nn.Module()
    scalar.weight = nn.Parameter(torch.tensor(2.0))
    norms = nn.Sequential(norm, nn.BatchNorm1d(4, affine=False), scalar)
    encoder = nn.Sequential(norms, wide, narrow)
    module.encoder, module.decoder = nn.Module(), nn.Module()
    module.encoder.residual = encoder
    module.decoder.residual = nn.Sequential(Transposed(wide), frozen, Transposed(norm))
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    group = {"params": [*module.parameters()], "initial_lr": 0.1}
    net = SimpleNamespace(module_=module, optimizer_=optimizer([group], lr=0.05))
    decay = WeightDecay(alpha=0.3)
    decay.on_train_begin(net)
    decay.on_batch_end(net)
    decayed = {id(p) for p in (*wide.parameters(), *norm.parameters())}
    for name, p in module.named_parameters():
        factor = 1 - 0.3 * 0.05 / 0.1 if id(p) in decayed else 1
        np.testing.assert_allclose(p.detach(), factor * before[name], rtol=1e-6, err_msg=name)


def test_weights_of_different_groups_are_different_views():
    """Though the second follows the first, if one looks at their positions in the vectors only."""
    first, before, second = (nn.Parameter(torch.full((3,), value)) for value in (1.0, 2.0, 3.0))
    FlatAdam([{"params": [first]}, {"params": [before, second]}], lr=0.1)
    views = FlatAdam.flat_views([first, second])
    assert [view.tolist() for view in views] == [[1, 1, 1], [3, 3, 3]]


# Ordered codes


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_truncated_codes_are_the_first_components(cls, pixels):
    estimator = _fit(cls, pixels, ordered=True, init="random", max_iter=5)
    truncated = estimator.truncate(2)
    codes = estimator.transform(pixels)
    np.testing.assert_allclose(truncated.transform(pixels), codes[:, :2], rtol=1e-6)
    np.testing.assert_allclose(
        truncated.inverse_transform(codes[:, :2]),
        estimator.inverse_transform(codes[:, :2]),
        rtol=1e-6,
    )
    again = pickle.loads(pickle.dumps(truncated))
    np.testing.assert_array_equal(again.transform(pixels), truncated.transform(pixels))


# Random numbers


MAKERS = {
    "linear": lambda: nn.Linear(3, 2),
    "convolution": lambda: nn.Conv2d(2, 3, 3),
    "recurrent": lambda: nn.GRU(2, 3),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "embedding": lambda: nn.Embedding(3, 2),
    "orthogonal": lambda: nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)),
    "truncated": lambda: _with(nn.init.trunc_normal_),
    "like": lambda: _with(lambda weight: weight.data.copy_(torch.randn_like(weight))),
}


def _with(init):
    layer = nn.Linear(3, 2)
    init(layer.weight)
    return layer


@pytest.mark.parametrize("name", MAKERS)
def test_weights_are_those_of_torch_by_a_generator(name):
    before = torch.get_rng_state()
    torch.manual_seed(5)
    expected = MAKERS[name]().state_dict()
    torch.set_rng_state(before)
    with Draws(torch.Generator().manual_seed(5)):
        made = MAKERS[name]().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    for key, weight in expected.items():
        assert torch.equal(made[key], weight), key


@pytest.mark.parametrize("dropout", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_dropout_has_its_moments_and_drops_whole_channels(dropout):
    before = torch.get_rng_state()
    shape = {"Dropout1d": (500, 40, 3), "Dropout3d": (500, 40, 1, 1, 3)}.get(
        dropout.__name__, (500, 40, 1, 3)
    )
    with Draws(torch.Generator().manual_seed(0)):
        y = dropout(0.25)(torch.ones(shape)).flatten(2)
        assert torch.equal(dropout(0.25).eval()(torch.ones(shape)), torch.ones(shape))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_allclose(y.unique(), [0, 4 / 3], rtol=1e-6)
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    is_whole = (y == y[:, :, :1]).all().item()
    assert is_whole is (dropout is not nn.Dropout)


def test_each_step_drops_other_values():
    choices = {"is_gated": False, "image_shape": None, "n_outputs": 40}
    x, path = torch.ones(5, 40), EncoderPath(nn.Dropout(0.5), seed=1, **choices)
    steps = [path(x), path(x), EncoderPath(nn.Dropout(0.5), seed=2, **choices)(x)]
    assert not any(torch.equal(steps[i], steps[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert torch.equal(EncoderPath(nn.Dropout(0.5), seed=1, **choices)(x), steps[0])
    assert torch.equal(path.eval()(x), x)


def test_the_random_state_determines_a_fit_and_no_global_state_does(pixels):
    before = torch.get_rng_state()
    fits = [_fit(AutoencoderTransformer, pixels, normalized, random_state=seed) for seed in (0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert fits[0].loss_curve_ != fits[1].loss_curve_
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.manual_seed(7)
        again = _fit(AutoencoderTransformer, pixels, normalized)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_rng_state(before)
    assert again.loss_curve_ == fits[0].loss_curve_
    np.testing.assert_array_equal(again.transform(pixels), fits[0].transform(pixels))


def test_fits_in_threads_have_the_results_of_fits_in_one(pixels):
    expected = [_fit(AutoencoderTransformer, pixels, normalized, random_state=i) for i in (0, 1)]
    found = [None, None]

    def fit(i):
        found[i] = _fit(AutoencoderTransformer, pixels, normalized, random_state=i)

    threads = [Thread(target=fit, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fit.loss_curve_ for fit in found] == [fit.loss_curve_ for fit in expected]


# scikit-learn


def test_a_search_over_networks(pixels):
    networks = [None, residual, partial(perceptron, width=4)]
    search = GridSearchCV(
        AutoencoderTransformer(3, max_iter=1, random_state=0), {"network": networks}, cv=2
    ).fit(pixels)
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


WAYS = {
    "pickle": lambda fitted, path: pickle.loads(pickle.dumps(fitted)),
    "skops": lambda fitted, path: _by_skops(fitted, path / "file"),
}


def _by_skops(fitted, path):
    skops.io.dump(fitted, path)
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_files_restore_everything(cls, way, pixels, tmp_path):
    fitted = _fit(cls, pixels, NETWORKS[cls])
    restored = WAYS[way](fitted, tmp_path)
    assert restored.network is fitted.network
    np.testing.assert_array_equal(restored.reconstruct(pixels), fitted.reconstruct(pixels))
    again = clone(restored).fit(pixels)
    np.testing.assert_array_equal(again.reconstruct(pixels), fitted.reconstruct(pixels))


@pytest.mark.parametrize("network", [partial(perceptron, width=5), lazy])
def test_arguments_and_shared_weights_are_saved(network, pixels):
    fitted = _fit(AutoencoderTransformer, pixels, network, init="random")
    assert fitted.best_iter_ > 0
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.transform(pixels), fitted.transform(pixels))


def test_functions_without_a_name_are_not_saved(pixels):
    def local(sizes):
        return perceptron(sizes)

    for network in (lambda sizes: perceptron(sizes), local, partial(local)):
        fitted = _fit(AutoencoderTransformer, pixels, network, max_iter=0)
        for parameter in (network, None):  # the modules remain those of the fit
            fitted.set_params(network=parameter)
            with pytest.raises(pickle.PicklingError, match=r"^network=.* top level of a module"):
                pickle.dumps(fitted)


def test_the_summary_counts_all_weights(pixels):
    fitted = _fit(AutoencoderTransformer, pixels, max_iter=0)
    n_weights = (64 * 16 + 16) + (16 * 3 + 3) + 64 * 3  # network and linear path
    assert fitted.summary().encoder == n_weights + 1  # the gate
    assert {row.name for row in fitted.summary().rows} >= {
        "encoder.residual.network.0.weight",
        "decoder.residual.gate.weight",
    }


# Errors


def _changed(**modules):
    """Function that makes a perceptron with the encoder or the decoder replaced."""

    def changed(sizes):
        made = dict(zip(("encoder", "decoder"), perceptron(sizes), strict=True))
        return tuple((made | {name: make(sizes) for name, make in modules.items()}).values())

    return changed


class Recurrent(nn.GRU):
    def forward(self, x):
        return super().forward(x)


def _raise(sizes):
    raise KeyError("width")


class InFloat32(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 3))

    def forward(self, x):
        return x.float() @ self.weight


INVALID = {
    "raises": (_raise, r"raised KeyError \('width'\)"),
    "one module": (lambda sizes: nn.Linear(64, 3), r"returned Linear.*: return a pair"),
    "no modules": (lambda sizes: (abs, abs), r"returned .*: return a pair"),
    "width": (
        _changed(encoder=lambda sizes: nn.Linear(64, 4)),
        r"an encoder that returned shape \(2, 4\).*to \(n, 3\)",
    ),
    "input": (
        _changed(decoder=lambda sizes: nn.Linear(4, 64)),
        r"a decoder that raised RuntimeError .*\(n, 3\) to \(n, 64\)",
    ),
    "tuple": (
        _changed(encoder=lambda sizes: Recurrent(64, 3)),
        r"an encoder that returned tuple",
    ),
    "nothing": (_changed(decoder=lambda sizes: nn.ZeroPad1d((0, 61))), r"without parameters"),
    "device": (_changed(encoder=lambda sizes: nn.Linear(64, 3, device="meta")), r"'meta'.*CPU"),
    "finite": (
        _changed(encoder=lambda sizes: _filled(nn.Linear(64, 3), np.nan)),
        r"NaN or infinity.*finite initial weights",
    ),
    "dtype": (_changed(encoder=lambda sizes: InFloat32()), r"float64.*float32 and in float64"),
}


def _filled(layer, value):
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize("name", INVALID)
def test_modules_that_do_not_fit_are_refused_before_any_work(name, pixels, monkeypatch):
    network, message = INVALID[name]
    monkeypatch.setattr(AutoencoderTransformer, "_measure", None)  # it would be called next
    estimator = AutoencoderTransformer(3, network=network)
    with pytest.raises(ValueError, match=r"^network=<function .*" + message):
        estimator.fit(pixels)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_images_have_to_be_returned_as_images(pixels):
    with pytest.raises(
        ValueError, match=r"a decoder that returned shape \(2, 64\).*\(n, 1, 8, 8\)"
    ):
        _fit(
            ConvAutoencoderTransformer,
            pixels,
            _flat,
        )


def _flat(sizes):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(sizes.n_features, sizes.n_encoder_outputs))
    return encoder, nn.Linear(sizes.n_decoder_inputs, sizes.n_outputs)


def test_other_values_are_refused(pixels):
    with pytest.raises(ValueError, match=r"'network' parameter .* callable"):
        AutoencoderTransformer(network="resnet").fit(pixels)
    with pytest.raises(ValueError, match=r"n_components='spatial' .* give n_components as an int"):
        ConvAutoencoderTransformer("spatial", network=convolutional).fit(pixels)


def test_a_function_that_has_changed_is_noticed(pixels, monkeypatch):
    file = pickle.dumps(_fit(AutoencoderTransformer, pixels, max_iter=0))
    monkeypatch.setattr(perceptron, "__defaults__", (17,))
    with pytest.raises(ValueError, match="is incomplete"):
        pickle.loads(file)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_a_module_of_the_fitted_estimator_has_the_networks(cls, pixels):
    X = pixels.astype(np.float32)
    fitted = _fit(cls, X, max_iter=2)
    codes, reconstructions = fitted.to_module()(torch.from_numpy(X))
    np.testing.assert_allclose(codes.detach(), fitted.transform(X), atol=1e-5)
    np.testing.assert_allclose(reconstructions.detach(), fitted.reconstruct(X), atol=1e-5)


def test_networks_without_a_converter_are_named(pixels):
    onnx = pytest.importorskip("skae.onnx")
    fitted = _fit(AutoencoderTransformer, pixels, max_iter=1)
    with pytest.raises(ValueError, match=r"EncoderPath\((.|\n)*to_module\(\)"):
        onnx.reconstruction_to_onnx(fitted, pixels[:1])
