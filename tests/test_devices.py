"""What a device that computes on its own, such as a GPU, must not be made to wait for."""

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils._python_dispatch import TorchDispatchMode

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import datasets

# Operations after which the host waits for the device, as their result or its size is a value.
WAITING = {
    *("aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select"),
    *("aten::is_nonzero", "aten::_unique2", "aten::repeat_interleave.Tensor"),
}
DENSE = {"hidden_layer_sizes": (8,)}
ESTIMATORS = {
    "dense": (AutoencoderTransformer, DENSE),
    "absolute error": (AutoencoderTransformer, DENSE | {"loss": "absolute_error"}),
    "log loss": (AutoencoderTransformer, DENSE | {"loss": "log_loss", "init": "random"}),
    "ordered": (AutoencoderTransformer, DENSE | {"ordered": True}),
    "convolutional": (ConvAutoencoderTransformer, {"channels": (4,)}),
    "masking": (DenoisingAutoencoder, DENSE),
    "Gaussian noise": (DenoisingAutoencoder, DENSE | {"corruption": "gaussian"}),
    "VAE": (VAETransformer, DENSE),
    "Bernoulli VAE": (VAETransformer, DENSE | {"likelihood": "bernoulli"}),
    "outliers": (VAETransformer, DENSE | {"contamination": 0.1}),
}
EACH = pytest.mark.parametrize("name", ESTIMATORS)


class _Waits(TorchDispatchMode):
    """Counts the operations after which the host would wait."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        selects = name.startswith(("aten::index.", "aten::index_put")) and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if name in WAITING or selects:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def _fit(name, X, **parameters):
    cls, its_parameters = ESTIMATORS[name]
    common = {"max_iter": 3, "random_state": 0, "validation_fraction": 0.2}
    weights = np.linspace(0.5, 1.5, len(X))
    return cls(3, **common | its_parameters | parameters).fit(X, sample_weight=weights)


@pytest.fixture
def pixels(digits):
    """Values between 0 and 1."""
    return digits / 16


@EACH
def test_the_number_of_waits_does_not_depend_on_the_number_of_steps(name, pixels):
    """Ten times the steps, and as many waits: those of the start and of the ends of epochs."""
    counts = []
    for batch_size in (120, 12):
        with _Waits() as waits:
            fitted = _fit(name, pixels, batch_size=batch_size)
        assert fitted.history_[-1]["train_batch_count"] == 240 / batch_size
        counts.append(waits.counts)
    assert counts[0] == counts[1]
    assert counts[0].total() > 0  # the losses of the epochs


def test_a_wait_in_a_step_is_counted(pixels):
    """The oracle of the test above: what it counts, where a network waits in each step."""

    class Impatient(torch.nn.Linear):
        def forward(self, u):
            return super().forward(u) * (1 if float(u.detach().sum()) else 2)

    def network(sizes):
        n_features, k = sizes.input_shape[0], sizes.n_encoder_outputs
        return Impatient(n_features, k), torch.nn.Linear(k, n_features)

    counts = []
    for batch_size in (120, 12):
        with _Waits() as waits:
            AutoencoderTransformer(
                3, network=network, max_iter=3, batch_size=batch_size, random_state=0
            ).fit(pixels)
        counts.append(waits.counts["aten::_local_scalar_dense"])
    assert counts[1] - counts[0] == 3 * (23 - 3)  # in 3 epochs with 270 samples


@EACH
@pytest.mark.parametrize("missing", [False, True])
def test_samples_in_the_memory_of_the_device_give_the_same_fit(name, missing, pixels, monkeypatch):
    X = pixels.copy()
    if missing:
        X[::7, 20] = np.nan
    expected = _fit(name, X, batch_size=50).transform(X)
    monkeypatch.setattr(datasets, "_room_for_samples", lambda device: 1e9)
    assert_array_equal(_fit(name, X, batch_size=50).transform(X), expected)
