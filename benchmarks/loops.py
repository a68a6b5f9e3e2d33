"""The same training without skae: a hand-written PyTorch loop, and skorch with its defaults."""

import torch
from skorch import NeuralNet
from torch import nn

ACTIVATION = "silu"
LEARNING_RATE = 1e-3


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lower, upper):
        return x.clamp(lower, upper)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


class Network(nn.Module):
    """skae's network written by hand: linear and residual paths, and a straight-through clip to [lower, upper].

    Parameters
    ----------
    n_features, depth, n_hidden : int
    lower, upper : Tensor of shape (n_features,)
    """

    def __init__(self, n_features, depth, n_hidden, lower, upper):
        super().__init__()
        self.V = nn.Linear(n_features, depth, bias=False)
        self.f = nn.Sequential(nn.Linear(n_features, n_hidden), nn.SiLU(), nn.Linear(n_hidden, depth))
        self.D = nn.Linear(depth, n_features, bias=False)
        self.g = nn.Sequential(nn.Linear(depth, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_features))
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def forward(self, u):
        z = self.V(u) + self.f(u)
        return _Clip.apply(self.D(z) + self.g(z), self.lower, self.upper)


def hand_written(X, depth, n_hidden, batch_size, epochs, *, one_cycle=False):
    """Train with as little around the arithmetic as PyTorch allows: tensors in memory, fused Adam, no validation."""
    U, network = _prepare(X, depth, n_hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    n_steps = epochs * -(-len(U) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, n_steps) if one_cycle else None
    for _ in range(epochs):
        for rows in torch.randperm(len(U)).split(batch_size):
            u = U[rows]
            optimizer.zero_grad()
            (network(u) - u).square().mean().backward()
            optimizer.step()
            if schedule:
                schedule.step()


def skorch_defaults(X, depth, n_hidden, batch_size, epochs):
    """Train by a NeuralNet as skorch makes it, silent: its DataLoader over rows, its callbacks, torch's default Adam."""
    U, network = _prepare(X, depth, n_hidden)
    net = NeuralNet(
        network,
        criterion=nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(U, U)


def _prepare(X, depth, n_hidden):
    """Standardised rows, and a network whose bounds are the range of all values."""
    X = torch.from_numpy(X)
    mean = X.mean(0)
    scale = (X - mean).square().mean().sqrt()
    lower, upper = ((bound - mean) / scale for bound in (X.min(), X.max()))
    return (X - mean) / scale, Network(X.shape[1], depth, n_hidden, lower, upper)
