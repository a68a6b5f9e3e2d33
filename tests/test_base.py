import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._data.datasets import Batch

ROOT = Path(__file__).parent.parent


def _make(n_components=2, **parameters):
    return AutoencoderTransformer(n_components, **{"max_iter": 2, "random_state": 0} | parameters)


def _r2(X, X_hat, sample_weight=None):
    return r2_score(X, X_hat, sample_weight=sample_weight, multioutput="variance_weighted")


@pytest.fixture(scope="module")
def fitted(digits):
    return _make(4).fit(digits)


# Epoch 0 is PCA


def _table(n, p, offset, dtype):
    X = np.random.default_rng(0).normal(size=(n, p)) * np.linspace(3, 0.5, p) + np.linspace(
        -2, 2, p
    )
    return (X + offset).astype(dtype)


@pytest.fixture(
    scope="module",
    params=[
        (300, 30, 0, np.float64),
        (30, 90, 0, np.float64),
        (40, 40, 0, np.float64),
        (300, 30, 1e6, np.float64),
        (30, 90, 1e6, np.float64),
        (300, 30, 0, np.float32),
        (300, 30, 1e5, np.float32),
        (30, 90, 1e5, np.float32),
    ],
    ids=lambda param: "{}x{}+{:g}-{}".format(*param[:3], param[3].__name__),
)
def start(request):
    """Data, an estimator that has not trained, and PCA of the same data in float64."""
    X = _table(*request.param)
    pca = PCA(5, svd_solver="full").fit(X.astype(np.float64))
    return X, _make(5, max_iter=0, output_activation="identity").fit(X), pca


def test_start_codes_as_pca(start):
    X, estimator, pca = start
    expected = pca.transform(X.astype(np.float64))
    codes = estimator.transform(X)
    assert codes.dtype == X.dtype
    np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_start_reconstructs_as_pca(start):
    X, estimator, pca = start
    expected = pca.inverse_transform(pca.transform(X.astype(np.float64)))
    # Numbers of this size have no finer resolution.
    resolution = np.spacing(np.abs(X).max()) if X.dtype == np.float32 else 0
    tolerance = 1e-5 * np.abs(expected - X.astype(np.float64).mean(axis=0)).max() + resolution
    for X_hat in (estimator.reconstruct(X), estimator.inverse_transform(estimator.transform(X))):
        assert X_hat.dtype == X.dtype
        np.testing.assert_allclose(X_hat, expected, rtol=0, atol=tolerance)


def test_start_scores_as_pca(start):
    X, estimator, pca = start
    assert estimator.score(X) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-5)


def test_start_has_the_subspace_of_pca(start):
    _, estimator, pca = start
    axes = estimator.inverse_transform(np.eye(5) * 3) - estimator.inverse_transform(
        np.zeros((1, 5))
    )
    assert subspace_angles(axes.T, pca.components_.T).max() < 1e-5


def test_start_has_the_mean_of_pca(start):
    _, estimator, pca = start
    np.testing.assert_allclose(estimator.mean_, pca.mean_, rtol=1e-12)
    assert (estimator.n_components_, estimator.n_features_in_) == (5, pca.n_features_in_)
    assert (
        estimator.n_iter_,
        estimator.best_iter_,
        estimator.loss_curve_,
        estimator.validation_scores_,
    ) == (0, 0, [], [])


def test_start_with_bounds_is_pca_clipped_to_them(digits):
    pca = PCA(5, svd_solver="full").fit(digits)
    estimator = _make(5, max_iter=0).fit(digits)
    # Most pixels reach 0 and 16; those that are always 0 are held there.
    expected = np.clip(pca.inverse_transform(pca.transform(digits)), 0, 16)
    np.testing.assert_allclose(estimator.reconstruct(digits), expected, atol=1e-4)
    assert (np.abs(expected - pca.inverse_transform(pca.transform(digits))) > 0.1).any()


def test_start_with_every_range_clipped(cancer):
    estimator = _make(3, max_iter=0, output_activation="clip").fit(cancer[:200])
    pca = PCA(3, svd_solver="full").fit(cancer[:200])
    expected = pca.inverse_transform(pca.transform(cancer))
    expected = np.clip(expected, cancer[:200].min(axis=0), cancer[:200].max(axis=0))
    np.testing.assert_allclose(estimator.reconstruct(cancer), expected, atol=1e-4)


def test_features_without_bounds_are_not_clipped(cancer):
    pca = PCA(3, svd_solver="full").fit(cancer)
    estimator = _make(3, max_iter=0).fit(cancer)
    expected = pca.inverse_transform(pca.transform(cancer * 9))
    # Some columns of counts have a floor.
    floored = (cancer == cancer.min(axis=0)).mean(axis=0) < 0.05
    np.testing.assert_allclose(
        estimator.reconstruct(cancer * 9)[:, floored], expected[:, floored], atol=1e-3
    )
    assert floored.sum() > 20


@pytest.mark.parametrize("n_components", [5, 12])
def test_as_many_components_as_features_or_more_lose_nothing(rng, n_components):
    X = rng.normal(size=(50, 5))
    estimator = _make(n_components, max_iter=0, output_activation="identity").fit(X)
    assert estimator.transform(X).shape == (50, n_components)
    np.testing.assert_allclose(estimator.reconstruct(X), X, atol=1e-5)
    np.testing.assert_array_equal(estimator.transform(X)[:, 5:], 0)


@pytest.mark.parametrize(
    ("n_features", "expected"), [(1, 1), (2, 1), (3, 1), (9, 4), (64, 32), (100, 32)]
)
def test_auto_is_half_of_the_features_up_to_32(rng, n_features, expected):
    estimator = _make("auto", max_iter=0).fit(rng.normal(size=(120, n_features)))
    assert estimator.n_components_ == expected
    assert estimator.transform(rng.normal(size=(3, n_features))).shape == (3, expected)


# Scores


def test_score_is_r2(fitted, digits, rng):
    X_hat = fitted.inverse_transform(fitted.transform(digits))
    weights = rng.uniform(size=len(digits))
    assert fitted.score(digits) == pytest.approx(_r2(digits, X_hat), abs=1e-9)
    assert fitted.score(digits, sample_weight=weights) == pytest.approx(
        _r2(digits, X_hat, weights), abs=1e-9
    )
    assert fitted.score(digits, np.zeros(len(digits))) == fitted.score(digits)


def test_score_samples_is_minus_the_mean_squared_error(fitted, digits):
    scores = fitted.score_samples(digits)
    X_hat = fitted.inverse_transform(fitted.transform(digits))
    np.testing.assert_allclose(
        scores,
        [-np.mean((x - x_hat) ** 2) for x, x_hat in zip(digits, X_hat, strict=True)],
        rtol=1e-9,
    )
    assert scores.argmin() == np.square(digits - X_hat).sum(axis=1).argmax()


def test_reconstruct_is_inverse_transform_of_transform(fitted, digits):
    np.testing.assert_allclose(
        fitted.reconstruct(digits), fitted.inverse_transform(fitted.transform(digits)), atol=1e-9
    )


def test_relu_codes_are_in_the_units_of_x_and_are_decoded(digits):
    parameters = {"init": "random", "code_activation": "relu", "hidden_layer_sizes": ()}
    estimator = _make(4, **parameters).fit(digits)
    codes = estimator.transform(digits)
    assert codes.min() == 0
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), estimator.reconstruct(digits), atol=1e-9
    )


# Data types and containers


@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score_samples"]
)
@pytest.mark.parametrize(
    ("dtype_in", "dtype_out"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.int64, np.float64),
        (np.uint8, np.float64),
        (np.float16, None),
    ],
)
def test_floats_keep_their_type(fitted, digits, method, dtype_in, dtype_out):
    X = digits[:20, :4] if method == "inverse_transform" else digits[:20]
    result = getattr(fitted, method)(X.astype(dtype_in))
    assert result.dtype == (dtype_out or np.float64)
    np.testing.assert_allclose(result, getattr(fitted, method)(X), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_input_is_left_as_it_was(digits, dtype, order):
    X = np.array(digits, dtype=dtype, order=order)
    X_val, before = X[:40], X.copy()
    estimator = _make().fit(X, X_val=X_val)
    codes = estimator.transform(X)
    codes_before = codes.copy()
    (
        estimator.inverse_transform(codes),
        estimator.reconstruct(X),
        estimator.score(X),
        estimator.score_samples(X),
    )
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(codes, codes_before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_order_does_not_matter(digits, dtype):
    X = digits.astype(dtype)
    expected, result = (_make().fit(rows).transform(rows) for rows in (X, np.asfortranarray(X)))
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)


def test_read_only_memmaps(digits, tmp_path):
    np.save(tmp_path / "X.npy", digits)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    estimator = _make().fit(X, X_val=X[:30])
    np.testing.assert_array_equal(
        estimator.transform(X), _make().fit(digits, X_val=digits[:30]).transform(digits)
    )
    codes = estimator.transform(X)
    codes.setflags(write=False)
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), estimator.reconstruct(X), atol=1e-9
    )
    estimator.score(X), estimator.score_samples(X)


def test_results_can_be_written_to(fitted, digits):
    for result in (
        fitted.transform(digits),
        fitted.reconstruct(digits),
        fitted.inverse_transform(np.zeros((2, 4))),
    ):
        result += 1


def _frame(library, X):
    columns = [f"pixel{i}" for i in range(X.shape[1])]
    return (
        pd.DataFrame(X, columns=columns) if library == "pandas" else pl.DataFrame(X, schema=columns)
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes(digits, library):
    frame = _frame(library, digits)
    estimator = _make().fit(frame, X_val=frame[:30])
    expected = _make().fit(digits, X_val=digits[:30])
    assert list(estimator.feature_names_in_) == [f"pixel{i}" for i in range(64)]
    assert list(estimator.get_feature_names_out()) == [
        "autoencodertransformer0",
        "autoencodertransformer1",
    ]
    np.testing.assert_allclose(
        estimator.transform(frame), expected.transform(digits), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        estimator.reconstruct(frame), expected.reconstruct(digits), rtol=1e-6, atol=1e-6
    )
    codes = estimator.set_output(transform=library).transform(frame)
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), expected.reconstruct(digits), rtol=1e-6, atol=1e-6
    )


def test_dataframes_with_other_columns_are_refused(digits):
    frame = _frame("pandas", digits)
    estimator = _make().fit(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        _make().fit(frame, X_val=frame[frame.columns[::-1]])


def test_many_samples_are_encoded_in_chunks(digits, fitted):
    X = np.tile(digits, (8, 1))  # more samples than a chunk has
    np.testing.assert_allclose(
        fitted.transform(X), np.tile(fitted.transform(digits), (8, 1)), atol=1e-9
    )


# Copies and files


@pytest.fixture(scope="module", params=["default", "textbook", "sigmoid"])
def trained(request, digits):
    parameters = {
        "default": {},
        "textbook": {
            "init": "random",
            "activation": "relu",
            "code_activation": "relu",
            "output_activation": "identity",
        },
        "sigmoid": {"init": "random", "loss": "log_loss", "hidden_layer_sizes": (12, 8)},
    }[request.param]
    return _make(3, **parameters).fit(digits / 16)


def _through_joblib(estimator, tmp_path, **options):
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    return joblib.load(tmp_path / "estimator.joblib", **options)


COPIES = {
    "pickle": lambda estimator, tmp_path: pickle.loads(pickle.dumps(estimator)),
    "joblib": _through_joblib,
    "joblib-mmap": lambda estimator, tmp_path: _through_joblib(estimator, tmp_path, mmap_mode="r"),
    "deepcopy": lambda estimator, tmp_path: copy.deepcopy(estimator),
    "copy": lambda estimator, tmp_path: copy.copy(estimator),
}


@pytest.mark.parametrize("way", sorted(COPIES))
def test_copies_are_the_same_to_the_last_bit(trained, digits, tmp_path, way):
    X = digits / 16
    twin = COPIES[way](trained, tmp_path)
    assert twin.net_.module_ is not trained.net_.module_
    for dtype in (np.float32, np.float64):
        rows = X.astype(dtype)
        np.testing.assert_array_equal(twin.transform(rows), trained.transform(rows))
        np.testing.assert_array_equal(twin.reconstruct(rows), trained.reconstruct(rows))
    assert twin.score(X) == trained.score(X)
    assert twin.validation_scores_ == trained.validation_scores_
    assert list(twin.history_) == list(trained.history_)
    assert twin.summary() == trained.summary()
    assert twin.get_params() == trained.get_params()


@pytest.mark.parametrize("way", sorted(COPIES))
def test_copies_do_not_follow_the_parameters_set_after_the_fit(trained, digits, tmp_path, way):
    X = digits / 16
    changed = copy.deepcopy(trained)
    changed.set_params(
        n_components=7,
        hidden_layer_sizes=(3,),
        activation="tanh",
        output_activation="identity",
        loss="squared_error",
    )
    twin = COPIES[way](changed, tmp_path)
    np.testing.assert_array_equal(twin.reconstruct(X), trained.reconstruct(X))
    assert twin.activation == "tanh"
    # Nor does what the net would be trained by.
    u = torch.rand(4, 64, generator=torch.Generator().manual_seed(0))
    losses = [fit.net_.criterion_(fit.net_.module_(u), Batch(u, u)) for fit in (twin, trained)]
    assert losses[0] == losses[1]


def test_copies_do_not_share_weights(trained, digits):
    twin = copy.deepcopy(trained)
    expected = trained.transform(digits / 16)
    with torch.no_grad():
        for parameter in twin.net_.module_.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(trained.transform(digits / 16), expected)
    assert not np.array_equal(twin.transform(digits / 16), expected)


def test_copies_can_be_copied_and_fitted_again(trained, digits):
    X = digits / 16
    twin = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(trained))))
    np.testing.assert_array_equal(twin.transform(X), trained.transform(X))
    np.testing.assert_array_equal(twin.fit(X).transform(X), trained.transform(X))


def test_copying_leaves_the_global_random_states_alone(trained):
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    pickle.loads(pickle.dumps(trained))
    copy.deepcopy(trained)
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_files_hold_plain_arrays(trained):
    state = trained.__getstate__()
    assert "net_" not in state
    modules = {type(value).__module__.partition(".")[0] for value in state.values()}
    assert modules <= {"builtins", "numpy", "skae"}
    weights = sum(row.count for row in trained.summary().rows) * 4
    fill = sum(np.asarray(part).nbytes for part in vars(trained._model.fill).values())
    assert len(pickle.dumps(trained)) < weights + fill + 20_000


def test_another_process_gives_the_same_to_the_last_bit(digits, tmp_path):
    X = digits / 16
    trained = _make(3).fit(X).set_params(activation="tanh", n_components=9)
    joblib.dump(trained, tmp_path / "estimator.joblib")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import sys, joblib, numpy, torch; torch.set_num_threads(1); folder = sys.argv[1];"
        "estimator = joblib.load(folder + '/estimator.joblib');"
        "numpy.save(folder + '/X_hat.npy', estimator.reconstruct(numpy.load(folder + '/X.npy')))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT, env=environment
    )
    np.testing.assert_array_equal(np.load(tmp_path / "X_hat.npy"), trained.reconstruct(X))


def test_clone_is_unfitted(trained):
    twin = clone(trained)
    assert twin.get_params() == trained.get_params()
    with pytest.raises(NotFittedError):
        check_is_fitted(twin)


@pytest.mark.parametrize(
    "use",
    [
        lambda estimator, X: estimator.transform(X),
        lambda estimator, X: estimator.inverse_transform(X),
        lambda estimator, X: estimator.reconstruct(X),
        lambda estimator, X: estimator.score(X),
        lambda estimator, X: estimator.score_samples(X),
        lambda estimator, X: estimator.summary(),
        lambda estimator, X: estimator.history_,
        lambda estimator, X: estimator.get_feature_names_out(),
    ],
    ids=[
        "transform",
        "inverse_transform",
        "reconstruct",
        "score",
        "score_samples",
        "summary",
        "history_",
        "names",
    ],
)
def test_unfitted_estimators_say_so(digits, use):
    with pytest.raises(NotFittedError, match="AutoencoderTransformer instance is not fitted yet"):
        use(_make(), digits)


# Bad input


def _snapshot(estimator):
    return dict(vars(estimator))


def _assert_unfitted(estimator):
    assert not [name for name in vars(estimator) if name.endswith("_") or name.startswith("_")]
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)


def _with(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


X_SMALL = np.random.default_rng(0).normal(size=(60, 6))
BAD_X = {
    "1-d": (X_SMALL[:, 0], "Expected 2D array, got 1D array"),
    "3-d": (np.zeros((9, 3, 3)), "Found array with dim 3"),
    "inf": (_with(X_SMALL, np.inf), "Input X contains infinity"),
    "no rows": (X_SMALL[:0], r"0 sample\(s\).*minimum of 2 is required"),
    "no columns": (X_SMALL[:, :0], r"0 feature\(s\).*minimum of 1 is required"),
    "one row": (X_SMALL[:1], r"1 sample\(s\).*minimum of 2 is required"),
    "strings": (np.array([["a", "b"]] * 10), "X has strings in columns 0, 1: encode them"),
    "complex": (X_SMALL + 1j, "Complex data not supported"),
    "1e200": (X_SMALL * 1e200, "X has values too large to train on.*StandardScaler"),
    "float32 that overflows": (
        np.float32([[-3e38, 1]] * 9 + [[3e38, 2]]),
        "X has values too large to train on",
    ),
    "one value of 1e200": (
        _with(X_SMALL, 1e200),
        "X has values too large to train on.*StandardScaler",
    ),
}
BAD_X_VAL = {
    "width": (X_SMALL[:, :3], "X_val has 3 features, but X has 6"),
    "inf": (_with(X_SMALL, -np.inf), "Input X_val contains infinity"),
    "no rows": (X_SMALL[:0], "X_val has no samples.*validation_fraction"),
    "1-d": (X_SMALL[0], "Expected 2D array"),
    "1e200": (X_SMALL * 1e200, "X_val has values too large to train on.*StandardScaler"),
}
BAD_PARAMETERS = [
    ({"n_components": 0}, r"'n_components'.*\[1, inf\).*Got 0"),
    ({"n_components": -1}, r"'n_components'.*\[1, inf\).*Got -1"),
    ({"n_components": True}, "n_components.*True"),
    ({"max_iter": True}, "max_iter=True is a boolean"),
    ({"batch_size": True}, "batch_size=True is a boolean"),
    (
        {"optimizer": torch.optim.Optimizer},
        "optimizer=<class .*'adam' or a class such as torch.optim.SGD",
    ),
    ({"skorch_callbacks": [3]}, "skorch_callbacks contains 3: each entry must be a callback"),
    ({"device": "meta"}, "device='meta' is not available here"),
    ({"n_components": "many"}, "'n_components'.*'auto'.*Got 'many'"),
    ({"n_components": 2.5}, r"'n_components'.*an int.*Got 2\.5"),
    (
        {"activation": "swish"},
        "(?=.*'activation'.*Got 'swish')"
        "(?=.*'gelu')(?=.*'relu')(?=.*'silu')(?=.*'tanh')(?=.*'logistic')",
    ),
    ({"code_activation": "tanh"}, "'code_activation'.*Got 'tanh'"),
    ({"output_activation": "relu"}, "'output_activation'.*'sigmoid'.*Got 'relu'"),
    ({"init": "zeros"}, "'init'.*'random'.*Got 'zeros'"),
    ({"loss": "mse"}, "'loss'.*'squared_error'.*Got 'mse'"),
    ({"optimizer": "sgd"}, "'optimizer'.*'adam'.*Got 'sgd'"),
    ({"optimizer": int}, "optimizer=<class 'int'>.*'adam' or a class such as torch.optim.SGD"),
    ({"learning_rate_init": 0}, "'learning_rate_init'.*Got 0"),
    ({"learning_rate_init": np.nan}, "'learning_rate_init'.*Got nan"),
    ({"alpha": -1.0}, "'alpha'.*Got -1"),
    ({"alpha": 1.0}, "'alpha'.*Got 1"),
    ({"batch_size": 0}, "'batch_size'.*Got 0"),
    ({"max_iter": -1}, "'max_iter'.*'auto'.*Got -1"),
    ({"validation_fraction": 1.0}, r"'validation_fraction'.*\(0.0, 1.0\).*'auto'.* or None.*Got 1"),
    ({"validation_fraction": 0.0}, "'validation_fraction'.*Got 0"),
    ({"device": "cuda:77"}, "device='cuda:77' is not available here.*'auto', 'cpu'"),
    ({"device": "nonsense"}, "device='nonsense' is not available here.*'auto', 'cpu'"),
    ({"device": 3}, "'device'.*Got 3"),
    ({"skorch_callbacks": "abc"}, "'skorch_callbacks'.*Got 'abc'"),
    ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes=\(0,\).*at least 1"),
    ({"hidden_layer_sizes": (8, -2)}, r"hidden_layer_sizes=\(8, -2\).*at least 1"),
    ({"hidden_layer_sizes": (True,)}, r"hidden_layer_sizes=\(True,\).*integers"),
    ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes=\(2.5,\).*integers"),
    ({"hidden_layer_sizes": "abc"}, "'hidden_layer_sizes'.*Got 'abc'"),
    ({"hidden_layer_sizes": 0}, "'hidden_layer_sizes'.*Got 0"),
    ({"hidden_layer_sizes": True}, "hidden_layer_sizes.*True.*integers"),
    ({"hidden_layer_sizes": None}, "'hidden_layer_sizes'.*Got None"),
    (
        {"code_activation": "relu"},
        "code_activation='relu'.*init='random' or choose another code_activation",
    ),
    (
        {"output_activation": "sigmoid"},
        "output_activation='sigmoid'.*init='random' or choose another output_activation",
    ),
    ({"loss": "log_loss"}, "loss='log_loss'.*init='random' or choose another loss"),
    (
        {"init": "random", "loss": "log_loss", "output_activation": "clip"},
        "loss='log_loss'.*output_activation='sigmoid'.*'clip'",
    ),
    (
        {"init": "random", "loss": "log_loss", "output_activation": "identity"},
        "loss='log_loss'.*'sigmoid'.*'identity'",
    ),
    ({"init": "random", "loss": "log_loss"}, r"X must lie in \[0, 1\].*MinMaxScaler"),
    ({"init": "random", "output_activation": "sigmoid"}, r"X must lie in \[0, 1\].*MinMaxScaler"),
]


def _bad_fits():
    for name, (X, message) in BAD_X.items():
        yield pytest.param({}, X, None, message, id=f"X {name}")
    for name, (X_val, message) in BAD_X_VAL.items():
        yield pytest.param({}, X_SMALL, X_val, message, id=f"X_val {name}")
    for parameters, message in BAD_PARAMETERS:
        yield pytest.param(
            parameters,
            X_SMALL,
            None,
            message,
            id=" ".join(f"{k}={v}" for k, v in parameters.items()),
        )


BAD_FITS = list(_bad_fits())


@pytest.mark.parametrize(("parameters", "X", "X_val", "message"), BAD_FITS)
def test_bad_input_is_refused_by_name_and_nothing_is_fitted(parameters, X, X_val, message):
    estimator = _make(max_iter=1).set_params(**parameters)
    with pytest.raises(ValueError, match="(?s)" + message):
        estimator.fit(X, X_val=X_val)
    _assert_unfitted(estimator)


@pytest.mark.parametrize(("parameters", "X", "X_val", "message"), BAD_FITS)
def test_bad_input_leaves_the_earlier_fit(parameters, X, X_val, message, digits):
    estimator = _make(max_iter=1).fit(digits)
    codes = estimator.transform(digits)
    estimator.set_params(**parameters)
    before = _snapshot(estimator)
    with pytest.raises(ValueError, match="(?s)" + message):
        estimator.fit(X, X_val=X_val)
    after = _snapshot(estimator)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(estimator.transform(digits), codes)


def test_validation_samples_outside_the_unit_interval_are_refused(digits):
    estimator = _make(init="random", loss="log_loss")
    with pytest.raises(ValueError, match=r"X_val must lie in \[0, 1\]"):
        estimator.fit(digits / 16, X_val=digits[:20])
    _assert_unfitted(estimator)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_codes_of_another_width_are_refused(fitted, width):
    with pytest.raises(ValueError, match=f"X has {width} columns, but the latent codes.*have 4"):
        fitted.inverse_transform(np.zeros((5, width)))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros(4), "Expected 2D array"),
        (np.full((2, 4), np.nan), "contains NaN"),
        (np.array([["a"] * 4]), "convert string"),
    ],
)
def test_codes_that_are_none_are_refused(fitted, codes, message):
    with pytest.raises(ValueError, match=message):
        fitted.inverse_transform(codes)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples"])
def test_samples_of_another_width_are_refused(fitted, digits, method):
    with pytest.raises(
        ValueError, match="X has 63 features, but AutoencoderTransformer is expecting 64"
    ):
        getattr(fitted, method)(digits[:, 1:])


@pytest.mark.parametrize("output_activation", ["auto", "clip", "identity"])
def test_constant_columns_are_reconstructed(rng, output_activation):
    X = np.c_[rng.normal(size=(60, 3)), np.full(60, 7.0), np.zeros(60)]
    X_hat = _make(output_activation=output_activation, max_iter=0).fit(X).reconstruct(X)
    np.testing.assert_allclose(X_hat[:, 3:], X[:, 3:], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e9])
@pytest.mark.parametrize("output_activation", ["auto", "identity"])
def test_constant_data_are_reconstructed(value, output_activation):
    X = np.full((40, 4), value)
    estimator = _make(output_activation=output_activation).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X), X, rtol=1e-12)
    np.testing.assert_allclose(estimator.transform(X), 0, atol=1e-6)
    assert np.isfinite(
        [estimator.baseline_score_, *estimator.validation_scores_, *estimator.loss_curve_]
    ).all()


def test_an_offset_of_ten_million_does_not_matter(cancer):
    near, far = (_make(max_iter=3).fit(X) for X in (cancer, cancer + 1e7))
    assert far.score(cancer + 1e7) == pytest.approx(near.score(cancer), abs=1e-3)
    np.testing.assert_allclose(far.transform(cancer + 1e7), near.transform(cancer), atol=0.05)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_does_not_matter(cancer, factor):
    expected, result = (_make(max_iter=3).fit(X).transform(X) for X in (cancer, cancer * factor))
    np.testing.assert_allclose(result / factor, expected, atol=0.02)


@pytest.mark.parametrize("n_rows", [2, 3, 9])
def test_few_samples(rng, n_rows):
    X = rng.normal(size=(n_rows, 6))
    estimator = _make(3).fit(X)
    assert estimator.transform(X).shape == (n_rows, 3)
    assert np.isfinite(estimator.reconstruct(X)).all()


# Interruptions


def _raise_in(event, error):
    """A callback that raises at the third event of that kind."""

    def handler(self, net, **kwargs):
        self.count += 1
        if self.count == 3:
            raise error

    return type("Raises", (Callback,), {event: handler, "count": 0})()


INTERRUPTIONS = [
    ("on_batch_end", KeyboardInterrupt),
    ("on_batch_begin", KeyboardInterrupt),
    ("on_epoch_begin", KeyboardInterrupt),
    ("on_batch_end", RuntimeError),
    ("on_epoch_end", ZeroDivisionError),
]


@pytest.mark.parametrize(("event", "error"), INTERRUPTIONS)
def test_an_interrupted_fit_propagates_and_fits_nothing(digits, event, error):
    estimator = _make(max_iter=5, skorch_callbacks=[_raise_in(event, error("stop"))])
    with pytest.raises(error, match="stop"):
        estimator.fit(digits)
    _assert_unfitted(estimator)


@pytest.mark.parametrize(("event", "error"), INTERRUPTIONS)
def test_an_interrupted_fit_leaves_the_earlier_fit(digits, cancer, event, error):
    estimator = _make(3, max_iter=5).fit(digits)
    codes, score, history = (
        estimator.transform(digits),
        estimator.score(digits),
        list(estimator.history_),
    )
    estimator.set_params(
        n_components=2, hidden_layer_sizes=(7,), skorch_callbacks=[_raise_in(event, error("stop"))]
    )
    with pytest.raises(error, match="stop"):
        estimator.fit(cancer)
    np.testing.assert_array_equal(estimator.transform(digits), codes)
    assert (estimator.score(digits), list(estimator.history_)) == (score, history)
    assert (estimator.n_components_, estimator.n_features_in_) == (3, 64)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(estimator.set_params(skorch_callbacks=None))).transform(digits),
        codes,
    )


def test_ctrl_c_in_the_middle_of_the_network_propagates(digits, monkeypatch):
    calls = []

    def forward(self, x):
        calls.append(len(x))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return x

    monkeypatch.setattr(torch.nn.SiLU, "forward", forward)
    estimator = _make(max_iter=5, activation="silu")
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(digits)
    _assert_unfitted(estimator)
