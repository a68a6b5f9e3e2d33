"""Names that are private in a dependency, or that some of its supported versions lack.

Each name that a supported version lacks says which version makes its replacement superfluous.
"""

import sklearn
import torch
from sklearn.base import _fit_context as fit_context
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import Interval, Options, RealNotInt, StrOptions
from sklearn.utils._plotting import _validate_style_kwargs as validate_style_kwargs
from sklearn.utils._set_output import _get_container_adapter as get_container_adapter
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import _get_feature_names as get_feature_names

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ModuleNotFoundError:  # superfluous with scikit-learn 1.9, which has callbacks

    class _NoCallbacks:
        """Context of a fit, or of a part of it, that calls nothing and never asks to stop."""

        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False

    class CallbackSupportMixin:
        """Mixin that has a fit call no callbacks, and says what they need."""

        def set_callbacks(self, *callbacks):
            """Raise an error, because callbacks require scikit-learn 1.9.

            Parameters
            ----------
            callbacks : callback instances
                Ignored.

            Returns
            -------
            self : object
                The estimator, with scikit-learn 1.9.

            Raises
            ------
            ImportError
                Always.
            """
            raise ImportError(
                "set_callbacks requires scikit-learn 1.9 or newer, and this is"
                f" {sklearn.__version__}: upgrade it, or use skorch_callbacks."
            )

        def _init_callback_context(self, **kwargs):
            return _NoCallbacks()

    def with_callbacks(method):
        """Return the method, which has no callbacks to tear down."""
        return method


def check_sample_weight(sample_weight, X, **options):
    """Validate weights, which must not all be 0: superfluous with scikit-learn 1.9."""
    weights = _check_sample_weight(sample_weight, X, **options)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def cpu_capabilities():
    """Instruction sets of the processor, by name; none where torch does not know them.

    The case without them is superfluous with torch 2.13.
    """
    return getattr(torch.cpu, "get_capabilities", dict)()


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "check_feature_names",
    "check_matplotlib_support",
    "check_sample_weight",
    "cpu_capabilities",
    "fit_context",
    "get_container_adapter",
    "get_feature_names",
    "validate_style_kwargs",
    "with_callbacks",
]
