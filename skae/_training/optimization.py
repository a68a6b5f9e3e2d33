"""Optimization: Adam, the learning rate, weight decay and the moving average of the weights."""

import math
from copy import deepcopy
from glob import escape

import torch
from skorch.callbacks import Callback

WARM_UP = 0.1  # fraction of the steps in which the learning rate rises to its peak
EMA_HORIZON = 0.03  # time constant of the moving average, as a fraction of the steps
MIN_DECAYED_FAN_IN = 256  # layers of the encoder with more inputs have weight decay
# Layers with more inputs have a lower rate. The default rate was chosen for layers with at most as
# many, which are those of convolutional networks for images of 28 x 28 pixels.
FULL_RATE_FAN_IN = 3136


class Averaging(Callback):
    """Exponential moving average of the weights.

    Near the peak of the learning rate, the weights oscillate around a point that is better than
    each of them. Their average is close to this point long before the rate falls.

    The average is that of ``torch.optim.swa_utils.AveragedModel``, which collects the parameters at
    each update. With small batches, this would take a twentieth of the time of a fit. Buffers that
    training changes, such as the statistics of batch normalization, are averaged with them.

    Parameters
    ----------
    n_steps : int
        Length of the schedule. The time constant of the average is a fraction of it. To save time,
        the average is updated about five times within the time constant.

    Attributes
    ----------
    module_ : torch.nn.Module
        Module with the averaged weights, in evaluation mode.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        horizon = EMA_HORIZON * self.n_steps
        self._every = max(1, round(horizon / 5))
        self._weight = min(1.0, self._every / horizon)  # weight of the latest weights
        self._steps = 0
        if net.max_epochs:
            self.module_ = deepcopy(net.module_).eval()
            modules = self.module_, net.module_
            self._averages, self._weights = (list(module.parameters()) for module in modules)
            self._buffers = list(zip(*map(_residual_buffers, modules), strict=True))

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        self._steps += 1
        if self._steps % self._every == 0:
            weight = 1.0 if self._steps == self._every else self._weight
            for average, latest in zip(self._averages, self._weights, strict=True):
                average.lerp_(latest, weight)
            for average, latest in self._buffers:
                if average.is_floating_point():
                    average.lerp_(latest, weight)
                else:
                    average.copy_(latest)


def _residual_buffers(module):
    """Buffers of modules of the user, such as the statistics of batch normalization."""
    # The others are constants, such as bounds, which may be infinite.
    return [buffer for name, buffer in module.named_buffers() if ".residual." in name]


class GradientSum(Callback):
    """Sum of the gradients of all processes of a group.

    Parameters
    ----------
    group : object
        Group of processes; see :mod:`skae._data.group`.
    """

    def __init__(self, group):
        self.group = group

    def on_grad_computed(self, net, **kwargs):
        weights = [
            weight
            for group in net.optimizer_.param_groups
            for weight in group["params"]
            if weight.requires_grad
        ]
        for weight in weights:
            if weight.grad is None:  # this process takes no sample in this step
                weight.grad = torch.zeros_like(weight)
        self.group.sum_tensors([weight.grad for weight in weights])


class OneCycle(Callback):
    """One-cycle learning rate.

    Along cosines, the rate rises from a 25th of its peak to the peak, and falls to almost zero.
    The rates are those of ``torch.optim.lr_scheduler.OneCycleLR``, which would take a tenth of the
    time of a step with small batches. The peak of each group of parameters is the rate that the
    optimizer was made with, which is noted as the schedules of torch do.

    Parameters
    ----------
    n_steps : int
        Length of the schedule, at least 3.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        self._step = 0
        for group in net.optimizer_.param_groups:
            group["initial_lr"] = group["lr"]
        self._set_next(net)

    def on_batch_end(self, net, **kwargs):
        self._set_next(net)

    def _set_next(self, net):
        if self._step < self.n_steps:  # there is no rate after the last step
            fraction = self._fraction(self._step)
            for group in net.optimizer_.param_groups:
                group["lr"] = fraction * group["initial_lr"]
        self._step += 1

    def _fraction(self, step):
        """Rate of a step as a fraction of the peak."""
        first, top, end = 1 / 25, max(WARM_UP * self.n_steps, 2) - 1, self.n_steps - 1
        if step <= top:
            return 1 + (first - 1) * (1 + math.cos(math.pi * step / top)) / 2
        last = first / 1e4
        return last + (1 - last) * (1 + math.cos(math.pi * (step - top) / (end - top))) / 2


class WeightDecay(Callback):
    """Weight decay that is proportional to the learning rate.

    At each step, weights and biases are multiplied by ``1 - alpha * lr / peak``: those of the
    decoder's residual path, and those of layers of the encoder's residual path that have many
    inputs, which overfit. Layers with fewer inputs, as for tabular data, need large weights.

    Parameters
    ----------
    alpha : float
        Strength of the weight decay.
    """

    def __init__(self, alpha):
        self.alpha = alpha

    def on_train_begin(self, net, **kwargs):
        encoder, decoder = net.module_.encoder.residual, net.module_.decoder.residual
        wide = (layer for layer in encoder.modules() if _fan_in(layer) > MIN_DECAYED_FAN_IN)
        decayed = (p for part in (*wide, decoder) for p in part.parameters())
        self._weights = list(dict.fromkeys(decayed))  # encoder and decoder may share some
        if isinstance(net.optimizer_, FlatAdam):
            self._weights = net.optimizer_.flat_views(p for p in self._weights if p.requires_grad)

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        group = net.optimizer_.param_groups[0]  # in all groups, the ratio is the same
        factor = 1 - self.alpha * group["lr"] / group["initial_lr"]
        for weight in self._weights:
            if weight.requires_grad:  # a callback may have frozen parameters
                weight.mul_(factor)


class FlatAdam(torch.optim.Adam):
    """Adam on one vector for each group of parameters, which become views of it.

    A step then needs only few kernels, however many parameters there are.

    Parameters
    ----------
    params : list of dict
        Groups of parameters, in the form that optimizers of torch accept.
    lr : float
        Learning rate.
    """

    def __init__(self, params, lr):
        super().__init__(
            [group | {"params": [_join(group["params"])]} for group in params], lr, fused=True
        )

    def zero_grad(self, set_to_none=True):
        """Set gradients to zero, never to None, as they are views of a vector, too."""
        for group in self.param_groups:
            group["params"][0].grad.zero_()

    @staticmethod
    def flat_views(parameters):
        """Views of parameters, of which those that are adjacent in a vector are one."""
        views = []
        for p in parameters:
            start, n_values = p.storage_offset(), p.numel()
            if views and views[-1][1] == start and _share_memory(views[-1][2], p):
                views[-1][1] += n_values
            else:
                views.append([start, start + n_values, p])
        return [
            p.detach().as_strided((end - start,), (1,)).requires_grad_() for start, end, p in views
        ]


def _share_memory(p, q):
    """Whether two parameters are views of one vector: each group has its own."""
    return p.untyped_storage().data_ptr() == q.untyped_storage().data_ptr()


def _fan_in(layer):
    """Number of inputs of each output of a layer, 0 for one that has no matrix of weights."""
    weight = getattr(layer, "weight", None)
    return weight[0].numel() if isinstance(weight, torch.nn.Parameter) and weight.ndim > 1 else 0


def _join(parameters):
    """Make a vector with a gradient, and turn parameters and their gradients into views of it."""
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, gradient in zip(
        parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True
    ):
        p.data, p.grad = values.view_as(p), gradient.view_as(p)
    return vector


def optimizer_settings(optimizer, learning_rate_init, module, skorch_callbacks):
    """Settings of the net for an optimizer, given by its name or class."""
    if optimizer != "adam":
        return {"optimizer": optimizer}
    groups = {"optimizer__param_groups": _slower_groups(module, learning_rate_init)}
    if skorch_callbacks:  # they may freeze a parameter, or look it up in the optimizer
        return {"optimizer": torch.optim.Adam, "optimizer__fused": True, **groups}
    return {"optimizer": FlatAdam, **groups}


def _slower_groups(module, learning_rate_init):
    """Parameters with a lower learning rate, in the form that skorch expects: patterns of names.

    A step of Adam changes each weight by about the rate, and the output of a layer by about the
    rate times its number of inputs. From a fan-in on, the rate of a layer's weights is therefore
    inversely proportional to it, as in the maximal update parametrization [1]_.

    References
    ----------
    .. [1] Yang, G. et al. (2022). Tensor Programs V: Tuning large neural networks via zero-shot
       hyperparameter transfer. arXiv:2203.03466.
    """
    return [
        (
            f"{escape(name)}.weight",
            {"lr": learning_rate_init * FULL_RATE_FAN_IN / _fan_in(layer)},
        )
        for name, layer in module.named_modules()
        if _fan_in(layer) > FULL_RATE_FAN_IN
    ]
