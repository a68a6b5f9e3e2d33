"""Warnings that point to the code of the user."""

import inspect
import warnings

# Packages through which a call of the user's comes here.
_BETWEEN = {"contextlib", "joblib", "skae", "sklearn"}


def warn_caller(message, category=UserWarning):
    """Warn at the first line outside of the packages between; Python 3.12 has ``skip_file_prefixes`` for it."""
    frame, stacklevel = inspect.currentframe(), 1
    while (
        frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
    ):
        frame, stacklevel = frame.f_back, stacklevel + 1
    warnings.warn(message, category, stacklevel=stacklevel)
