import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn
from torch.distributions import Normal, kl_divergence

from skae._nn.latents import DeterministicLatent, GaussianLatent, GaussianPosterior
from skae._nn.nested_dropout import NestedDropout, PrefixMask

H = np.array([[-1.0, 0.0, 2.5], [3.0, -0.5, 0.25]])


@pytest.mark.parametrize(
    ("activation", "expected"), [(nn.Identity(), H), (nn.ReLU(), np.maximum(H, 0))]
)
def test_deterministic_code_is_the_activated_output(activation, expected):
    np.testing.assert_array_equal(
        DeterministicLatent(activation)(torch.from_numpy(H)).numpy(), expected
    )


def test_deterministic_code_is_as_wide_as_it_is_long_and_costs_nothing():
    latent = DeterministicLatent(nn.Identity())
    assert latent.width(5) == 5
    assert latent.n_condition_features == 0
    assert latent.decoder_inputs(7, None) == (7, 7)
    assert latent.next_masks(2) is None
    assert latent.prefix(2) is None
    assert latent.validation_masks == [None]


LATENTS = [
    DeterministicLatent(nn.Identity(), NestedDropout(3)),
    GaussianLatent(3, NestedDropout(3)),
]


@pytest.mark.parametrize("latent", LATENTS, ids=["deterministic", "gaussian"])
@pytest.mark.parametrize("lengths", [None, [2], [3, 1]])
def test_decoder_is_given_masked_codes_and_their_condition(latent, lengths):
    z = np.array([[5.0, 0.0, 7.0], [2.0, 3.0, 4.0]])
    masks = [latent.prefix(length) for length in lengths or []]
    mask = PrefixMask(*map(torch.cat, zip(*masks, strict=True))) if masks else None
    linear, (residual, condition) = latent.decoder_inputs(torch.from_numpy(z), mask)
    left = np.broadcast_to(lengths or [3], 2)
    expected = [
        [value if i < n else 0 for i, value in enumerate(code)]
        for code, n in zip(z, left, strict=True)
    ]
    np.testing.assert_array_equal(linear, expected)
    np.testing.assert_array_equal(residual, expected)
    np.testing.assert_array_equal(condition, (mask or latent.prefix(3)).condition)
    assert latent.n_condition_features == condition.shape[1]


@pytest.mark.parametrize("latent", LATENTS, ids=["deterministic", "gaussian"])
def test_masks_are_those_of_nested_dropout(latent):
    assert [mask.length.item() for mask in latent.validation_masks] == [2, 3]
    assert set(latent.next_masks(100).length[:, 0].tolist()) == {1, 2, 3}


# Gaussian codes

VARIANCE, SCALE, GAIN = (
    np.array([0.5, 0.25, 0.9]),
    np.array([1.0, 2.0, 3.0]),
    np.array([4.0, 5.0, 6.0]),
)


def _gaussian_latent():
    latent = GaussianLatent(3).double()
    latent.start_at(VARIANCE, SCALE, GAIN)
    return latent


def test_gaussian_posterior_is_that_of_means_and_logits_in_turns(rng):
    latent, h = _gaussian_latent(), rng.normal(size=(5, 6))
    posterior = latent(torch.from_numpy(h))
    logit = np.log(VARIANCE / (1 - VARIANCE)) + h[:, [1, 3, 5]]
    assert latent.width(3) == 6
    np.testing.assert_allclose(posterior.mean.numpy(), SCALE * h[:, [0, 2, 4]], rtol=1e-6)
    np.testing.assert_allclose(posterior.variance.numpy(), expit(logit), rtol=1e-6)
    np.testing.assert_allclose(posterior.log_std.numpy(), np.log(expit(logit)) / 2, rtol=1e-6)


def test_gaussian_posterior_starts_at_a_variance_of_at_most_one():
    latent = GaussianLatent(3).double()
    latent.start_at(np.array([1e-6, 0.5, 1.0]), SCALE, GAIN)
    np.testing.assert_allclose(
        latent(torch.zeros(1, 6).double()).variance[0].numpy(), [1e-6, 0.5, 1], rtol=2e-4
    )


def test_decoder_is_given_gaussian_codes_in_the_units_of_its_weights():
    z = torch.from_numpy(H)
    linear, residual = _gaussian_latent().decoder_inputs(z, None)
    np.testing.assert_array_equal(linear.numpy(), GAIN * H)
    np.testing.assert_array_equal(residual.numpy(), GAIN * H)


def _posterior(rng):
    return GaussianPosterior(*torch.from_numpy(rng.normal(size=(2, 5, 3))))


@pytest.mark.parametrize("length", [None, 2])
def test_divergence_of_each_component_is_torchs(length, rng):
    posterior = _posterior(rng)
    normal = Normal(posterior.mean, torch.from_numpy(np.sqrt(expit(posterior.logit.numpy()))))
    expected = kl_divergence(normal, Normal(torch.zeros(5, 3).double(), 1.0)).numpy()
    expected[:, length:] *= length is None
    mask = None if length is None else NestedDropout(3).prefix(length)
    np.testing.assert_allclose(posterior.kl(mask).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("n_noises", [5, 1])  # of each sample, or of all samples
def test_draws_are_those_of_the_noise(n_noises, rng):
    posterior, noise = _posterior(rng), rng.normal(size=(4, n_noises, 3))
    expected = posterior.mean.numpy() + np.sqrt(expit(posterior.logit.numpy())) * noise
    np.testing.assert_allclose(
        posterior.rsample(torch.from_numpy(noise)).numpy(), expected, rtol=1e-10
    )
