"""What holds of any table and any parameters, drawn by hypothesis, through the public API alone.

Hypothesis draws a recipe, of which numpy makes the table: so the recipe is what is shrunk. The
number of recipes, of all estimators together, is the environment variable SKAE_EXAMPLES; where it
is set, they are others at each run.
"""

import functools
import os
import pickle
import random
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data.moments import Moments

# Relative to the size of the values that are computed with.
TOLERANCES = {"float32": 1e-4, "float64": 1e-6}

# Tables

VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "lognormal": lambda rng, shape: np.exp(2 * rng.standard_normal(shape)),
    "crowded": lambda rng, shape: rng.normal(0.5, 0.7, shape).clip(0, 1),
    "binary": lambda rng, shape: rng.random(shape) < 0.3,
}


@dataclass
class Table:
    """Recipe of a table; scale and offset are those of the values of `VALUES`, in this order."""

    n_samples: int
    n_features: int
    values: str
    scale: float
    offset: float
    n_constant: int  # columns
    n_repeated: int  # columns that are the same as the last one
    n_distinct: int  # samples
    dtype: str
    layout: str
    seed: int

    def make(self):
        rng = np.random.default_rng(self.seed)
        X = VALUES[self.values](rng, (self.n_samples, self.n_features)).astype(np.float64)
        X[:, self.n_constant : self.n_constant + self.n_repeated] = X[:, -1:]
        X[:, : self.n_constant] = X[0, : self.n_constant]
        X = X[rng.integers(self.n_distinct, size=self.n_samples)]
        return _laid_out((X * self.scale + self.offset).astype(self.dtype), self.layout)


def _laid_out(X, layout):
    """The same values in another order of memory, which nobody may write to."""
    if layout == "C":
        view = X
    elif layout == "Fortran":
        view = np.asfortranarray(X)
    else:
        n_samples, n_features = X.shape
        wide = np.full((2 * n_samples, 3 * n_features), np.nan, dtype=X.dtype)
        view = wide[::-2, ::-3] if layout == "reversed" else wide[::2, ::3]
        view[...] = X
    view.flags.writeable = False
    return view


def _mostly(usual, strategy):
    """The usual value, towards which examples shrink, in about half of the examples."""
    return st.just(usual) | strategy


@st.composite
def tables(draw, in_unit_interval):
    # Few samples are where most goes wrong; one is refused.
    n_samples = draw(st.integers(2, 12) | st.integers(2, 200) | st.integers(1, 200))
    n_features = draw(st.integers(1, 40))
    values, scale, offset = draw(st.sampled_from(["crowded", "binary"])), 1.0, 0.0
    if not in_unit_interval:
        values = draw(st.sampled_from(sorted(VALUES)))
        scale = draw(_mostly(1.0, st.floats(-12, 12).map(lambda digits: 10.0**digits)))
        offset = scale * draw(_mostly(0.0, st.floats(-1e3, 1e3)))
    return Table(
        n_samples,
        n_features,
        values,
        scale,
        offset,
        n_constant=draw(_mostly(0, st.integers(0, n_features))),
        n_repeated=draw(_mostly(0, st.integers(0, n_features))),
        n_distinct=draw(_mostly(n_samples, st.integers(1, n_samples))),
        dtype=draw(st.sampled_from(["float64", "float32"])),
        layout=draw(st.sampled_from(["C", "Fortran", "strided", "reversed"])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


# Parameters


def _lose_half(X, random_state):
    """A user's corruption."""
    return X * (random_state.uniform(size=X.shape) < 0.5)


TRAINING = {
    "activation": st.sampled_from(["silu", "relu", "gelu", "tanh", "logistic", "identity"]),
    "learning_rate_init": _mostly(3e-3, st.sampled_from([1e-8, 1e-4, 0.1, 10.0, 1e3, 1e8])),
    "alpha": _mostly(1e-3, st.sampled_from([0.0, 0.5])),
    "batch_size": st.integers(1, 64),
    "max_iter": st.integers(0, 2),
    "validation_fraction": st.sampled_from(["auto", None]) | st.floats(0.01, 0.99),
    "random_state": st.integers(0, 2**31 - 1),
}
N_COMPONENTS = st.integers(1, 50) | st.floats(0.01, 0.999) | st.just("auto")
CODE = {"n_components": N_COMPONENTS, "ordered": st.booleans()}
DENSE = {"hidden_layer_sizes": st.sampled_from([(), (4,), (4, 3), 3])}
CONV = {
    "channels": st.sampled_from([(2,), (2, 3)]),
    "kernel_size": st.sampled_from([1, 3]),
    "downsampling": st.sampled_from(["stride", "max_pool"]),
    "upsampling": st.sampled_from(["transpose", "nearest", "bilinear", "zeros"]),
}
CORRUPTION = {
    "corruption": st.sampled_from(["masking", "gaussian", "salt_and_pepper", _lose_half, None]),
    "noise_level": st.floats(0, 1),
}
DENSITY = {
    "init": st.sampled_from(["pca", "random"]),
    "output_activation": st.sampled_from(["identity", "auto", "clip"]),
    "likelihood": st.sampled_from(["gaussian", "bernoulli"]),
    "beta": _mostly(1.0, st.floats(-3, 2).map(lambda digits: 10.0**digits)),
    "n_draws": st.integers(1, 3),
    "contamination": _mostly(0.0, st.floats(0, 0.5)),
}
# The linear start, the textbook network, and what may not suit each other.
LINEAR = {
    "init": st.just("pca"),
    "loss": st.sampled_from(["squared_error", "absolute_error"]),
    "output_activation": st.sampled_from(["auto", "clip", "identity"]),
}
TEXTBOOK = {
    "init": st.just("random"),
    "loss": st.sampled_from(["squared_error", "absolute_error", "log_loss"]),
    "output_activation": st.sampled_from(["auto", "sigmoid"]),
    "code_activation": st.sampled_from(["identity", "relu"]),
}
ANY = {
    "init": st.sampled_from(["pca", "random"]),
    "loss": st.sampled_from(["squared_error", "absolute_error", "log_loss"]),
    "output_activation": st.sampled_from(["auto", "clip", "identity", "sigmoid"]),
    "code_activation": st.sampled_from(["identity", "relu"]),
}


def _outputs(**own):
    """Parameters of a start, of the loss and of the output, with own ones."""
    return st.one_of(
        *(st.fixed_dictionaries({**own, **drawn}) for drawn in (LINEAR, TEXTBOOK, ANY))
    )


def _with_images(parameters):
    """Parameters for samples that are not images, and for images."""
    as_images = CONV | {"image_shape": st.just("auto")}
    return st.fixed_dictionaries(parameters | DENSE) | st.fixed_dictionaries(parameters | as_images)


def _merged(*strategies):
    return st.tuples(*strategies).map(
        lambda parts: {k: v for part in parts for k, v in part.items()}
    )


SPATIAL = {"n_components": st.just("spatial")}
PARAMETERS = {
    AutoencoderTransformer: _outputs(**TRAINING, **CODE, **DENSE),
    ConvAutoencoderTransformer: _outputs(**TRAINING, **CODE, **CONV)
    | _outputs(**TRAINING, **SPATIAL, **CONV),
    DenoisingAutoencoder: _merged(
        _outputs(**TRAINING, **CODE, **CORRUPTION),
        _with_images({})
        | st.fixed_dictionaries(
            {"image_shape": st.just("auto"), "corruption": st.just("erase"), **CONV}
        ),
    ),
    VAETransformer: _with_images({**TRAINING, **CODE, **DENSITY}),
}


@dataclass
class Case:
    """Recipe of a table, parameters for it, and whether they are fitted twice."""

    table: Table
    parameters: dict
    refits: bool


@st.composite
def cases(draw, estimator_class):
    parameters = draw(PARAMETERS[estimator_class])
    suits = draw(st.booleans() | st.just(True))
    table = draw(tables(in_unit_interval=suits and _needs_unit_interval(parameters)))
    return Case(table, parameters, refits=draw(st.sampled_from([False, False, False, True])))


def _needs_unit_interval(parameters):
    return (
        parameters.get("loss") == "log_loss"
        or parameters["output_activation"] == "sigmoid"
        or parameters.get("likelihood") == "bernoulli"
    )


def _is_refused(parameters, X):
    """Whether X cannot be trained on with these parameters, as the documentation says."""
    starts_linear = parameters["init"] == "pca"
    needs_random = {"loss": "log_loss", "output_activation": "sigmoid", "code_activation": "relu"}
    is_log_loss = parameters.get("loss") == "log_loss"
    return (
        len(X) < 2
        or (_needs_unit_interval(parameters) and (X.min() < 0 or X.max() > 1))
        or (starts_linear and any(parameters.get(k) == v for k, v in needs_random.items()))
        or (is_log_loss and parameters["output_activation"] in ("clip", "identity"))
    )


# Properties

IS_LONG = "SKAE_EXAMPLES" in os.environ
N_EXAMPLES = max(1, int(os.environ.get("SKAE_EXAMPLES", 40)) // len(PARAMETERS))


@pytest.mark.parametrize("estimator_class", list(PARAMETERS), ids=lambda cls: cls.__name__)
@settings(
    max_examples=N_EXAMPLES,
    derandomize=not IS_LONG,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_table_and_parameters(estimator_class, data):
    check(estimator_class, data.draw(cases(estimator_class), label="case"))


@settings(max_examples=max(20, N_EXAMPLES), derandomize=not IS_LONG, database=None, deadline=None)
@given(
    table=tables(in_unit_interval=False),
    cuts=st.lists(st.integers(1, 199), max_size=6, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_moments_are_the_same_under_any_split(table, cuts, order):
    X = table.make()
    parts = [
        Moments.of([(part, None)], cross=True)
        for part in np.split(X, [cut for cut in sorted(cuts) if cut < len(X)])
    ]
    order.shuffle(parts)
    merged = functools.reduce(Moments.merge, parts)
    U = X.astype(np.longdouble)
    mean = U.mean(axis=0)
    deviations = (U - mean).astype(np.float64)
    expected = deviations.T @ deviations
    size = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    # The error of a mean is eps times the largest value, and that of a product is this times the
    # deviations.
    rounding = len(X) * (np.finfo(np.float64).eps * np.abs(X).max(axis=0).astype(np.float64)) ** 2
    rounding = np.sqrt(np.outer(rounding, rounding))
    assert (np.abs(merged.scatter - expected) <= 1e-9 * size + 100 * rounding).all()
    np.testing.assert_array_equal(merged.squares, merged.scatter.diagonal())
    np.testing.assert_allclose(
        merged.mean, mean.astype(np.float64), rtol=1e-12, atol=1e-12 * _largest(X)
    )
    for name, of in {"low": X.min(axis=0), "high": X.max(axis=0)}.items():
        np.testing.assert_array_equal(getattr(merged, name), of)
        np.testing.assert_array_equal(
            getattr(merged, f"{name}_weight"), np.equal(X, of).sum(axis=0)
        )
    assert merged.weight == len(X)


def check(estimator_class, case):
    """Assert all that holds of a case."""
    X, estimator = case.table.make(), estimator_class(**case.parameters)
    before, states = X.copy(), _global_states()
    with _only_own_warnings():
        if _is_refused(case.parameters, X):
            _check_refusal(estimator, X)
        else:
            estimator.fit(X)
            _check_fit(estimator)
            _check_results(estimator, X)
            _check_ways_agree(estimator, X)
            _check_pickle(estimator, X)
    assert X.tobytes() == before.tobytes(), "X has been written to"
    assert _global_states() == states, "a global state has changed"
    if case.refits and hasattr(estimator, "net_"):
        _check_second_fit(estimator, estimator_class(**case.parameters), X)


def _check_refusal(estimator, X):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the message is looked at below
        estimator.fit(X)
    words = set(re.findall(r"\w+", str(refusal.value)))
    is_too_few = len(X) < 2 and "minimum of 2" in str(refusal.value)  # in scikit-learn's words
    assert words & {"X", *estimator.get_params()} or is_too_few, "the message names no parameter"


def _check_fit(estimator):
    """The kept epoch is at least as good as the start, and all scores up to it are finite."""
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    assert len(scores) - 1 == len(estimator.loss_curve_) == estimator.n_iter_ <= estimator.max_iter
    assert np.isfinite(estimator.baseline_score_)
    kept = scores[estimator.best_iter_]
    assert kept >= estimator.baseline_score_
    assert np.isfinite(scores[: estimator.best_iter_ + 1]).all()


def _check_results(estimator, X):
    """Results are finite, of the dtype of X and of the right shape."""
    Z = estimator.transform(X)
    results = {
        "transform": (Z, (len(X), estimator.n_components_)),
        "reconstruct": (estimator.reconstruct(X), X.shape),
        "inverse_transform": (estimator.inverse_transform(Z), X.shape),
        "score_samples": (estimator.score_samples(X), (len(X),)),
        "mean_": (estimator.mean_.astype(X.dtype), (X.shape[1],)),
    }
    for name, (result, shape) in results.items():
        assert result.shape == shape, name
        assert result.dtype == X.dtype, name
        assert np.isfinite(result).all(), name
    score = estimator.score(X)
    assert isinstance(score, float)
    assert np.isfinite(score), "score"  # two samples at least: R² is defined


def _check_ways_agree(estimator, X):
    """One pass or two, one sample or all together: the same up to rounding."""
    tolerance = TOLERANCES[X.dtype.name]
    Z, X_hat = estimator.transform(X), estimator.reconstruct(X)
    size = max(_largest(X), _largest(X_hat))
    _assert_close(estimator.inverse_transform(Z), X_hat, tolerance * size, "in one pass or two")
    i = len(X) // 2
    # Codes in the units of X are sums of values as large as the centered ones.
    size = max(
        _largest(Z), 1.0 if hasattr(estimator, "likelihood") else _largest(X - estimator.mean_)
    )
    _assert_close(
        estimator.transform(X[i : i + 1])[0], Z[i], tolerance * size, "alone or among others"
    )


def _check_pickle(estimator, X):
    copy = pickle.loads(pickle.dumps(estimator))
    assert copy.n_components_ == estimator.n_components_
    np.testing.assert_array_equal(copy.mean_, estimator.mean_)
    np.testing.assert_array_equal(copy.transform(X), estimator.transform(X))
    np.testing.assert_array_equal(copy.reconstruct(X), estimator.reconstruct(X))


def _check_second_fit(estimator, unfitted, X):
    """The same to the bit, whatever the global states."""
    np.random.random()
    torch.rand(())
    with _only_own_warnings():
        again = unfitted.fit(X)
    assert again.best_iter_ == estimator.best_iter_
    np.testing.assert_array_equal(again.transform(X), estimator.transform(X))
    np.testing.assert_array_equal(again.reconstruct(X), estimator.reconstruct(X))


def _largest(values):
    return float(np.abs(values).max())


def _assert_close(actual, desired, atol, message):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=atol, err_msg=message)


def _global_states():
    return pickle.dumps(
        {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "numpy errors": np.geterr(),
            "torch": torch.get_rng_state().tolist(),
            "torch's dtype": str(torch.get_default_dtype()),
            "torch's threads": torch.get_num_threads(),
            "torch's gradients": torch.is_grad_enabled(),
        }
    )


@contextmanager
def _only_own_warnings():
    """Assert that all warnings are such as a user can heed: they point to the call in here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    strange = [
        warnings.formatwarning(w.message, w.category, w.filename, w.lineno)
        for w in caught
        if w.category not in (UserWarning, ConvergenceWarning) or w.filename != __file__
    ]
    assert not strange, strange
