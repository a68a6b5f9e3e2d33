"""Fitted state: saved as arrays and plain values, and restored after a failed fit."""

import json
import warnings
import zlib
from contextlib import contextmanager
from copy import copy
from functools import partial
from pickle import PicklingError

import numpy as np
from sklearn.exceptions import InconsistentVersionWarning

from skae._model import Model
from skae._training.net import find_device
from skae._version import __version__

# Errors of arrays and values that do not make a model.
_NOT_A_MODEL = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_CURVES = ("loss_curve_", "validation_scores_")


class FileMixin:
    """Mixin that pickles an estimator with a net; joblib, skops and `copy` use it, too."""

    def __getstate__(self):
        state = super().__getstate__() | {"_skae_version": __version__}
        if "net_" in state:
            for network in (self.network, getattr(self._model.spec.network, "function", None)):
                _check_has_name(network)
            if self.skorch_callbacks:
                state["skorch_callbacks"] = [
                    _before_fit(callback) for callback in self.skorch_callbacks
                ]
            history = state.pop("net_").history
            state["_model"] = self._model.state()
            state["_history"] = zlib.compress(json.dumps(_plain(history)).encode())
        else:
            state.pop("_model", None)  # of an earlier fit
        return state | {name: np.array(state[name]) for name in _CURVES if name in state}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_skae_version", "unknown")
        if version != __version__:
            name = type(self).__name__
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=name,
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                ),
                stacklevel=2,
            )
        model, history = state.pop("_model", None), state.pop("_history", None)
        super().__setstate__(
            state | {name: state[name].tolist() for name in _CURVES if name in state}
        )
        try:
            if model is not None:
                model = Model.from_state(model, _available(self.device))
                self._set_model(model, json.loads(zlib.decompress(history)))
                self._check_lengths()
            elif "n_iter_" in state:
                raise KeyError("_model")
        except (*_NOT_A_MODEL, zlib.error) as error:
            raise ValueError(
                f"The saved {type(self).__name__} is incomplete: its weights, sizes and history do"
                " not make a network. The file is corrupt or changed, or of another version of skae"
                f" (it is of {version}, this is {__version__}): restore an intact copy, or fit the"
                " estimator again and save it with this version."
            ) from error

    def _check_lengths(self):
        """Refuse arrays of another length than the fit has made."""
        lengths = dict.fromkeys(_CURVES, self.n_iter_) | {"mean_": self.n_features_in_}
        if any(len(getattr(self, name)) != length for name, length in lengths.items()):
            raise ValueError("A fitted array has the wrong length.")


def _check_has_name(network):
    """Refuse to save a function that cannot be found by its name."""
    function = network
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if "<" in name:  # <lambda> or <locals>
        raise PicklingError(
            f"network={network!r} cannot be saved, because a file refers to a function by its name:"
            " define it with def at the top level of a module, and set its arguments with"
            " functools.partial."
        )


def _available(device):
    try:
        return find_device(device)
    except ValueError:  # the device of the fit is not available here
        return find_device("auto")


def _before_fit(callback):
    """Copy a callback, or a pair of a name and a callback, without fitted attributes.

    These may hold the optimizer, or samples.
    """
    if isinstance(callback, tuple):
        return (*callback[:-1], _before_fit(callback[-1]))
    if isinstance(callback, type):
        return callback
    callback = copy(callback)
    for name in [
        name for name in vars(callback) if name.endswith("_") and not name.startswith("_")
    ]:
        delattr(callback, name)
    return callback


def _plain(value):
    """Convert a value to JSON types: arrays and tensors to lists, other objects to text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@contextmanager
def unchanged_on_failure(estimator):
    """Delete fitted attributes; restore all attributes if the block fails or is interrupted."""
    before = dict(vars(estimator))
    for name in before:
        if name.endswith("_") and not name.startswith("_"):
            delattr(estimator, name)
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def shallow_copy(estimator):
    """Copy an estimator with its attributes; `copy` would build its model again."""
    twin = object.__new__(type(estimator))
    vars(twin).update(
        {
            name: copy(value) if isinstance(value, dict | list) else value
            for name, value in vars(estimator).items()
        }
    )
    return twin
