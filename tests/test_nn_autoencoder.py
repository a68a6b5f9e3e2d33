import numpy as np
import pytest
import torch
from torch import nn

from skae._linear.pca import LinearStart
from skae._nn.autoencoder import AnchoredMap, Autoencoder
from skae._nn.corruptions import none
from skae._nn.latents import Plain
from skae._nn.networks import dense
from skae._nn.objectives import LOSSES, Reconstruction
from skae._nn.outputs import StraightThroughClip


def _autoencoder(hidden=(5,), *, code=None, output=None, corruption=none, anchored=True):
    body = dense(4, 2, 2, 4, hidden, "tanh", n_told=0)
    code, output = code or Plain(nn.Identity()), output or nn.Identity()
    module = Autoencoder(body, code, output, corruption, n_features=4, n_components=2, n_outputs=4, anchored=anchored)
    module.initialize(torch.Generator("cpu").manual_seed(0))
    return module


def _anchor(rng):
    V = rng.normal(size=(2, 4))
    return LinearStart(encoder=V, decoder=V.T)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
def test_starts_at_the_linear_maps_of_the_anchor(hidden, rng):
    module, anchor = _autoencoder(hidden).double(), _anchor(rng)
    module.start_at(anchor)
    u, z = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    with torch.no_grad():
        np.testing.assert_allclose(module.encode(torch.from_numpy(u)).numpy(), u @ anchor.encoder.T, atol=1e-6)
        np.testing.assert_allclose(module.decode(torch.from_numpy(z)).numpy(), z @ anchor.decoder.T, atol=1e-6)


def test_hidden_layers_are_not_zero_at_the_start(rng):
    module = _autoencoder()
    module.start_at(_anchor(rng))
    assert all(bool(parameter.any()) for parameter in module.encoder.residual[0].parameters())
    assert all(not parameter.any() for parameter in module.encoder.residual[-1].parameters())


def test_anchored_map_is_linear_plus_residual(rng):
    residual, linear = nn.Sequential(nn.Linear(4, 2), nn.Tanh()), nn.Linear(4, 2, bias=False)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    A, b, V = (p.detach().numpy() for p in (*residual[0].parameters(), linear.weight))
    result = AnchoredMap(residual, linear)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(result, x @ V.T + np.tanh(x @ A.T + b), rtol=1e-5, atol=1e-6)


def test_without_anchor_there_is_no_linear_path(rng):
    module = _autoencoder(anchored=False)
    assert not [name for name, _ in module.named_parameters() if "linear" in name]
    u = torch.from_numpy(rng.normal(size=(3, 4)).astype(np.float32))
    assert torch.equal(module.encoder(u), module.encoder.residual(u))


def _double(u, rng):
    return 2 * u


class _Cut(Plain):
    def next_cut(self, n_rows):
        return 1

    def decoder_inputs(self, z, cut):
        return (z, z) if cut is None else (z[:, :1] @ torch.eye(1, 2),) * 2


@pytest.mark.parametrize(("training", "gain", "second"), [(True, 2, 0), (False, 1, 1)])
def test_corruption_and_cuts_are_for_training_only(training, gain, second, rng):
    module = _autoencoder(code=_Cut(nn.Identity()), corruption=_double)
    anchor = _anchor(rng)
    module.start_at(anchor)
    u = rng.normal(size=(3, 4)).astype(np.float32)
    x_hat, h = module.train(training)(torch.from_numpy(u), None)
    codes = gain * u @ anchor.encoder.T
    np.testing.assert_allclose(h.detach().numpy(), codes, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(x_hat.detach().numpy(), codes * [1, second] @ anchor.decoder.T, rtol=1e-4, atol=1e-5)


def test_gradient_of_the_linear_paths_by_hand(rng):
    n, p = 6, 4
    lower, upper = np.full(p, -0.5), np.array([0.5, 0.5, np.inf, np.inf])
    module, anchor = _autoencoder((), output=StraightThroughClip(p)).double(), _anchor(rng)
    module.start_at(anchor)
    module.output.set_bounds(lower, upper)
    V, D = (path.linear.weight.detach().numpy().copy() for path in (module.encoder, module.decoder))
    u = 2 * rng.normal(size=(n, p))
    batch = torch.from_numpy(u)
    Reconstruction(LOSSES["squared_error"], 0.99)(module.train(), batch, batch).backward()

    z = u @ V.T
    linear_output = z @ D.T
    output = np.clip(linear_output, lower, upper)
    assert (output != linear_output).any()
    error = 2 * (output - u) / (n * p)  # the clip counts as the identity
    np.testing.assert_allclose(module.decoder.linear.weight.grad.numpy(), error.T @ z, rtol=1e-9)
    np.testing.assert_allclose(module.encoder.linear.weight.grad.numpy(), (error @ D).T @ u, rtol=1e-9)
    np.testing.assert_allclose(module.decoder.residual[-1].bias.grad.numpy(), error.sum(axis=0), rtol=1e-9)
