"""Fitted networks as PyTorch modules and as ONNX graphs, against the estimator's methods."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

FLAT, Y = (array[:200] for array in load_digits(return_X_y=True))
IMAGES = FLAT.reshape(-1, 8, 8)
COLORS = np.random.default_rng(0).random((60, 5, 7, 3))  # sides that are odd after one halving
RANDOM = {"init": "random", "output_activation": "sigmoid"}
DENSE = AutoencoderTransformer(4, hidden_layer_sizes=16, max_iter=0, random_state=0)
CONV = ConvAutoencoderTransformer(4, channels=(4, 8), max_iter=0, random_state=0)
DENOISER = DenoisingAutoencoder(4, hidden_layer_sizes=16, max_iter=0, random_state=0)
VAE = VAETransformer(4, channels=(4, 8), hidden_layer_sizes=16, max_iter=0, random_state=0)


def _with(estimator, **parameters):
    return clone(estimator).set_params(**parameters)


CASES = {  # estimator, samples, and targets if there are any
    "dense": (DENSE, FLAT),
    "far from zero": (_with(DENSE, output_activation="identity"), FLAT + 1e5),
    "clipped": (_with(DENSE, output_activation="clip", activation="gelu"), FLAT),
    "ordered": (_with(DENSE, ordered=True, activation="relu"), FLAT),
    "random": (_with(DENSE, activation="tanh", code_activation="relu", **RANDOM), FLAT / 16),
    "images": (_with(CONV, output_activation="identity"), IMAGES),
    "clipped images": (_with(CONV, ordered=True), IMAGES),
    "nearest": (_with(CONV, upsampling="nearest", downsampling="max_pool"), COLORS),
    "bilinear": (_with(CONV, upsampling="bilinear", activation="logistic"), COLORS),
    "zeros": (_with(CONV, n_components="spatial", upsampling="zeros", **RANDOM), COLORS),
    "pointwise": (_with(CONV, kernel_size=1, activation="identity"), COLORS),
    "lines": (_with(CONV, upsampling="bilinear"), COLORS[:, :1]),
    "denoiser": (DENOISER, FLAT),
    "pairs": (DENOISER, FLAT, FLAT[:, :10]),
    "vae": (VAE, FLAT),
    "vae of images": (_with(VAE, output_activation="clip"), IMAGES),
    "bernoulli": (_with(VAE, likelihood="bernoulli", ordered=True), FLAT / 16),
}
FOUR = ["ordered", "clipped images", "pairs", "vae of images"]


def _fitted(name):
    """Estimator whose weights are all changed, so that each of them counts, and its samples."""
    estimator, X, *target = CASES[name]
    estimator = clone(estimator).fit(X, **({"X_target": target[0]} if target else {}))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in estimator._model.module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=rng)
    return estimator, X.astype(np.float32)


@pytest.fixture(name="fitted", params=CASES, scope="module")
def _every_case(request):
    return _fitted(request.param)


def _assert_close(found, expected, among=None):
    """Equal to 1e-5 of the standard deviation of each component or feature, of the same dtype."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    std = (expected if among is None else among).std(axis=0)
    # A code that is always zero varies by nothing, and rounding of a large mean is no error.
    tolerance = 1e-5 * np.maximum(std, std.max() / 10) + np.spacing(np.abs(expected).max())
    assert (np.abs(found - expected) <= tolerance).all()


# PyTorch modules.


def test_module_encodes_and_decodes_as_the_estimator_does(fitted):
    estimator, X = fitted
    with torch.inference_mode():
        module = estimator.to_module()
        codes, reconstructions = module(torch.from_numpy(X))
        _assert_close(codes.numpy(), estimator.transform(X))
        _assert_close(reconstructions.numpy(), estimator.reconstruct(X))
        Z = estimator.transform(X)
        _assert_close(module.decoder(torch.from_numpy(Z)).numpy(), estimator.inverse_transform(Z))


def test_module_of_fewer_components():
    estimator, X = _fitted("ordered")
    truncated = estimator.truncate(2)
    codes, reconstructions = truncated.to_module()(torch.from_numpy(X))
    _assert_close(codes.numpy(force=True), estimator.transform(X)[:, :2])
    _assert_close(reconstructions.numpy(force=True), truncated.reconstruct(X))


@pytest.mark.parametrize("name", FOUR)
def test_module_is_exported_with_any_number_of_samples(name):
    estimator, X = _fitted(name)
    sizes = {"X": {0: torch.export.Dim("n_samples")}}
    program = torch.export.export(
        estimator.to_module(), (torch.from_numpy(X[:3]),), dynamic_shapes=sizes
    )
    Z = estimator.transform(X)
    for n_samples in (1, 50):
        codes, _ = program.module()(torch.from_numpy(X[:n_samples]))
        _assert_close(codes.numpy(force=True), Z[:n_samples], Z)


@pytest.mark.parametrize("name", FOUR)
def test_training_of_the_module_leaves_the_estimator_unchanged(name):
    estimator, X = _fitted(name)
    before = estimator.transform(X), estimator.reconstruct(X)
    with torch.inference_mode():
        module = estimator.to_module()
    assert not module.training
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    codes, reconstructions = module(torch.from_numpy(X))
    (codes.square().mean() + reconstructions.square().mean()).backward()
    assert module.encoder.map.linear.weight.grad.abs().sum() > 0
    optimizer.step()
    assert (module.encoder(torch.from_numpy(X)) - codes).abs().max() > 0.01
    assert_array_equal(estimator.transform(X), before[0])
    assert_array_equal(estimator.reconstruct(X), before[1])


def test_module_of_an_unfitted_estimator():
    with pytest.raises(NotFittedError):
        DENSE.to_module()


# ONNX graphs.


@pytest.fixture(name="onnx")
def _onnx():
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("skae.onnx")


def _to_onnx(*args, **options):
    import skl2onnx

    return skl2onnx.to_onnx(*args, **options)


def _run(graph, X, **inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(None, inputs or {"X": X})


@pytest.mark.usefixtures("onnx")
def test_graph_encodes_as_the_estimator_does(fitted):
    estimator, X = fitted
    graph = _to_onnx(estimator, X[:1])
    Z = estimator.transform(X)
    _assert_close(_run(graph, X)[0], Z)
    _assert_close(_run(graph, X[:1])[0], Z[:1], Z)


def test_graph_reconstructs_as_the_estimator_does(onnx, fitted):
    estimator, X = fitted
    graph = onnx.reconstruction_to_onnx(estimator, X[:1])
    X_hat = estimator.reconstruct(X)
    _assert_close(_run(graph, X)[0], X_hat)
    _assert_close(_run(graph, X[:1])[0], X_hat[:1], X_hat)


def test_rounding_puts_no_value_beyond_a_bound(onnx):
    estimator, X = _fitted("clipped")
    reconstructions = (
        estimator.to_module()(torch.from_numpy(X))[1].numpy(force=True),
        _run(onnx.reconstruction_to_onnx(estimator, X[:1]), X)[0],
    )
    for X_hat in reconstructions:
        assert (X_hat >= X.min(axis=0)).all()
        assert (X_hat <= X.max(axis=0)).all()


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", [[StandardScaler()], []], ids=["flat", "images"])
def test_graph_of_a_pipeline(first, dtype):
    X, step = (FLAT, DENSE) if first else (IMAGES, CONV)
    pipeline = make_pipeline(*first, clone(step), LogisticRegression(max_iter=1000)).fit(X, Y)
    X = X.astype(dtype)
    labels, probabilities = _run(_to_onnx(pipeline, X[:1], options={"zipmap": False}), X)
    assert_array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-5)


def test_graph_of_float64_standardizes_in_float64(onnx):
    """Which a network of float32 would not: this mean has no digits left for the features."""
    estimator, _ = _fitted("far from zero")
    estimator = clone(estimator).fit(FLAT + 1e9)
    X = FLAT + 1e9
    _assert_close(_run(_to_onnx(estimator, X[:1]), X)[0], estimator.transform(X))
    graph = onnx.reconstruction_to_onnx(estimator, X[:1])
    _assert_close(_run(graph, X)[0], estimator.reconstruct(X))


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_graph_of_integers_returns_float32(dtype):
    estimator, X = _fitted("dense")
    integers = X.astype(dtype)
    _assert_close(_run(_to_onnx(estimator, integers[:1]), integers)[0], estimator.transform(X))


@pytest.mark.usefixtures("onnx")
def test_graph_of_a_dataframe_has_an_input_for_each_column():
    X = pd.DataFrame({"a": FLAT[:, 20], "b": FLAT[:, 30].astype(int), "c": FLAT[:, 40]})
    estimator = _with(DENSE, n_components=2).fit(X)
    columns = {name: X[[name]].to_numpy() for name in X}
    Z = _run(_to_onnx(estimator, X[:1]), None, **columns)[0]
    _assert_close(Z, estimator.transform(X))


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("target_opset", [11, 22])
def test_opset_of_the_graph(target_opset):
    estimator, X = _fitted("nearest")
    graph = _to_onnx(estimator, X[:1], target_opset=target_opset)
    assert graph.opset_import[0].version <= target_opset
    _assert_close(_run(graph, X)[0], estimator.transform(X))


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("layer", [torch.nn.Softplus(), torch.nn.GELU("tanh")])
def test_graph_of_an_unknown_layer(layer):
    estimator, X = _fitted("dense")
    estimator._model.module.encoder.residual[1] = layer
    with pytest.raises(ValueError, match=rf"{type(layer).__name__}\(.*to_module\(\)"):
        _to_onnx(estimator, X[:1])


def test_graph_of_what_is_not_a_fitted_estimator(onnx):
    with pytest.raises(NotFittedError):
        _to_onnx(DENSE, FLAT[:1])
    with pytest.raises(NotFittedError):
        onnx.reconstruction_to_onnx(DENSE, FLAT[:1])
    with pytest.raises(TypeError, match="give its step"):
        onnx.reconstruction_to_onnx(make_pipeline(DENSE), FLAT[:1])


def test_skl2onnx_is_required(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        runpy.run_path(str(Path(__file__).parent.parent / "skae" / "onnx.py"))
