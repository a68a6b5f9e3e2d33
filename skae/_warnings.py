"""Warnings that point to the user's code."""

import inspect
import warnings

# Packages between the call of the user and a warning.
_BETWEEN = {"contextlib", "joblib", "skae", "sklearn"}


def warn_caller(message, category=UserWarning):
    """Warn at the first line outside of these packages.

    It is superfluous with Python 3.12, whose ``warnings.warn`` has ``skip_file_prefixes``.
    """
    frame, stacklevel = inspect.currentframe(), 1
    while (
        frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
    ):
        frame, stacklevel = frame.f_back, stacklevel + 1
    warnings.warn(message, category, stacklevel=stacklevel)
