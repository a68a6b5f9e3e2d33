"""Training in bfloat16 on processors that have instructions for it."""

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS
from torch.nn.modules.module import register_module_forward_hook

from skae import AutoencoderTransformer
from skae._training import processor
from skae._training.processor import suitable_dtype

CPU = torch.device("cpu")
HAS, HAS_NOT = {"avx512_bf16": True}, {"avx512_bf16": False, "avx2": True}


@pytest.fixture
def processor_with(monkeypatch):
    """Function that pretends that the processor has some instruction sets."""

    def pretend(capabilities):
        monkeypatch.setattr(processor, "cpu_capabilities", lambda: capabilities)

    return pretend


@pytest.fixture(scope="module")
def curves():
    """Noisy curves of 256 values, which three numbers determine."""
    rng = np.random.default_rng(0)
    t, (a, b, c) = np.linspace(0, 1, 256), rng.random((3, 600, 1))
    X = np.sin(2 * np.pi * (1 + a) * t + 6 * b) * (0.5 + c) + 0.01 * rng.standard_normal((600, 256))
    return X.astype(np.float32)


@pytest.fixture
def dtypes():
    """Dtypes of the outputs of layers that have weights, in training and in evaluation."""
    found = {True: set(), False: set()}

    def note(layer, inputs, output):
        if hasattr(layer, "weight"):
            found[layer.training].add(output.dtype)

    handle = register_module_forward_hook(note)
    yield found
    handle.remove()


def _fit(X, cls=AutoencoderTransformer, **parameters):
    given = {"max_iter": 2, "batch_size": 200, "random_state": 0, "device": "cpu"} | parameters
    return cls(4, **given).fit(X)


@pytest.mark.parametrize(
    ("capabilities", "n_features", "n_products", "dtype"),
    [
        (HAS, 256, 1e7, torch.bfloat16),
        ({"amx_bf16": True}, 256, 1e7, torch.bfloat16),
        (HAS, 255, 1e9, torch.float32),
        (HAS, 999, 9e6, torch.float32),
        (HAS_NOT, 999, 1e9, torch.float32),
        ({}, 999, 1e9, torch.float32),
    ],
)
def test_bfloat16_needs_instructions_features_and_work(
    processor_with, capabilities, n_features, n_products, dtype
):
    processor_with(capabilities)
    assert suitable_dtype(CPU, n_features, n_products) == dtype
    assert suitable_dtype(torch.device("meta"), n_features, n_products) == torch.float32


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_only_products_in_training_are_in_bfloat16(processor_with, curves, dtypes, cls):
    processor_with(HAS)
    estimator = _fit(curves, cls)
    estimator.score(curves)
    assert dtypes == {True: {torch.bfloat16}, False: {torch.float32}}
    assert {weight.dtype for weight in estimator.net_.module_.parameters()} == {torch.float32}
    assert estimator.transform(curves[:3]).dtype == np.float32


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_other_processors_train_in_float32(processor_with, curves, dtypes, cls):
    processor_with(HAS_NOT)
    _fit(curves, cls)
    assert dtypes == {True: {torch.float32}, False: {torch.float32}}


def test_modules_of_the_user_are_trained_in_float32(processor_with, curves, dtypes):
    def network(sizes):
        wide = torch.nn.Sequential(
            torch.nn.Linear(sizes.n_features, 512), torch.nn.Linear(512, sizes.n_encoder_outputs)
        )
        return wide, torch.nn.Linear(sizes.n_decoder_inputs, sizes.n_outputs)

    processor_with(HAS)
    _fit(curves, network=network)
    assert dtypes[True] == {torch.float32}


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_the_error_is_that_of_training_in_float32(processor_with, curves, cls):
    def error(capabilities, **parameters):
        processor_with(capabilities)
        estimator = _fit(curves[:500], cls, batch_size=100, **parameters)
        return np.square(curves[500:] - estimator.reconstruct(curves[500:])).mean()

    in_bfloat16, in_float32 = (error(these, max_iter=30) for these in (HAS, HAS_NOT))
    assert in_bfloat16 == pytest.approx(in_float32, rel=0.2)
    assert in_bfloat16 < 0.95 * error(HAS, max_iter=0)


def test_epoch_0_does_not_depend_on_the_processor(processor_with, curves):
    codes = []
    for capabilities in (HAS, HAS_NOT):
        processor_with(capabilities)
        codes.append(_fit(curves, max_iter=0).transform(curves))
    np.testing.assert_array_equal(*codes)
