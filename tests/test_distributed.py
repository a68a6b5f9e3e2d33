"""Fits in several processes equal a fit in one."""

import os
import pickle
import socket
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from processes import Failure
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data.datasets import SampleDataset
from skae._data.joint_moments import JointMoments
from skae._data.joint_moments import merged as merged_joint
from skae._data.moments import Moments, merged
from skae._data.splitting import hash_samples, hold_out
from skae._preparation import Samples
from skae.distributed import process_group

SCRIPT = Path(__file__).with_name("processes.py")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def _command(folder, function, cases):
    (folder / "cases").write_bytes(pickle.dumps(cases))
    return [str(SCRIPT), str(folder), function]


def _results(folder, ranks):
    return [pickle.loads((folder / f"result{rank}").read_bytes()) for rank in ranks]


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _weights(estimator):
    return estimator._model.state()["weights"]


def _cut(arrays):
    """Where three shards start and end; the first has no validation samples."""
    ends = {name: [0, len(X) // 2, len(X) * 4 // 5, len(X)] for name, X in arrays.items()}
    return {name: [0, 0, *e[2:]] if "val" in name else e for name, e in ends.items()}


def test_three_processes_fit_what_one_does(tmp_path):
    rng = np.random.default_rng(0)
    X = load_digits().data[rng.permutation(1797)] / 16
    noisy = (X + rng.normal(0, 0.3, X.shape)).clip(0, 1)
    train, held_out, X_test = slice(0, 700), slice(700, 900), X[900:1000]
    arrays = {"X": X[train], "X_val": X[held_out]}
    images = {name: array.reshape(-1, 8, 8) for name, array in arrays.items()}
    weighted = arrays | {"sample_weight": rng.exponential(1, 700)}
    pairs = {
        "X": noisy[train],
        "X_target": X[train],
        "X_val": noisy[held_out],
        "X_val_target": X[held_out],
    }
    settings = {"hidden_layer_sizes": 32, "random_state": 0}
    estimators = [
        (AutoencoderTransformer(0.8, **settings), weighted, X_test),
        (
            ConvAutoencoderTransformer(8, channels=(4, 8), random_state=0),
            images,
            X_test.reshape(-1, 8, 8),
        ),
        (DenoisingAutoencoder(8, **settings), pairs, noisy[900:1000]),
        (VAETransformer(8, contamination=0.1, **settings), arrays, X_test),
    ]
    cases = [
        (clone(estimator).set_params(max_iter=n_epochs), given, _cut(given))
        for estimator, given, _ in estimators
        for n_epochs in (0, 4)
    ]
    command = _command(tmp_path, "fit_shards", cases)
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "3"]
    address = ["--master_addr", "127.0.0.1", "--master_port", str(_free_port())]
    subprocess.run(
        [sys.executable, *launcher, *address, *command], env=ENVIRONMENT, check=True, timeout=120
    )
    results = iter(zip(*_results(tmp_path, range(3)), strict=True))
    for estimator, given, samples in estimators:
        started, trained = next(results), next(results)
        for first, *others in started, trained:
            for other in others:
                assert other.validation_scores_ == first.validation_scores_
                assert other.loss_curve_ == first.loss_curve_
                assert _weights(other).keys() == _weights(first).keys()
                for name, weight in _weights(other).items():
                    np.testing.assert_array_equal(weight, _weights(first)[name])
        alone = clone(estimator).set_params(max_iter=0).fit(**given)
        start = started[0]
        np.testing.assert_allclose(
            start.reconstruct(samples), alone.reconstruct(samples), atol=1e-6
        )
        assert start.baseline_score_ == pytest.approx(alone.baseline_score_, rel=1e-6)
        alone = clone(estimator).set_params(max_iter=4).fit(**given)
        end = trained[0]
        assert end.n_components_ == alone.n_components_
        assert end.best_iter_ == alone.best_iter_ == 4
        assert np.mean(end.loss_curve_) == pytest.approx(np.mean(alone.loss_curve_), rel=0.1)
        gain = alone.validation_scores_[-1] - alone.baseline_score_
        assert end.validation_scores_[-1] > alone.validation_scores_[-1] - 0.15 * gain
        if estimator.n_components < 1:
            np.testing.assert_allclose(
                np.cumsum(end.explained_variance_ratio_),
                np.cumsum(alone.explained_variance_ratio_),
                atol=0.03,
            )


def test_a_failure_in_one_process_ends_all(tmp_path):
    X = np.random.default_rng(0).random((100, 4))
    infinite = X.copy()
    infinite[3, 2] = np.inf
    cases = [
        ({}, X, infinite),
        ({}, X, X[:, :3]),
        ({}, X, X.astype(np.float32)),
        ({"skorch_callbacks": [Failure("raise")]}, X, X),
        ({}, X, X),
        ({"skorch_callbacks": [Failure("kill")]}, X, X),
    ]
    command = _command(tmp_path, "fail_in_turn", cases)
    processes = [
        subprocess.Popen([sys.executable, *command, str(rank), "3"], env=ENVIRONMENT)
        for rank in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, -9, 0]
    expected = [
        "in process 1: ValueError: Input X contains infinity",
        "different features: 4 in process 0, 3 in process 1, 4 in process 2",
        "different dtype: float64 in process 0, float32 in process 1, float64 in process 2",
        "in process 1: ValueError: a callback has failed",
        None,
        "process 1 has ended",
    ]
    for errors in _results(tmp_path, [0, 2]):
        for error, text in zip(errors, expected, strict=True):
            if text is None:
                assert error is None
            else:
                assert text in error[1]
                assert error[2]  # the estimator is as it was


def test_a_context_needs_connected_processes():
    with pytest.raises(RuntimeError, match="init_process_group"), process_group():
        pass


class Simulated:
    """A group of several processes, of which this one has been told what the others have."""

    rank = 0

    def __init__(self, *others):
        self.others = list(others)  # what they give at each call
        self.size = 1 + len(others[0])

    def gather(self, value):
        return [value, *self.others.pop(0)]

    def sum(self, values):
        return values + sum(self.others.pop(0))


def _chunk(X, weights=None):
    return Moments.of([(X, weights)], cross=True)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_moments_of_several_processes_are_those_of_all_samples(rng, offset):
    X = rng.normal(offset, 1, (60, 3))
    X[:4] = 0
    a, b = _chunk(X[:20]), _chunk(X[20:])
    parts = [[(replace(b, scatter=None), True)], [b.scatter]]
    both, expected = merged(a, Simulated(*parts)), _chunk(X)
    for field in fields(Moments):
        np.testing.assert_allclose(
            getattr(both, field.name), getattr(expected, field.name), rtol=1e-9, err_msg=field.name
        )
    np.testing.assert_allclose(both.scatter, 59 * np.cov(X.T), rtol=1e-9)
    alone = merged(None, Simulated(*parts))  # this process has no sample
    np.testing.assert_allclose(alone.mean, X[20:].mean(0))
    np.testing.assert_allclose(alone.scatter, b.scatter)


def test_joint_moments_of_several_processes_are_those_of_all_pairs(rng):
    U, X = rng.normal(3, 1, (60, 3)), rng.normal(1, 2, (60, 2))
    a, b = (
        JointMoments.of([(U[part], X[part], None)], cross=True)
        for part in (slice(20), slice(20, 60))
    )
    summary = b.weight, b.mean, b.target_mean, True
    both = merged_joint(a, Simulated([summary], [b.scatter], [b.cross]))
    np.testing.assert_allclose(both.mean, U.mean(0))
    np.testing.assert_allclose(both.target_mean, X.mean(0))
    np.testing.assert_allclose(both.scatter, 59 * np.cov(U.T))
    np.testing.assert_allclose(both.cross, (X - X.mean(0)).T @ (U - U.mean(0)))


def test_copies_are_held_out_in_all_processes(rng):
    X = rng.random((50, 3))
    source = Samples.of(X).X
    hashes = hash_samples(X)
    held_out, _ = hold_out(hashes, 0.1, source, 0)
    elsewhere = np.setdiff1d(np.arange(50), held_out)[:7]
    source.group, source._n_samples = Simulated([hashes[elsewhere]]), 100
    both, rest = hold_out(hashes, 0.1, source, 0)
    assert sorted(both) == sorted([*held_out, *elsewhere])
    assert len(rest) == 50 - len(both)


@pytest.mark.parametrize("lengths", [[50, 50], [10, 90], [2, 3, 95]])
@pytest.mark.parametrize("size", [1, 7, 32, 200])
def test_batches_of_all_processes_together_have_the_given_size(lengths, size):
    taken = []
    for rank in range(len(lengths)):
        dataset = SampleDataset.__new__(SampleDataset)
        dataset.lengths, dataset.group = lengths, SimpleNamespace(rank=rank)
        taken.append(dataset._taken(size))
    sizes, shares = (np.array(part) for part in zip(*taken, strict=True))
    assert sizes.shape[1] == np.ceil(100 / size)  # all take part in each step
    np.testing.assert_array_equal(sizes.sum(axis=1), lengths)
    assert abs(sizes.sum(axis=0)[:-1] - size).max(initial=0) < len(lengths)
    np.testing.assert_allclose(shares.sum(axis=0)[sizes.sum(axis=0) > 0], 1)
