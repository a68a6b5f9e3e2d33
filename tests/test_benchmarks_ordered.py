"""The questions about ordered components in their quick form."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks import report
from benchmarks.__main__ import main


def _quick(question, out, *arguments):
    """Rows of the CSV that the quick form of a question writes."""
    (path,) = main([*question.split(), "--quick", "--out", str(out), *arguments])
    return report.read_csv(path)


def _reconstruct(pca, X, depth):
    codes = pca.transform(X)
    codes[:, depth:] = 0
    return pca.inverse_transform(codes)


def test_prefixes_of_images(tmp_path):
    error = {(row["depth"], row["method"]): row for row in _quick("ordered", tmp_path)}
    assert error.keys() == {
        (depth, method) for depth in (2, 4) for method in ("PCA", "skae", "skae ordered")
    }
    X_train, X_test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    for depth in (2, 4):
        expected = np.square(_reconstruct(PCA(4).fit(X_train), X_test, depth) - X_test).mean()
        own = error[depth, "skae ordered"]
        assert error[depth, "PCA"]["mse"] == pytest.approx(expected, rel=1e-4)
        assert own["to_pca"] == pytest.approx(own["mse"] / expected, rel=1e-4)
        assert own["to_alone"] == pytest.approx(own["mse"] / error[depth, "skae"]["mse"], rel=1e-4)


@pytest.mark.parametrize("seed", [0, 3])
def test_curve_of_pca(seed):
    from benchmarks.ordered import _pca_curve

    X, X_test = train_test_split(load_wine().data, random_state=seed)
    pca = PCA(5).fit(X)
    expected = [
        r2_score(X_test, _reconstruct(pca, X_test, k), multioutput="variance_weighted")
        for k in range(1, 6)
    ]
    np.testing.assert_allclose(_pca_curve(pca, X_test), expected, rtol=1e-9)


def test_prefixes_of_tables(tmp_path):
    rows = {row["dataset"]: row for row in _quick("ordered", tmp_path, "--dataset", "tabular")}
    assert rows.keys() == {"breast_cancer", "wine"}
    assert rows["breast_cancer"]["components"] == 15
    for row in rows.values():
        assert 1 <= row["worst_prefix"] <= row["components"]
        assert row["difference"] == pytest.approx(row["r2_skae"] - row["r2_pca"], abs=1e-5)
        assert row["difference"] <= row["mean_difference"]


def test_components_for_a_fraction(tmp_path):
    rows = {
        row["dataset"]: row for row in _quick("ordered fraction", tmp_path, "--dataset", "tabular")
    }
    X, _ = train_test_split(load_breast_cancer().data, test_size=0.25, random_state=0)
    X, X_val = train_test_split(StandardScaler().fit_transform(X), test_size=0.1, random_state=0)
    row = rows["breast_cancer"]
    assert row["depth_pca"] == PCA(0.9).fit(X).n_components_
    scores = [
        r2_score(X_val, _reconstruct(PCA(30).fit(X), X_val, k), multioutput="variance_weighted")
        for k in range(1, 31)
    ]
    assert row["depth_pca_by_rule"] == 1 + np.flatnonzero(np.array(scores) >= 0.9)[0]
    assert row["most_over_pca_by_rule"] <= 0


def test_cost(tmp_path):
    rows = {(row["what"], row["depth"]): row for row in _quick("ordered cost", tmp_path)}
    fits = [rows[f"fit, ordered={ordered}", 4] for ordered in (False, True)]
    assert fits[0]["ratio"] == 1
    assert fits[1]["ratio"] == pytest.approx(fits[1]["seconds"] / fits[0]["seconds"], rel=1e-4)
    for way in ("a fit for each depth", "one ordered fit"):
        assert (
            0.3 < rows[f"accuracy, {way}", 2]["accuracy"] < rows[f"accuracy, {way}", 4]["accuracy"]
        )
    sweeps = ("a search for each depth", "one search over all depths", "one ordered fit")
    searched, search, ordered = (rows[f"sweep, {sweep}", None] for sweep in sweeps)
    assert searched["seconds"] > 0
    assert ordered["seconds"] > 0
    assert ordered["ratio"] == pytest.approx(ordered["seconds"] / searched["seconds"], rel=1e-4)
    assert 0.5 < search["ratio"] < 1  # 7 fits to 8: one refit where there are two depths
