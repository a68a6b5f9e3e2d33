import numpy as np
import pytest
import torch
from torch import nn

from skae._codes import Plain

H = np.array([[-1.0, 0.0, 2.5], [3.0, -0.5, 0.25]])


@pytest.mark.parametrize(("activation", "expected"), [(nn.Identity(), H), (nn.ReLU(), np.maximum(H, 0))])
@pytest.mark.parametrize("form", ["mean", "sample"])
def test_plain_code_is_the_activated_output(activation, expected, form):
    code, h = Plain(activation), torch.from_numpy(H)
    result = code.mean(h) if form == "mean" else code.sample(h, torch.Generator())
    np.testing.assert_array_equal(result.numpy(), expected)


def test_plain_code_is_as_wide_as_it_is_long_and_costs_nothing():
    code = Plain(nn.Identity())
    assert code.width(5) == 5
    assert code.expand(7) == 7
