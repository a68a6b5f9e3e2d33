"""The commands of benchmarks/ in their smallest form."""

import csv
import importlib

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split


def _main(name):
    return importlib.import_module(f"benchmarks.{name}").main


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _pca_r2(X_train, X_test, depth):
    pca = PCA(depth, svd_solver="full").fit(X_train)
    return r2_score(X_test, pca.inverse_transform(pca.transform(X_test)), multioutput="variance_weighted")


def test_main_job_writes_a_table_and_a_picture(tmp_path, capsys):
    _main("run")(["--depths", "2", "--epochs", "1", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    tables, pictures = list(tmp_path.glob("*.csv")), list(tmp_path.glob("*.png"))
    assert len(tables) == len(pictures) == 1
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    for path in (*tables, *pictures):
        assert str(path) in printed

    rows = {row["method"]: row for row in _rows(tables[0])}
    assert rows.keys() == {"PCA", "skae", "skae conv"}
    X_train, X_test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    assert float(rows["PCA"]["r2"]) == pytest.approx(_pca_r2(X_train, X_test, 2), abs=1e-4)
    assert rows["PCA"]["parameters"] == str(2 * 64 + 64)
    for name in ("skae", "skae conv"):
        assert float(rows[name]["r2"]) >= float(rows["PCA"]["r2"]) - 1e-4
    for row in rows.values():
        assert row["depth"] == "2"
        # mean squared error over mean squared deviation from the column means
        assert 1 - float(row["mse"]) / X_test.var(axis=0).mean() == pytest.approx(float(row["r2"]), abs=1e-3)
        assert 0.3 < float(row["accuracy"]) < 0.9
        assert float(row["fit_seconds"]) > 0


def test_tables_are_compared_over_seeds(tmp_path, rng):
    (tmp_path / "tabular").mkdir()
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(80, 8))
    np.savez(tmp_path / "tabular" / "example.npz", X=X, y=np.arange(80) % 2)
    arguments = ["--dataset", "tabular", "--data-dir", str(tmp_path), "--depths", "2", "--epochs", "1"]
    _main("run")([*arguments, "--out", str(tmp_path)])
    (row,) = _rows(next(tmp_path.glob("*.csv")))

    expected = []
    for seed in range(5):
        X_train, X_test = train_test_split(X, test_size=0.25, random_state=seed)
        mean, scale = X_train.mean(axis=0), X_train.std(axis=0)
        expected.append(_pca_r2((X_train - mean) / scale, (X_test - mean) / scale, 2))
    assert float(row["r2_pca"]) == pytest.approx(np.mean(expected), abs=1e-4)
    assert float(row["difference"]) == pytest.approx(float(row["r2_skae"]) - float(row["r2_pca"]), abs=1e-5)
    assert (row["table"], row["rows"], row["features"], row["depth"]) == ("example", "80", "8", "2")


def test_tables_need_a_folder(capsys):
    with pytest.raises(SystemExit):
        _main("run")(["--dataset", "tabular"])
    assert "--data-dir" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["gaussian", "masking"])
def test_denoising_is_compared(tmp_path, kind):
    _main("denoising")(["--damage", kind, "--epochs", "1", "--out", str(tmp_path)])
    assert len(list(tmp_path.glob("*.png"))) == 1
    rows = _rows(next(tmp_path.glob("*.csv")))
    error = {(row["method"], row["setting"]): float(row["mse"]) for row in rows}
    X_train, X_test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    damaged = importlib.import_module("benchmarks.denoising").damage(X_test.astype(np.float32), kind, 1)
    assert damaged.min() >= 0
    assert damaged.max() <= 1
    if kind == "masking":
        assert (damaged == 0).mean() == pytest.approx(0.5 + 0.5 * (X_test == 0).mean(), abs=0.01)
    else:
        inside = (X_test > 0.4) & (X_test < 0.6)  # where noise of 0.5 is clipped on both sides
        assert (damaged[inside] - X_test[inside]).std() == pytest.approx(0.4, abs=0.05)
    assert error["damaged images", ""] == pytest.approx(np.square(damaged - X_test).mean(), rel=1e-4)
    pca = PCA(8).fit(X_train)
    expected = np.square(pca.inverse_transform(pca.transform(damaged)) - X_test).mean()
    assert error["PCA", "depth 8"] == pytest.approx(expected, rel=1e-3)
    assert {row["method"] for row in rows} >= {"kernel PCA", "Wiener filter", "skae", "skae conv"}


@pytest.fixture
def table_dir(tmp_path, rng):
    """A folder with one table of 300 rows about a plane of two dimensions."""
    (tmp_path / "tabular").mkdir()
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + 0.3 * rng.normal(size=(300, 8))
    np.savez(tmp_path / "tabular" / "example.npz", X=X, y=np.arange(300) % 2)
    return tmp_path


def test_masked_cells_are_compared(tmp_path, table_dir):
    _main("masked_cells")(["--data-dir", str(table_dir), "--epochs", "1", "--out", str(tmp_path)])
    (row,) = _rows(tmp_path / "masked_cells_test.csv")
    assert float(row["mse_mean"]) == pytest.approx(1, abs=0.15)  # columns are standardised
    best = min(float(row["mse_mean"]), float(row["mse_pca"]))
    assert float(row["ratio"]) == pytest.approx(float(row["mse_skae"]) / best, rel=1e-3)
    assert float(row["mse_skae"]) < float(row["mse_mean"])


def test_densities_of_images_are_compared(tmp_path):
    _main("density")(["--depths", "3", "--epochs", "1", "--out", str(tmp_path)])
    scores = {row["method"]: float(row["score"]) for row in _rows(tmp_path / "density_digits_test.csv")}
    X_train, X_test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    assert scores["PCA"] == pytest.approx(PCA(3).fit(X_train).score(X_test), abs=0.1)
    assert scores["PCA by skae"] == pytest.approx(scores["PCA"], rel=1e-3)
    assert len(scores) == 6


def test_densities_of_tables_are_compared(tmp_path, table_dir):
    _main("density")(["--dataset", "tabular", "--data-dir", str(table_dir), "--epochs", "0", "--out", str(tmp_path)])
    (row,) = _rows(tmp_path / "density_tabular_test.csv")  # a quarter of its features is two, too
    assert row["depth"] == "2"
    assert float(row["score_skae"]) == pytest.approx(float(row["score_pca"]), rel=1e-5)
    assert abs(float(row["per_feature"])) < 1e-4


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning", "ignore:.*Maximum iterations")
def test_samples_are_compared(tmp_path):
    _main("samples")(["--depth", "4", "--epochs", "1", "--out", str(tmp_path)])
    assert len(list(tmp_path.glob("*.png"))) == 1
    shares = {row["method"]: float(row["certain"]) for row in _rows(tmp_path / "samples_digits_test.csv")}
    assert all(0 <= share <= 1 for share in shares.values())
    assert shares["held-out images"] > max(0.7, *(shares[name] for name in shares if name != "held-out images"))
    assert {"PCA, Gaussian", "PCA, mixture of 10", "skae"} <= shares.keys()


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")
def test_outliers_are_found(tmp_path, table_dir):
    _main("outliers")(["--data-dir", str(table_dir), "--epochs", "1", "--out", str(tmp_path)])
    rows = {row["table"]: row for row in _rows(tmp_path / "outliers.csv")}
    assert rows.keys() == {"example", "mean"}
    for name in ("PCA", "isolation_forest", "skae_autoencoder", "skae_vae"):
        assert 0 <= float(rows["example"][name]) <= 1
        assert rows["example"][name] == rows["mean"][name]


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")
def test_binary_images_are_drawn_anew(tmp_path, rng):
    _main("binarized")(["--epochs", "2", "--rows", "50", "--samples", "5", "--out", str(tmp_path)])
    (row,) = _rows(tmp_path / "binarized_digits_test.csv")
    assert row["images"] == "50"
    assert float(row["elbo_of_start"]) < 0
    images = rng.uniform(size=(4000, 3)).astype(np.float32)
    drawn = importlib.import_module("benchmarks.binarized").Binarized(images, 0)
    X, first = drawn.X, drawn.X.copy()
    drawn.on_epoch_begin(None)
    assert drawn.X is X
    assert set(np.unique(X)) == {0, 1}
    assert not np.array_equal(X, first)
    np.testing.assert_allclose((X - images).mean(axis=0), 0, atol=0.05)
