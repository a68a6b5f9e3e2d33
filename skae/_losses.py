"""Losses of a reconstruction, ``(x_hat, x) -> (n,)``, and the objective that training minimises."""

from torch import nn


def squared_error(x_hat, x):
    return (x_hat - x).square().mean(1)


def absolute_error(x_hat, x):
    return (x_hat - x).abs().mean(1)


def log_loss(x_hat, x):
    # Bounded as torch's binary_cross_entropy is, which raises an error at NaN: that is for the training loop to find.
    log_likelihood = x * x_hat.log().clamp(min=-100) + (1 - x) * (-x_hat).log1p().clamp(min=-100)
    return -log_likelihood.mean(1)


LOSSES = {"absolute_error": absolute_error, "log_loss": log_loss, "squared_error": squared_error}


class Objective(nn.Module):
    """``mean_i loss(x_hat_i, x_i) + penalty(h_i)`` over the rows i of a batch."""

    def __init__(self, loss, penalty):
        super().__init__()
        self.loss = loss
        self.penalty = penalty

    def forward(self, output, target):
        return self.of_rows(output, target).mean()

    def of_rows(self, output, target):
        """Objective of each row (n,), whose mean is minimised."""
        x_hat, h = output
        return self.loss(x_hat, target) + self.penalty(h)
