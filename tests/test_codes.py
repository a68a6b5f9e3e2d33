import numpy as np
import pytest
import torch
from torch import nn

from skae._codes import Gaussian, Ordered, Plain

H = np.array([[-1.0, 0.0, 2.5], [3.0, -0.5, 0.25]])


@pytest.mark.parametrize(("activation", "expected"), [(nn.Identity(), H), (nn.ReLU(), np.maximum(H, 0))])
def test_plain_code_is_the_activated_output(activation, expected):
    np.testing.assert_array_equal(Plain(activation).mean(torch.from_numpy(H)).numpy(), expected)


def test_plain_code_is_as_wide_as_it_is_long_and_costs_nothing():
    code = Plain(nn.Identity())
    assert code.width(5) == 5
    assert not code.tells_depth
    assert code.decoder_inputs(7, None) == (7, 7)
    assert code.draw_depth(torch.zeros(2, 3), torch.Generator()) is None


@pytest.mark.parametrize("code", [Ordered(nn.Identity(), 3), Gaussian(3, ordered=True)], ids=["ordered", "gaussian"])
@pytest.mark.parametrize(("depth", "depths"), [(None, [3, 3]), (2, [2, 2]), (torch.tensor([[3], [1]]), [3, 1])])
def test_decoder_is_given_cut_codes_and_told_their_depth(code, depth, depths):
    z = np.array([[5.0, 0.0, 7.0], [2.0, 3.0, 4.0]])
    linear, (residual, told) = code.decoder_inputs(torch.from_numpy(z), depth)
    expected = [[value if i < d else 0 for i, value in enumerate(row)] for row, d in zip(z, depths, strict=True)]
    np.testing.assert_array_equal(linear, expected)
    np.testing.assert_array_equal(residual, expected)
    assert told is depth
    assert code.tells_depth
