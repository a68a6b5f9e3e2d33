"""The training loop, and the only place that knows skorch."""

import math
import signal
import threading
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, InputShapeSetter, PrintLog
from skorch.dataset import Dataset

from skae._warnings import warn_caller

FETCH = 1024  # rows fetched together, at least a batch
WARM_UP = 0.1  # share of the steps in which the learning rate rises to its peak
CLEAR = 2.0  # standard deviations by which more than half of the validation rows gain in an epoch that is kept
AVERAGED = 0.03  # share of the steps that the average of the weights looks back on
WIDE = 256  # inputs beyond which weights of the encoder decay, too
AUTO_STEPS, AUTO_EPOCHS = 3000, (5, 300)  # max_iter="auto": about this many gradient steps, within these epochs


class Batches:
    """Batches cut from an in-memory dataset by position, instead of row by row.

    Rows are fetched for several batches together, which spares the fixed cost of a fetch where batches are small.

    Parameters
    ----------
    dataset : object
        Gives a batch for an array of positions or a slice.
    batch_size : int
    rng : numpy.random.Generator or None, default=None
        Shuffles the rows anew in each epoch; None keeps their order.
    """

    def __init__(self, dataset, batch_size, rng=None):
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        order = np.arange(len(self.dataset)) if self.rng is None else self.rng.permutation(len(self.dataset))
        n_fetched = self.batch_size * max(1, FETCH // self.batch_size)
        for start in range(0, len(order), n_fetched):
            fetched = self.dataset[order[start : start + n_fetched]]
            yield from zip(*(tensor.split(self.batch_size) for tensor in fetched), strict=True)


class Averaging(Callback):
    """An exponential moving average of the weights.

    Near the peak of the learning rate the weights move about a better place than each of them: their average is what the
    fall of the rate would lead to, long before it falls.

    As ``torch.optim.swa_utils.AveragedModel``, which looks for the parameters at each update: that takes a twentieth of a
    fit where batches are small.

    Parameters
    ----------
    n_steps : int
        Length of the schedule. The average looks back on a share of it, in five steps or fewer, which makes it cheap.

    Attributes
    ----------
    module_ : torch.nn.Module
        With the averaged weights, in evaluation mode.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        horizon = AVERAGED * self.n_steps
        self._every = max(1, round(horizon / 5))
        self._share = min(1.0, self._every / horizon)  # of the latest weights
        self.module_ = deepcopy(net.module_).eval()
        self._averages, self._weights = (list(module.parameters()) for module in (self.module_, net.module_))
        self._steps = 0

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        self._steps += 1
        if self._steps % self._every == 0:
            share = 1.0 if self._steps == self._every else self._share
            for average, weight in zip(self._averages, self._weights, strict=True):
                average.lerp_(weight, share)


class OneCycle(Callback):
    """One-cycle learning rate: along cosines from a 25th of the peak up to it, and down to next to nothing.

    As ``torch.optim.lr_scheduler.OneCycleLR``, which computes each rate when it is due: that takes a tenth of a step where
    batches are small.

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
        return low / 1e4 + (self.peak - low / 1e4) * (1 + math.cos(math.pi * (step - top) / (end - top))) / 2


class WeightDecay(Callback):
    """Shrink weights at each step by `alpha`, times the share of its peak that the learning rate has.

    They are those of the decoder's residual path, and of the encoder's layers of so many inputs that they overfit. Narrower
    ones, as tables have, need the size of their weights.

    Parameters
    ----------
    alpha : float
    """

    def __init__(self, alpha):
        self.alpha = alpha

    def on_train_begin(self, net, **kwargs):
        encoder, decoder = net.module_.encoder.residual, net.module_.decoder.residual
        wide = (layer for layer in encoder if hasattr(layer, "weight") and layer.weight[0].numel() > WIDE)
        neighbours = [list(part.parameters()) for part in (*wide, decoder)]
        if isinstance(net.optimizer_, FlatAdam):
            self._weights = [net.optimizer_.flat_view(parameters) for parameters in neighbours]
        else:
            self._weights = [parameter for parameters in neighbours for parameter in parameters]

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
        Groups, as torch's optimisers take them.
    lr : float
    """

    def __init__(self, params, lr):
        super().__init__([group | {"params": [_join(group["params"])]} for group in params], lr, fused=True)

    def zero_grad(self, set_to_none=True):
        """Set gradients to zero, not to None: they are parts of a vector, too."""
        for group in self.param_groups:
            group["params"][0].grad.zero_()

    @staticmethod
    def flat_view(parameters):
        """One view of parameters that lie side by side in a vector; like them it is not frozen."""
        n_values = sum(p.numel() for p in parameters)
        return parameters[0].detach().as_strided((n_values,), (1,)).requires_grad_()


def _join(parameters):
    """A vector with a gradient, of which the parameters and their gradients are made parts."""
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, gradient in zip(parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True):
        p.data, p.grad = values.view_as(p), gradient.view_as(p)
    return vector


class Net(NeuralNet):
    """A skorch net without default callbacks that reads the loss off the device once an epoch."""

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        """Initialise the optimiser, if there is one: making it has torch import its compiler, which takes seconds."""
        if self.optimizer is None:
            return self
        try:
            return super().initialize_optimizer()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"optimizer={self.optimizer.__name__} does not suit: {error} Choose 'adam', or a class that takes parameters"
                " of any shape with lr."
            ) from error

    def notify(self, method_name, **kwargs):
        """Call the callbacks that have something to do then; skorch calls all, three times a batch."""
        if method_name == "on_train_begin" or not hasattr(self, "_hooks"):
            self._hooks = {}
        if method_name not in self._hooks:
            nothing = getattr(Callback, method_name, None)
            hooks = (getattr(callback, method_name) for _, callback in self.callbacks_)
            busy = [hook for hook in hooks if getattr(hook, "__func__", hook) is not nothing]
            self._hooks[method_name] = [getattr(self, method_name), *busy]
        for hook in self._hooks[method_name]:
            hook(self, **kwargs)

    def _set_training(self, training=True):
        # skorch does so before each batch, and it visits all layers.
        if self.module_.training != training:
            super()._set_training(training)

    def infer(self, x, **fit_params):
        """Reconstruct a batch."""
        return super().infer(x, **fit_params)[0]

    def module_in(self, dtype, device):
        """The module in a dtype and on a device; of another dtype than it was trained in, a copy that is kept."""
        if dtype == torch.float32:
            return self.module_
        if not hasattr(self, "_copies"):
            self._copies = {}
        if (dtype, device) not in self._copies:
            self._copies[dtype, device] = deepcopy(self.module_).to(device, dtype)
        return self._copies[dtype, device]

    def forget_copies(self):
        """Forget the copies that `module_in` keeps; what changes the weights has to call it."""
        self._copies = {}

    def train_step_single(self, batch, **fit_params):
        """Compute the loss and its gradient. The objective gets the module: code and output may have a say in it."""
        self._set_training(True)
        loss = self.criterion_(self.module_, *batch, **fit_params)
        loss.backward()
        return {"loss": loss, "y_pred": None}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Compute one epoch and record its mean loss; skorch's own waits for the device after each batch."""
        # One number that is added to: a list of numbers would break up the memory that batches leave.
        total, n_rows, n_batches = torch.zeros((), dtype=torch.float32, device=self.device), 0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            total.add_(step["loss"].detach(), alpha=len(batch[0]))
            n_rows, n_batches = n_rows + len(batch[0]), n_batches + 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_batch_count", n_batches)
        self.history.record(f"{prefix}_loss", float(total) / n_rows)


class EpochLog(PrintLog):
    """Print a line an epoch, the start included: loss, validation score, whether it is the best so far, seconds.

    What callbacks of the user record is printed too.
    """

    def __init__(self):
        super().__init__(keys_ignored=["valid_loss", "dur"])

    def on_epoch_end(self, net, **kwargs):
        if self.first_iteration_:
            self.first_iteration_ = False
            start = {"epoch": 0, "valid_score": net.baseline_score_, "valid_loss_best": True}
            self._sink(self.table(dict.fromkeys(net.history[-1]) | start), net.verbose)  # of the same columns
        super().on_epoch_end(net, **kwargs)

    def table(self, row):
        return super().table({**row, "event_best": row["valid_loss_best"], "event_seconds": row["dur"]})


class Curves(NamedTuple):
    """What a fit leaves beside the weights."""

    loss_curve: list
    validation_scores: list
    baseline_score: float
    best_iter: int


class Epochs:
    """Tells scikit-learn's callbacks of the epochs, which are subtasks of the fit.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the fit.
    told : dict
        What callbacks are told at each call: the estimator, and what they may ask for.
    fitted : callable
        Called with a net and :class:`Curves`, where a callback asks for the estimator as it would be fitted by an epoch.
    """

    def __init__(self, context, told, fitted):
        self.context = context
        self.told = told
        self.fitted = fitted

    def begin(self):
        self._epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(**self.told)

    def end(self, net, module, curves):
        """Whether a callback asks to stop. A copy of the net with the weights of `module` is made where one asks for it."""

        def attributes():
            snapshot = make_net(deepcopy(module), net.criterion, net.device)
            snapshot.history.extend(net.history)
            return self.fitted(snapshot, curves)

        return self._epoch.call_on_fit_task_end(**self.told, reconstruction_attributes=attributes)

    def end_unfitted(self):
        """End an epoch after which the weights are no longer numbers."""
        self._epoch.call_on_fit_task_end(**self.told)


@contextmanager
def ambient_state_set():
    """Gradients on and no automatic casting, whatever the caller's thread has set of torch."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        yield


def make_net(module, objective, device, optimizer=None, **settings):
    """An initialised skorch net around a module; without an optimiser it can be applied, but not trained."""
    return Net(
        module, objective, optimizer=optimizer, device=device, train_split=None, use_caching=False, **settings
    ).initialize()


def find_device(device):
    """The torch device of that name; "auto" is CUDA where it is there, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"device={device!r} is not available here: choose 'auto', 'cpu' or another device that torch can use."
        ) from error
    return torch.device(device)


def count_epochs(max_iter, batch_size, n_rows):
    """Length of the schedule for `n_rows` training rows."""
    if max_iter != "auto":
        return max_iter
    return int(np.clip(round(AUTO_STEPS / math.ceil(n_rows / min(batch_size, n_rows))), *AUTO_EPOCHS))


def training_settings(optimizer, learning_rate_init, alpha, batch_size, max_iter, n_rows, skorch_callbacks, verbose, rng):
    """Settings of the net for `n_rows` training rows: optimiser, one-cycle learning rate, batches, callbacks."""
    batch_size = min(batch_size, n_rows)
    max_epochs = count_epochs(max_iter, batch_size, n_rows)
    n_batches = math.ceil(n_rows / batch_size)
    n_steps = max(3, max_epochs * n_batches)  # the schedule divides by the lengths of its two phases
    for callback in skorch_callbacks or []:
        if not hasattr(callback[-1] if isinstance(callback, tuple) else callback, "on_train_begin"):
            raise ValueError(f"skorch_callbacks holds {callback!r}: give callbacks of skorch, or (name, callback) pairs.")
        if isinstance(callback[-1] if isinstance(callback, tuple) else callback, InputShapeSetter):
            raise ValueError(f"skorch_callbacks holds {callback!r}, which sets what `fit` has found in X: leave it out.")
    printing = [("timer", EpochTimer()), ("print_log", EpochLog())] if verbose else []
    return {
        "lr": learning_rate_init,
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "iterator_train": Batches,
        "iterator_train__rng": rng,
        "iterator_valid": Batches,
        "iterator_valid__batch_size": 1024,
        "callbacks": [
            *([("weight_decay", WeightDecay(alpha))] if alpha else []),  # at the step's rate, before the next one's is set
            ("learning_rate", OneCycle(n_steps, learning_rate_init)),
            ("averaging", Averaging(n_steps)),
            *(skorch_callbacks or []),
            *printing,
        ],
        "verbose": verbose,
        **_optimizer_settings(optimizer, skorch_callbacks),
    }


def _optimizer_settings(optimizer, skorch_callbacks):
    if optimizer != "adam":
        return {"optimizer": optimizer}
    if skorch_callbacks:  # which may freeze a parameter, or look for it in the optimiser
        return {"optimizer": torch.optim.Adam, "optimizer__fused": True}
    return {"optimizer": FlatAdam}


def fit_net(net, train, validation, *, rng, epochs):
    """Train for the net's `max_epochs` and keep the epoch with the best validation score, 0 included.

    The weights of an epoch are the average that :class:`Averaging` has at its end. An epoch is kept only where clearly more
    than half of the rows gain over epoch 0, and where no judged depth of ordered codes loses more than the objective
    tolerates. The score is the objective's.

    Parameters
    ----------
    net : Net
        Initialised; it holds the best weights afterwards, and is in evaluation mode.
    train, validation : Dataset
        Rows to train on and rows to choose the epoch by.
    rng : torch.Generator
        Of everything that the module draws.
    epochs : Epochs
        Told of each epoch; may end the training.

    Returns
    -------
    curves : Curves

    Warns
    -----
    ConvergenceWarning
        If a loss is no longer finite; training ends there.
    """
    batches, held_out = net.get_iterator(train, training=True), net.get_iterator(validation, training=False)
    objective = net.criterion_
    reference = objective.reference(held_out, len(validation))
    start_losses = _row_losses(net.module_.eval(), objective, held_out)
    tolerated = objective.tolerated(start_losses.mean(0), reference)
    net.baseline_score_ = baseline_score = best_score = objective.score(start_losses.mean().item(), reference)
    best_iter, best_weights = 0, deepcopy(net.module_.state_dict())
    loss_curve, validation_scores = [], []

    net.notify("on_train_begin", X=train, y=None)
    averaged = dict(net.callbacks_)["averaging"].module_
    for epoch in range(1, net.max_epochs + 1):
        epochs.begin()
        net.notify("on_epoch_begin", dataset_train=train, dataset_valid=validation)
        net.run_single_epoch(batches, training=True, prefix="train", step_fn=net.train_step, rng=rng)
        losses = _row_losses(averaged, objective, held_out)
        loss = losses.mean().item()
        score = objective.score(loss, reference)
        keeps_depths = bool((losses.mean(0) <= tolerated).all())
        better = score > best_score and keeps_depths and _is_clear((start_losses - losses).mean(1))
        loss_curve.append(net.history[-1, "train_loss"])
        validation_scores.append(score)
        if better:
            best_score, best_iter, best_weights = score, epoch, deepcopy(averaged.state_dict())
        for name, value in {"valid_loss": loss, "valid_loss_best": better, "valid_score": score}.items():
            net.history.record(name, value)
        if not (math.isfinite(loss_curve[-1]) and math.isfinite(score)):
            warn_caller(
                f"The loss is no longer finite after epoch {epoch} (training {loss_curve[-1]}, validation {loss}); the"
                f" weights of epoch {best_iter} are kept. A smaller learning_rate_init than {net.lr:g} may help.",
                ConvergenceWarning,
            )
            epochs.end_unfitted()
            break
        curves = Curves([*loss_curve], [*validation_scores], baseline_score, best_iter)  # of a fit that goes on
        stops = _asks_to_stop(net, dataset_train=Scored(train), dataset_valid=Scored(validation))
        if epochs.end(net, averaged, curves) or stops:
            break
    net.notify("on_train_end", X=train, y=None)

    net.module_.eval().load_state_dict(best_weights)
    return Curves(loss_curve, validation_scores, baseline_score, best_iter)


def _row_losses(module, objective, iterator):
    """Loss of each sample at each depth that counts, on the host in float64, which not every device has."""
    with torch.no_grad():
        losses = torch.cat([objective.of_rows(module, u, target) for u, target in iterator])
    return losses.numpy(force=True).astype(np.float64)


def _is_clear(gains):
    """Whether more validation rows gain over the start than chance would have it (sign test).

    With few rows, one of many epochs scores better by luck alone; what is sure is the start. Counting rows does what the
    standard error of the mean gain does not: it holds where a few outliers make up most of the mean. Fewer than five
    samples never choose.
    """
    n = len(gains)
    return (gains > 0).sum() > n / 2 + CLEAR * math.sqrt(n) / 2


def _asks_to_stop(net, **datasets):
    """Whether a callback ends the training; skorch's do so by a KeyboardInterrupt, which is caught nowhere else."""
    with _noted_interrupts() as interrupts:
        try:
            net.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            if interrupts:  # by the user, not by a callback
                raise
            return True
    return False


@contextmanager
def _noted_interrupts():
    """A list of the signals of an interrupt that come meanwhile; the handler that is there does what it does."""
    interrupts, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupts  # which no signal interrupts
        return

    def note(signum, frame):
        interrupts.append(signum)
        before(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


class Scored(Dataset):
    """A dataset as callbacks of skorch that score it have it: `X`, which the net predicts from, and the target `y`."""

    def __init__(self, dataset):
        self.X = dataset

    def __len__(self):
        return len(self.X)

    @property
    def y(self):
        batches = Batches(self.X, FETCH)
        return torch.cat([target.cpu() for _, target in batches]).numpy()
