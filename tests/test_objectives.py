from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics

from skae._data.datasets import Batch
from skae._data.group import SINGLE
from skae._nn.autoencoder import AutoencoderOutput
from skae._nn.objectives import LOSSES, Reconstruction, expected_losses, validation_losses


def _log_loss_of_a_sample(x, x_hat):
    # Soft targets: each value is a pair of labels, weighted by it.
    labels = np.tile([1, 0], len(x))
    weights = np.column_stack([x, 1 - x]).ravel()
    return metrics.log_loss(labels, np.repeat(x_hat, 2), sample_weight=weights, labels=[0, 1])


ORACLES = {
    "squared_error": metrics.mean_squared_error,
    "absolute_error": metrics.mean_absolute_error,
    "log_loss": _log_loss_of_a_sample,
}


def _expected(name, x, x_hat):
    return [ORACLES[name](a, b) for a, b in zip(x.numpy(), x_hat.numpy(), strict=True)]


class _Module:
    """Returns the same reconstruction for any input; with the second of two masks, the target."""

    latent = SimpleNamespace(validation_masks=["first", "second"])

    def __init__(self, x, x_hat):
        self.reconstructions = {"first": x_hat, "second": x}

    def inference(self, u):
        return u

    def generative(self, latent, mask, noise):
        assert noise is None
        return AutoencoderOutput(self.reconstructions[mask], latent)


@pytest.fixture
def pair(rng):
    return torch.from_numpy(rng.uniform(size=(5, 8))), torch.from_numpy(
        rng.uniform(0.01, 0.99, size=(5, 8))
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_of_each_sample_is_scikit_learns(name, pair):
    x, x_hat = pair
    expected, perfect = _expected(name, x, x_hat), _expected(name, x, x)
    objective, module = Reconstruction(name, 0.99), _Module(x, x_hat)
    # The loss is that of the target, not of the input.
    batch, output = Batch(torch.full((5, 3), torch.nan), x), AutoencoderOutput(x_hat, None)
    np.testing.assert_allclose(objective.per_sample(output, batch).numpy(), expected, rtol=1e-6)
    assert float(objective(output, batch)) == pytest.approx(np.mean(expected), rel=1e-6)
    np.testing.assert_allclose(
        expected_losses(module, objective, batch, "first").numpy(), expected, rtol=1e-6
    )
    losses = validation_losses(module, objective, batch)
    np.testing.assert_allclose(losses.numpy(), np.transpose([expected, perfect]), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_reference_is_the_loss_of_the_mean_sample(name, pair):
    x, _ = pair
    batches = [Batch(None, x[:4]), Batch(None, x[4:])]  # of different sizes
    expected = np.mean(_expected(name, x, x.mean(0).expand_as(x)))
    reference = Reconstruction(name, 0.99).reference(batches, SINGLE)
    assert reference == pytest.approx(expected, rel=1e-6)


def test_reference_of_one_sample_is_one(pair):
    batches = [Batch(None, pair[0][:1].float())]
    assert Reconstruction("squared_error", 0.99).reference(batches, SINGLE) == 1


def test_score_of_squared_error_is_r2(pair):
    x, x_hat = pair
    objective = Reconstruction("squared_error", 0.99)
    loss, reference = (
        float(objective(AutoencoderOutput(x_hat, None), Batch(x, x))),
        objective.reference([Batch(x, x)], SINGLE),
    )
    expected = metrics.r2_score(x.numpy(), x_hat.numpy(), multioutput="variance_weighted")
    assert objective.score(loss, reference) == pytest.approx(expected, rel=1e-6)


def test_a_prefix_may_fall_back_to_what_suffices():
    max_losses = Reconstruction("squared_error", 0.9).max_losses(np.array([5.0, 1.5, 0.0]), 10.0)
    np.testing.assert_allclose(max_losses, [5.0, 1.5, 1.0])


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_losses_are_the_mean_over_all_noise_however_it_is_grouped(size, rng):
    z, noise = torch.from_numpy(rng.normal(size=5)), torch.from_numpy(rng.normal(size=(7, 1)))
    module = SimpleNamespace(
        inference=lambda u: u, generative=lambda latent, mask, group: latent + mask * group
    )
    objective = SimpleNamespace(
        draws=lambda batch: noise.split(size), per_sample=lambda output, batch: output.mean(0)
    )
    losses = expected_losses(module, objective, Batch(z, z), mask=3)
    np.testing.assert_allclose(losses.numpy(), z.numpy() + 3 * noise.numpy().mean(), rtol=1e-12)
