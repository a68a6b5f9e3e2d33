"""The number of threads that a fit computes with."""

from threading import Thread

import numpy as np
import pytest
import torch
from conftest import ESTIMATORS
from skorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    VAETransformer,
)
from skae._training.processor import products_per_sample

N_THREADS = 4


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    torch.set_num_threads(before)


class Recorder(Callback):
    """Notes the number of threads in each batch, and that of a thread that starts meanwhile."""

    def __init__(self, fails=False):
        self.fails = fails

    def on_train_begin(self, net, **kwargs):
        self.here, self.elsewhere = set(), set()

    def on_batch_end(self, net, **kwargs):
        self.here.add(torch.get_num_threads())
        other = Thread(target=lambda: self.elsewhere.add(torch.get_num_threads()))
        other.start()
        other.join()
        if self.fails:
            raise KeyError


def _fit(X, *, cls=AutoencoderTransformer, fails=False, **parameters):
    recorder = Recorder(fails)
    parameters = {"max_iter": 1, "random_state": 0, "device": "cpu"} | parameters
    try:
        cls(8, skorch_callbacks=[recorder], **parameters).fit(X)
    except KeyError:
        assert fails
    return recorder


# The default layers of 64, 256, 256, 8 units and back have 2 * (64 + 256 + 8) * 256 weights, the
# linear paths 2 * 64 * 8: of 128, 160 and 288 samples, this is 0.9, 1.1 and 2.0 times 2.5e7.
@pytest.mark.parametrize(("batch_size", "n_threads"), [(128, 1), (270, 1), (300, 2), (9999, 4)])
def test_a_fit_has_as_many_threads_as_a_batch_has_work_for(
    digits, four_threads, batch_size, n_threads
):
    X = np.concatenate([digits] * 4)
    recorder = _fit(X, batch_size=batch_size)
    assert recorder.here == {n_threads}
    assert torch.get_num_threads() == N_THREADS


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_the_number_is_as_before_and_other_threads_keep_theirs(
    digits, four_threads, cls, fails
):
    recorder = _fit(digits, cls=cls, fails=fails, batch_size=20)
    assert recorder.here == {1}
    assert recorder.elsewhere == {N_THREADS}
    assert torch.get_num_threads() == N_THREADS


def test_a_fit_has_no_more_threads_than_it_is_given(digits):
    assert torch.get_num_threads() == 1
    assert _fit(np.concatenate([digits] * 4), batch_size=1000).here == {1}


def _network(sizes):
    n_features, k = sizes.input_shape[0], sizes.n_encoder_outputs
    encoder = torch.nn.Sequential(
        torch.nn.Unflatten(1, (4, n_features // 4)),
        torch.nn.Conv1d(4, 6, 3, groups=2),
        torch.nn.BatchNorm1d(6),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * (n_features // 4 - 2), k),
    )
    return encoder, torch.nn.Linear(k, n_features)


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (AutoencoderTransformer, {}),
        (AutoencoderTransformer, {"init": "random", "hidden_layer_sizes": ()}),
        (AutoencoderTransformer, {"network": _network}),
        (ConvAutoencoderTransformer, {"channels": (3, 5), "kernel_size": 3}),
        (VAETransformer, {}),
    ],
)
def test_products_are_those_that_torch_counts(digits, cls, parameters):
    estimator = cls(8, max_iter=1, random_state=0, device="cpu", **parameters).fit(digits)
    module = estimator.net_.module_.train()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval().decode(module.encode(torch.zeros(1, 64)))
    module.train()
    # A product and the sum that it enters are two operations.
    assert products_per_sample(module, 64) == counter.get_total_flops() / 2
    assert module.training
    assert not any(layer._forward_hooks for layer in module.modules())
