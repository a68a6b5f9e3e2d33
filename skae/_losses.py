"""Losses of a reconstruction and the objective that training minimises.

A loss is called as torch's are: ``loss(x_hat, x, reduction="mean")`` gives the mean over all values, "none" each value's.
"""

from torch import nn
from torch.nn.functional import l1_loss, mse_loss


def log_loss(x_hat, x, reduction="mean"):
    """Cross-entropy, whose logarithms are bounded as torch's are; at NaN torch's raises, which the training loop handles."""
    values = -(x * x_hat.log().clamp(min=-100) + (1 - x) * (-x_hat).log1p().clamp(min=-100))
    return values.mean() if reduction == "mean" else values


LOSSES = {"absolute_error": l1_loss, "log_loss": log_loss, "squared_error": mse_loss}


class Objective(nn.Module):
    """``mean_i loss(x_hat_i, x_i) + penalty(h_i)`` over the rows i of a batch.

    Parameters
    ----------
    loss : callable
        A value of `LOSSES`.
    penalty : callable or None
        From the encoder's output to what the code adds to the loss of each row.
    """

    def __init__(self, loss, penalty):
        super().__init__()
        self.loss = loss
        self.penalty = penalty

    def forward(self, output, target):
        x_hat, h = output
        loss = self.loss(x_hat, target, reduction="mean")  # one kernel, where row by row there would be several
        return loss if self.penalty is None else loss + self.penalty(h).mean()

    def of_rows(self, output, target):
        """Objective of each row (n,), whose mean is minimised."""
        x_hat, h = output
        losses = self.loss(x_hat, target, reduction="none").mean(1)
        return losses if self.penalty is None else losses + self.penalty(h)
