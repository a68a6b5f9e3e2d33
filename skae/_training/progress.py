"""Progress of a fit, for printing and for scikit-learn's callbacks."""

from copy import deepcopy
from typing import NamedTuple

from skorch.callbacks import PrintLog

from skae._training.net import make_net


class EpochLog(PrintLog):
    """Print a line for each epoch, including epoch 0.

    It has the training loss, the validation score, a mark if this is the best so far, and the time
    in seconds. Values that callbacks of the user record are printed, too.
    """

    def __init__(self):
        super().__init__(keys_ignored=["valid_loss", "dur"])

    def on_epoch_end(self, net, **kwargs):
        if self.first_iteration_:
            self.first_iteration_ = False
            start = {"epoch": 0, "valid_score": net.baseline_score_, "valid_loss_best": True}
            # The line of epoch 0 has the same columns as the others.
            self._sink(self.table(dict.fromkeys(net.history[-1]) | start), net.verbose)
        super().on_epoch_end(net, **kwargs)

    def table(self, row):
        return super().table(
            {**row, "event_best": row["valid_loss_best"], "event_seconds": row["dur"]}
        )


class Curves(NamedTuple):
    """Losses and scores of the epochs of a fit.

    Attributes
    ----------
    loss_curve : list of float
        Training loss of each epoch.
    validation_scores : list of float
        Validation score after each epoch.
    baseline_score : float
        Validation score of epoch 0.
    best_iter : int
        Epoch that is kept.
    """

    loss_curve: list
    validation_scores: list
    baseline_score: float
    best_iter: int


class Epochs:
    """Calls of scikit-learn's callbacks at each epoch, which is a subtask of the fit.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Context of the fit.
    callback_kwargs : dict
        Keyword arguments of the callbacks: the estimator, and values that callbacks may request.
    fitted : callable
        Function of a net and :class:`Curves` that returns the fitted attributes of the estimator as
        they would be after this epoch. It is called if a callback requests them.
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
        """End an epoch, and return whether a callback requests to stop.

        If a callback requests fitted attributes, they are made from a copy of `module`.
        """

        def attributes():
            snapshot = make_net(deepcopy(module), net.criterion, net.device)
            snapshot.history.extend(net.history)
            return self.fitted(snapshot, curves)

        return self._epoch.call_on_fit_task_end(
            **self.callback_kwargs, reconstruction_attributes=attributes
        )

    def end_unfitted(self):
        """End an epoch after which the loss is not finite, without fitted attributes."""
        self._epoch.call_on_fit_task_end(**self.callback_kwargs)
