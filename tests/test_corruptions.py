from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skae._nn.corruptions import CORRUPTIONS, Corruption, by_function, none

MEAN, SCALE = np.array([1.0, 2.0, 3.0, 4.0]), 2.0
UNITS = SimpleNamespace(mean=MEAN, scale=SCALE)


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _corruption(name, noise_level, *, n_features=4, image_shape=None, **values):
    draw = CORRUPTIONS[name] if isinstance(name, str) else name
    corruption = Corruption(draw, noise_level, n_features, image_shape)
    data = {"scale": 1.0, "fill": np.zeros(n_features)}
    data |= {"lower": np.full(n_features, -np.inf), "upper": np.full(n_features, np.inf)}
    data |= {"low": np.full(n_features, -1.0), "high": np.full(n_features, 1.0)}
    corruption.set_data(**data | values)
    return corruption


def test_none_leaves_the_input_as_it_is():
    u = torch.ones(3, 2)
    assert none(u, None) is u


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_draws_are_new_at_each_call_and_seeded(name):
    corruption, u = _corruption(name, 0.3, n_features=36, image_shape=(6, 6, 1)), torch.rand(20, 36) + 2
    before, rng = u.clone(), _rng()
    first, second = corruption(u, rng), corruption(u, rng)
    assert not torch.equal(first, second)
    assert torch.equal(first, corruption(u, _rng()))
    assert torch.equal(u, before)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_a_level_of_zero_damages_nothing(name):
    u = torch.rand(20, 36)
    assert torch.equal(_corruption(name, 0.0, n_features=36, image_shape=(6, 6, 1))(u, _rng()), u)


def test_gaussian_noise_has_its_deviation_in_the_unit_of_the_data():
    u = torch.zeros(20_000, 4)
    noise = _corruption("gaussian", 0.5, scale=SCALE)(u, _rng()).numpy() * SCALE
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)


def test_gaussian_noise_stays_within_the_bounds():
    lower, upper = np.array([-0.5, -np.inf, 0.0, -0.1]), np.array([0.5, 0.2, np.inf, 0.1])
    noisy = _corruption("gaussian", 1.0, lower=lower, upper=upper)(torch.zeros(500, 4), _rng()).numpy()
    np.testing.assert_array_less(lower - 1e-6, noisy.min(axis=0))
    np.testing.assert_array_less(noisy.max(axis=0), upper + 1e-6)
    assert noisy[:, 1].min() < -1


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_masking_sets_its_share_to_the_fill_value(share):
    fill = np.array([5.0, 6.0, 7.0, 8.0])
    masked = _corruption("masking", share, fill=fill)(torch.zeros(10_000, 4), _rng()).numpy()
    assert set(np.unique(masked)) <= {0, *fill}
    np.testing.assert_allclose((masked == fill).mean(axis=0), share, atol=0.02)


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_salt_and_pepper_sets_half_of_its_share_to_each_end(share):
    low, high = np.array([-1.0, -2.0, -3.0, -4.0]), np.array([1.0, 2.0, 3.0, 4.0])
    damaged = _corruption("salt_and_pepper", share, low=low, high=high)(torch.zeros(10_000, 4), _rng()).numpy()
    for end in (low, high):
        np.testing.assert_allclose((damaged == end).mean(axis=0), share / 2, atol=0.02)
    np.testing.assert_allclose((damaged == 0).mean(), 1 - share, atol=0.02)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_erase_sets_a_rectangle_of_its_share_in_all_channels(share, n_channels):
    shape = (20, 30, n_channels)
    n_features = int(np.prod(shape))
    corruption = _corruption("erase", share, n_features=n_features, image_shape=shape, fill=np.full(n_features, 7.0))
    erased = corruption(torch.zeros(300, n_features), _rng()).numpy().reshape(300, *shape) == 7
    assert (erased == erased[..., :1]).all()
    assert erased[..., 0].mean() == pytest.approx(share, rel=0.05)
    for image in erased[..., 0]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    if share < 0.5:  # rectangles are everywhere, of both kinds
        assert erased[..., 0].any(axis=0).all()
        heights, widths = erased[..., 0].any(axis=2).sum(axis=1) / 20, erased[..., 0].any(axis=1).sum(axis=1) / 30
        assert (heights > widths).any()
        assert (heights < widths).any()


@pytest.mark.parametrize("shape", [None, (2, 2)])
def test_a_function_sees_the_unit_and_the_form_of_the_data(shape):
    seen = []

    def damage(X, random_state):
        seen.append((X.copy(), random_state.uniform()))
        X[:] = 10
        return X

    corruption = Corruption(by_function(damage, shape), 0.5, 4, units=UNITS)
    u, rng = torch.rand(3, 4), _rng()
    before = u.clone()
    damaged = corruption(u, rng)
    corruption(u, rng)
    assert torch.equal(u, before)
    np.testing.assert_allclose(damaged.numpy(), np.tile((10 - MEAN) / SCALE, (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(seen[0][0].reshape(3, 4), u.numpy() * SCALE + MEAN, rtol=1e-6)
    assert seen[0][0].shape == (3, *(shape or (4,)))
    assert seen[0][1] != seen[1][1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda X, random_state: X[:, 1:], r"corruption=<lambda> made \(3, 3\) of an array of shape \(3, 4\)"),
        (lambda X, random_state: X * np.nan, "corruption=<lambda> returned NaN or infinity"),
    ],
)
def test_a_function_that_damages_too_much_is_refused_by_name(damage, message):
    with pytest.raises(ValueError, match=message):
        Corruption(by_function(damage), 0.5, 4, units=UNITS)(torch.zeros(3, 4), _rng())
