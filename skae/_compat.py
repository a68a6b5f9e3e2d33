"""Names that are private in a dependency, or that some of its supported versions lack."""

from sklearn.base import _fit_context as fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils._plotting import _validate_style_kwargs as validate_style_kwargs
from sklearn.utils._set_output import _get_container_adapter as get_container_adapter
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _get_feature_names as get_feature_names

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "check_feature_names",
    "check_matplotlib_support",
    "check_sample_weight",
    "fit_context",
    "get_container_adapter",
    "get_feature_names",
    "validate_style_kwargs",
    "with_callbacks",
]
