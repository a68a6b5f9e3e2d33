"""Random numbers of modules of the user, from a generator of their own.

Modules of torch draw from the global generator of the process, both when they are made and, as
dropout, when they are trained. To seed it for them would change it for other threads, too.
"""

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Functions that make floating-point tensors of the default dtype of the process.
_MAKERS = {
    torch.empty,
    torch.eye,
    torch.linspace,
    torch.ones,
    torch.rand,
    torch.randn,
    torch.zeros,
}
_WITH_GENERATOR = {
    torch.bernoulli,
    torch.multinomial,
    torch.normal,
    torch.poisson,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.randperm,
    torch.Tensor.bernoulli,
    torch.Tensor.bernoulli_,
    torch.Tensor.cauchy_,
    torch.Tensor.exponential_,
    torch.Tensor.geometric_,
    torch.Tensor.log_normal_,
    torch.Tensor.multinomial,
    torch.Tensor.normal_,
    torch.Tensor.random_,
    torch.Tensor.uniform_,
}


class Draws(TorchFunctionMode):
    """Context manager in which the random functions of torch use a generator, in this thread only.

    It serves all of them that take a generator, the initializations of ``torch.nn.init``,
    `rand_like` and `randn_like`, and dropout of values and of channels. Tensors are float32,
    whatever the default dtype of the process.

    Parameters
    ----------
    rng : torch.Generator
        Generator, on the device of the tensors that are drawn.
    """

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = {} if kwargs is None else kwargs
        if func in _REPLACED:
            return _REPLACED[func](self.rng, *args, **kwargs)
        # Those of torch.nn.init have the argument, too.
        if func in _WITH_GENERATOR or "generator" in kwargs:
            kwargs = kwargs | {"generator": kwargs.get("generator") or self.rng}
        if func in _MAKERS and kwargs.get("dtype") is None and kwargs.get("out") is None:
            kwargs = kwargs | {"dtype": torch.float32}
        return func(*args, **kwargs)


def _rand_like(rng, x, **kwargs):
    return torch.empty_like(x, **kwargs).uniform_(generator=rng)


def _randn_like(rng, x, **kwargs):
    return torch.empty_like(x, **kwargs).normal_(generator=rng)


def _dropout(rng, x, p=0.5, training=True, inplace=False, n_axes=None):
    """Dropout of the values of x, or of all values that share the first `n_axes` axes."""
    if not training or not p:
        return x
    shape = x.shape if n_axes is None else (*x.shape[:n_axes], *[1] * (x.ndim - n_axes))
    kept = x.new_empty(shape).bernoulli_(1 - p, generator=rng)
    kept = kept / (1 - p) if p < 1 else kept
    return x.mul_(kept) if inplace else x * kept


def _dropout_of_channels(rng, x, p=0.5, training=True, inplace=False):
    return _dropout(rng, x, p, training, inplace, n_axes=2)


_REPLACED = {
    F.dropout: _dropout,
    F.dropout1d: _dropout_of_channels,
    F.dropout2d: _dropout_of_channels,
    F.dropout3d: _dropout_of_channels,
    torch.rand_like: _rand_like,
    torch.randn_like: _randn_like,
}
