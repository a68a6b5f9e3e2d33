"""What earlier versions got wrong: a test of the right behavior for each fault."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
import torch
from conftest import ESTIMATORS, KEEPS_EPOCH_0
from sklearn.datasets import load_linnerud
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, InputShapeSetter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    DepthCurveDisplay,
    ReconstructionDisplay,
    VAETransformer,
    _fitting,
    reconstruction_score,
)
from skae._data import streams
from skae._data.sources import ArraySource
from skae._nn.vae import PCADensity

ROOT = Path(__file__).parent.parent
EACH = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
pytestmark = pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")


def _make(cls, n_components=3, **parameters):
    is_conv = cls is ConvAutoencoderTransformer
    sizes = {"channels": (4,)} if is_conv else {"hidden_layer_sizes": (8,)}
    common = {"max_iter": 2, "random_state": 0, "device": "cpu"}
    return cls(n_components, **sizes | common | parameters)


class _NoFloat64(TorchDispatchMode):
    """As a device without float64: Apple's GPUs are so."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if any(
            isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64
            for leaf in tree_leaves(result)
        ):
            raise TypeError(f"{func} on a device that has no float64.")
        return result


# Row 9: devices without float64


@EACH
@pytest.mark.parametrize("ordered", [False, True])
def test_training_needs_no_float64_on_the_device(cls, ordered, rng, monkeypatch):
    def without_float64(function):
        def refusing(*args, **kwargs):
            with _NoFloat64():
                return function(*args, **kwargs)

        return refusing

    X = rng.normal(size=(60, 16)).astype(np.float32)
    expected = _make(cls, ordered=ordered).fit(X).score(X)
    monkeypatch.setattr(_fitting, "fit_net", without_float64(_fitting.fit_net))
    monkeypatch.setattr(_fitting, "prefix_scores", without_float64(_fitting.prefix_scores))
    assert _make(cls, ordered=ordered).fit(X).score(X) == expected


def test_the_start_of_a_prefix_needs_no_float64_on_the_device():
    with _NoFloat64():
        V, eigenvalues, _ = PCADensity(3).model(torch.zeros(3, 5), 2)
    assert V.dtype == eigenvalues.dtype == np.float64
    assert len(V) == len(eigenvalues) == 2


# Row 10: a callable corruption at a large offset


def _halve_deviations(X, random_state):
    assert X.dtype == np.float64
    _halve_deviations.seen.append(X.copy())
    return X - (X - X.mean(axis=0)) / 2 * (random_state.uniform(size=X.shape) < 0.5)


@pytest.mark.parametrize("offset", [0.0, 1e8, 1e9])
def test_a_callable_corruption_is_given_samples_at_any_offset(rng, offset):
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(300, 8))
    _halve_deviations.seen = []
    fits = [
        _make(DenoisingAutoencoder, corruption=_halve_deviations, max_iter=5).fit(X + at)
        for at in (0.0, offset)
    ]
    for seen in _halve_deviations.seen:
        nearest = (
            np.abs(seen[:, None] - X - offset * (np.abs(seen).max() > 1e3)).max(axis=2).min(axis=1)
        )
        assert nearest.max() < 1e-5
    without, shifted = (fit.score(X + at) for fit, at in zip(fits, (0.0, offset), strict=True))
    assert without > 0.9
    assert shifted == pytest.approx(without, abs=0.01)


def _r2(X, X_hat):
    return r2_score(X, X_hat, multioutput="variance_weighted")


# 1. Threads share torch's process-wide generator.


@pytest.fixture
def _slow_layers(monkeypatch):
    """Networks take a while to be made, so that threads meet there on any machine."""
    init = torch.nn.Linear.__init__

    def slow(layer, *args, **kwargs):
        init(layer, *args, **kwargs)
        time.sleep(1e-3)

    monkeypatch.setattr(torch.nn.Linear, "__init__", slow)


def _in_threads(function, items):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(function, items))


@EACH
@pytest.mark.usefixtures("_slow_layers")
def test_fits_in_threads_are_those_of_one_thread(cls, digits):
    def codes(seed):
        estimator = _make(cls, init="random", max_iter=1, random_state=seed)
        return estimator.fit(digits[:40]).transform(digits[:40])

    alone = [codes(seed) for seed in range(12)]
    state = torch.get_rng_state()
    np.testing.assert_array_equal(_in_threads(codes, range(12)), alone)
    assert torch.equal(torch.get_rng_state(), state)


@EACH
@pytest.mark.usefixtures("_slow_layers")
def test_truncating_and_loading_in_threads_leave_torchs_generator_alone(cls, digits):
    ordered = _make(cls, 4, ordered=True, max_iter=0).fit(digits[:40])
    file = pickle.dumps(ordered)

    def codes(i):
        loaded = pickle.loads(file) if i % 2 else ordered
        return loaded.truncate(2).transform(digits)

    alone = codes(0)
    state = torch.get_rng_state()
    for result in _in_threads(codes, range(24)):
        np.testing.assert_array_equal(result, alone)
    assert torch.equal(torch.get_rng_state(), state)


@EACH
@pytest.mark.usefixtures("_slow_layers")
def test_numbers_drawn_during_a_load_never_repeat(cls, digits):
    file = pickle.dumps(_make(cls, max_iter=0).fit(digits[:40]))
    drawn, loads = [], threading.Event()

    def draw():
        while not loads.is_set():
            drawn.append(torch.rand(4, dtype=torch.float64).numpy())

    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(draw)
        try:
            for _ in range(15):
                pickle.loads(file)
        finally:
            loads.set()
        drawing.result()
    assert len(np.unique(np.concatenate(drawn))) == 4 * len(drawn) > 0  # of 2**53 numbers


# 2. One validation sample chooses the epoch.


def _on_a_curve(n_samples):
    """Samples on a curve, which one latent variable describes better than any linear map."""
    return np.cos(np.outer(np.linspace(-1, 1, n_samples), np.arange(16)))


@EACH
@pytest.mark.parametrize("how", ["X_val", "a small fraction", "ten samples"])
@KEEPS_EPOCH_0
def test_one_validation_sample_keeps_pca(cls, how):
    n_samples, max_iter = (10, 40) if how == "ten samples" else (60, 3)
    fraction = 0.01 if how == "a small fraction" else "auto"
    for i in (1, 3, 4):  # which samples improve by chance differs
        estimator = _make(cls, 1, max_iter=max_iter, random_state=i, validation_fraction=fraction)
        estimator.set_params(batch_size=8 if n_samples == 60 else 4, learning_rate_init=0.03)
        X_val = _on_a_curve(6)[[i]] if how == "X_val" else None
        assert estimator.fit(_on_a_curve(n_samples), X_val=X_val).best_iter_ == 0


@pytest.mark.parametrize("n_components", [1, 2])
@KEEPS_EPOCH_0
def test_ten_samples_of_linnerud_cross_validate_as_pca(n_components):
    X = load_linnerud().data
    estimator = AutoencoderTransformer(
        n_components, output_activation="identity", max_iter=30, random_state=0
    )
    expected = cross_val_score(PCA(n_components), X, scoring=reconstruction_score, cv=2)
    np.testing.assert_allclose(cross_val_score(estimator, X, cv=2), expected, atol=1e-4)


# 3. A fraction of the variance where the validation samples do not vary.


@EACH
@pytest.mark.parametrize("how", ["one of ten samples", "equal samples"])
def test_a_fraction_is_reached_where_the_validation_samples_do_not_vary(cls, digits, how):
    X, given = digits[:10], {}
    if how == "equal samples":
        X, given = digits[:100], {"X_val": np.repeat(digits[:1], 5, axis=0)}
    parameters = {"corruption": None} if cls is DenoisingAutoencoder else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = _make(cls, 0.9, max_iter=1, **parameters).fit(X, **given)
    warned = any("is not reached" in str(warning.message) for warning in caught)
    shares = PCA(svd_solver="full").fit(X).explained_variance_ratio_.cumsum()
    n_wanted = np.searchsorted(shares, 0.9) + 1
    assert n_wanted > 3
    assert warned or abs(estimator.n_components_ - n_wanted) <= 1


# 4. Denoising where the inputs do not vary.


EQUAL = [(n, name) for n in (2, 20) for name in ("masking", "salt_and_pepper", None)]


@pytest.mark.parametrize("max_iter", [0, 2])
@pytest.mark.parametrize(("n_samples", "corruption"), [*EQUAL, (20, "gaussian")])
def test_denoising_fits_to_equal_samples(n_samples, corruption, max_iter):
    X = np.repeat([[3.0, -1.0, 0.5, 0.0]], n_samples, axis=0)
    estimator = _make(DenoisingAutoencoder, 2, corruption=corruption, max_iter=max_iter).fit(X)
    assert np.isfinite(estimator.denoise(X)).all()
    assert np.isfinite(estimator.transform(X)).all()
    if max_iter == 0:
        np.testing.assert_allclose(estimator.denoise(X), X, atol=1e-6)


def test_denoising_fits_where_all_is_masked(digits):
    for max_iter in (2, 0):
        estimator = _make(DenoisingAutoencoder, noise_level=1.0, max_iter=max_iter).fit(digits)
        assert np.isfinite(estimator.denoise(digits)).all()
        assert np.isfinite(estimator.score(digits))
    mean = np.broadcast_to(digits.mean(axis=0), digits.shape)
    np.testing.assert_allclose(estimator.denoise(digits), mean, atol=1e-4)


# 5. Regression on inputs of different units.


@pytest.fixture(scope="module")
def pairs():
    """400 samples and a linear map of them, which is nearly exact."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 10))
    return X, X @ rng.normal(size=(10, 6)) + 1e-3 * rng.normal(size=(400, 6))


def _start_r2(X, target):
    start = _make(DenoisingAutoencoder, 10, max_iter=0).fit(X, X_target=target)
    return start.score(X, X_target=target)


def test_a_start_from_pairs_is_least_squares_with_a_large_unit(pairs):
    X, target = pairs[0] * np.where(np.arange(10) == 3, 1e5, 1.0), pairs[1]
    inputs = np.column_stack([X, np.ones(len(X))])
    solution = np.linalg.lstsq(inputs, target, rcond=None)[0]
    expected = _r2(target, inputs @ solution)
    assert expected > 0.999
    assert _start_r2(X, target) >= 0.98


@pytest.mark.parametrize("unit", [1e-3, 1e3, 1e5])
def test_the_unit_of_an_input_is_nothing_to_the_start(pairs, unit):
    X, target = pairs
    scaled = X * np.where(np.arange(10) == 3, unit, 1.0)
    assert _start_r2(scaled, target) == pytest.approx(_start_r2(X, target), abs=1e-3)


# 6. Equal samples on both sides of the random split.


class Batches(Callback):
    """Keeps what the training samples are to be reconstructed as in the first epoch."""

    def __init__(self):
        self.samples = []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        assert training
        self.samples += [sample.tobytes() for sample in batch[1].numpy()]


@EACH
@pytest.mark.parametrize("validation_fraction", ["auto", 0.25])
def test_equal_samples_are_on_one_side_of_the_split(cls, rng, validation_fraction):
    X = np.tile(rng.normal(size=(300, 16)), (10, 1))
    batches, parameters = Batches(), {"validation_fraction": validation_fraction}
    _make(cls, max_iter=1, skorch_callbacks=[batches], **parameters).fit(X)
    counts = Counter(batches.samples)
    assert set(counts.values()) == {10}
    share = 0.1 if validation_fraction == "auto" else validation_fraction
    assert len(counts) == pytest.approx(300 * (1 - share), abs=3)


# 7. Settings of the process change the result.


@contextmanager
def _default(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


SETTINGS = {
    "default dtype": lambda: _default(torch.set_default_dtype, torch.float64, torch.float32),
    "default device": lambda: _default(torch.set_default_device, "meta", None),
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}
EACH_SETTING = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


class Descent(torch.optim.Optimizer):
    """Gradient descent that leaves it to the caller whether there are gradients.

    torch's own optimizers turn them on.
    """

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure):
        loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter -= group["lr"] * parameter.grad
        return loss


@EACH
def test_a_fit_by_any_optimizer_is_the_same_without_gradients_around_it(cls, digits):
    def fitted():
        return _make(cls, optimizer=Descent, learning_rate_init=1e-3).fit(digits)

    expected = fitted()
    with torch.no_grad():
        estimator = fitted()
    assert estimator.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(estimator.transform(digits), expected.transform(digits))


def _fitted(cls, X):
    return _make(cls, 4, ordered=True, max_iter=3, learning_rate_init=1e-2).fit(X)


@EACH
@EACH_SETTING
def test_a_fit_is_the_same_under_any_setting_of_torch(cls, digits, setting):
    X = digits[:100].astype(np.float32)
    expected = _fitted(cls, X)
    with setting():
        estimator = _fitted(cls, X)
    assert estimator.loss_curve_ == expected.loss_curve_
    assert estimator.validation_scores_ == expected.validation_scores_
    np.testing.assert_array_equal(estimator.transform(X), expected.transform(X))


@EACH
@pytest.mark.parametrize("name", ["default dtype", "default device", "autocast"])
def test_a_fitted_estimator_gives_the_same_under_any_setting_of_torch(cls, digits, name):
    def results(estimator):
        twins = estimator, pickle.loads(pickle.dumps(estimator)), estimator.truncate(2)
        return [f(X) for twin in twins for f in (twin.transform, twin.reconstruct, twin.score)]

    X = digits[:100].astype(np.float32)
    estimator = _fitted(cls, X)
    expected = results(estimator)
    with SETTINGS[name]():
        given = results(estimator)
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# 8. Fortran-ordered samples are copied for each batch.


class Peaks(Callback):
    """Keeps how far numpy's memory rises while a batch is fetched."""

    def __init__(self):
        self.bytes = []

    def on_epoch_begin(self, net, **kwargs):
        tracemalloc.reset_peak()

    def on_batch_begin(self, net, **kwargs):
        current, peak = tracemalloc.get_traced_memory()
        self.bytes.append(peak - current)

    def on_batch_end(self, net, **kwargs):
        tracemalloc.reset_peak()


@contextmanager
def _traced():
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def _peak(function):
    """Most bytes of numpy's memory at once while a function runs."""
    with _traced():
        function()
        return tracemalloc.get_traced_memory()[1]


@pytest.fixture(scope="module")
def wide():
    """8 MB of samples."""
    return np.random.default_rng(0).normal(size=(20_000, 100)).astype(np.float32)


def test_a_batch_of_fortran_ordered_samples_takes_no_copy_of_all(wide):
    peaks = Peaks()
    estimator = _make(AutoencoderTransformer, max_iter=1, batch_size=1024, skorch_callbacks=[peaks])
    with _traced():
        estimator.fit(np.asfortranarray(wide))
    # Whoever copies all samples once, before training or for the first batch, does not do it again.
    assert len(peaks.bytes) > 10
    assert max(peaks.bytes[1:]) < wide.nbytes / 2
    expected = _make(AutoencoderTransformer, max_iter=1, batch_size=1024).fit(wide)
    np.testing.assert_array_equal(estimator.transform(wide), expected.transform(wide))


# 11. Two scores of one name.


@pytest.fixture
def changed(digits):
    """Samples of which one column does not vary, though it did in training."""
    X = digits[:200].copy()
    X[:, 20] = 9.0
    return X


@pytest.fixture(scope="module")
def in_order(digits):
    return _make(AutoencoderTransformer, 4, ordered=True).fit(digits)


@pytest.fixture(scope="module")
def denoiser(digits):
    return _make(DenoisingAutoencoder, 4, ordered=True).fit(digits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_curve_ends_at_the_score_where_a_column_no_longer_varies(in_order, changed, dtype):
    X = changed.astype(dtype)
    expected = _r2(changed, in_order.reconstruct(changed))
    assert in_order.score(X) == pytest.approx(expected, abs=1e-5)
    assert in_order.explained_variance_curve(X)[-1] == pytest.approx(in_order.score(X), abs=1e-6)


def test_the_curve_of_a_denoiser_ends_at_its_score(denoiser, digits):
    curve = denoiser.explained_variance_curve(digits)
    assert curve[-1] == pytest.approx(denoiser.score(digits), abs=1e-6)


@pytest.fixture
def _figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.mark.usefixtures("_figures")
@pytest.mark.parametrize("name", ["in_order", "denoiser"])
def test_displays_show_one_score_alone_and_in_a_pipeline(name, changed, request):
    alone = request.getfixturevalue(name)
    estimators = {"alone": alone, "piped": make_pipeline(FunctionTransformer(), alone)}
    curves = DepthCurveDisplay.from_estimator(estimators, changed).scores
    scores = ReconstructionDisplay.from_estimator(estimators, changed).scores
    np.testing.assert_allclose(curves["alone"], curves["piped"], atol=1e-6)
    assert scores["alone"] == pytest.approx(scores["piped"], abs=1e-6)
    assert scores["alone"] == pytest.approx(curves["alone"][-1], abs=1e-6)


# 12. The start of a truncated density.


@pytest.mark.parametrize("name", ["cancer", "digits"])
def test_a_truncated_start_scores_as_pca(name, request):
    X = request.getfixturevalue(name)
    start = _make(VAETransformer, 8, ordered=True, max_iter=0).fit(X)
    scores = [start.truncate(depth).score(X) for depth in range(1, 9)]
    expected = [PCA(depth, svd_solver="full").fit(X).score(X) for depth in range(1, 9)]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3)


def test_the_start_of_a_fraction_scores_as_pca(digits):
    start = _make(VAETransformer, 0.9, max_iter=0).fit(digits)
    assert 10 < start.n_components_ < 32
    expected = PCA(start.n_components_, svd_solver="full").fit(digits).score(digits)
    assert start.score(digits) == pytest.approx(expected, abs=1e-3)


# 14. float64 input has the network copied at each call.


@EACH
def test_float64_samples_convert_no_weights_at_a_second_call(cls, digits, monkeypatch):
    estimator = _make(cls).fit(digits)
    n_bytes = len(pickle.dumps(estimator))
    expected = estimator.transform(digits), estimator.reconstruct(digits)
    assert len(pickle.dumps(estimator)) == n_bytes
    calls, apply = [], torch.nn.Module._apply

    def counted(module, *args, **kwargs):
        calls.append(type(module))
        return apply(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "_apply", counted)
    np.testing.assert_array_equal(estimator.transform(digits), expected[0])
    np.testing.assert_array_equal(estimator.reconstruct(digits), expected[1])
    assert not calls


# 15. A fitted estimator holds what only training needs.


_OURS = ("skae", "skorch", "torch.nn", "torch.optim")
_CONTAINERS = dict, list, tuple, set, types.MethodType


def _tensor_bytes(root):
    """Bytes of all tensors that can be reached from an object, gradients included."""
    seen, storages, stack = {}, {}, [root]
    while stack:
        x = stack.pop()
        if id(x) in seen or isinstance(x, type | types.ModuleType):
            continue
        seen[id(x)] = x  # kept, so that no other object gets its id
        if isinstance(x, torch.Tensor):
            storage = x.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            stack += [] if x.grad is None else [x.grad]
        elif isinstance(x, _CONTAINERS) or type(x).__module__.startswith(_OURS):
            stack += gc.get_referents(x)
    return sum(storages.values())


@EACH
@pytest.mark.parametrize("optimizer", ["adam", torch.optim.Adam])
def test_a_fitted_estimator_holds_its_weights_and_no_more(cls, digits, optimizer):
    sizes = {"channels": (32, 64)} if cls is ConvAutoencoderTransformer else {}
    sizes = sizes or {"hidden_layer_sizes": (256, 256)}
    estimator = _make(cls, 16, optimizer=optimizer, **sizes).fit(digits)
    weights = list(estimator.net_.module_.parameters())
    n_bytes = sum(weight.nbytes for weight in weights)
    assert n_bytes > 100_000
    assert all(weight.grad is None for weight in weights)
    optimizer = getattr(estimator.net_, "optimizer_", None)
    assert optimizer is None or not optimizer.state
    assert n_bytes <= _tensor_bytes(estimator) <= 1.2 * n_bytes + 50_000


# 17. Scores of large data in float64. Of torch's own memory tracemalloc sees nothing.


@pytest.mark.parametrize("method", ["score", "score_samples"])
@pytest.mark.parametrize("cls", ESTIMATORS[:3], ids=lambda cls: cls.__name__)
def test_a_score_takes_no_copy_of_the_samples(cls, method, wide):
    estimator = _make(cls, max_iter=0, validation_fraction=0.01).fit(wide)
    score = getattr(estimator, method)
    score(wide[:10])
    assert _peak(lambda: score(wide)) <= 0.5 * wide.nbytes + 2e6


# 18. The covariance of float32 samples in float32.


def test_small_noise_of_float32_samples_is_measured(rng):
    factors = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 30))
    X = (factors + 3e-4 * rng.normal(size=(500, 30))).astype(np.float32)
    expected = PCA(2, svd_solver="full").fit(X.astype(np.float64)).score(X.astype(np.float64))
    start = _make(VAETransformer, 2, max_iter=0).fit(X)
    assert start.score(X.astype(np.float64)) == pytest.approx(expected, abs=0.5)
    assert start.score(X) == pytest.approx(expected, abs=0.5)


# 20a. The warning of a fraction that is not reached points at a file of the library.


@EACH
def test_the_warning_of_a_fraction_points_at_the_caller(cls, rng):
    X = rng.normal(size=(160, 150))  # more features than a fraction tries components
    for method in ("fit", "fit_transform"):
        estimator = _make(cls, 0.99999, max_iter=1)
        with pytest.warns(UserWarning, match="is not reached") as caught:
            getattr(estimator, method)(X)
        assert [warning.filename for warning in caught] == [__file__]


# 20b. A history that JSON cannot hold.


class TupleKeys(Callback):
    """Records what JSON has no form for."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("pairs", {(1, 2): 3})


def test_what_callbacks_record_does_not_break_pickling(digits):
    estimator = _make(AutoencoderTransformer, skorch_callbacks=[TupleKeys()]).fit(digits)
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(twin.transform(digits), estimator.transform(digits))
    assert all("pairs" in epoch for epoch in twin.history_)


# 20c. An interrupt is taken for a callback that stops training.


class Interrupted(Callback):
    """A user presses Ctrl-C while this callback runs."""

    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


@contextmanager
def _interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@EACH
def test_an_interrupt_ends_the_fit_and_leaves_the_estimator_as_it_was(cls, digits):
    estimator = _make(cls).fit(digits)
    expected = estimator.transform(digits)
    estimator.set_params(skorch_callbacks=[Interrupted()], random_state=1)
    attributes = dict(vars(estimator))
    with _interruptible(), pytest.raises(KeyboardInterrupt):
        estimator.fit(digits)
    assert vars(estimator) == attributes
    np.testing.assert_array_equal(estimator.transform(digits), expected)
    stopping = EarlyStopping("train_loss", patience=1, threshold=1e9, threshold_mode="abs")
    estimator.set_params(skorch_callbacks=[stopping], max_iter=10).fit(digits)
    assert estimator.n_iter_ < 10


# 20f. A state whose parts do not suit each other.


def _with_nan_weights(state):
    weights = {name: np.array(weight) for name, weight in state["_model"]["weights"].items()}
    next(iter(weights.values())).flat[0] = np.nan
    return state | {"_model": state["_model"] | {"weights": weights}}


STATES = {
    "NaN weights": _with_nan_weights,
    "short loss curve": lambda state: state | {"loss_curve_": state["loss_curve_"][:-1]},
    "short scores": lambda state: state | {"validation_scores_": state["validation_scores_"][:-1]},
    "short mean": lambda state: state | {"mean_": state["mean_"][:-1]},
}


@EACH
@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_state_that_is_not_whole_is_refused(cls, digits, change):
    state = _make(cls).fit(digits).__getstate__()
    cls.__new__(cls).__setstate__(dict(state))
    with pytest.raises(ValueError, match=cls.__name__):
        cls.__new__(cls).__setstate__(change(dict(state)))


# 20g. Callbacks of skorch that ask for predictions or the shape of X.


@EACH
def test_skorch_scores_each_epoch(cls, digits):
    scoring = EpochScoring("neg_mean_squared_error", lower_is_better=False, name="mse")
    estimator = _make(cls, skorch_callbacks=[scoring]).fit(digits)
    scores = np.array(estimator.history_[:, "mse"])
    # In the network's units the mean squared error of predicting the mean is 1.
    assert len(scores) == 2
    assert ((scores > -1.2) & (scores < 0)).all()


def _refusal(estimator, X):
    """Why it cannot be fitted; None where it can."""
    try:
        estimator.fit(X)
    except ValueError as error:
        return str(error)
    return None


@EACH
def test_the_input_shape_setter_does_no_harm_or_is_refused_plainly(cls, digits):
    refusal = _refusal(_make(cls, skorch_callbacks=[InputShapeSetter()]), digits)
    assert refusal is None or "skorch_callbacks" in refusal


# 20h. Constant samples, fewer than features.


@EACH
@pytest.mark.filterwarnings("ignore:.*density is degenerate:UserWarning")
@pytest.mark.parametrize("max_iter", [0, 1])
def test_constant_samples_warn_of_no_division(cls, max_iter):
    X = np.full((5, 16), 3.0)
    estimator = _make(cls, max_iter=max_iter).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X), X, atol=1e-3)


# 20i. Samples as polars' Series.


def test_interpolation_between_series_of_polars(digits):
    estimator = _make(VAETransformer, max_iter=0).fit(digits)
    expected = estimator.interpolate(digits[0], digits[1])
    given = estimator.interpolate(pl.Series(digits[0]), pl.Series("b", digits[1]))
    np.testing.assert_array_equal(given, expected)


# 20j. Tensors under scikit-learn's array API dispatch.

PROGRAM = """
import sys, numpy as np, torch
from sklearn import config_context
import skae
torch.set_num_threads(1)
X = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
for name in sys.argv[1:]:
    def make():
        return getattr(skae, name)(3, max_iter=1, random_state=0, device="cpu")
    expected = make().fit(X).transform(X)
    with config_context(array_api_dispatch=True):
        codes = make().fit(torch.from_numpy(X)).transform(torch.from_numpy(X))
    assert isinstance(codes, np.ndarray), type(codes)
    np.testing.assert_array_equal(codes, expected)
"""


# Before, the dispatch requires a further package.
@pytest.mark.requires("scikit-learn>=1.7")
def test_tensors_are_taken_under_array_api_dispatch():
    command = [sys.executable, "-c", PROGRAM, *(cls.__name__ for cls in ESTIMATORS)]
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# 4 and "Done when". What is known before the first gradient step, and how often X is read for it.


@EACH
def test_a_start_without_a_finite_score_is_refused(cls, digits, monkeypatch):
    estimator = _make(cls).fit(digits)
    before = estimator.transform(digits)

    def start(self, module, data):
        module.encoder.linear.weight.data.fill_(np.nan)
        module.decoder.linear.weight.data.fill_(1.0)

    monkeypatch.setattr(cls, "_start", start)
    with pytest.raises(ValueError, match=r"the validation score is (nan|-?inf).*Rescale"):
        estimator.fit(digits)
    np.testing.assert_array_equal(estimator.transform(digits), before)


class CountingSource(ArraySource):
    """Counts how often each sample is read, until it is stopped."""

    counts = []

    def __init__(self, X, *args, **kwargs):
        super().__init__(X, *args, **kwargs)
        self.n_reads = np.zeros(len(X), dtype=int)
        self.counts.append(self)

    def __getitem__(self, batch):  # chunks are read by it, too
        self.n_reads[batch] += 1
        return super().__getitem__(batch)

    def take(self, positions):
        self.n_reads[positions] += 1
        return super().take(positions)

    def to_array(self):
        self.n_reads += 1
        return super().to_array()


class FirstStep(Callback):
    """Keeps how often samples had been read when the first gradient step came."""

    def on_batch_begin(self, net, **kwargs):
        if not hasattr(self, "n_reads"):
            self.n_reads = CountingSource.counts[0].n_reads.copy()


@EACH
@pytest.mark.parametrize("ordered", [False, True])
def test_x_is_validated_and_then_read_once_before_the_first_step(cls, ordered, rng, monkeypatch):
    X = rng.normal(size=(8000, 16))
    CountingSource.counts.clear()
    monkeypatch.setattr(streams, "ArraySource", CountingSource)
    first = FirstStep()
    _make(cls, max_iter=1, ordered=ordered, skorch_callbacks=[first]).fit(X)
    assert first.n_reads.min() == 1
    n_validation, n_prefetched = 800, 1024
    assert (first.n_reads > 1).sum() == n_validation + n_prefetched
    assert (first.n_reads > 2).sum() <= n_validation
    assert len(CountingSource.counts) == 1


# 20e. One seed for all that is drawn.


@EACH
def test_what_is_drawn_has_a_seed_of_its_own(cls, digits, monkeypatch):
    seeds, make = {"torch": set(), "numpy": set()}, np.random.default_rng

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            seeds["torch"].add(seed)
            return super().manual_seed(seed)

    def default_rng(seed):
        seeds["numpy"].add(seed if np.isscalar(seed) else tuple(seed))
        return make(seed)

    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(np.random, "default_rng", default_rng)
    _make(cls, max_iter=1).fit(digits)
    # Weights and the noise of training; a density has fixed draws, too.
    assert len(seeds["torch"]) == (3 if cls is VAETransformer else 2)
    scalars = {seed for seed in seeds["numpy"] if np.isscalar(seed)}
    # Split and batches; the hashes of samples have the same factors in every fit.
    assert len(scalars - {0}) == 2
    assert not seeds["torch"] & scalars
    corruptions = seeds["numpy"] - scalars
    if cls is DenoisingAutoencoder:
        assert len(corruptions) == 3  # training, validation and the start
        assert not {seed for seed, *_ in corruptions} & (seeds["torch"] | scalars)
    else:
        assert not corruptions


# 16 and 17. Memory of what goes out, and of the linear start of a denoiser.


def test_a_reconstruction_takes_no_more_than_itself(wide):
    estimator = _make(AutoencoderTransformer, max_iter=0, validation_fraction=0.01).fit(wide)
    estimator.reconstruct(wide[:10])
    assert _peak(lambda: estimator.reconstruct(wide)) <= 1.2 * wide.nbytes + 2e6


# What a second reading of the new parts found.


def _lit_late(rng):
    """Sparse samples: features may be nonzero in a few, all of which are in the validation set."""
    X = rng.exponential(size=(400, 300)) * (rng.random((400, 300)) < 0.05)
    X[:, 150:] *= rng.random((400, 150)) < 0.05
    return X


@pytest.mark.parametrize("seed", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_denoiser_starts_no_lower_than_the_mean_on_sparse_samples(seed, dtype):
    X = _lit_late(np.random.default_rng(seed)).astype(dtype)
    start = _make(DenoisingAutoencoder, 8, noise_level=0.3, max_iter=0, random_state=seed).fit(X)
    # That of the mean, but for the difference of the means of all and of some.
    assert start.baseline_score_ > -0.1
    assert start.score(X) > -0.1


class Locked(Callback):
    """Has what cannot be copied, and counts the calls of a hook."""

    def __init__(self):
        self.lock, self.n_calls = threading.Lock(), 0

    def on_train_begin(self, net, **kwargs):
        net.module_.encoder.register_forward_hook(self._count)

    def _count(self, *args):
        with self.lock:
            self.n_calls += 1


def test_hooks_of_callbacks_are_not_copied_into_the_average(digits):
    locked = Locked()
    _make(AutoencoderTransformer, max_iter=3, batch_size=270, skorch_callbacks=[locked]).fit(digits)
    assert locked.n_calls == 3  # a gradient step each, no validation


class Looks(Callback):
    """Predicts an array, scores the training samples and takes some samples."""

    def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
        assert net.predict(np.zeros((5, 64), dtype=np.float32)).shape == (5, 64)
        assert dataset_valid.X[np.arange(3)][0].shape == (3, 64)
        assert len(dataset_train.y) == len(dataset_train)


@EACH
def test_a_callback_that_only_looks_changes_nothing(cls, digits):
    scoring = EpochScoring(
        "neg_mean_squared_error", on_train=True, lower_is_better=False, name="mse"
    )
    fits = [
        _make(cls, skorch_callbacks=callbacks).fit(digits)
        for callbacks in ([Callback()], [Looks(), scoring])
    ]
    assert fits[0].validation_scores_ == fits[1].validation_scores_
    np.testing.assert_array_equal(*(fit.transform(digits) for fit in fits))


# In scikit-learn's validation.
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
def test_a_score_near_the_end_of_float32_is_finite(rng):
    # Codes are thirty times as large.
    X = np.outer(rng.uniform(-3e37, 3e37, size=300), np.ones(900)).astype(np.float32)
    assert _make(AutoencoderTransformer, max_iter=0).fit(X).score(X) == pytest.approx(1)


def test_a_density_of_float32_samples_takes_no_copy_of_them(wide):
    estimator = _make(VAETransformer, max_iter=0, validation_fraction=0.01).fit(wide)
    estimator.score(wide[:10])
    assert _peak(lambda: estimator.score(wide)) <= 0.5 * wide.nbytes + 2e6


def test_a_truncated_estimator_shares_nothing_that_changes(digits):
    estimator = (
        _make(AutoencoderTransformer, 4, ordered=True).set_output(transform="default").fit(digits)
    )
    codes = estimator.transform(digits)
    truncated = estimator.truncate(2).set_output(transform="pandas")
    truncated.loss_curve_.append(0.0)
    assert isinstance(estimator.transform(digits), np.ndarray)
    assert len(estimator.loss_curve_) == estimator.n_iter_
    estimator.mean_[:] = 5
    np.testing.assert_array_equal(estimator.transform(digits), codes)


def test_a_net_that_is_loaded_in_inference_mode_can_be_trained(digits):
    file = pickle.dumps(_make(AutoencoderTransformer).fit(digits))
    with torch.inference_mode():
        module = pickle.loads(file).net_.module_
    module(torch.ones(2, 64)).reconstruction.sum().backward()
    assert module.encoder.linear.weight.grad is not None
