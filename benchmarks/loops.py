"""The same training without skae: hand-written PyTorch loops, skorch with its defaults, and scikit-learn's perceptron."""

import warnings
from itertools import pairwise

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from torch import nn

LEARNING_RATE = 1e-3


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lower, upper):
        return x.clamp(lower, upper)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


def dense(n_features, depth):
    """Residual paths of skae's dense network with one hidden layer of 256 units."""
    f = nn.Sequential(nn.Linear(n_features, 256), nn.SiLU(), nn.Linear(256, depth))
    g = nn.Sequential(nn.Linear(depth, 256), nn.SiLU(), nn.Linear(256, n_features))
    return f, g


def conv(n_features, depth):
    """Residual paths of skae's convolutional network, with its defaults, on images of 28 x 28."""
    layer = {"kernel_size": 3, "stride": 2, "padding": 1}
    f = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        *(nn.Conv2d(1, 32, **layer), nn.SiLU()),
        *(nn.Conv2d(32, 64, **layer), nn.SiLU()),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, depth)),
    )
    g = nn.Sequential(
        *(nn.Linear(depth, 64 * 7 * 7), nn.SiLU(), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 32, **layer, output_padding=1), nn.SiLU()),
        *(nn.ConvTranspose2d(32, 1, **layer, output_padding=1), nn.Flatten()),
    )
    return f, g


class Network(nn.Module):
    """skae's network written by hand: linear and residual paths, and a straight-through clip to [lower, upper].

    Parameters
    ----------
    body : callable
        `dense` or `conv`.
    n_features, depth : int
    lower, upper : Tensor of shape (n_features,)
    """

    def __init__(self, body, n_features, depth, lower, upper):
        super().__init__()
        self.V = nn.Linear(n_features, depth, bias=False)
        self.D = nn.Linear(depth, n_features, bias=False)
        self.f, self.g = body(n_features, depth)
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def forward(self, u):
        z = self.V(u) + self.f(u)
        return _Clip.apply(self.D(z) + self.g(z), self.lower, self.upper)


def hand_written(X, body, depth, batch_size, epochs, *, one_cycle=False, fused=True):
    """Train with as little around the arithmetic as PyTorch allows: tensors in memory, fused Adam, no validation."""
    U, network = _prepare(X, body, depth)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=fused or None)
    n_steps = epochs * -(-len(U) // batch_size)
    schedule = (
        torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, n_steps)
        if one_cycle
        else None
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(U)).split(batch_size):
            u = U[rows]
            optimizer.zero_grad()
            (network(u) - u).square().mean().backward()
            optimizer.step()
            if schedule:
                schedule.step()


def skorch_defaults(X, body, depth, batch_size, epochs):
    """Train by a NeuralNet as skorch makes it, silent: its DataLoader over rows, its callbacks, torch's default Adam."""
    U, network = _prepare(X, body, depth)
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


def perceptron(n_features, hidden, depth):
    """Textbook autoencoder: ReLU in the hidden layers, a linear code, sigmoid output; the decoder mirrors the encoder."""
    encoder, decoder = (n_features, *hidden, depth), (depth, *hidden[::-1], n_features)
    return nn.Sequential(*_layers(encoder), *_layers(decoder), nn.Sigmoid())


def _layers(widths):
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def textbook(X, network, batch_size, epochs, *, after_epoch=lambda: None):
    """Train a network on rows to give them back, as tutorials do it: squared error, torch's default Adam."""
    X = torch.from_numpy(X)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            x = X[rows]
            optimizer.zero_grad()
            nn.functional.mse_loss(network(x), x).backward()
            optimizer.step()
        after_epoch()


def scikit_learn(X, hidden, depth, batch_size, epochs):
    """Train scikit-learn's MLPRegressor on rows to give them back, for all the epochs."""
    net = MLPRegressor(
        hidden_layer_sizes=(*hidden, depth, *hidden[::-1]),
        batch_size=batch_size,
        max_iter=epochs,
        n_iter_no_change=epochs,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is not meant to converge
        net.fit(X, X)


def _prepare(X, body, depth):
    """Standardised rows, and a network whose bounds are the range of all values."""
    X = torch.from_numpy(X)
    mean = X.mean(0)
    scale = (X - mean).square().mean().sqrt()
    lower, upper = ((bound - mean) / scale for bound in (X.min(), X.max()))
    return (X - mean) / scale, Network(body, X.shape[1], depth, lower, upper)
