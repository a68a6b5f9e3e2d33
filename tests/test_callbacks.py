"""scikit-learn's callbacks: what they receive, what they see, and that they can stop."""

import copy
import io
import pickle
import re
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import rich
from rich.progress import Progress
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    reconstruction_score,
)

callback = pytest.importorskip("sklearn.callback", reason="requires scikit-learn>=1.9")
ProgressBar, ScoringMonitor = callback.ProgressBar, callback.ScoringMonitor

COMMON = {"max_iter": 4, "batch_size": 32, "validation_fraction": None, "random_state": 0}
ESTIMATORS = {
    "dense": AutoencoderTransformer(4, **COMMON),
    "ordered": AutoencoderTransformer(4, ordered=True, **COMMON),
    "share": AutoencoderTransformer(0.8, learning_rate_init=1e-3, **COMMON),
    "convolutional": ConvAutoencoderTransformer(4, image_shape=(8, 8), channels=(4, 8), **COMMON),
    "denoising": DenoisingAutoencoder(4, **COMMON),
    "vae": VAETransformer(4, **COMMON),
}
EACH = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


class Recorder:
    """Keeps all that it receives; stops, or raises, at the end of the epoch of that number."""

    def __init__(self, stop_after=None, error=None):
        self.stop_after, self.error = stop_after, error
        self.events, self.told, self.snapshots = [], [], []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name, context.max_subtasks))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.events.append(("begin", context.task_name, context.task_id))
        self.told.append((X, y, metadata))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(("end", context.task_name, context.task_id))
        self.told.append((X, y, metadata))
        if context.task_name != "epoch":
            return False
        self.snapshots.append(fitted_estimator)
        if self.error is not None and context.task_id + 1 == self.stop_after:
            raise self.error
        return context.task_id + 1 == self.stop_after


def _fit(estimator, X, *callbacks, **parameters):
    return clone(estimator).set_params(**parameters).set_callbacks(*callbacks).fit(X)


def _left_over(estimator):
    return {name for name in vars(estimator) if "callback" in name} - {
        "_skl_callbacks",
        "skorch_callbacks",
    }


# What callbacks receive


@EACH
def test_an_epoch_is_a_subtask(digits, estimator):
    recorder = Recorder()
    fitted = _fit(estimator, digits, recorder)
    epochs = [(event, "epoch", i) for i in range(4) for event in ("begin", "end")]
    assert recorder.events == [
        ("setup", "fit", 4),
        ("begin", "fit", 0),
        *epochs,
        ("end", "fit", 0),
        ("teardown", "fit", 4),
    ]
    assert all(X is digits and y is digits and metadata is None for X, y, metadata in recorder.told)
    assert not _left_over(fitted)


@EACH
def test_callbacks_change_nothing(digits, estimator):
    plain, watched = clone(estimator).fit(digits), _fit(estimator, digits, Recorder())
    np.testing.assert_array_equal(plain.transform(digits), watched.transform(digits))
    assert plain.validation_scores_ == watched.validation_scores_


def test_a_y_is_handed_on(digits):
    recorder, y = Recorder(), np.arange(300)
    AutoencoderTransformer(2, max_iter=1).set_callbacks(recorder).fit(digits, y)
    assert all(told is y for _, told, _ in recorder.told)


def test_callbacks_receive_the_target_of_pairs(digits):
    recorder, monitor = Recorder(), ScoringMonitor(scoring={"score": None})
    noisy = digits + np.random.default_rng(0).normal(size=digits.shape)
    estimator = _fit_pairs(noisy, digits, recorder, monitor)
    assert all(
        X is noisy and y is digits and metadata["X_target"] is digits
        for X, y, metadata in recorder.told
    )
    assert monitor.get_logs().data[0]["score"] == pytest.approx(
        estimator.score(noisy, X_target=digits)
    )


def _fit_pairs(X, X_target, *callbacks):
    return DenoisingAutoencoder(4, **COMMON).set_callbacks(*callbacks).fit(X, X_target=X_target)


def test_the_number_of_epochs_is_known_from_the_start(digits):
    recorder = Recorder(stop_after=1)
    _fit(ESTIMATORS["dense"], digits, recorder, max_iter="auto", validation_fraction=0.1)
    assert recorder.events[0] == ("setup", "fit", 300)


def test_without_epochs_callbacks_are_called_for_the_fit_only(digits):
    recorder, monitor = Recorder(), ScoringMonitor(scoring={"r2": reconstruction_score})
    estimator = _fit(ESTIMATORS["dense"], digits, recorder, monitor, max_iter=0)
    assert [event for event, _, _ in recorder.events] == ["setup", "begin", "end", "teardown"]
    assert [row["r2"] for row in monitor.get_logs().data] == [
        pytest.approx(estimator.score(digits))
    ]


# The estimator of an epoch


def test_the_estimator_of_an_epoch_scores_as_the_validation_does(digits):
    """The training samples are also the validation set."""
    monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
    for name in ("dense", "convolutional"):
        estimator = _fit(ESTIMATORS[name], digits, monitor)
        fit, *epochs = [row["r2"] for row in monitor.get_logs().data]
        np.testing.assert_allclose(epochs, estimator.validation_scores_, atol=1e-5)
        assert fit == pytest.approx(reconstruction_score(estimator, digits))


def test_the_estimator_of_an_epoch_need_not_be_the_best(cancer):
    """The log falls where the validation falls; the fit keeps the best."""
    monitor, recorder = ScoringMonitor(scoring={"r2": reconstruction_score}), Recorder()
    estimator = _fit(ESTIMATORS["dense"], cancer, monitor, recorder, learning_rate_init=100.0)
    fit, *epochs = [row["r2"] for row in monitor.get_logs().data]
    assert estimator.best_iter_ == 0
    np.testing.assert_allclose(epochs, estimator.validation_scores_, rtol=1e-5)
    assert max(epochs) < fit == pytest.approx(estimator.baseline_score_, abs=1e-5)
    assert [snapshot.best_iter_ for snapshot in recorder.snapshots] == [0] * 4


@EACH
def test_the_estimator_of_an_epoch_is_as_if_fit_had_stopped_there(digits, estimator):
    recorder, codes = Recorder(), []
    watch = Recorder()
    watch.on_fit_task_end = lambda estimator, context, *, fitted_estimator=None: codes.append(
        fitted_estimator.transform(digits)
    )
    _fit(estimator, digits, recorder, watch)
    assert len(codes) == 5  # of each epoch and of the fit
    for epoch, snapshot in enumerate(recorder.snapshots, start=1):
        stopped = _fit(estimator, digits, Recorder(stop_after=epoch))
        assert stopped.best_iter_ == epoch  # every epoch is better than those before
        np.testing.assert_array_equal(snapshot.transform(digits), codes[epoch - 1])
        np.testing.assert_array_equal(snapshot.transform(digits), stopped.transform(digits))
        assert snapshot.score(digits) == stopped.score(digits)
        assert set(vars(stopped)) == set(vars(snapshot)) - _left_over(snapshot)
        for name in (
            "n_iter_",
            "best_iter_",
            "loss_curve_",
            "validation_scores_",
            "baseline_score_",
            "n_components_",
        ):
            assert getattr(snapshot, name) == getattr(stopped, name), name
        assert [len(snapshot.history_), snapshot.net_.module_.training] == [epoch, False]


def test_estimators_of_epochs_share_no_weights(digits):
    recorder = Recorder()
    fitted = _fit(ESTIMATORS["dense"], digits, recorder)
    modules = [estimator.net_.module_ for estimator in (*recorder.snapshots, fitted)]
    addresses = {w.data_ptr() for module in modules for w in module.state_dict().values()}
    assert len(addresses) == 5 * len(modules[0].state_dict())


def test_no_estimator_is_made_where_none_is_asked_for(digits, monkeypatch):
    def fail(*args):
        raise AssertionError("made")

    class Stopping(Recorder):
        def on_fit_task_end(self, estimator, context):
            return context.task_id == 1

    monkeypatch.setattr(AutoencoderTransformer, "_fitted_by", fail)
    assert _fit(ESTIMATORS["dense"], digits, Stopping()).n_iter_ == 2
    with pytest.raises(AssertionError, match="made"):
        _fit(ESTIMATORS["dense"], digits, Recorder())


@pytest.mark.parametrize("name", ["vae", "share"])
def test_estimators_of_epochs_warn_of_nothing(name):
    parameters = {"vae": {"init": "random", "beta": 1e4}, "share": {"n_components": 0.9999}}[name]
    X = np.random.default_rng(0).normal(size=(150, 140))  # more components than a fraction tries
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _fit(ESTIMATORS[name], X, Recorder(), **parameters)
    # The fit's own, which points to its caller.
    assert [warning.filename for warning in caught] == [__file__]


def test_names_of_columns_and_images_are_kept(digits):
    frame = pd.DataFrame(digits).rename(columns=str)
    for estimator, X in (("dense", frame), ("convolutional", digits.reshape(-1, 8, 8))):
        monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
        _fit(ESTIMATORS[estimator], X, monitor)
        assert len(monitor.get_logs().data) == 5


# Stopping


@EACH
def test_a_callback_that_asks_to_stop_stops(digits, estimator):
    recorder = Recorder(stop_after=2)
    stopped = _fit(estimator, digits, recorder)
    assert stopped.n_iter_ == len(stopped.loss_curve_) == len(stopped.history_) == 2
    assert recorder.events[-3:] == [("end", "epoch", 1), ("end", "fit", 0), ("teardown", "fit", 4)]
    stopping = EarlyStopping(
        monitor="valid_loss", patience=1, threshold=10.0, sink=lambda message: None
    )
    by_skorch = clone(estimator).set_params(skorch_callbacks=[stopping]).fit(digits)
    assert by_skorch.n_iter_ == 2
    # With a callback of skorch, the parameters are not views of a vector, and the optimizer rounds
    # differently.
    stopped = _fit(
        clone(estimator).set_params(skorch_callbacks=[Callback()]), digits, Recorder(stop_after=2)
    )
    np.testing.assert_array_equal(stopped.transform(digits), by_skorch.transform(digits))


def test_a_stop_keeps_the_best_epoch_until_then(cancer):
    parameters = {"learning_rate_init": 3e-3, "max_iter": 20, "batch_size": 8, "n_components": 5}
    best = (
        AutoencoderTransformer(**COMMON | parameters)
        .fit(cancer[:24], X_val=cancer[100:300])
        .best_iter_
    )
    stopped = AutoencoderTransformer(**COMMON | parameters).set_callbacks(
        Recorder(stop_after=best + 2)
    )
    stopped.fit(cancer[:24], X_val=cancer[100:300])
    assert 0 < stopped.best_iter_ == best
    assert stopped.n_iter_ == best + 2
    assert stopped.score(cancer[100:300]) == pytest.approx(
        max(stopped.validation_scores_), abs=1e-5
    )


def test_a_stop_by_skorch_ends_the_epoch_too(digits):
    stopping = EarlyStopping(
        monitor="valid_loss", patience=1, threshold=10.0, sink=lambda message: None
    )
    recorder = Recorder()
    _fit(ESTIMATORS["dense"], digits, recorder, skorch_callbacks=[stopping])
    assert [event for event, task, _ in recorder.events if task == "epoch"] == ["begin", "end"] * 2


def test_an_epoch_that_is_not_finite_has_no_estimator(digits):
    recorder = Recorder()
    with pytest.warns(ConvergenceWarning, match="no longer finite") as caught:
        _fit(ESTIMATORS["dense"], digits, recorder, learning_rate_init=1e30)
    assert caught[0].filename == __file__
    assert recorder.snapshots[-1] is None
    assert recorder.events[-3:-1] == [
        ("end", "epoch", len(recorder.snapshots) - 1),
        ("end", "fit", 0),
    ]


# Failures


@pytest.mark.parametrize(
    "error", [ValueError("broken"), KeyboardInterrupt()], ids=["error", "interrupt"]
)
def test_a_failure_tears_down_and_leaves_the_estimator_as_it_was(digits, error):
    estimator = clone(ESTIMATORS["dense"]).fit(digits)
    codes, scores = estimator.transform(digits), estimator.validation_scores_
    recorder, bar = Recorder(stop_after=2, error=error), ProgressBar()
    estimator.set_callbacks(recorder, bar)
    before = set(vars(estimator))
    with pytest.raises(type(error)):
        estimator.fit(digits[:200])
    assert recorder.events[-1] == ("teardown", "fit", 4)
    assert [event for event, _, _ in recorder.events].count("teardown") == 1
    assert set(vars(estimator)) == before
    assert estimator._skl_callbacks == [recorder, bar]
    np.testing.assert_array_equal(estimator.transform(digits), codes)
    assert estimator.validation_scores_ is scores
    assert not [
        thread for thread in threading.enumerate() if type(thread).__name__ == "RichProgressMonitor"
    ]
    recorder.error = None
    assert estimator.fit(digits).n_iter_ == 2


def test_bad_input_is_refused_before_callbacks_are_called(digits):
    recorder = Recorder()
    for parameters, X in (({"code_activation": "relu"}, digits), ({}, digits + np.inf)):
        with pytest.raises(ValueError, match=r"choose another|infinity"):
            _fit(ESTIMATORS["dense"], X, recorder, **parameters)
    assert not recorder.events


# Alone and in others


def test_callbacks_live_through_clone_pickle_and_refit(digits):
    monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
    estimator = _fit(ESTIMATORS["dense"], digits, ProgressBar(), monitor)
    assert clone(estimator)._skl_callbacks[1] is monitor
    estimator.fit(digits)
    assert [len(log.data) for log in monitor.get_logs(select="all")] == [5, 5]
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(restored.transform(digits), estimator.transform(digits))
    assert len(restored._skl_callbacks[1].get_logs(select="all")) == 2
    restored.fit(digits)
    assert [
        len(callback.get_logs(select="all")) for callback in (monitor, restored._skl_callbacks[1])
    ] == [2, 3]


def test_the_estimator_of_an_epoch_can_be_kept_in_a_file(digits):
    recorder = Recorder()
    _fit(ESTIMATORS["dense"], digits, recorder)
    snapshot = recorder.snapshots[1]
    for kept in (pickle.loads(pickle.dumps(snapshot)), copy.deepcopy(snapshot)):
        np.testing.assert_array_equal(kept.transform(digits), snapshot.transform(digits))


@pytest.mark.parametrize("place", ["FeatureUnion", "ColumnTransformer", "Pipeline"])
def test_callbacks_of_a_step_are_called(digits, place):
    recorder = Recorder()
    step = clone(ESTIMATORS["dense"]).set_callbacks(recorder)
    places = {
        "FeatureUnion": lambda: FeatureUnion([("codes", step), ("rows", "passthrough")]),
        "ColumnTransformer": lambda: ColumnTransformer(
            [("codes", step, slice(0, 32))], remainder="passthrough"
        ),
        "Pipeline": lambda: make_pipeline(StandardScaler(), step),
    }
    places[place]().fit(digits)
    assert [event for event, _, _ in recorder.events].count("end") == 5
    assert all(snapshot.n_iter_ == i + 1 for i, snapshot in enumerate(recorder.snapshots))


@pytest.fixture
def terminal(monkeypatch):
    """What is written to a terminal of 140 columns.

    Every change of a progress bar is shown at once.
    """
    console, update = rich.get_console(), Progress.update
    before, written = dict(vars(console)), io.StringIO()
    rich.reconfigure(file=written, force_terminal=True, color_system=None, width=140, height=60)
    monkeypatch.setattr(
        Progress,
        "update",
        lambda self, *args, **kwargs: update(self, *args, refresh=True, **kwargs),
    )
    yield written
    vars(console).clear()
    vars(console).update(before)


def test_progress_bars_show_epochs_within_folds_of_candidates(digits, terminal):
    pipeline = make_pipeline(StandardScaler(), clone(ESTIMATORS["dense"]))
    monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
    pipeline[-1].set_callbacks(monitor)
    search = GridSearchCV(
        pipeline, {"autoencodertransformer__n_components": [2, 4]}, cv=2, n_jobs=2
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(digits)

    frames = [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame) for frame in terminal.getvalue().split("\r")
    ]
    frames = [[line.rstrip() for line in frame.splitlines() if line.strip()] for frame in frames]
    search_bars, bars = np.split(
        [re.split(" +(?:━|[0-9]+%)", line)[0] for line in max(frames, key=len)], [2]
    )
    assert list(search_bars) == ["GridSearchCV - fit", "  GridSearchCV - search #0"]
    steps = ["Pipeline - fit-transform-standardscaler | StandardScaler - fit #0"]
    steps += ["Pipeline - fit-final-estimator | AutoencoderTransformer - fit #1"]
    # Two folds of two.
    fits = [f"GridSearchCV - candidate-split-evaluation | Pipeline - fit #{i}" for i in range(4)]
    expected = [["    " + fit, *("      " + step for step in steps)] for fit in fits]
    again = [
        "  GridSearchCV - refit-with-best-params | Pipeline - fit #1",
        *("    " + step for step in steps),
    ]
    assert sorted(bars.reshape(-1, 3).tolist()) == sorted([*expected, again])
    shares = {
        line.split("%")[0].split()[-1]
        for frame in frames
        for line in frame
        if "AutoencoderTransformer" in line
    }
    assert shares >= {"25", "50", "75", "100"}

    rows = monitor.get_logs().data_as_pandas
    assert rows["r2"].notna().all()
    assert len(rows) == 4 * 5 + 5  # each fit and its epochs, and those of the best again
    assert rows["task_name"].value_counts().to_dict() == {"epoch": 20, "fit": 5}
    best = rows[rows["task_name"].eq("fit") & rows["task_id_path"].str[1].eq(1)]
    scaler, autoencoder = (step for _, step in search.best_estimator_.steps)
    assert best["r2"].item() == pytest.approx(autoencoder.score(scaler.transform(digits)))
    assert not _left_over(search.best_estimator_)
    assert not _left_over(autoencoder)


def test_the_bar_of_one_estimator_counts_its_epochs(digits, terminal):
    _fit(ESTIMATORS["dense"], digits, ProgressBar())
    shares = re.findall(r"AutoencoderTransformer - fit.*?(\d+)%", terminal.getvalue())
    assert [share for share in dict.fromkeys(shares) if share != "0"] == ["25", "50", "75", "100"]
