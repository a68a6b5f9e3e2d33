import numpy as np
import pytest
import torch
from scipy.special import erf, expit

from skae._nn.networks import ACTIVATIONS, DepthLinear, StridedPointwise, dense, initialize

BY_HAND = {
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "identity": lambda x: x,
    "logistic": expit,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_the_function_of_that_name(name):
    x = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(ACTIVATIONS[name]()(torch.from_numpy(x)).numpy(), BY_HAND[name](x), atol=1e-12)


@pytest.mark.parametrize(
    ("hidden", "encoder_widths"),
    [((), [(7, 2)]), ((5,), [(7, 5), (5, 2)]), ((5, 3), [(7, 5), (5, 3), (3, 2)])],
)
def test_decoder_mirrors_encoder(hidden, encoder_widths):
    f, g = dense(7, 2, 2, 7, hidden, "relu", n_told=0)
    sizes = [[(layer.in_features, layer.out_features) for layer in path if hasattr(layer, "in_features")] for path in (f, g)]
    assert sizes[0] == encoder_widths
    assert sizes[1] == [(n_out, n_in) for n_in, n_out in reversed(encoder_widths)]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
def test_paths_are_a_perceptron_with_a_linear_last_layer(hidden, rng):
    f, _ = dense(7, 2, 2, 7, hidden, "tanh", n_told=0)
    initialize(f, torch.Generator("cpu"))
    parameters = [p.detach().numpy().astype(float) for p in f.parameters()]
    x = rng.normal(size=(4, 7))
    expected = x
    for i in range(0, len(parameters), 2):
        expected = expected @ parameters[i].T + parameters[i + 1]
        if i < len(parameters) - 2:
            expected = np.tanh(expected)
    np.testing.assert_allclose(f.double()(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_bias_of_a_layer_that_is_told_the_depth_is_linear_in_that(n_rows, rng):
    layer = DepthLinear(2, 6, 4)
    W, B = rng.normal(size=(4, 6)), rng.normal(size=(2, 4))
    layer.load_state_dict({"weight": torch.tensor(W), "biases": torch.tensor(B)}, assign=True)
    z, told = rng.normal(size=(3, 6)), rng.normal(size=(n_rows, 2))  # of all rows, or of each
    result = layer((torch.from_numpy(z), torch.from_numpy(told))).detach().numpy()
    np.testing.assert_allclose(result, z @ W.T + told @ B, rtol=1e-12)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_only_the_decoder_is_told_the_depth(hidden):
    f, g = dense(7, 2, 2, 7, hidden, "relu", n_told=2)
    assert isinstance(g[0], DepthLinear)
    assert not isinstance(f[0], DepthLinear)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (torch.nn.Linear, (7, 5)),
        (torch.nn.Conv2d, (3, 4, 3)),
        (torch.nn.ConvTranspose2d, (3, 4, 3)),
    ],
)
def test_initial_weights_are_those_of_torch_by_a_generator(layer, shape):
    state = torch.get_rng_state()
    torch.manual_seed(3)
    expected = layer(*shape).state_dict()
    torch.set_rng_state(state)
    without = layer(*shape, device="meta")
    initialize(without, torch.Generator("cpu").manual_seed(3))
    for name, weight in without.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("strides", [(2, 2), (1, 2)])
def test_pointwise_convolution_with_strides_is_a_product_at_every_other_pixel(strides, rng):
    layer = StridedPointwise(3, 4, strides)
    initialize(layer, torch.Generator("cpu"))
    images = rng.normal(size=(5, 3, 7, 6))
    weight, bias = layer.weight.detach().double().numpy()[:, :, 0, 0], layer.bias.detach().double().numpy()
    expected = np.einsum("ij,njhw->nihw", weight, images[:, :, :: strides[0], :: strides[1]]) + bias[:, None, None]
    result = layer.double()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
