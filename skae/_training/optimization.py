"""Optimization: Adam on few vectors, the learning rate, the decay and the average of the weights."""

import math
from copy import deepcopy

import torch
from skorch.callbacks import Callback

WARM_UP = 0.1  # fraction of the steps in which the learning rate rises to its peak
EMA_HORIZON = 0.03  # fraction of the steps that the average of the weights looks back on
MIN_DECAYED_FAN_IN = 256  # inputs beyond which weights of the encoder decay, too


class Averaging(Callback):
    """An exponential moving average of the weights.

    Near the peak of the learning rate the weights move about a better place than each of them:
    their average is what the fall of the rate would lead to, long before it falls.

    As ``torch.optim.swa_utils.AveragedModel``, which looks for the parameters at each update: that
    takes a twentieth of a fit where batches are small.

    Parameters
    ----------
    n_steps : int
        Length of the schedule. The average looks back on a fraction of it, in five steps or fewer,
        which makes it cheap.

    Attributes
    ----------
    module_ : torch.nn.Module
        With the averaged weights, in evaluation mode.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        horizon = EMA_HORIZON * self.n_steps
        self._every = max(1, round(horizon / 5))
        self._weight = min(1.0, self._every / horizon)  # of the latest weights
        self._steps = 0
        if net.max_epochs:
            self.module_ = deepcopy(net.module_).eval()
            self._averages, self._weights = (
                list(module.parameters()) for module in (self.module_, net.module_)
            )

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        self._steps += 1
        if self._steps % self._every == 0:
            weight = 1.0 if self._steps == self._every else self._weight
            for average, latest in zip(self._averages, self._weights, strict=True):
                average.lerp_(latest, weight)


class OneCycle(Callback):
    """One-cycle learning rate: along cosines from a 25th of the peak up to it, and down to next to nothing.

    As ``torch.optim.lr_scheduler.OneCycleLR``, which computes each rate when it is due: that takes
    a tenth of a step where batches are small.

    Parameters
    ----------
    n_steps : int
        Length of the schedule, at least 3.
    peak : float
    """

    def __init__(self, n_steps, peak):
        self.n_steps = n_steps
        self.peak = peak

    def on_train_begin(self, net, **kwargs):
        self._step = 0
        self._set_next(net)

    def on_batch_end(self, net, **kwargs):
        self._set_next(net)

    def _set_next(self, net):
        if self._step < self.n_steps:  # there is no rate after the last step
            rate = self._rate(self._step)
            for group in net.optimizer_.param_groups:
                group["lr"] = rate
        self._step += 1

    def _rate(self, step):
        low, top, end = self.peak / 25, max(WARM_UP * self.n_steps, 2) - 1, self.n_steps - 1
        if step <= top:
            return self.peak + (low - self.peak) * (1 + math.cos(math.pi * step / top)) / 2
        return (
            low / 1e4
            + (self.peak - low / 1e4) * (1 + math.cos(math.pi * (step - top) / (end - top))) / 2
        )


class WeightDecay(Callback):
    """Shrink weights at each step by `alpha`, times the fraction of its peak that the learning rate has.

    They are those of the decoder's residual path, and of the encoder's layers with many inputs,
    which overfit. Narrower ones, as tabular data have, need the size of their weights.

    Parameters
    ----------
    alpha : float
    """

    def __init__(self, alpha):
        self.alpha = alpha

    def on_train_begin(self, net, **kwargs):
        encoder, decoder = net.module_.encoder.residual, net.module_.decoder.residual
        wide = (
            layer
            for layer in encoder
            if hasattr(layer, "weight") and layer.weight[0].numel() > MIN_DECAYED_FAN_IN
        )
        neighbors = [list(part.parameters()) for part in (*wide, decoder)]
        if isinstance(net.optimizer_, FlatAdam):
            self._weights = [net.optimizer_.flat_view(parameters) for parameters in neighbors]
        else:
            self._weights = [parameter for parameters in neighbors for parameter in parameters]

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        factor = 1 - self.alpha * net.optimizer_.param_groups[0]["lr"] / net.lr
        for weight in self._weights:
            if weight.requires_grad:  # a callback may have frozen some, or all
                weight.mul_(factor)


class FlatAdam(torch.optim.Adam):
    """Adam on one vector for each group of parameters, of which they become parts: few kernels, however many there are.

    Parameters
    ----------
    params : list of dict
        Groups, as torch's optimizers take them.
    lr : float
    """

    def __init__(self, params, lr):
        super().__init__(
            [group | {"params": [_join(group["params"])]} for group in params], lr, fused=True
        )

    def zero_grad(self, set_to_none=True):
        """Set gradients to zero, not to None: they are parts of a vector, too."""
        for group in self.param_groups:
            group["params"][0].grad.zero_()

    @staticmethod
    def flat_view(parameters):
        """One view of parameters that lie next to each other in a vector; like them it is not frozen."""
        n_values = sum(p.numel() for p in parameters)
        return parameters[0].detach().as_strided((n_values,), (1,)).requires_grad_()


def _join(parameters):
    """A vector with a gradient, of which the parameters and their gradients are made parts."""
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, gradient in zip(
        parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True
    ):
        p.data, p.grad = values.view_as(p), gradient.view_as(p)
    return vector


def optimizer_settings(optimizer, skorch_callbacks):
    """Settings of the net for the optimizer of that name, or class."""
    if optimizer != "adam":
        return {"optimizer": optimizer}
    if skorch_callbacks:  # which may freeze a parameter, or look for it in the optimizer
        return {"optimizer": torch.optim.Adam, "optimizer__fused": True}
    return {"optimizer": FlatAdam}
