import torch

from skae import _corruptions


def test_none_changes_nothing_and_draws_nothing():
    u, rng = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    before = rng.get_state()
    assert torch.equal(_corruptions.none(u.clone(), rng), u)
    assert torch.equal(rng.get_state(), before)
