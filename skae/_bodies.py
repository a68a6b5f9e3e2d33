"""Residual paths: the nonlinear part of the encoder and of the decoder.

A body is a pair ``(f, g)`` of modules, ``f`` from features to code and ``g`` from code to features.
It knows sizes and activations, nothing of losses, data or training.
"""

from itertools import pairwise

from torch import nn

ACTIVATIONS = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def dense(n_features, n_components, hidden_layer_sizes, activation):
    """Fully connected residual paths; the decoder's mirrors the encoder's."""
    widths = (n_features, *hidden_layer_sizes, n_components)
    return _perceptron(widths, activation), _perceptron(widths[::-1], activation)


def _perceptron(widths, activation):
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])  # the last layer is linear
