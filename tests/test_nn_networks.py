import numpy as np
import pytest
import torch
from scipy.special import erf, expit

from skae._nn.networks import (
    ACTIVATIONS,
    ConditionalLinear,
    Conv,
    Dense,
    Sizes,
    StridedPointwise,
    initialize,
)

BY_HAND = {
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "identity": lambda x: x,
    "logistic": expit,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}


def _sizes(n_condition_features=0, latent_width=2, n_outputs=7):
    return Sizes(
        7, 2, n_outputs, latent_width=latent_width, n_condition_features=n_condition_features
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_the_function_of_that_name(name):
    x = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(
        ACTIVATIONS[name]()(torch.from_numpy(x)).numpy(), BY_HAND[name](x), atol=1e-12
    )


def _widths(path):
    return [
        (layer.in_features, layer.out_features) for layer in path if hasattr(layer, "in_features")
    ]


@pytest.mark.parametrize(
    ("hidden", "encoder_widths"),
    [((), [(7, 2)]), ((5,), [(7, 5), (5, 2)]), ((5, 3), [(7, 5), (5, 3), (3, 2)])],
)
def test_decoder_mirrors_encoder(hidden, encoder_widths):
    encoder, decoder = map(_widths, Dense(hidden, "relu").build(_sizes()))
    assert encoder == encoder_widths
    assert decoder == [(n_out, n_in) for n_in, n_out in reversed(encoder_widths)]


def test_ends_of_the_paths_are_as_wide_as_what_they_give():
    encoder, decoder = map(_widths, Dense((5,), "relu").build(_sizes(latent_width=4, n_outputs=9)))
    assert encoder == [(7, 5), (5, 4)]
    assert decoder == [(2, 5), (5, 9)]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
def test_paths_are_a_perceptron_with_a_linear_last_layer(hidden, rng):
    f, _ = Dense(hidden, "tanh").build(_sizes())
    initialize(f, torch.Generator("cpu"))
    parameters = [p.detach().numpy().astype(float) for p in f.parameters()]
    x = rng.normal(size=(4, 7))
    expected = x
    for i in range(0, len(parameters), 2):
        expected = expected @ parameters[i].T + parameters[i + 1]
        if i < len(parameters) - 2:
            expected = np.tanh(expected)
    np.testing.assert_allclose(
        f.double()(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-10
    )


@pytest.mark.parametrize("n_conditions", [1, 3])
def test_bias_of_a_conditional_layer_is_linear_in_the_condition(n_conditions, rng):
    layer = ConditionalLinear(2, 6, 4)
    W, B = rng.normal(size=(4, 6)), rng.normal(size=(2, 4))
    layer.load_state_dict({"weight": torch.tensor(W), "biases": torch.tensor(B)}, assign=True)
    # Of all codes, or of each.
    z, condition = rng.normal(size=(3, 6)), rng.normal(size=(n_conditions, 2))
    result = layer((torch.from_numpy(z), torch.from_numpy(condition))).detach().numpy()
    np.testing.assert_allclose(result, z @ W.T + condition @ B, rtol=1e-12)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_only_the_decoder_is_conditioned(hidden):
    f, g = Dense(hidden, "relu").build(_sizes(n_condition_features=2))
    assert isinstance(g[0], ConditionalLinear)
    assert g[0].biases.shape[0] == 2
    assert not isinstance(f[0], ConditionalLinear)


@pytest.mark.parametrize("is_spatial", [True, False])
def test_convolutional_paths_are_between_flat_images_and_flat_codes(is_spatial, rng):
    choices = {
        "kernel_size": 3,
        "activation": "relu",
        "downsampling": "stride",
        "upsampling": "transpose",
    }
    network = Conv((5, 6, 1), is_spatial, channels=(4, 3), decoder_channels=(4,), **choices)
    assert network.spatial_width == 2 * 2 * 3  # sides are halved twice, rounding up
    n_components, latent_width = (12, 12) if is_spatial else (2, 4)
    f, g = network.build(Sizes(30, n_components, 3 * 30, latent_width, n_condition_features=0))
    initialize(f, torch.Generator("cpu"))
    initialize(g, torch.Generator("cpu"))
    x, z = (
        torch.from_numpy(rng.normal(size=(4, n)).astype(np.float32)) for n in (30, n_components)
    )
    assert f(x).shape == (4, latent_width)
    assert g(z).shape == (4, 3 * 30)


def test_only_the_decoder_of_images_is_conditioned():
    choices = {
        "kernel_size": 3,
        "activation": "relu",
        "downsampling": "stride",
        "upsampling": "transpose",
    }
    network = Conv((5, 6, 1), False, channels=(4,), decoder_channels=(), **choices)
    f, g = network.build(Sizes(30, 2, 30, latent_width=2, n_condition_features=3))
    assert [type(layer) for path in (f, g) for layer in path].count(ConditionalLinear) == 1
    assert isinstance(g[0], ConditionalLinear)
    assert g[0].biases.shape[0] == 3


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
    weight, bias = (
        layer.weight.detach().double().numpy()[:, :, 0, 0],
        layer.bias.detach().double().numpy(),
    )
    expected = (
        np.einsum("ij,njhw->nihw", weight, images[:, :, :: strides[0], :: strides[1]])
        + bias[:, None, None]
    )
    result = layer.double()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
