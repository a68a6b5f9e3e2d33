"""The benchmarks that compare skae with other libraries, in their smallest form."""

import csv
import importlib
import math
import statistics
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.__main__ import main
from skae import AutoencoderTransformer

LIBRARIES = {"PyOD": "pyod", "pythae AE": "pythae", "pythae VAE": "pythae", "Keras": "keras"}
# Of what skae itself requires.
REQUIRED = ["textbook loop", "skorch", "skorch, Adam", "MLPRegressor"]


def _module(name):
    return importlib.import_module(f"benchmarks.{name}")


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _split():
    """Training and test images of the digits, as the benchmarks have them."""
    return train_test_split(
        (load_digits().data / 16).astype(np.float32), test_size=0.25, random_state=0
    )


def _pca_errors(depth, X_train, X_test):
    V = np.linalg.svd(X_train - X_train.mean(axis=0), full_matrices=False)[2][:depth]
    U = X_test - X_train.mean(axis=0)
    return np.square(U - U @ V.T @ V)


def _absent(*args):
    raise ImportError("No module named 'nothing'")


def test_time_to_quality_is_compared(tmp_path, monkeypatch, capsys):
    module = _module("time_to_quality")
    peers = {name: module.PEERS[name] for name in ("textbook loop", "skorch, Adam")}
    monkeypatch.setattr(module, "PEERS", peers | {"absent": _absent})
    path, path_of_ratios = main(["time_to_quality", "--quick", "--out", str(tmp_path)])
    rows = _rows(path)
    errors = {(row["method"], row["epochs"]): float(row["mse"]) for row in rows if row["mse"]}
    expected = _pca_errors(16, *_split()).mean()
    assert errors["PCA", "0"] == pytest.approx(expected, rel=1e-4)
    skae = {(name, epochs) for name in ("skae", "skae, own layers") for epochs in "12"}
    assert errors.keys() == {
        ("PCA", "0"),
        *skae,
        *((name, epochs) for name in peers for epochs in "12"),
    }
    assert all(errors[point] < expected for point in skae)
    (absent,) = (row for row in rows if row["method"] == "absent")
    assert (absent["note"], absent["mse"], absent["seconds"]) == (
        "not installed: No module named 'nothing'",
        "",
        "",
    )
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    ratios = _rows(path_of_ratios)
    assert len(ratios) == 4
    printed = capsys.readouterr().out
    for row in ratios:
        assert row["question"] in printed
        # nan, where the error is not reached, is unlike itself
        assert float(row["ratio"]) == pytest.approx(
            float(row["seconds"]) / float(row["reference"]), rel=1e-3, nan_ok=True
        )


def test_seconds_to_an_error_are_those_of_the_quickest_fit():
    rows = [
        {"method": "PCA", "epochs": 0, "seconds": 0.5, "mse": 16.0},
        {"method": "skae", "epochs": 1, "seconds": 1.0, "mse": 9.0},
        {"method": "skae", "epochs": 2, "seconds": 3.0, "mse": 8.0},
        {"method": "skae", "epochs": 4, "seconds": 5.0, "mse": 7.0},
        {"method": "skae, own layers", "epochs": 1, "seconds": 2.0, "mse": 8.5},
        {"method": "textbook loop", "epochs": 1, "seconds": 1.0, "mse": 40.0},
        {"method": "textbook loop", "epochs": 2, "seconds": 20.0, "mse": 9.5},
        {"method": "absent", "note": "not installed"},
    ]
    ratios = [row["ratio"] for row in _module("time_to_quality").compare(rows)]
    np.testing.assert_allclose(ratios, [1 / 20, 3 / 0.5, 2 / 20, math.nan])


def test_the_clock_stands_still_while_the_error_is_measured(monkeypatch):
    peers = _module("peers")
    times = iter([10.0, 12.0, 100.0, 103.0, 200.0])  # made; marked and going on, twice
    monkeypatch.setattr(peers, "perf_counter", lambda: next(times))
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    curve = peers.Curve(X)
    curve.mark(lambda rows: rows + 0.5)
    curve.mark(lambda rows: rows * 0)
    assert curve.points == [(1, 2.0, 0.25), (2, 5.0, 0.5)]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_peer_learns(name):
    X_train, X_test = _split()
    _check_curve(name, X_train, X_test)


@pytest.mark.filterwarnings("default")  # of other libraries
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_peer_learns_or_says_what_is_missing(name):
    X_train, X_test = _split()
    if find_spec(LIBRARIES[name]):
        _check_curve(name, X_train, X_test)
    else:
        with pytest.raises(ImportError, match=LIBRARIES[name]):
            _module("peers").PEERS[name](X_train, (32,), 8, 2, 0, None)


def _check_curve(name, X_train, X_test):
    peers = _module("peers")
    curve = peers.Curve(X_test)
    peers.PEERS[name](X_train, (32,), 8, 3, 0, curve)
    assert [point.epochs for point in curve.points] == [1, 2, 3]
    seconds, errors = (
        [getattr(point, field) for point in curve.points] for field in ("seconds", "mse")
    )
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    assert errors[2] < errors[0]
    assert errors[2] < np.square(X_test - X_train.mean()).mean() * 2


def test_every_peer_is_tested():
    assert _module("peers").PEERS.keys() == {*REQUIRED, *LIBRARIES}


def test_the_textbook_loop_trains_the_textbook_network():
    peers = _module("peers")
    torch.manual_seed(0)
    network = peers.perceptron(784, (256,), 32)
    n_encoder, n_decoder = (784 + 1) * 256 + (256 + 1) * 32, (32 + 1) * 256 + (256 + 1) * 784
    assert sum(p.numel() for p in network.parameters()) == n_encoder + n_decoder == 419_120

    network = peers.perceptron(64, (20, 10), 5)
    widths = [layer.out_features for layer in network if isinstance(layer, torch.nn.Linear)]
    assert widths == [20, 10, 5, 10, 20, 64]
    X, errors = _split()[0], []
    peers.train_textbook(X, network, 64, 3, after_epoch=lambda: errors.append(_error(network, X)))
    assert errors[0] > errors[1] > errors[2]


def _error(network, X):
    weights = [p.detach().numpy() for p in network.parameters()]
    h = X
    for i, (W, b) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        h = h @ W.T + b
        h = 1 / (1 + np.exp(-h)) if i == 5 else h if i == 2 else np.maximum(h, 0)
    np.testing.assert_allclose(network(torch.from_numpy(X)).detach().numpy(), h, atol=1e-5)
    return np.square(X - h).mean()


def test_engine_is_measured(tmp_path, monkeypatch):
    engine = _module("engine")
    # Skae takes seconds.
    monkeypatch.setattr(engine, "IMPORTED", {"nothing": "pass", "something": "import json"})
    path, path_of_use = main(["engine", "--quick", "--out", str(tmp_path)])
    rows = {row["what"]: row for row in _rows(path)}
    seconds = {what: float(row["seconds"]) for what, row in rows.items()}
    assert float(rows["hand-written loop"]["ratio"]) == 1
    for what, row in rows.items():
        assert float(row["ratio"]) == pytest.approx(
            seconds[what] / seconds["hand-written loop"], rel=1e-3
        )
        over_default = seconds[what] / seconds["hand-written loop, default Adam"]
        assert float(row["over_default_adam"]) == pytest.approx(over_default, rel=1e-3)
    ours = {
        "skae",
        "skae, one thread",
        "skae, torch.optim.Adam",
        "skae, batches four times as large",
    }
    assert (
        ours | {"skorch's defaults", "MLPRegressor", "textbook loop, default Adam"} <= rows.keys()
    )

    used = {(row["dtype"], row["what"]): row for row in _rows(path_of_use)}
    for dtype in ("float32", "float64"):
        for way, bare in (("transform", "module.encode"), ("inverse_transform", "module.decode")):
            rates = {
                what: float(used[dtype, what]["rows_per_second"])
                for what in (way, bare, f"PCA.{way}")
            }
            for what, rate in rates.items():
                assert float(used[dtype, what]["ratio"]) == pytest.approx(
                    rates[bare] / rate, rel=1e-3
                )
    kept = used["", "pickle"]
    # linear and residual paths, there and back: 64 -> 16 and 64 -> 256 -> 16
    n_weights = 2 * 64 * 16 + (64 + 1) * 256 + (256 + 1) * 16 + (16 + 1) * 256 + (256 + 1) * 64
    assert int(kept["weight_bytes"]) == 4 * n_weights
    assert 4 * n_weights < int(kept["bytes"]) < 1.1 * 4 * n_weights + 50_000
    assert {row["what"] for row in used.values() if row["case"] == "import"} == {
        "nothing",
        "something",
    }


def test_gpu_is_measured_on_the_device_that_there_is(tmp_path):
    (path,) = main(["gpu", "--quick", "--device", "cpu", "--out", str(tmp_path)])
    *timed, errors = _rows(path)
    assert [(row["batch_size"], row["what"]) for row in timed] == [
        (size, what) for size in ("128", "1024") for what in ("hand-written loop", "skae")
    ]
    n_images = 1797 - 450  # the others are held out
    for row in timed:
        assert float(row["images_per_second"]) == pytest.approx(
            n_images / float(row["seconds"]), rel=1e-3
        )
    for loop, ours in (timed[:2], timed[2:]):
        ratio = float(ours["seconds"]) / float(loop["seconds"])
        assert float(ours["ratio"]) == pytest.approx(ratio, rel=1e-3)
    split = _module("datasets").load(_module("datasets").Source("digits"))
    r2 = [
        AutoencoderTransformer(
            16, hidden_layer_sizes=(256,), batch_size=32, max_iter=1, random_state=seed
        )
        .fit(split.train.X)
        .score(split.held_out.X)
        for seed in range(3)
    ]
    assert float(errors["r2"]) == pytest.approx(statistics.mean(r2), abs=1e-4)
    assert float(errors["spread"]) == pytest.approx(statistics.stdev(r2), abs=1e-4)


def test_fits_to_large_images_are_measured(tmp_path):
    (path,) = main(["large_images", "--quick", "--out", str(tmp_path)])
    rows = {(row["method"], row["what"]): row for row in _rows(path)}
    for method in ("skae conv", "skae conv, no linear paths"):
        parts = [rows[method, what] for what in ("start", "gradient steps", "validation")]
        fit = rows[method, "fit"]
        total = sum(float(part["seconds"]) for part in parts)
        assert float(fit["seconds"]) == pytest.approx(total, rel=1e-3)
        assert sum(float(part["ratio"]) for part in parts) == pytest.approx(1, rel=1e-3)
        ratio = float(fit["seconds"]) / float(rows["PCA", "fit"]["seconds"])
        assert float(fit["ratio"]) == pytest.approx(ratio, rel=1e-3)
    crops = _module("datasets").crops
    X, X_held_out = crops(16, 300, "train", 0), crops(16, 500, "test", 0)
    error = _pca_errors(4, X, X_held_out).mean()
    assert float(rows["PCA", "error"]["mse"]) == pytest.approx(error, rel=1e-3)
    sizes = {method: int(rows[method, "parameters"]["parameters"]) for method, _ in rows}
    assert sizes["PCA"] == (4 + 1) * 768
    assert sizes["skae conv"] - sizes["skae conv, no linear paths"] == 2 * 4 * 768
    peaks = [float(row["mebibytes"]) for row in rows.values() if row["what"] == "peak memory"]
    assert len(peaks) == (3 if _module("engine").PROCESS.exists() else 0)
    assert all(peak > 0 for peak in peaks)


def test_crops_are_of_their_part_of_the_photographs(monkeypatch):
    """A quarter of these has one color, so all pixels of a crop have its brightness."""
    datasets = _module("datasets")
    colors = np.repeat([50, 100, 150, 200], 160).astype(np.uint8)
    photograph = np.broadcast_to(colors[:, None], (427, 640, 3))
    images = SimpleNamespace(images=[photograph, photograph])
    monkeypatch.setattr(datasets.embedded, "load_sample_images", lambda: images)
    for part, color in (("validation", 150), ("test", 200)):
        X = datasets.crops(8, 30, part, 0)
        assert X.shape == (30, 8 * 8 * 3)
        np.testing.assert_allclose(X, np.broadcast_to(X[:, :1], X.shape), rtol=1e-5)
        brightness = X[:, 0] / (color / 255)
        assert 0.8 <= brightness.min() < 0.9 < 1.1 < brightness.max() <= 1.2
    assert datasets.crops(8, 30, "train", 0).max() <= 1.2 * 100 / 255 + 1e-6


def test_the_hand_written_loop_can_have_the_default_optimiser(monkeypatch):
    peers = _module("peers")
    settings, make = [], torch.optim.Adam
    monkeypatch.setattr(
        torch.optim, "Adam", lambda *args, **given: settings.append(given) or make(*args, **given)
    )
    for fused in (True, False):
        peers.hand_written(_split()[0], peers.dense, 4, 512, 1, fused=fused)
    assert [given["fused"] for given in settings] == [True, None]  # None leaves the choice to torch


def test_the_reference_network_is_compared(tmp_path):
    given = ["--evaluate", "validation", "--learning-rate-init", "0.002", "--label", "slow"]
    (path,) = main(["reference", "--quick", *given, "--out", str(tmp_path)])
    assert path.name == "reference_digits_validation_slow_quick.csv"
    rows = {row["method"]: row for row in _rows(path)}
    X_train, X_val = train_test_split(_split()[0], test_size=0.25, random_state=0)
    expected = _pca_errors(30, X_train, X_val).sum(axis=1).mean()
    assert float(rows["PCA"]["error_per_image"]) == pytest.approx(expected, rel=1e-4)
    assert float(rows["skae"]["error_per_image"]) < expected
    assert (rows["skae"]["epochs"], rows["skae"]["settings"]) == ("2", "learning_rate_init=0.002")
    assert rows["skae"]["train_images"] == str(len(X_train))
