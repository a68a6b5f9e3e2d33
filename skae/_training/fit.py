"""The training loop: fit a net and keep its best epoch."""

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
from skae._training.optimization import Averaging, OneCycle, WeightDecay, optimizer_settings
from skae._training.progress import Curves, EpochLog
from skae._warnings import warn_caller

# Standard deviations by which more than half of the validation set gains in an epoch that is kept.
SIGN_TEST_Z = 2.0
# Max_iter="auto": about this many gradient steps, within these epochs.
AUTO_STEPS, AUTO_EPOCHS = 3000, (5, 300)


def count_epochs(max_iter, batch_size, n_samples):
    """Length of the schedule for `n_samples` training samples."""
    if max_iter != "auto":
        return max_iter
    return int(
        np.clip(round(AUTO_STEPS / math.ceil(n_samples / min(batch_size, n_samples))), *AUTO_EPOCHS)
    )


def training_settings(
    optimizer,
    learning_rate_init,
    alpha,
    batch_size,
    max_iter,
    n_samples,
    skorch_callbacks,
    verbose,
    rng,
):
    """Settings of the net for `n_samples` training samples: optimizer, one-cycle learning rate, batches, callbacks."""
    batch_size = min(batch_size, n_samples)
    max_epochs = count_epochs(max_iter, batch_size, n_samples)
    n_batches = math.ceil(n_samples / batch_size)
    # The schedule divides by the lengths of its two phases.
    n_steps = max(3, max_epochs * n_batches)
    for callback in skorch_callbacks or []:
        if not hasattr(callback[-1] if isinstance(callback, tuple) else callback, "on_train_begin"):
            raise ValueError(
                f"skorch_callbacks holds {callback!r}: give callbacks of skorch, or (name, callback) pairs."
            )
        if isinstance(callback[-1] if isinstance(callback, tuple) else callback, InputShapeSetter):
            raise ValueError(
                f"skorch_callbacks holds {callback!r}, which sets what `fit` has found in X: leave it out."
            )
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
            # At the step's rate, before the next one's is set.
            *([("weight_decay", WeightDecay(alpha))] if alpha else []),
            ("learning_rate", OneCycle(n_steps, learning_rate_init)),
            ("averaging", Averaging(n_steps)),
            *(skorch_callbacks or []),
            *printing,
        ],
        "verbose": verbose,
        **optimizer_settings(optimizer, skorch_callbacks),
    }


def fit_net(net, train, validation, *, rng, epochs):
    """Train for the net's `max_epochs` and keep the epoch with the best validation score, 0 included.

    The weights of an epoch are the average that :class:`Averaging` has at its end. An epoch is kept
    only where significantly more than half of the validation set gains over epoch 0, and where no
    prefix of ordered codes that is validated has a higher loss than the objective allows. The score
    is the objective's.

    Parameters
    ----------
    net : Net
        Initialized; it holds the best weights afterwards, and is in evaluation mode.
    train, validation : skae._data.datasets.SampleDataset
        Samples to train on, and those that select the epoch.
    rng : torch.Generator
        Of everything that the module draws.
    epochs : Epochs
        Called at each epoch; may end the training.

    Returns
    -------
    curves : Curves

    Warns
    -----
    ConvergenceWarning
        If a loss is no longer finite; training ends there.
    """
    batches, held_out = (
        net.get_iterator(train, training=True),
        net.get_iterator(validation, training=False),
    )
    objective = net.criterion_
    reference = objective.reference(held_out)
    start_losses = _losses_of(net.module_.eval(), objective, held_out)
    max_losses = objective.max_losses(start_losses.mean(0), reference)
    net.baseline_score_ = baseline_score = best_score = objective.score(
        start_losses.mean().item(), reference
    )
    if not math.isfinite(baseline_score):
        raise ValueError(
            f"X cannot be trained on: before the first epoch the validation score is {baseline_score}. Rescale its columns,"
            " for instance with sklearn.preprocessing.StandardScaler."
        )
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
        losses = _losses_of(averaged, objective, held_out)
        loss = losses.mean().item()
        score = objective.score(loss, reference)
        keeps_prefixes = bool((losses.mean(0) <= max_losses).all())
        better = (
            score > best_score
            and keeps_prefixes
            and _is_significant((start_losses - losses).mean(1))
        )
        loss_curve.append(net.history[-1, "train_loss"])
        validation_scores.append(score)
        if better:
            best_score, best_iter, best_weights = score, epoch, _copied_weights(averaged)
        for name, value in {
            "valid_loss": loss,
            "valid_loss_best": better,
            "valid_score": score,
        }.items():
            net.history.record(name, value)
        if not (math.isfinite(loss_curve[-1]) and math.isfinite(score)):
            warn_caller(
                f"The loss is no longer finite after epoch {epoch} (training {loss_curve[-1]}, validation {loss}); the"
                f" weights of epoch {best_iter} are kept. A smaller learning_rate_init than {net.lr:g} may help.",
                ConvergenceWarning,
            )
            epochs.end_unfitted()
            break
        # Of a fit that goes on.
        curves = Curves([*loss_curve], [*validation_scores], baseline_score, best_iter)
        stops = _asks_to_stop(net, dataset_train=Scored(train), dataset_valid=Scored(validation))
        if epochs.end(net, averaged, curves) or stops:
            break
    net.notify("on_train_end", X=train, y=None)

    net.module_.eval().load_state_dict(best_weights)
    return Curves(loss_curve, validation_scores, baseline_score, best_iter)


def _copied_weights(module):
    return {name: weight.clone() for name, weight in module.state_dict().items()}


def _losses_of(module, objective, batches):
    """Loss of each sample at each prefix that is validated, on the host in float64, which not every device has."""
    with torch.no_grad():
        losses = torch.cat([validation_losses(module, objective, batch) for batch in batches])
    return losses.numpy(force=True).astype(np.float64)


def _is_significant(gains):
    """Whether more of the validation set gains over the start than chance would have it (sign test).

    With few samples, one of many epochs scores better by chance alone; what is sure is the start.
    Counting samples does what the standard error of the mean gain does not: it holds where a few
    outliers make up most of the mean. Fewer than five samples never choose.
    """
    n = len(gains)
    return (gains > 0).sum() > n / 2 + SIGN_TEST_Z * math.sqrt(n) / 2


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
