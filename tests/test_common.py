"""scikit-learn's own checks: those of `check_estimator`, and those that it leaves out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import KEEPS_EPOCH_0
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

ROOT = Path(__file__).parent.parent


class AddNoise:
    """A callable whose name is the same in each process that collects the tests."""

    def __call__(self, X, random_state):
        return X + random_state.normal(size=X.shape)

    def __repr__(self):
        return "AddNoise()"


CONFIGURATIONS = [
    AutoencoderTransformer(),
    AutoencoderTransformer(init="random", code_activation="relu", max_iter=5),
    AutoencoderTransformer(
        output_activation="clip", validation_fraction=None, activation="tanh", max_iter=5
    ),
    AutoencoderTransformer(
        hidden_layer_sizes=(), output_activation="identity", loss="absolute_error", max_iter=5
    ),
    AutoencoderTransformer(3, hidden_layer_sizes=(20, 10), alpha=0.1, batch_size=7, max_iter=5),
    ConvAutoencoderTransformer(max_iter=5),
    ConvAutoencoderTransformer("spatial", channels=(4, 8), max_iter=5),
    ConvAutoencoderTransformer(
        channels=(4, 8), downsampling="max_pool", upsampling="nearest", max_iter=5
    ),
    DenoisingAutoencoder(max_iter=5),
    DenoisingAutoencoder(corruption="gaussian", image_shape="auto", channels=(4, 8), max_iter=5),
    DenoisingAutoencoder(corruption=AddNoise(), max_iter=5),
    AutoencoderTransformer(ordered=True, max_iter=5),
    AutoencoderTransformer(0.9, max_iter=5),
    ConvAutoencoderTransformer(0.5, channels=(4, 8), max_iter=5),
    DenoisingAutoencoder(0.5, max_iter=5),
    VAETransformer(max_iter=5),
    VAETransformer(0.5, max_iter=5),
    VAETransformer(contamination=0.1, max_iter=5),
    VAETransformer(
        image_shape="auto", channels=(4, 8), init="random", output_activation="clip", max_iter=5
    ),
]


@pytest.mark.filterwarnings(
    "ignore:.*components are in use:UserWarning", "ignore:.*density is degenerate:UserWarning"
)
@pytest.mark.filterwarnings("ignore:.*is not reached:UserWarning")
@parametrize_with_checks(CONFIGURATIONS)
@KEEPS_EPOCH_0
def test_estimator(estimator, check):
    if "AddNoise" in repr(estimator) and "sample_weight_equivalence" in check.func.__name__:
        # Each copy of a sample has noise of its own: with copies, the start equals that with
        # weights only in expectation. tests/test_weights.py compares them on more samples.
        return
    check(estimator)


# A Pipeline changes its `steps` in fit: scikit-learn's own tests of Pipelines skip these checks.
# And it has no tag `allow_nan`, even if all of its steps have.
EXPECTED_OF_PIPELINES = {
    "check_dont_overwrite_parameters",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bernoulli_behind_a_scaler():
    """Data of the checks lie anywhere, those of the likelihood in [0, 1]."""
    # The checks set it at the top only.
    bernoulli = VAETransformer(likelihood="bernoulli", max_iter=5, random_state=0)
    results = checks.check_estimator(
        make_pipeline(MinMaxScaler(clip=True), bernoulli), on_fail=None, on_skip=None
    )
    assert len(results) > 40
    assert {
        result["check_name"] for result in results if result["status"] == "failed"
    } == EXPECTED_OF_PIPELINES


# What sklearn/tests/test_common.py runs besides `parametrize_with_checks`.
LEFT_OUT = [
    checks.check_dataframe_column_names_consistency,
    checks.check_get_feature_names_out_error,
    checks.check_global_output_transform_pandas,
    checks.check_global_set_output_transform_polars,
    checks.check_inplace_ensure_writeable,
    checks.check_param_validation,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
]
# What `parametrize_with_checks` runs only for estimators of some kind, or under an option.
ALSO = [
    checks.check_estimator_cloneable,
    checks.check_parameters_default_constructible,
    checks.check_n_features_in,
    checks.check_n_features_in_after_fitting,
    checks.check_transformer_n_iter,
    checks.check_estimators_partial_fit_n_features,
    checks.check_methods_sample_order_invariance,
    checks.check_methods_subset_invariance,
]


# These checks mix data with and without names on purpose.
@pytest.mark.filterwarnings("ignore:X (does not have|has) .*feature names:UserWarning")
@pytest.mark.parametrize("check", [*LEFT_OUT, *ALSO], ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", CONFIGURATIONS[:3], ids=["default", "textbook", "clip"])
def test_checks_that_are_left_out(estimator, check):
    # Parameters are validated before anything is trained: "auto" epochs cost nothing more there.
    estimator = estimator if check is checks.check_param_validation else _with_few_epochs(estimator)
    check(type(estimator).__name__, estimator)


def test_tags_leave_no_check_out():
    tags = get_tags(AutoencoderTransformer())
    assert set(tags.transformer_tags.preserves_dtype) == {"float64", "float32"}
    assert tags.input_tags.two_d_array
    assert not any((tags.no_validation, tags.non_deterministic, tags._skip_test))


def _with_few_epochs(estimator):
    return AutoencoderTransformer(**estimator.get_params() | {"max_iter": 2})


# Before, the dispatch requires a further package.
@pytest.mark.requires("scikit-learn>=1.7")
@pytest.mark.parametrize(
    "option",
    [
        "check_values=True",
        pytest.param(
            "expect_only_array_outputs=False", marks=pytest.mark.requires("scikit-learn>=1.9")
        ),
    ],
)
def test_array_api_dispatch_changes_nothing(option):
    """scipy has to hear of it before it is imported."""
    program = (
        "import warnings; warnings.simplefilter('error');"
        "from sklearn.utils.estimator_checks import check_array_api_input;"
        "from skae import AutoencoderTransformer as A;"
        f"check_array_api_input('A', A(max_iter=2), array_namespace='numpy', {option});"
        "print('passed')"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "passed"
