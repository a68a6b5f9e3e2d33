"""Last stages of the decoder."""

import torch
from torch import nn


class StraightThroughClip(nn.Module):
    """Clipping to [lower, upper], with a straight-through gradient.

    In training, the gradient passes as if nothing had been clipped. A plain clamp has no gradient
    outside its range, so an output that left the range would never return.

    Parameters
    ----------
    n_features : int
        Length of the buffers `lower` and `upper`, which are infinite until they are set. They are
        not saved in files, as they follow from the standardizer.
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer(
            "lower",
            torch.full((n_features,), -torch.inf, dtype=torch.float32, device="cpu"),
            persistent=False,
        )
        self.register_buffer(
            "upper",
            torch.full((n_features,), torch.inf, dtype=torch.float32, device="cpu"),
            persistent=False,
        )

    def set_bounds(self, lower, upper):
        """Set the bounds from arrays of shape (n_features,)."""
        self.lower.copy_(torch.from_numpy(lower))
        self.upper.copy_(torch.from_numpy(upper))

    def forward(self, x):
        if not self.training:
            return x.clamp(self.lower, self.upper)
        clipped = x.clone()
        clipped.detach().clamp_(self.lower, self.upper)  # autograd does not record this
        return clipped


# Functions that make the last stage of the decoder for a number of features.
OUTPUTS = {
    "clip": StraightThroughClip,
    "identity": lambda n_features: nn.Identity(),
    "sigmoid": lambda n_features: nn.Sigmoid(),
}
