import numpy as np
import pytest
import torch
from torch import nn

from skae._nn.latents import Cut, Depths, Gaussian, Plain

H = np.array([[-1.0, 0.0, 2.5], [3.0, -0.5, 0.25]])


@pytest.mark.parametrize(("activation", "expected"), [(nn.Identity(), H), (nn.ReLU(), np.maximum(H, 0))])
def test_plain_code_is_the_activated_output(activation, expected):
    np.testing.assert_array_equal(Plain(activation).mean(torch.from_numpy(H)).numpy(), expected)


def test_plain_code_is_as_wide_as_it_is_long_and_costs_nothing():
    code = Plain(nn.Identity())
    assert code.width(5) == 5
    assert code.n_told == 0
    assert code.decoder_inputs(7, None) == (7, 7)
    assert code.next_cut(2) is None
    assert code.cut_at(2) is None


ROOT = np.sqrt(np.float32(2))  # of single precision, as a network's
# Of six components: one past the first, two past the second, and two of the four past the fourth.
TOLD = {1: [1, 0, 0, 0], 2: [1, 1, 0, 0], 3: [1, 1, ROOT / 2, 0], 5: [1, 1, ROOT, 0.5], 6: [1, 1, ROOT, 1]}


@pytest.mark.parametrize("depth", TOLD)
def test_a_cut_at_a_depth_is_the_first_components(depth):
    cut = Depths(6).cut_at(depth)
    assert cut.depth.tolist() == [[depth]]
    assert cut.there.tolist() == [[1] * depth + [0] * (6 - depth)]
    np.testing.assert_array_equal(cut.told, np.float32([TOLD[depth]]))


@pytest.mark.parametrize("n_rows", [1, 100, 1024, 3000])
def test_cuts_of_a_batch_are_those_at_their_depths(n_rows):
    depths = Depths(6)
    for cut in (depths.next_cut(n_rows) for _ in range(3)):
        for row, depth in enumerate(cut.depth[:, 0].tolist()):
            for of_row, expected in zip(cut, depths.cut_at(depth), strict=True):
                assert of_row[row].tolist() == expected[0].tolist()


def test_cut_of_draws_is_that_of_their_codes():
    cut = Depths(6).next_cut(3)
    for once, thrice in zip(cut, cut.for_draws(3), strict=True):
        np.testing.assert_array_equal(thrice, np.concatenate([once] * 3))
    one = Depths(6).cut_at(2)
    assert one.for_draws(3) is one


@pytest.mark.parametrize("code", [Plain(nn.Identity(), Depths(3)), Gaussian(3, Depths(3))], ids=["plain", "gaussian"])
@pytest.mark.parametrize("depths", [None, [2], [3, 1]])
def test_decoder_is_given_cut_codes_and_told_their_depth(code, depths):
    z = np.array([[5.0, 0.0, 7.0], [2.0, 3.0, 4.0]])
    rows = [code.cut_at(depth) for depth in depths or []]
    cut = Cut(*map(torch.cat, zip(*rows, strict=True))) if rows else None
    linear, (residual, told) = code.decoder_inputs(torch.from_numpy(z), cut)
    left = np.broadcast_to(depths or [3], 2)
    expected = [[value if i < d else 0 for i, value in enumerate(row)] for row, d in zip(z, left, strict=True)]
    np.testing.assert_array_equal(linear, expected)
    np.testing.assert_array_equal(residual, expected)
    np.testing.assert_array_equal(told, (cut or code.cut_at(3)).told)
    assert code.n_told == told.shape[1]
