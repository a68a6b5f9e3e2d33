"""The training loop, which fits a net and keeps its best epoch."""

import math
import signal
import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import EpochTimer, InputShapeSetter

from skae._nn.objectives import validation_losses
from skae._training.net import Batches, Scored
from skae._training.optimization import (
    Averaging,
    GradientSum,
    OneCycle,
    WeightDecay,
    optimizer_settings,
)
from skae._training.progress import Curves, EpochLog
from skae._warnings import warn_caller

# Critical value of the sign test: the number of standard deviations by which more than half of the
# validation samples have to improve in an epoch that is kept.
SIGN_TEST_Z = 2.0
# With max_iter="auto", training has about this many gradient steps, and epochs within this range.
AUTO_STEPS, AUTO_EPOCHS = 3000, (5, 300)
# It ends early after this fraction of its epochs, and at least this many, without a higher score.
# Where the network has begun to overfit, the falling learning rate does not help any more.
AUTO_NO_CHANGE, MIN_NO_CHANGE = 0.15, 10
# Shorter training is a trial, of which nobody expects much: that it keeps epoch 0 is no surprise.
MANY_EPOCHS, MANY_STEPS = 20, 1000
# A validation set with at most this many values is kept in memory, as the network reads it.
MAX_KEPT_VALUES = 2**22


def count_epochs(max_iter, batch_size, n_samples):
    """Number of epochs of the schedule for `n_samples` training samples."""
    if max_iter != "auto":
        return max_iter
    return int(
        np.clip(round(AUTO_STEPS / math.ceil(n_samples / min(batch_size, n_samples))), *AUTO_EPOCHS)
    )


def count_no_change(max_iter, n_epochs):
    """Number of epochs in a row without a higher score after which training ends, None if never."""
    return None if max_iter != "auto" else max(MIN_NO_CHANGE, math.ceil(AUTO_NO_CHANGE * n_epochs))


def training_settings(
    module,
    optimizer,
    learning_rate_init,
    alpha,
    batch_size,
    max_iter,
    n_samples,
    skorch_callbacks,
    verbose,
    rng,
    group,
):
    """Settings of the net of a module for `n_samples` training samples of a group of processes.

    They comprise the optimizer, the one-cycle learning rate, the batches and the callbacks.
    """
    batch_size = min(batch_size, n_samples)
    max_epochs = count_epochs(max_iter, batch_size, n_samples)
    n_batches = math.ceil(n_samples / batch_size)
    # With fewer than 3 steps, a phase of the schedule would have length 0, by which it divides.
    n_steps = max(3, max_epochs * n_batches)
    for callback in skorch_callbacks or []:
        if not hasattr(callback[-1] if isinstance(callback, tuple) else callback, "on_train_begin"):
            raise ValueError(
                f"skorch_callbacks contains {callback!r}: each entry must be a callback of skorch,"
                " or a pair (name, callback)."
            )
        if isinstance(callback[-1] if isinstance(callback, tuple) else callback, InputShapeSetter):
            raise ValueError(
                f"skorch_callbacks contains {callback!r}, which sets the input size of the network:"
                " remove it, as `fit` takes the size from X."
            )
    printing = [("timer", EpochTimer()), ("print_log", EpochLog())] if verbose else []
    return {
        "lr": learning_rate_init,
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "iterator_train": Batches,
        "iterator_train__rng": rng,
        "iterator_valid": Batches,
        "iterator_valid__batch_size": None,
        "callbacks": [
            *([("gradient_sum", GradientSum(group))] if group.size > 1 else []),
            # Weight decay uses the rate of the current step, before the next rate is set.
            *([("weight_decay", WeightDecay(alpha))] if alpha else []),
            ("learning_rate", OneCycle(n_steps)),
            ("averaging", Averaging(n_steps)),
            *(skorch_callbacks or []),
            *printing,
        ],
        "verbose": verbose,
        **optimizer_settings(optimizer, learning_rate_init, module, skorch_callbacks),
    }


def fit_net(net, train, validation, *, rng, epochs, n_iter_no_change=None):
    """Train a net for its `max_epochs` and keep the epoch with the best validation score.

    Epoch 0, the state before training, may be the best. Another epoch is eligible only if
    significantly more than half of the validation samples have a lower loss than at epoch 0, and if
    no validated prefix of ordered codes has a higher loss than the objective allows. The score is
    that of the objective, and the weights of an epoch are the moving average at its end; see
    :class:`Averaging <skae._training.optimization.Averaging>`.

    Parameters
    ----------
    net : Net
        Initialized net. Afterwards, it has the best weights and is in evaluation mode.
    train, validation : skae._data.datasets.SampleDataset
        Training samples, and the validation set, which selects the epoch.
    rng : torch.Generator
        Generator of the random numbers that the module uses.
    epochs : Epochs
        Object that is called before and after each epoch, and may end the training.
    n_iter_no_change : int or None, default=None
        Number of epochs in a row without a new highest score after which training ends. None trains
        for all epochs.

    Returns
    -------
    curves : Curves
        Losses and scores of the epochs.

    Raises
    ------
    ValueError
        If the validation score of epoch 0 is not finite.

    Warns
    -----
    ConvergenceWarning
        If a loss is no longer finite, where training ends, or if epoch 0 is kept after many others.
    """
    batches, group = net.get_iterator(train, training=True), validation.group
    judge = _Judge(net, validation)
    net.baseline_score_ = judge.baseline_score
    best_iter, best_weights = 0, _copied_weights(net.module_)
    loss_curve, validation_scores = [], []

    net.notify("on_train_begin", X=train, y=None)
    for epoch in range(1, net.max_epochs + 1):
        epochs.begin()
        net.notify("on_epoch_begin", dataset_train=train, dataset_valid=validation)
        net.run_single_epoch(
            batches, training=True, prefix="train", step_fn=net.train_step, rng=rng
        )
        averaged = dict(net.callbacks_)["averaging"].module_
        group.broadcast(list(averaged.buffers()))
        loss, score, is_best = judge.evaluate(averaged)
        if is_best:
            best_iter, best_weights = epoch, _copied_weights(averaged)
        loss_curve.append(net.history[-1, "train_loss"])
        validation_scores.append(score)
        for name, value in {
            "valid_loss": loss,
            "valid_loss_best": is_best,
            "valid_score": score,
        }.items():
            net.history.record(name, value)
        if not (math.isfinite(loss_curve[-1]) and math.isfinite(score)):
            warn_caller(
                f"The loss is no longer finite after epoch {epoch} (training {loss_curve[-1]},"
                f" validation {loss}). The weights of epoch {best_iter} are kept. A smaller"
                f" learning_rate_init than {net.lr:g} may help.",
                ConvergenceWarning,
            )
            epochs.end_unfitted()
            break
        # Copy the lists, which grow in later epochs.
        curves = Curves([*loss_curve], [*validation_scores], judge.baseline_score, best_iter)
        stops = _asks_to_stop(net, dataset_train=Scored(train), dataset_valid=Scored(validation))
        stops = epochs.end(net, averaged, curves) or stops
        if any(group.gather(bool(stops))) or judge.n_iter_no_change == n_iter_no_change:
            break
    net.notify("on_train_end", X=train, y=None)
    net.module_.eval().load_state_dict(best_weights)
    curves = Curves(loss_curve, validation_scores, judge.baseline_score, best_iter)
    _warn_of_no_gain(
        curves, n_steps=len(loss_curve) * len(batches), n_validation=validation.n_samples
    )
    return curves


class _Judge:
    """Comparison of epochs on a validation set.

    Parameters
    ----------
    net : Net
        Net at epoch 0, with which the others are compared.
    validation : skae._data.datasets.SampleDataset
        Validation set.

    Attributes
    ----------
    baseline_score : float
        Score of epoch 0.
    n_iter_no_change : int
        Number of epochs since the last one with a score above all before, eligible or not.
    """

    def __init__(self, net, validation):
        self._batches = _kept(net.get_iterator(validation, training=False))
        self._objective, self._group = net.criterion_, validation.group
        self._reference = self._objective.reference(self._batches, self._group)
        self._weights = _weights_of(self._batches)
        self._start_losses = _losses_of(net.module_.eval(), self._objective, self._batches)
        means = _means(self._start_losses, self._weights, self._group)
        self._max_losses = self._objective.max_losses(means, self._reference)
        _, self.baseline_score = self._score(self._start_losses)
        if not math.isfinite(self.baseline_score):
            raise ValueError(
                "X cannot be trained on: before the first epoch, the validation score is"
                f" {self.baseline_score}. Rescale its columns, for instance with"
                " sklearn.preprocessing.StandardScaler."
            )
        self._best_score = self._highest_score = self.baseline_score
        self.n_iter_no_change = 0

    def evaluate(self, module):
        """Loss and score of an epoch, and whether it is the best eligible one so far."""
        losses = _losses_of(module, self._objective, self._batches)
        loss, score = self._score(losses)
        means = _means(losses, self._weights, self._group)
        gains = (self._start_losses - losses).mean(1)
        is_eligible = bool((means <= self._max_losses).all()) and _is_significant(
            gains, self._weights, self._group
        )
        is_best = is_eligible and score > self._best_score
        if is_best:
            self._best_score = score
        self.n_iter_no_change = 0 if score > self._highest_score else self.n_iter_no_change + 1
        self._highest_score = max(score, self._highest_score)
        return loss, score, is_best

    def _score(self, losses):
        loss = _mean(losses, self._weights, self._group)
        return loss, self._objective.score(loss, self._reference)


def _warn_of_no_gain(curves, n_steps, n_validation):
    """Warn of a long fit that keeps epoch 0."""
    n_epochs = len(curves.loss_curve)
    is_finite = np.isfinite(curves.loss_curve + curves.validation_scores).all()
    if curves.best_iter == 0 and is_finite and (n_epochs >= MANY_EPOCHS or n_steps >= MANY_STEPS):
        warn_caller(
            f"Epoch 0, at which training starts, is kept after {n_epochs} epochs: no later one is"
            f" significantly better on a validation set of size {n_validation}. On a larger"
            " one, a smaller gain is significant: give more samples (in X_val, if you pass it), or"
            " try validation_fraction=0.2 or None. If that changes nothing, a linear model such as"
            " PCA is the simpler choice for these data.",
            ConvergenceWarning,
        )


def _kept(batches):
    """Batches of a validation set: in memory where it is small, else prepared in each epoch.

    Samples from all over a stream are kept, too: each epoch would have to read all of it.
    """
    dataset = batches.dataset
    is_small = len(dataset) * dataset.source.shape[1] <= MAX_KEPT_VALUES
    is_scattered = dataset.source.is_streamed and dataset.positions is not None
    return list(batches) if is_small or is_scattered else batches


def _copied_weights(module):
    return {name: weight.clone() for name, weight in module.state_dict().items()}


def _losses_of(module, objective, batches):
    """Loss of each sample for each validated prefix (n, n_prefixes).

    It is converted to float64 on the host, as not every device supports float64.
    """
    with torch.no_grad():
        losses = [validation_losses(module, objective, batch) for batch in batches]
    if not losses:  # all validation samples belong to other processes
        return np.empty((0, len(module.latent.validation_masks)))
    return torch.cat(losses).numpy(force=True).astype(np.float64)


def _weights_of(batches):
    """Weights of the samples, or None where all are 1."""
    weights = [batch.weight for batch in batches]
    if not weights or weights[0] is None:
        return None
    return torch.cat(weights).numpy(force=True).astype(np.float64)


def _means(losses, weights, group):
    """Mean loss for each prefix, over the samples of all processes."""
    if weights is None:
        return group.sum(losses.sum(0)) / group.sum(len(losses))
    return group.sum(weights @ losses) / group.sum(weights.sum())


def _mean(losses, weights, group):
    """Mean loss over samples and prefixes."""
    if weights is None:
        return float(group.sum(losses.sum()) / group.sum(losses.size))
    return float(_means(losses, weights, group).mean())


def _is_significant(gains, weights, group):
    """Whether significantly more than half of the validation samples improve (sign test).

    With few samples, one of many epochs scores better than the start by chance alone. The test
    counts samples, so it remains valid where a few outliers dominate the mean gain, unlike one that
    uses the standard error of the mean. With fewer than five samples, it is never significant.
    """
    # Ties carry no information, as where no value of a sample is observed.
    w = np.where(gains == 0, 0.0, 1.0 if weights is None else weights)
    improved, total, squares = group.sum(np.array([w @ (gains > 0), w.sum(), np.square(w).sum()]))
    # If each sample improved with probability 1/2, the sum would have this standard deviation.
    return improved > total / 2 + SIGN_TEST_Z * math.sqrt(squares) / 2


def _asks_to_stop(net, **datasets):
    """Call the callbacks at the end of an epoch, and return whether one of them ends the training.

    Callbacks of skorch end it by a KeyboardInterrupt. One that the user causes is raised.
    """
    with _noted_interrupts() as interrupts:
        try:
            net.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            if interrupts:  # it came from the user, not from a callback
                raise
            return True
    return False


@contextmanager
def _noted_interrupts():
    """Context manager that lists the interrupt signals, which still reach their handler."""
    interrupts, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupts  # signals do not interrupt this thread, or no handler is called
        return

    def note(signum, frame):
        interrupts.append(signum)
        before(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
