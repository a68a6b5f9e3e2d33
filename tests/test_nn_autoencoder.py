import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from skae._data.datasets import Batch
from skae._linear.pca import LinearStart
from skae._nn.autoencoder import AnchoredMap, Autoencoder, AutoencoderOutput, AutoencoderSpec
from skae._nn.latents import DeterministicLatent
from skae._nn.networks import Dense, Sizes
from skae._nn.objectives import Reconstruction
from skae._nn.outputs import StraightThroughClip


def _autoencoder(hidden=(5,), *, latent=None, output=None, is_anchored=True):
    sizes = Sizes(n_features=4, n_components=2, n_outputs=4, latent_width=2, n_condition_features=0)
    latent, output = latent or DeterministicLatent(nn.Identity()), output or nn.Identity()
    module = Autoencoder(Dense(hidden, "tanh").build(sizes), sizes, latent, output, is_anchored)
    module.initialize(torch.Generator("cpu").manual_seed(0))
    return module


def _linear_start(rng):
    V = rng.normal(size=(2, 4))
    return LinearStart(encoder=V, decoder=V.T)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
def test_starts_at_the_linear_maps(hidden, rng):
    module, start = _autoencoder(hidden).double(), _linear_start(rng)
    module.start_at(start)
    u, z = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    with torch.no_grad():
        np.testing.assert_allclose(
            module.encode(torch.from_numpy(u)).numpy(), u @ start.encoder.T, atol=1e-6
        )
        np.testing.assert_allclose(
            module.decode(torch.from_numpy(z)).numpy(), z @ start.decoder.T, atol=1e-6
        )


def test_hidden_layers_are_not_zero_at_the_start(rng):
    module = _autoencoder()
    module.start_at(_linear_start(rng))
    assert all(bool(parameter.any()) for parameter in module.encoder.residual[0].parameters())
    assert all(not parameter.any() for parameter in module.encoder.residual[-1].parameters())


def test_anchored_map_is_linear_plus_residual(rng):
    residual, linear = nn.Sequential(nn.Linear(4, 2), nn.Tanh()), nn.Linear(4, 2, bias=False)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    A, b, V = (p.detach().numpy() for p in (*residual[0].parameters(), linear.weight))
    result = AnchoredMap(residual, linear)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(result, x @ V.T + np.tanh(x @ A.T + b), rtol=1e-5, atol=1e-6)


def test_a_module_that_is_not_anchored_has_no_linear_path(rng):
    module = _autoencoder(is_anchored=False)
    assert not [name for name, _ in module.named_parameters() if "linear" in name]
    u = torch.from_numpy(rng.normal(size=(3, 4)).astype(np.float32))
    assert torch.equal(module.encoder(u), module.encoder.residual(u))


class _FirstComponent(DeterministicLatent):
    def next_masks(self, n):
        return 1

    def decoder_inputs(self, z, mask):
        return (z, z) if mask is None else (z[:, :1] @ torch.eye(1, 2),) * 2


@pytest.mark.parametrize(("training", "second"), [(True, 0), (False, 1)])
def test_masks_are_for_training_only(training, second, rng):
    module = _autoencoder(latent=_FirstComponent(nn.Identity()))
    start = _linear_start(rng)
    module.start_at(start)
    u = rng.normal(size=(3, 4)).astype(np.float32)
    output = module.train(training)(torch.from_numpy(u), None)
    codes = u @ start.encoder.T
    np.testing.assert_allclose(output.latent.detach().numpy(), codes, rtol=1e-4, atol=1e-5)
    expected = codes * [1, second] @ start.decoder.T
    np.testing.assert_allclose(
        output.reconstruction.detach().numpy(), expected, rtol=1e-4, atol=1e-5
    )


def test_gradient_of_the_linear_paths_by_hand(rng):
    n, p = 6, 4
    lower, upper = np.full(p, -0.5), np.array([0.5, 0.5, np.inf, np.inf])
    module, start = _autoencoder((), output=StraightThroughClip(p)).double(), _linear_start(rng)
    module.start_at(start)
    module.output.set_bounds(lower, upper)
    V, D = (path.linear.weight.detach().numpy().copy() for path in (module.encoder, module.decoder))
    u = 2 * rng.normal(size=(n, p))
    batch = torch.from_numpy(u)
    Reconstruction("squared_error", 0.99)(module.train()(batch), Batch(batch, batch)).backward()

    z = u @ V.T
    linear_output = z @ D.T
    output = np.clip(linear_output, lower, upper)
    assert (output != linear_output).any()
    error = 2 * (output - u) / (n * p)  # the clip counts as the identity
    np.testing.assert_allclose(module.decoder.linear.weight.grad.numpy(), error.T @ z, rtol=1e-9)
    np.testing.assert_allclose(
        module.encoder.linear.weight.grad.numpy(), (error @ D).T @ u, rtol=1e-9
    )
    np.testing.assert_allclose(
        module.decoder.residual[-1].bias.grad.numpy(), error.sum(axis=0), rtol=1e-9
    )


def test_codes_are_activated_and_outputs_go_through_the_output(rng):
    module = _autoencoder(latent=DeterministicLatent(nn.ReLU()), output=nn.Sigmoid()).double()
    u = rng.normal(size=(6, 4))
    f, g = (path.residual.double() for path in (module.encoder, module.decoder))
    with torch.no_grad():
        z = np.maximum(f(torch.from_numpy(u)).numpy(), 0)  # initial linear paths are zero
        expected = expit(g(torch.from_numpy(z)).numpy())
        output = module.eval()(torch.from_numpy(u))
        np.testing.assert_allclose(module.encode(torch.from_numpy(u)).numpy(), z, rtol=1e-12)
        np.testing.assert_allclose(module.inference(torch.from_numpy(u)).numpy(), z, rtol=1e-12)
        np.testing.assert_allclose(output.latent.numpy(), z, rtol=1e-12)
        for result in (
            output.reconstruction,
            module.generative(torch.from_numpy(z)).reconstruction,
            module.decode(torch.from_numpy(z)),
        ):
            np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12)


def test_a_linear_path_that_is_not_trained_gets_no_gradient(rng):
    module = _autoencoder()
    module.start_at(_linear_start(rng))
    module.encoder.trains_linear = False
    module(
        torch.from_numpy(rng.normal(size=(3, 4)).astype(np.float32))
    ).reconstruction.square().sum().backward()
    assert module.encoder.linear.weight.grad is None
    assert module.decoder.linear.weight.grad.any()


SPEC = {
    "n_features": 4,
    "n_components": 3,
    "n_outputs": 6,
    "network": Dense((5,), "tanh"),
    "is_anchored": True,
    "is_ordered": False,
    "output": "clip",
    "latent_activation": "identity",
    "loss": "squared_error",
    "sufficient_score": 0.9,
}


@pytest.mark.parametrize("is_ordered", [True, False])
@pytest.mark.parametrize("is_anchored", [True, False])
def test_a_spec_builds_a_module_of_its_sizes(is_ordered, is_anchored, rng):
    module = AutoencoderSpec(
        **SPEC | {"is_ordered": is_ordered, "is_anchored": is_anchored}
    ).build()
    module.initialize(torch.Generator("cpu").manual_seed(0))
    output = module(torch.from_numpy(rng.normal(size=(2, 4)).astype(np.float32)))
    assert output.latent.shape == (2, 3)
    assert output.reconstruction.shape == (2, 6)
    assert isinstance(module.output, StraightThroughClip)
    for path in (module.encoder, module.decoder):
        assert (path.linear is not None) is is_anchored
    assert (module.latent.prefix(1) is not None) is is_ordered


def test_a_spec_builds_the_objective_of_its_loss():
    objective = AutoencoderSpec(**SPEC | {"loss": "absolute_error"}).build_objective(
        scale=7.0, seed=0
    )
    batch = torch.tensor([[1.0, 2.0]])
    assert objective.per_sample(
        AutoencoderOutput(batch + 3, None), Batch(batch, batch)
    ).tolist() == [3]
    np.testing.assert_allclose(objective.max_losses(np.zeros(1), 10.0), [1])
