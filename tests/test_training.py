import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, Freezer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data import sources
from skae._data.datasets import SampleDataset
from skae._data.group import SINGLE
from skae._data.sources import ArraySource
from skae._data.standardizer import Standardizer
from skae._training import fit as training
from skae._training.fit import count_epochs, training_settings
from skae._training.net import Batches, find_device
from skae._training.optimization import Averaging


def _fit(X, *, n_components=2, X_val=None, **parameters):
    defaults = {"hidden_layer_sizes": (256,), "max_iter": 3, "random_state": 0, "batch_size": 64}
    return AutoencoderTransformer(n_components, **defaults | parameters).fit(X, X_val=X_val)


def _r2(X, X_hat):
    return r2_score(X, X_hat, multioutput="variance_weighted")


def _pca_r2(X, rows, n_components=2):
    pca = PCA(n_components, svd_solver="full").fit(X)
    return _r2(rows, pca.inverse_transform(pca.transform(rows)))


class Recorder(Callback):
    """Counts the notifications of skorch; keeps training samples, and weights after each batch."""

    def __init__(self):
        self.events, self.epochs, self.weights, self.rates = [], [], [], []

    def on_train_begin(self, net, **kwargs):
        self.events.append("train_begin")
        self.optimizer = type(net.optimizer_)

    def on_train_end(self, net, **kwargs):
        self.events.append("train_end")

    def on_epoch_begin(self, net, **kwargs):
        self.events.append("epoch_begin")
        self.epochs.append([])

    def on_epoch_end(self, net, **kwargs):
        self.events.append("epoch_end")

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        assert training
        self.epochs[-1].append(batch[0].numpy().copy())
        self.rates.append(net.optimizer_.param_groups[0]["lr"])

    def on_batch_end(self, net, **kwargs):
        self.weights.append(
            {name: w.detach().numpy().copy() for name, w in net.module_.named_parameters()}
        )


@pytest.fixture
def numbered():
    """200 samples that differ in their first column, the only one that varies much."""
    X = np.random.default_rng(0).normal(size=(200, 5))
    X[:, 0] = np.arange(200) * 10
    return X


def _positions(X, batches):
    """Positions in X of the samples of the batches, in their order."""
    scale = np.sqrt(X.var(axis=0).mean())
    first = np.concatenate(batches)[:, 0] * scale + X[:, 0].mean()
    positions = np.rint(first / 10).astype(int)
    np.testing.assert_allclose(first, X[positions, 0], atol=1e-2)
    return positions


# Batches


def _numbers(n, target=None):
    """A dataset of the numbers from 0 to n - 1 as they are, and of targets."""
    identity = Standardizer.identity(1)
    target = None if target is None else ArraySource(target)
    return SampleDataset(
        ArraySource(np.arange(n, dtype=float)[:, None]), identity, identity, "cpu", target=target
    )


@pytest.mark.parametrize("prefetch", [1, 7, 10, 1024])
def test_batches_cover_all_samples_once(prefetch, monkeypatch):
    monkeypatch.setattr(sources, "_CHUNK_SIZE", prefetch)
    batches = list(Batches(_numbers(23, -np.arange(23.0)[:, None]), 5, np.random.default_rng(0)))
    assert [len(u) for u, *_ in batches] == [5, 5, 5, 5, 3]
    order = torch.cat([u for u, *_ in batches])[:, 0].tolist()
    assert torch.cat([batch.target for batch in batches])[:, 0].tolist() == [-i for i in order]
    assert sorted(order) == list(range(23))
    assert order != sorted(order)


def test_batches_are_shuffled_again_and_only_where_asked():
    numbers = _numbers(23)
    shuffled, ordered = Batches(numbers, 5, np.random.default_rng(0)), Batches(numbers, 5)
    first, second, unshuffled = (
        torch.cat([u for u, *_ in batches])[:, 0].tolist()
        for batches in (shuffled, shuffled, ordered)
    )
    assert first != second
    assert unshuffled == list(range(23))
    assert len(shuffled) == len(ordered) == 5


@pytest.mark.parametrize(
    ("n_rows", "n_train"), [(2, 1), (25, 22), (20_000, 18_000), (20_011, 18_011), (60_000, 58_000)]
)
def test_a_tenth_of_the_samples_but_not_many_are_held_out(n_rows, n_train):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    recorder = Recorder()
    estimator = AutoencoderTransformer(
        1, hidden_layer_sizes=(), max_iter=1, batch_size=10_000, skorch_callbacks=[recorder]
    )
    estimator.fit(X)
    assert sum(len(u) for u in recorder.epochs[0]) == n_train


@pytest.mark.parametrize("validation_fraction", [0.1, 0.25, None])
def test_each_epoch_has_every_training_sample_once_in_a_new_order(numbered, validation_fraction):
    recorder = Recorder()
    _fit(numbered, validation_fraction=validation_fraction, skorch_callbacks=[recorder])
    orders = [_positions(numbered, batches) for batches in recorder.epochs]
    n_train = 200 - int(np.ceil((validation_fraction or 0) * 200))
    assert len(orders) == 3
    for order in orders:
        assert len(set(order)) == len(order) == n_train
        assert set(order) == set(orders[0])
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], np.sort(orders[0]))
    assert [len(batch) for batch in recorder.epochs[0][:-1]] == [64] * ((n_train - 1) // 64)


def test_validation_samples_select_the_epoch_and_are_never_trained_on(numbered):
    recorder = Recorder()
    estimator = _fit(
        numbered,
        validation_fraction=0.25,
        output_activation="identity",
        skorch_callbacks=[recorder],
    )
    trained_on = {
        position for batches in recorder.epochs for position in _positions(numbered, batches)
    }
    withheld = numbered[sorted(set(range(200)) - trained_on)]
    assert len(withheld) == 50
    # PCA is fitted to all samples and scored on the validation set.
    assert estimator.baseline_score_ == pytest.approx(_pca_r2(numbered, withheld), abs=1e-5)
    assert estimator.score(withheld) == pytest.approx(
        max(estimator.baseline_score_, *estimator.validation_scores_), abs=1e-5
    )


def test_validation_samples_depend_on_random_state_only(numbered):
    withheld = []
    for seed in (0, 0, 1):
        recorder = Recorder()
        _fit(numbered, random_state=seed, max_iter=1, skorch_callbacks=[recorder])
        withheld.append(set(range(200)) - set(_positions(numbered, recorder.epochs[0])))
    assert withheld[0] == withheld[1] != withheld[2]


def test_validation_samples_of_the_user_are_used_and_all_others_trained_on(numbered):
    recorder, rows = Recorder(), numbered[:30] * 0.5 + 3
    estimator = _fit(
        numbered, X_val=rows, output_activation="identity", skorch_callbacks=[recorder]
    )
    assert set(_positions(numbered, recorder.epochs[0])) == set(range(200))
    assert estimator.baseline_score_ == pytest.approx(_pca_r2(numbered, rows), abs=1e-5)


def test_two_thousand_training_samples_are_enough_to_select_the_epoch(rng):
    class Seen(Callback):
        def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
            self.lengths = len(dataset_train), len(dataset_valid)
            self.positions = dataset_valid.positions

    for n, n_validated in ((1999, 1999), (2000, 2000), (6000, 2000)):
        seen = Seen()
        X = np.repeat(rng.normal(size=(n // 2, 3)), [2] * (n // 2 - 1) + [2 + n % 2], axis=0)
        _fit(X, validation_fraction=None, max_iter=1, batch_size=1000, skorch_callbacks=[seen])
        assert seen.lengths == (n, n_validated)
    # From all over the samples, each at most once.
    assert len(np.unique(seen.positions)) == 2000
    assert np.histogram(seen.positions, 10, (0, 6000))[0].min() > 150


def test_without_validation_fraction_the_training_samples_select_the_epoch(cancer):
    estimator = _fit(cancer, validation_fraction=None, output_activation="identity")
    assert estimator.baseline_score_ == pytest.approx(_pca_r2(cancer, cancer), abs=1e-5)
    assert estimator.score(cancer) == pytest.approx(
        max(estimator.baseline_score_, *estimator.validation_scores_), abs=1e-5
    )


# The epoch that is kept


@pytest.mark.parametrize("output_activation", ["auto", "clip", "identity"])
@pytest.mark.parametrize("learning_rate_init", [1e-3, 1e-2, 0.3, 100.0])
def test_the_best_epoch_is_kept(cancer, learning_rate_init, output_activation, monkeypatch):
    # Whether an epoch is eligible may depend on the rounding of a processor.
    monkeypatch.setattr(training, "_is_significant", lambda *args: True)
    X, X_val = cancer[100:], cancer[:100]
    parameters = {
        "learning_rate_init": learning_rate_init,
        "output_activation": output_activation,
        "max_iter": 6,
    }
    estimator = _fit(X, X_val=X_val, **parameters)
    scores = [estimator.baseline_score_, *estimator.validation_scores_]
    assert estimator.best_iter_ == int(np.argmax(scores))
    assert estimator.score(X_val) == pytest.approx(max(scores), abs=1e-5)
    assert (
        estimator.score(X_val)
        >= _fit(X, X_val=X_val, output_activation=output_activation, max_iter=0).score(X_val) - 1e-6
    )


@pytest.mark.parametrize("corruption", [None, "gaussian", "masking"])
def test_a_validation_set_kept_in_memory_gives_the_same_as_one_that_is_read_again(
    cancer, corruption, monkeypatch
):
    X = np.where(np.random.default_rng(0).uniform(size=cancer.shape) < 0.2, np.nan, cancer)
    n_reads, read = [0], SampleDataset.batches

    def counted(dataset, size=None, rng=None):
        n_reads[0] += rng is None
        return read(dataset, size, rng)

    monkeypatch.setattr(SampleDataset, "batches", counted)
    parameters = {"noise_level": 0.25, "max_iter": 4, "random_state": 0}
    kept = DenoisingAutoencoder(2, corruption=corruption, **parameters).fit(X)
    n_kept, n_reads[0] = n_reads[0], 0
    monkeypatch.setattr(training, "MAX_KEPT_VALUES", 0)
    again = DenoisingAutoencoder(2, corruption=corruption, **parameters).fit(X)
    assert n_reads[0] >= n_kept + 4  # each epoch
    assert again.validation_scores_ == kept.validation_scores_
    assert_array_equal(again.transform(X), kept.transform(X))


def test_an_epoch_in_the_middle_can_be_the_best(cancer):
    """Few samples are overfitted: later epochs are worse on others."""
    X_val = cancer[100:300]
    estimator = _fit(
        cancer[:24], n_components=5, X_val=X_val, learning_rate_init=3e-3, max_iter=20, batch_size=8
    )
    assert 0 < estimator.best_iter_ < estimator.n_iter_
    best = max(estimator.validation_scores_)
    assert estimator.score(X_val) == pytest.approx(best, abs=1e-5)
    assert estimator.validation_scores_[-1] < best - 1e-3


def test_gains_on_few_samples_that_are_not_significant_are_not_kept(rng):
    """On pure noise, no code can beat PCA, yet some of many epochs score better on ten samples."""
    X, X_val = rng.normal(size=(200, 20)), rng.normal(size=(10, 20))
    with pytest.warns(ConvergenceWarning, match=r"after 20 epochs.* set of size 10") as warned:
        estimator = _fit(X, X_val=X_val, learning_rate_init=1e-3, max_iter=20)
    assert [warning.filename for warning in warned] == [__file__]
    assert max(estimator.validation_scores_) > estimator.baseline_score_
    assert estimator.best_iter_ == 0


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize(
    ("n_epochs", "batch_size", "is_said"),
    [(0, 1, 0), (1, 64, 0), (19, 64, 0), (20, 64, 1), (18, 1, 0), (19, 1, 1)],
)
def test_that_training_was_in_vain_is_said_after_many_steps(
    rng, init, n_epochs, batch_size, is_said
):
    X = rng.normal(size=(60, 3))  # 54 are trained on: 1026 steps in 19 epochs
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        _fit(X, init=init, max_iter=n_epochs, batch_size=batch_size, learning_rate_init=1e-30)
    assert len(warned) == is_said
    assert all("on a validation set of size 6." in str(x.message) for x in warned)


def test_training_helps(cancer):
    estimator = _fit(cancer[100:], X_val=cancer[:100], learning_rate_init=1e-2, max_iter=20)
    assert estimator.best_iter_ > 0
    assert estimator.score(cancer[:100]) > _pca_r2(cancer[100:], cancer[:100]) + 0.02
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_where_training_does_harm_the_result_is_pca(cancer):
    estimator = _fit(cancer, learning_rate_init=100.0, output_activation="identity")
    assert max(estimator.validation_scores_) < estimator.baseline_score_
    assert estimator.best_iter_ == 0
    expected = PCA(2, svd_solver="full").fit_transform(cancer)
    np.testing.assert_allclose(
        estimator.transform(cancer), expected, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize(("n_steps", "every"), [(3, 1), (50, 1), (700, 4)])
def test_average_is_torchs_also_of_weights_that_are_bound_again(n_steps, every):
    net = SimpleNamespace(module_=torch.nn.Linear(3, 2), max_epochs=1)
    averaging = Averaging(n_steps)
    averaging.on_train_begin(net)
    decay = max(0.0, 1 - every / (0.03 * n_steps))
    expected = AveragedModel(net.module_, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for step in range(1, n_steps + 1):
        for i, p in enumerate(net.module_.parameters()):
            p.data = p.data + i + step % 7
        averaging.on_batch_end(net, training=True)
        if step % every == 0:
            expected.update_parameters(net.module_)
        for average, p in zip(
            averaging.module_.parameters(), expected.module.parameters(), strict=True
        ):
            torch.testing.assert_close(average, p)


@pytest.mark.parametrize(("max_iter", "every"), [(10, 1), (140, 4)])
def test_weights_are_the_average_of_an_epoch_with_the_better_score(digits, max_iter, every):
    recorder = Recorder()
    estimator = _fit(
        digits, max_iter=max_iter, hidden_layer_sizes=(8,), skorch_callbacks=[recorder]
    )
    n_steps = max_iter * 5
    flat = [np.concatenate([w.ravel() for w in weights.values()]) for weights in recorder.weights]
    averages = (
        pd.DataFrame(flat[every - 1 :: every])
        .ewm(alpha=every / (0.03 * n_steps), adjust=False)
        .mean()
    )
    kept = np.concatenate([w.detach().numpy().ravel() for w in estimator.net_.module_.parameters()])
    assert estimator.best_iter_ > 1
    np.testing.assert_allclose(
        kept, averages.iloc[estimator.best_iter_ * 5 // every - 1], atol=1e-6
    )


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_curves_hold_an_entry_an_epoch(digits, loss):
    estimator = _fit(digits, max_iter=4, loss=loss)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == len(estimator.validation_scores_) == 4
    assert len(estimator.history_) == 4
    assert estimator.history_[:, "train_loss"] == estimator.loss_curve_
    assert estimator.history_[:, "valid_score"] == estimator.validation_scores_
    best = [
        epoch
        for epoch, better in enumerate(estimator.history_[:, "valid_loss_best"], start=1)
        if better
    ]
    assert estimator.best_iter_ == (best[-1] if best else 0)


def test_first_training_loss_is_pcas_mean_squared_error(cancer):
    """One batch of all samples: its loss is computed before the first step."""
    parameters = {
        "max_iter": 1,
        "validation_fraction": None,
        "output_activation": "identity",
        "batch_size": 10_000,
    }
    estimator = _fit(cancer, **parameters)
    assert estimator.loss_curve_[0] == pytest.approx(1 - _pca_r2(cancer, cancer), abs=1e-5)


def test_absolute_error_score_is_relative_to_the_mean_sample(cancer):
    X_val = cancer[:100]
    estimator = _fit(cancer[100:], X_val=X_val, loss="absolute_error", max_iter=5)
    error = (
        np.abs(X_val - estimator.reconstruct(X_val)).mean()
        / np.abs(X_val - X_val.mean(axis=0)).mean()
    )
    assert max(estimator.baseline_score_, *estimator.validation_scores_) == pytest.approx(
        1 - error, abs=1e-5
    )
    assert estimator.best_iter_ > 0


def test_one_validation_sample(cancer):
    estimator = _fit(cancer, X_val=cancer[:1])
    assert np.isfinite([estimator.baseline_score_, *estimator.validation_scores_]).all()


# A loss that is not finite


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"loss": "absolute_error"},
        {"init": "random"},
        {"init": "random", "output_activation": "sigmoid"},
        {"init": "random", "loss": "log_loss"},
        {"optimizer": torch.optim.SGD},
    ],
    ids=["default", "absolute_error", "random", "sigmoid", "log_loss", "SGD"],
)
def test_a_loss_that_is_not_finite_ends_the_fit_with_a_warning(digits, parameters):
    X = digits / 16
    with pytest.warns(
        ConvergenceWarning, match="no longer finite.*smaller learning_rate_init"
    ) as caught:
        estimator = _fit(X, learning_rate_init=1e30, max_iter=5, **parameters)
    assert caught[0].filename == __file__  # it points to the caller of `fit`
    assert estimator.n_iter_ < 5
    assert all(np.isfinite(w.detach().numpy()).all() for w in estimator.net_.module_.parameters())
    assert np.isfinite(estimator.reconstruct(X)).all()
    start = _fit(X, max_iter=0, **parameters)
    if estimator.best_iter_ == 0:
        np.testing.assert_array_equal(estimator.transform(X), start.transform(X))


# Random states


def _global_states():
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("init", ["pca", "random"])
def test_an_int_gives_the_same_result_whatever_the_global_states(digits, init):
    codes = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = _global_states()
        estimator = _fit(digits, init=init, random_state=5)
        codes.append(estimator.transform(digits))
        estimator.reconstruct(digits)
        assert _global_states() == before
    np.testing.assert_array_equal(*codes)


def test_another_int_gives_another_result(digits):
    assert not np.array_equal(
        _fit(digits, random_state=7).transform(digits),
        _fit(digits, random_state=8).transform(digits),
    )


def test_a_random_state_instance_is_drawn_from(digits):
    codes = [
        _fit(digits, random_state=np.random.RandomState(3)).transform(digits) for _ in range(2)
    ]
    np.testing.assert_array_equal(*codes)
    generator = np.random.RandomState(3)
    first, second = (_fit(digits, random_state=generator).transform(digits) for _ in range(2))
    np.testing.assert_array_equal(first, codes[0])
    assert not np.array_equal(first, second)


# Callbacks of the user


def test_callbacks_are_called_for_every_epoch_and_batch(digits):
    recorder = Recorder()
    estimator = _fit(digits, max_iter=4, skorch_callbacks=[recorder])
    assert recorder.events == ["train_begin", *["epoch_begin", "epoch_end"] * 4, "train_end"]
    assert len(recorder.weights) == 4 * int(np.ceil(270 / 64))
    assert estimator.n_iter_ == 4


def test_early_stopping_of_skorch_ends_the_fit(digits):
    stopping = EarlyStopping(
        monitor="valid_loss", patience=2, threshold=10.0, sink=lambda message: None
    )
    estimator = _fit(digits, max_iter=30, skorch_callbacks=[("stop", stopping)])
    # No epoch improves the loss tenfold: the first is the best, and two more are waited for.
    assert estimator.n_iter_ == 3
    assert len(estimator.validation_scores_) == 3


# Optimizer, learning rate, penalty


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_adam_on_a_vector_is_torchs(cancer, alpha):
    class Adam(torch.optim.Adam):  # given as a class, which leaves the parameters as they are
        pass

    fits = [
        _fit(
            cancer,
            max_iter=3,
            alpha=alpha,
            optimizer=optimizer,
            learning_rate_init=3e-3,
            hidden_layer_sizes=(300,),
        )
        for optimizer in ("adam", Adam)
    ]
    np.testing.assert_allclose(*(fit.loss_curve_ for fit in fits), rtol=1e-5)


def test_a_callback_can_freeze_parameters(cancer):
    freezer = Freezer("decoder.residual.0.*", at=1)  # which weight decay would shrink
    estimator = _fit(
        cancer, max_iter=3, alpha=0.1, validation_fraction=None, skorch_callbacks=[freezer]
    )
    start = _fit(cancer, max_iter=0, validation_fraction=None)
    weights = [fit.net_.module_.decoder.residual[0].weight.detach() for fit in (start, estimator)]
    assert torch.equal(*weights)
    assert estimator.best_iter_ > 0


def test_an_optimizer_that_does_not_suit_is_named(cancer):
    with pytest.raises(ValueError, match=r"optimizer=Muon could not be created .*choose 'adam'"):
        _fit(cancer, optimizer=torch.optim.Muon)  # takes matrices alone


class Clipping(Callback):
    """Clips gradients in place, as skorch's GradientNormClipping does."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        torch.nn.utils.clip_grad_value_([p for _, p in named_parameters], 0.0)


def test_gradients_can_be_changed_by_a_callback(cancer):
    estimator = _fit(cancer, max_iter=2, validation_fraction=None, skorch_callbacks=[Clipping()])
    assert estimator.validation_scores_ == pytest.approx([estimator.baseline_score_] * 2, abs=1e-7)


def test_one_cycle_learning_rate(digits):
    recorder = Recorder()
    _fit(digits, max_iter=10, learning_rate_init=0.02, skorch_callbacks=[recorder])
    rates = np.array(recorder.rates)
    np.testing.assert_allclose(rates, _torchs_rates(50, 0.02, 0.1), rtol=1e-6)
    assert len(rates) == 50
    assert rates.max() == pytest.approx(0.02)
    peak = rates.argmax()
    assert peak == 4  # a tenth of the 50 steps
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 1e-3 * 0.02


@pytest.mark.parametrize(("n_rows", "max_iter"), [(50, 1), (50, 2), (100, 1), (50, 3), (150, 1)])
def test_learning_rate_of_few_steps(cancer, n_rows, max_iter):
    recorder = Recorder()
    parameters = {"validation_fraction": None, "batch_size": 50, "learning_rate_init": 0.02}
    _fit(cancer[:n_rows], max_iter=max_iter, skorch_callbacks=[recorder], **parameters)
    assert len(recorder.rates) == max_iter * n_rows // 50
    n_steps = max(3, len(recorder.rates))
    expected = _torchs_rates(n_steps, 0.02, max(0.1, 2 / n_steps))
    np.testing.assert_allclose(recorder.rates, expected[: len(recorder.rates)], rtol=1e-6)


def _torchs_rates(n_steps, peak, pct_start):
    """Rates of torch's own schedule, step by step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    options = {
        "max_lr": peak,
        "total_steps": n_steps,
        "pct_start": pct_start,
        "cycle_momentum": False,
    }
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, **options)
    rates = []
    for _ in range(n_steps):
        rates += schedule.get_last_lr()
        optimizer.step()
        if len(rates) < n_steps:
            schedule.step()
    return rates


class Steps(Callback):
    """Keeps by how much each weight changes in the first step, and the groups of the optimizer."""

    def on_train_begin(self, net, **kwargs):
        self.groups = net.optimizer_.param_groups
        self.start = {name: w.detach().clone() for name, w in net.module_.named_parameters()}

    def on_batch_end(self, net, **kwargs):
        if not hasattr(self, "changes"):
            weights = net.module_.named_parameters()
            self.changes = {
                name: float((w.detach() - self.start[name]).abs().max()) for name, w in weights
            }


@pytest.fixture(scope="module")
def wide():
    """40 samples of 12,544 features, four times as many as a layer of full rate has."""
    return np.random.default_rng(0).standard_normal((40, 12_544)).astype(np.float32)


def test_layers_with_many_inputs_have_a_rate_that_is_lower_in_proportion(wide):
    """In its first step, Adam changes a weight by the rate, a 25th of the peak."""
    steps = Steps()
    parameters = {"hidden_layer_sizes": (8,), "alpha": 0.0, "init": "random"}
    _fit(wide, learning_rate_init=1.0, skorch_callbacks=[steps], **parameters)
    assert len(steps.changes) == 8
    for name, change in steps.changes.items():
        factor = 1 / 4 if name == "encoder.residual.0.weight" else 1
        np.testing.assert_allclose(change, factor / 25, rtol=1e-2, err_msg=name)


def test_the_linear_path_of_the_encoder_has_a_lower_rate_too(wide):
    steps = Steps()
    _fit(wide, hidden_layer_sizes=(8,), learning_rate_init=0.1, skorch_callbacks=[steps])
    peaks = {tuple(p.shape): g["initial_lr"] for g in steps.groups for p in g["params"]}
    assert {shape: rate for shape, rate in peaks.items() if rate != 0.1} == {
        (2, 12_544): pytest.approx(0.025),
        (8, 12_544): pytest.approx(0.025),
    }
    # After the last step, all rates are the same fraction of their peaks.
    rates = [group["lr"] / group["initial_lr"] for group in steps.groups]
    np.testing.assert_allclose(rates, 4e-6, rtol=1e-3)


def test_the_fast_optimizer_trains_layers_with_many_inputs_alike(wide):
    """A callback makes torch's Adam step one weight at a time."""
    fits = [
        _fit(wide, hidden_layer_sizes=(8,), alpha=0.3, batch_size=8, skorch_callbacks=callbacks)
        for callbacks in (None, [Steps()])
    ]
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(*(fit.validation_scores_ for fit in fits), atol=1e-5)


def test_an_optimizer_of_the_user_has_one_rate(wide):
    """Some, such as this one, accept no other."""
    steps = Steps()
    parameters = {"optimizer": torch.optim.LBFGS, "max_iter": 1, "skorch_callbacks": [steps]}
    _fit(wide, hidden_layer_sizes=(8,), **parameters)
    assert len(steps.groups) == 1


@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.LBFGS]
)
def test_optimizer_classes_train(cancer, optimizer):
    recorder = Recorder()
    parameters = {"learning_rate_init": 1e-2, "max_iter": 10, "skorch_callbacks": [recorder]}
    if optimizer is torch.optim.LBFGS:  # each step has twenty iterations
        parameters["max_iter"] = 3
    estimator = _fit(cancer, optimizer=optimizer, **parameters)
    assert recorder.optimizer is optimizer
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_sgd_step_by_hand(cancer):
    """The first step of the decoder's last bias is minus the rate times the mean gradient.

    The gradient is 2 (u_hat - u) / p.
    """
    recorder = Recorder()
    parameters = {
        "max_iter": 1,
        "optimizer": torch.optim.SGD,
        "learning_rate_init": 0.5,
        "output_activation": "identity",
    }
    _fit(
        cancer[:100] + 3,
        alpha=0.0,
        validation_fraction=None,
        batch_size=40,
        skorch_callbacks=[recorder],
        **parameters,
    )
    batch = recorder.epochs[0][0].astype(float)
    components = PCA(2, svd_solver="full").fit(cancer[:100]).components_
    gradient = 2 * (batch @ components.T @ components - batch).mean(axis=0) / 30
    np.testing.assert_allclose(
        recorder.weights[0]["decoder.residual.2.bias"],
        -recorder.rates[0] * gradient,
        rtol=1e-3,
        atol=1e-7,
    )


@pytest.mark.parametrize(("kernel_size", "shrinks"), [(1, False), (3, True)])
def test_inputs_of_a_convolution_are_channels_times_kernel(digits, kernel_size, shrinks):
    weights = []
    for alpha in (0.0, 0.3):
        recorder = Recorder()
        ConvAutoencoderTransformer(
            2,
            image_shape=(8, 8),
            channels=(32, 4),
            kernel_size=kernel_size,
            alpha=alpha,
            optimizer=torch.optim.SGD,
            max_iter=1,
            random_state=0,
            skorch_callbacks=[recorder],
        ).fit(digits)
        weights.append(recorder.weights[0]["encoder.residual.3.weight"])
    np.testing.assert_allclose(weights[1], weights[0] * (1 - 0.3 / 25 if shrinks else 1), atol=1e-7)


@pytest.mark.parametrize("optimizer", ["adam", torch.optim.SGD])
def test_alpha_shrinks_the_residual_path_of_the_decoder_and_wide_layers_of_the_encoder_only(
    cancer, optimizer
):
    alpha, weights = 0.3, {}
    for penalty in (0.0, alpha):
        recorder = Recorder()
        parameters = {
            "optimizer": optimizer,
            "learning_rate_init": 0.1,
            "max_iter": 1,
            "hidden_layer_sizes": (257, 256),
        }
        _fit(cancer, alpha=penalty, batch_size=100, skorch_callbacks=[recorder], **parameters)
        weights[penalty] = recorder.weights[0]
    assert sum("residual" in name for name in weights[alpha]) == 12
    for name in weights[alpha]:
        # At the first step the rate is a 25th of its peak.
        kept = (
            1 - alpha / 25 if name.startswith(("encoder.residual.2.", "decoder.residual.")) else 1.0
        )
        np.testing.assert_allclose(weights[alpha][name], weights[0.0][name] * kept, atol=1e-7)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "expected"),
    [(1000, 100, 300), (10_000, 100, 30), (100_000, 100, 5), (10_050, 100, 30), (5, 100, 300)],
)
def test_auto_makes_about_3000_steps_within_5_and_300_epochs(n_rows, batch_size, expected):
    settings = training_settings(
        *(torch.nn.Linear(2, 1), "adam", 1e-2, 0.0, batch_size, "auto", n_rows, None, 0),
        *(np.random.default_rng(0), SINGLE),
    )
    assert settings["max_epochs"] == expected


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_no_change"), [(120, 64, 45), (330, 8, 11), (620, 8, 10)]
)
def test_auto_ends_early_where_the_network_overfits(cancer, n_rows, batch_size, n_no_change):
    """Until then, it is the fit with that number of epochs, which a given number runs to its end.

    The training sets have 2, 42 and 78 batches, which makes 300, 71 and 38 epochs.
    """
    X = np.concatenate([cancer[100:], cancer[100:]])[:n_rows]
    parameters = {"X_val": cancer[:100], "batch_size": batch_size, "learning_rate_init": 3e-3}
    auto = _fit(X, max_iter="auto", **parameters)
    n_epochs = count_epochs("auto", batch_size, len(X))
    full = _fit(X, max_iter=n_epochs, **parameters)
    scores = np.array([full.baseline_score_, *full.validation_scores_])
    since_best = [t - np.argmax(scores[: t + 1]) for t in range(n_epochs + 1)]
    assert full.n_iter_ == n_epochs > auto.n_iter_ == since_best.index(n_no_change)
    assert auto.validation_scores_ == full.validation_scores_[: auto.n_iter_]


def test_batches_are_not_larger_than_the_data(digits):
    recorder = Recorder()
    estimator = _fit(digits, batch_size=10**9, max_iter=2, skorch_callbacks=[recorder])
    assert [len(batches) for batches in recorder.epochs] == [1, 1]
    assert estimator.n_iter_ == 2


def _columns(printed):
    """Cells of a printed table by their header."""
    header, rule, *lines = printed.splitlines()
    ends = [match.end() for match in re.finditer("-+", rule)]
    cells = [
        [
            line[start:end].strip()
            for start, end in zip([0, *ends], [*ends[:-1], None], strict=False)
        ]
        for line in lines
    ]
    return dict(zip(header.split(), zip(*cells, strict=True), strict=True))


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_verbose_prints_a_line_an_epoch(digits, capsys, estimator):
    parameters = {"max_iter": 6, "learning_rate_init": 0.02, "random_state": 0}
    estimator(2, **parameters).fit(digits)
    assert capsys.readouterr() == ("", "")
    fitted = estimator(2, verbose=1, **parameters).fit(digits)
    shown = _columns(capsys.readouterr().out)
    assert list(shown) == ["epoch", "train_loss", "valid_score", "best", "seconds"]
    assert shown["epoch"] == tuple(map(str, range(7)))
    assert shown["train_loss"] == ("", *(f"{loss:.4f}" for loss in fitted.loss_curve_))
    assert shown["valid_score"] == tuple(
        f"{score:.4f}" for score in (fitted.baseline_score_, *fitted.validation_scores_)
    )
    assert shown["best"] == (
        "+",
        *("+" if best else "" for best in fitted.history_[:, "valid_loss_best"]),
    )
    assert fitted.best_iter_ == max(epoch for epoch, best in enumerate(shown["best"]) if best)
    assert shown["seconds"][0] == ""
    assert all(float(seconds) > 0 for seconds in shown["seconds"][1:])


def test_verbose_prints_what_callbacks_record(digits, capsys):
    scoring = EpochScoring(
        lambda net, X, y: 12.5, name="of_mine", lower_is_better=None, use_caching=False
    )
    _fit(digits, max_iter=2, verbose=1, skorch_callbacks=[scoring])
    shown = _columns(capsys.readouterr().out)
    assert shown["of_mine"] == ("", "12.5000", "12.5000")


# Devices


def test_device_is_found():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cuda:77", "nonsense"])
def test_a_device_that_is_not_there_is_refused_by_name(device):
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match=f"device='{device}' is not available.*'auto', 'cpu'"),
    ):
        find_device(device)
