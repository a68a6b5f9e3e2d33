from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics

from skae._nn.objectives import LOSSES, Reconstruction


def _log_loss_of_a_row(x, x_hat):
    # Soft targets: each value is a pair of labels, weighted by it.
    labels = np.tile([1, 0], len(x))
    weights = np.column_stack([x, 1 - x]).ravel()
    return metrics.log_loss(labels, np.repeat(x_hat, 2), sample_weight=weights, labels=[0, 1])


ORACLES = {
    "squared_error": metrics.mean_squared_error,
    "absolute_error": metrics.mean_absolute_error,
    "log_loss": _log_loss_of_a_row,
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_of_each_row_is_scikit_learns(name, rng):
    x, x_hat = rng.uniform(size=(5, 8)), rng.uniform(0.01, 0.99, size=(5, 8))
    x, x_hat = torch.from_numpy(x), torch.from_numpy(x_hat)
    expected = [ORACLES[name](a, b) for a, b in zip(x.numpy(), x_hat.numpy(), strict=True)]
    objective = Reconstruction(LOSSES[name], 0.99)

    class Module:
        """Gives the same reconstruction whatever it is given; at the second of two depths it is x itself."""

        code = SimpleNamespace(judged=[1, 2])

        def __call__(self, u, rng=None):
            return x_hat, None

        def encode(self, u):
            return u

        def decode(self, z, depth):
            return {1: x_hat, 2: x}[depth]

    module = Module()
    perfect = [ORACLES[name](a, a) for a in x.numpy()]
    np.testing.assert_allclose(objective.of_rows(module, x, x).numpy(), np.transpose([expected, perfect]), rtol=1e-6)
    assert float(objective(module, x, x)) == pytest.approx(np.mean(expected), rel=1e-6)


def test_a_depth_may_fall_back_to_what_is_enough():
    tolerated = Reconstruction(LOSSES["squared_error"], 0.9).tolerated(np.array([5.0, 1.5, 0.0]), 10.0)
    np.testing.assert_allclose(tolerated, [5.0, 1.5, 1.0])
