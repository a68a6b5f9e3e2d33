"""What the decoder's output goes through."""

import torch
from torch import nn


class StraightThroughClip(nn.Module):
    """Clip to [lower, upper]; in training the gradient passes as though nothing had been clipped.

    A plain clamp has no gradient outside its range, so that an output which left it would never
    come back.

    Parameters
    ----------
    n_features : int
        Length of the buffers `lower` and `upper`, infinite until they are set. No file has them:
        the standardizer does.
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
        clipped.detach().clamp_(self.lower, self.upper)  # which autograd does not see
        return clipped


# Each makes the last stage of the decoder for a number of features.
OUTPUTS = {
    "clip": StraightThroughClip,
    "identity": lambda n_features: nn.Identity(),
    "sigmoid": lambda n_features: nn.Sigmoid(),
}
