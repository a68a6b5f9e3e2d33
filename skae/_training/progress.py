"""Progress: what is printed, and what scikit-learn's callbacks are given."""

from copy import deepcopy
from typing import NamedTuple

from skorch.callbacks import PrintLog

from skae._training.net import make_net


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
            # Of the same columns.
            self._sink(self.table(dict.fromkeys(net.history[-1]) | start), net.verbose)
        super().on_epoch_end(net, **kwargs)

    def table(self, row):
        return super().table(
            {**row, "event_best": row["valid_loss_best"], "event_seconds": row["dur"]}
        )


class Curves(NamedTuple):
    """What a fit leaves next to the weights."""

    loss_curve: list
    validation_scores: list
    baseline_score: float
    best_iter: int


class Epochs:
    """Calls scikit-learn's callbacks at the epochs, which are subtasks of the fit.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Of the fit.
    callback_kwargs : dict
        What callbacks are given at each call: the estimator, and what they may ask for.
    fitted : callable
        Called with a net and :class:`Curves`, where a callback asks for the estimator as it would
        be fitted by an epoch.
    """

    def __init__(self, context, callback_kwargs, fitted):
        self.context = context
        self.callback_kwargs = callback_kwargs
        self.fitted = fitted

    def begin(self):
        self._epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(
            **self.callback_kwargs
        )

    def end(self, net, module, curves):
        """Whether a callback asks to stop. A copy of the net with the weights of `module` is made where one asks for it."""

        def attributes():
            snapshot = make_net(deepcopy(module), net.criterion, net.device)
            snapshot.history.extend(net.history)
            return self.fitted(snapshot, curves)

        return self._epoch.call_on_fit_task_end(
            **self.callback_kwargs, reconstruction_attributes=attributes
        )

    def end_unfitted(self):
        """End an epoch after which the weights are no longer numbers."""
        self._epoch.call_on_fit_task_end(**self.callback_kwargs)
