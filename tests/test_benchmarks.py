"""The questions of benchmarks/ in their quick form, and how results are kept."""

import re
import runpy
from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks import __main__ as command
from benchmarks import cells, datasets, denoising, density, imputation, report
from benchmarks.cells import remembered
from benchmarks.depth import Quantizer
from benchmarks.questions import QUESTIONS


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all commands, so that they share fits."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def digits_split():
    """Training and held-out digits with their labels, as the commands split them."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, test_size=0.25, random_state=0)


def _quick(question, out, *arguments):
    """Rows of the CSV that the quick form of a question writes."""
    (path,) = command.main([*question.split(), "--quick", "--out", str(out), *arguments])
    return report.read_csv(path)


def _pca_r2(X_train, X_test, depth):
    pca = PCA(depth, svd_solver="full").fit(X_train)
    return r2_score(
        X_test, pca.inverse_transform(pca.transform(X_test)), multioutput="variance_weighted"
    )


def _by(rows, *columns):
    return {tuple(row[column] for column in columns): row for row in rows}


def test_the_questions_are_listed(capsys):
    command.main([])
    printed = capsys.readouterr().out
    for name, question in QUESTIONS.items():
        assert re.search(rf"^{name} +{re.escape(question.text)}$", printed, flags=re.MULTILINE)
    with pytest.raises(SystemExit, match="no question 'nothing'"):
        command.main(["nothing", "--quick"])


def test_the_command_of_the_readme_compares_digits(monkeypatch):
    given = []
    question = QUESTIONS["depth"]._replace(answer=lambda options: given.append(options) or 1 / 0)
    monkeypatch.setitem(QUESTIONS, "depth", question)
    with pytest.raises(ZeroDivisionError):
        command.main(["depth", "--jobs", "2"])
    (options,) = given
    assert (options.dataset, options.epochs, options.evaluate, options.out, options.jobs) == (
        "digits",
        "auto",
        "test",
        report.RESULTS,
        2,
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_help(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main([*name.split(), "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert QUESTIONS[name].text in printed
    assert "--data-dir" in printed


def test_a_release_records_every_question_into_the_files_that_there_are(monkeypatch, tmp_path):
    ran = []

    def run(question, argv):
        options = question.parse(argv)
        ran.append(question.name)
        assert options.data_dir == tmp_path
        return [tmp_path / f"{question.file_name(options)}.csv"]

    monkeypatch.setattr(type(QUESTIONS["depth"]), "run", run)
    command.main(["record", "--data-dir", str(tmp_path), "--out", str(tmp_path)])
    assert set(ran) == QUESTIONS.keys() - {"gpu"}  # of which no result is recorded yet
    recorded = {row["name"]: row for row in report.read_csv(tmp_path / "recorded.csv")}
    further = {"engine_use", "time_to_quality_mnist_validation_ratios", "recorded"}
    further |= {"imputation_test_summary", "imputation_patterns_test_summary"}
    files = {path.stem for path in report.RECORDED.glob("*.csv")}
    assert recorded.keys() == files - further
    assert {row["date"] for row in recorded.values()} == {date.today().isoformat()}
    before = report.read_csv(report.RECORDED / "recorded.csv")
    assert {row["name"] for row in before} == files - {"recorded"}


def test_a_recorded_result_is_noted_again(tmp_path):
    path = tmp_path / "recorded.csv"
    report.write_csv(path, [{"name": name, "version": "0", "date": "2020-01-01"} for name in "ab"])
    command.note(["b", "c"], path)
    rows = {row["name"]: row["date"] for row in report.read_csv(path)}
    assert rows == dict.fromkeys("bc", date.today().isoformat()) | {"a": "2020-01-01"}


def test_depth(out, digits_split, capsys):
    rows = _quick("depth", out)
    printed = capsys.readouterr().out
    for name in ("depth_digits_test_quick.csv", "depth_digits_test_quick.png"):
        assert str(out / name) in printed
    assert (out / "depth_digits_test_quick.png").read_bytes().startswith(b"\x89PNG")
    X_train, X_test = digits_split[:2]
    found = _by(rows, "method", "depth")
    assert found.keys() == {
        (m, d) for m in ("PCA", "skae", "skae conv", "skae ordered", "skae VAE") for d in (2, 8)
    }
    for (method, depth), row in found.items():
        expected = _pca_r2(X_train, X_test, depth)
        assert 1 - row["mse"] / X_test.var(axis=0).mean() == pytest.approx(row["r2"], abs=1e-4)
        assert row["difference"] == pytest.approx(row["r2"] - expected, abs=1e-4)
        assert row["error_ratio"] == pytest.approx((1 - row["r2"]) / (1 - expected), rel=1e-3)
        if method == "PCA":
            assert row["r2"] == pytest.approx(expected, abs=1e-4)
            assert row["parameters"] == depth * 64 + 64
        else:
            assert row["r2"] > expected
    for name in ("torch", "scikit-learn", "skae", "processor", "seed", "threads", "python"):
        assert rows[0][name] is not None


def test_depth_of_tables_is_a_mean_over_seeds(out):
    rows = _quick("depth", out, "--dataset", "tabular", "--n-components", "2")
    assert {row["dataset"] for row in rows} == {"breast_cancer", "wine"}
    found = _by(rows, "dataset", "method")
    for name, load in (("breast_cancer", load_breast_cancer), ("wine", load_wine)):
        expected = []
        for seed in range(5):
            X_train, X_test = train_test_split(load().data, test_size=0.25, random_state=seed)
            scaler = StandardScaler().fit(X_train)
            expected.append(_pca_r2(scaler.transform(X_train), scaler.transform(X_test), 2))
        row = found[name, "skae"]
        assert found[name, "PCA"]["r2"] == pytest.approx(np.mean(expected), abs=1e-4)
        assert row["difference"] == pytest.approx(row["r2"] - np.mean(expected), abs=1e-4)
        assert row["worst_difference"] <= row["difference"]
        assert row["seeds"] == 5


def test_downstream(out, digits_split):
    rows = _by(_quick("downstream", out), "method", "depth")
    X_train, X_test, y_train, y_test = digits_split
    classifiers = {
        "logistic_regression": LogisticRegression(max_iter=1000),
        "nearest_neighbors": KNeighborsClassifier(5),
    }
    pca = PCA(8, svd_solver="full").fit(X_train)
    codes = (
        pca.transform(X_train) / pca.transform(X_train).std(axis=0),
        pca.transform(X_test) / pca.transform(X_train).std(axis=0),
    )
    for name, classifier in classifiers.items():
        raw = classifier.fit(X_train.astype(float), y_train).score(X_test, y_test)
        assert rows["raw pixels", 64][name] == pytest.approx(raw, abs=1e-5)
        coded = classifier.fit(codes[0], y_train).score(codes[1], y_test)
        assert rows["PCA", 8][name] == pytest.approx(coded, abs=0.005)
        row = rows["skae conv", 8]
        assert row[f"difference_{name}"] == pytest.approx(
            row[name] - rows["PCA", 8][name], abs=1e-5
        )
    assert len(rows) == 1 + 5 * 2
    assert (out / "downstream_digits_test_quick.png").exists()


def test_settings(out, digits_split):
    rows = _by(_quick("downstream settings", out), "setting")
    assert {setting for (setting,) in rows} == {"PCA", "defaults", "ordered"}
    X_train, X_test, y_train, y_test = digits_split
    pca = PCA(4, svd_solver="full").fit(X_train.astype(float))
    expected = 1 - _pca_r2(X_train, X_test, 4)
    assert rows[("PCA",)]["mse"] / X_test.var(axis=0).mean() == pytest.approx(expected, rel=1e-3)
    scaler = StandardScaler().fit(pca.transform(X_train))
    codes = [scaler.transform(pca.transform(X)) for X in (X_train, X_test)]
    accuracy = KNeighborsClassifier(5).fit(codes[0], y_train).score(codes[1], y_test)
    assert rows[("PCA",)]["nearest_neighbors"] == pytest.approx(accuracy, abs=0.005)


def test_compression(out, digits_split):
    rows = _by(_quick("compression", out), "method", "depth", "code")
    X_train, X_test = digits_split[:2]
    for depth in (4, 8):
        expected = _pca_r2(X_train, X_test, depth)
        row, quantized = rows["PCA", depth, "float32"], rows["PCA", depth, "uint8"]
        assert row["r2"] == pytest.approx(expected, abs=1e-4)
        assert (row["bytes_per_image"], quantized["bytes_per_image"]) == (4 * depth, depth)
        assert row["model_bytes"] == 4 * (64 * depth + 64)
        assert quantized["model_bytes"] == row["model_bytes"] + 8 * depth
        assert row["mse"] <= quantized["mse"] < 1.01 * row["mse"]
    assert (out / "compression_digits_test_quick.png").exists()


def test_quantized_codes_are_within_half_a_step(rng):
    codes = rng.normal(size=(500, 3)) * [1, 10, 0]
    quantizer = Quantizer.of(codes)
    levels = quantizer.quantize(codes)
    assert levels.dtype == np.uint8
    assert (levels[:, :2].min(), levels[:, :2].max()) == (0, 255)
    half = (codes.max(axis=0) - codes.min(axis=0)) / 255 / 2
    assert (np.abs(quantizer.restore(levels) - codes) <= half * 1.0001).all()
    beyond = codes * 100
    nearest = beyond.clip(codes.min(axis=0), codes.max(axis=0))
    assert (np.abs(quantizer.restore(quantizer.quantize(beyond)) - nearest) <= half * 1.0001).all()


def test_epochs(out, digits_split):
    originals, *rows = _quick("epochs", out)
    assert {(row["case"], row["method"], row["depth"], row["epochs"]) for row in rows} == {
        (case, method, depth, 1)
        for case, depth in (("lengths", 4), ("depths", 4), ("depths", 8))
        for method in ("skae", "skae conv", "skae VAE")
    }
    X_test, y_test = digits_split[1], digits_split[3]
    firsts = X_test[[np.flatnonzero(y_test == digit)[0] for digit in range(10)]]
    np.testing.assert_allclose(
        datasets.unpack_images(originals["images"]).reshape(10, 64), firsts, atol=0.5 / 31 + 1e-6
    )
    for row in rows:
        assert len(str(row["losses"]).split()) == 1
        assert len(row["scores"].split()) == 2
        errors = datasets.unpack_images(row["images"]).reshape(10, 64) - firsts
        assert np.square(errors).mean() == pytest.approx(row["mse"], rel=0.5)
    for name in ("", "_lengths", "_depths"):
        assert (out / f"epochs_digits_test_quick{name}.png").exists()


@pytest.mark.parametrize("kind", ["gaussian", "masking"])
def test_denoising(out, digits_split, kind):
    rows = _quick("denoising", out, "--corruption", kind)
    assert (out / f"denoising_digits_{kind}_test_quick.png").exists()
    error = {(row["method"], row["setting"]): row["mse"] for row in rows}
    X_train, X_test = digits_split[:2]
    damaged = denoising.corrupt(X_test, kind, 1)
    assert damaged.min() >= 0
    assert damaged.max() <= 1
    if kind == "masking":
        assert (damaged == 0).mean() == pytest.approx(0.5 + 0.5 * (X_test == 0).mean(), abs=0.01)
    else:
        inside = (X_test > 0.4) & (X_test < 0.6)  # where noise of 0.5 is clipped on both sides
        assert (damaged[inside] - X_test[inside]).std() == pytest.approx(0.4, abs=0.05)
    assert error["damaged images", None] == pytest.approx(
        np.square(damaged - X_test).mean(), rel=1e-4
    )
    pca = PCA(8).fit(X_train)
    expected = np.square(pca.inverse_transform(pca.transform(damaged)) - X_test).mean()
    assert error["PCA", "depth 8"] == pytest.approx(expected, rel=1e-3)
    assert {row["method"] for row in rows} >= {"kernel PCA", "Wiener filter", "skae", "skae conv"}


def test_imputation(out):
    rows, summary = map(report.read_csv, command.main(["imputation", "--quick", "--out", str(out)]))
    found = _by(rows, "pattern", "table", "method")
    others = {"mean", "KNN", "PCA", "BayesianRidge"}
    methods = {*others, "skae", "skae, 200 steps"}
    assert found.keys() == set(product(imputation.PATTERNS, ("breast_cancer", "wine"), methods))
    for (*case, method), row in found.items():
        reference = found[(*case, "BayesianRidge")]
        assert row["ratio"] == pytest.approx(row["mse"] / reference["mse"], rel=1e-3)
        assert row["seconds_ratio"] == pytest.approx(
            row["seconds"] / reference["seconds"], rel=1e-3
        )
        assert row["difference"] == pytest.approx(row["roc_auc"] - reference["roc_auc"], abs=1e-4)
        rivals = others | ({method} if method.startswith("skae") else {"skae"})
        assert row["lowest"] == (row["mse"] == min(found[(*case, m)]["mse"] for m in rivals))
        if method != "mean":
            assert row["mse"] < found[(*case, "mean")]["mse"]
    assert all(0.8 < found["random", t, "mean"]["mse"] < 1.2 for t in ("breast_cancer", "wine"))
    of_skae = _by(summary, "pattern", "method")["random", "skae"]
    ratios = [found["random", table, "skae"]["ratio"] for table in ("breast_cancer", "wine")]
    assert of_skae["tables"] == 2
    assert of_skae["ratio"] == pytest.approx(np.mean(ratios), rel=1e-3)
    assert sum(row["lowest"] for row in summary if row["method"] in {*others, "skae"}) == 3 * 2


@pytest.mark.parametrize("pattern", imputation.PATTERNS)
def test_a_fifth_of_the_entries_is_hidden(pattern, rng):
    train, X = rng.normal(size=(2000, 7)), rng.normal(size=(5000, 7))
    is_hidden = imputation.hide(X, pattern, rng, train)
    assert is_hidden.mean(axis=0) == pytest.approx(np.full(7, 0.2), abs=0.03)
    is_large = np.quantile(X, 0.9) < X
    assert is_hidden[is_large].mean() == pytest.approx(
        0.38 if pattern == "by_value" else 0.2, abs=0.03
    )
    if pattern == "blocks":
        assert set(is_hidden.sum(axis=1)) == {0, 3}
        n_starts = (is_hidden & ~np.roll(is_hidden, 1, axis=1)).sum(axis=1)
        assert set(n_starts) == {0, 1}


def test_equal_values_are_hidden_with_the_same_probability(rng):
    X = rng.integers(2, size=(10_000, 1)).astype(float)
    is_hidden = imputation.hide(X, "by_value", rng, X)
    assert is_hidden[X == 0].mean() == pytest.approx(0.1, abs=0.02)
    assert is_hidden[X == 1].mean() == pytest.approx(0.3, abs=0.02)


def test_iterated_pca_imputes_samples_about_a_plane(rng):
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    mask = rng.random(X.shape) < 0.2
    given = np.where(mask, np.nan, X)
    pca = imputation.IteratedPCA(random_state=0).fit(given[:200])
    filled = pca.transform(given[200:])
    np.testing.assert_array_equal(filled[~mask[200:]], X[200:][~mask[200:]])
    error = np.square(filled - X[200:])[mask[200:]].mean()
    assert error < 0.1 * X.var(axis=0).mean()


def test_baselines_of_an_imputation_are_kept_when_skae_changes(tmp_path, monkeypatch):
    source = datasets.Source(datasets.table_paths()[0])

    def measure(method="mean", timing=None):
        return imputation._kept(method, "random", source, 1, timing, tmp_path)

    first = measure()
    monkeypatch.setattr(cells, "_identity", None)  # would see files of skae
    assert measure(timing="again") == first
    timed = measure("BayesianRidge")
    assert measure("BayesianRidge") == timed
    assert measure("BayesianRidge", "again")["seconds"] != timed["seconds"]
    monkeypatch.setattr(imputation, "hide", lambda X, *others: X > 0)
    assert measure()["mse"] != first["mse"]


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")
def test_densities_of_images(out, digits_split):
    scores = {row["method"]: row["score"] for row in _quick("density", out)}
    assert scores["PCA"] == pytest.approx(
        PCA(3).fit(digits_split[0]).score(digits_split[1]), abs=0.1
    )
    assert scores["PCA by skae"] == pytest.approx(scores["PCA"], rel=1e-3)
    assert len(scores) == 6


def test_densities_of_tables(out):
    rows = _quick("density", out, "--dataset", "tabular", "--n-components", "2", "--epochs", "0")
    assert len(rows) == 2
    for row in rows:
        assert row["score_skae"] == pytest.approx(row["score_pca"], rel=1e-5)
        assert abs(row["per_feature"]) < 1e-4


@pytest.mark.filterwarnings(
    "ignore:.*components are in use:UserWarning", "ignore:.*Maximum iterations"
)
def test_samples(out):
    shares = {row["method"]: row["certain"] for row in _quick("density samples", out)}
    assert (out / "samples_digits_test_quick.png").exists()
    assert all(0 <= share <= 1 for share in shares.values())
    assert shares["held-out images"] > max(
        0.7, *(shares[name] for name in shares if name != "held-out images")
    )
    assert {"PCA, Gaussian", "PCA, mixture of 10", "skae"} <= shares.keys()


@pytest.fixture
def table_dir(tmp_path, rng):
    """A folder with one table of 300 rows about a plane of two dimensions."""
    (tmp_path / "tabular").mkdir()
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + 0.3 * rng.normal(size=(300, 8))
    np.savez(tmp_path / "tabular" / "example.npz", X=X, y=np.arange(300) % 2)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")
def test_outliers_are_found(tmp_path, table_dir):
    given = ["--data-dir", str(table_dir), "--epochs", "1", "--out", str(tmp_path)]
    command.main(["outliers", *given])
    rows = _by(report.read_csv(tmp_path / "outliers.csv"), "table")
    assert rows.keys() == {("example",), ("mean, others",), ("mean",)}
    ours = "skae_vae", "skae_vae_robust", "scaled_skae_vae_robust", "codes_of_skae_autoencoder"
    for name in ("PCA", "isolation_forest", "local_outlier_factor", "skae_autoencoder", *ours):
        assert 0 <= rows["example",][name] <= 1
        assert rows["example",][name] == rows["mean",][name]


@pytest.mark.filterwarnings("ignore:.*components are in use:UserWarning")
def test_binary_images_are_drawn_anew(out, rng):
    (row,) = _quick("density binarized", out)
    assert row["images"] == 50
    assert row["elbo_of_start"] < 0
    images = rng.uniform(size=(4000, 3)).astype(np.float32)
    drawn = density.Binarized(images, 0)
    X, first = drawn.X, drawn.X.copy()
    drawn.on_epoch_begin(None)
    assert drawn.X is X
    assert set(np.unique(X)) == {0, 1}
    assert not np.array_equal(X, first)
    np.testing.assert_allclose((X - images).mean(axis=0), 0, atol=0.05)


# Resuming

measured = []


def _square(x, fails):
    if x in fails:
        raise KeyboardInterrupt
    measured.append(x)
    return x * x


def test_a_run_goes_on_where_it_was_interrupted(tmp_path):
    measured.clear()
    with pytest.raises(KeyboardInterrupt):
        cells.run(_square, [(1, ()), (2, ()), (3, (3,))], cache=tmp_path)
    assert measured == [1, 2]
    assert cells.run(_square, [(1, ()), (2, ()), (3, ())], cache=tmp_path) == [1, 4, 9]
    assert measured == [1, 2, 3]
    assert cells.run(_square, [(1, ()), (2, ())]) == [1, 4]
    assert measured == [1, 2, 3, 1, 2]


def test_a_finished_command_computes_nothing_again(out, monkeypatch):
    from benchmarks import methods

    path = out / "depth_digits_test_quick.csv"
    if not path.exists():
        _quick("depth", out)
    before = path.read_bytes()
    path.unlink()
    for name in ("reconstruct", "methods"):
        monkeypatch.setattr(methods, name, None)
    _quick("depth", out)
    assert path.read_bytes() == before


def test_results_of_other_code_are_not_recalled(tmp_path, monkeypatch):
    measured.clear()
    remembered(_square, tmp_path)(5, ())
    monkeypatch.setattr("benchmarks.cells.version", lambda name: "0")
    remembered(_square, tmp_path)(5, ())
    assert measured == [5, 5]


def test_the_code_of_a_result_is_all_that_makes_it():
    from benchmarks import depth

    names = {path.name for path in cells._files(depth.depth)}
    assert names >= {"depth.py", "methods.py", "datasets.py"}
    assert not names & {"epochs.py", "downstream.py", "report.py"}


# Options and shown results


def test_what_is_given_goes_before_what_is_quick():
    made = QUESTIONS["depth"]._replace(quick={"epochs": 1, "seed": 3})
    parsed = made.parse(["--quick", "--epochs", "7"])
    assert (parsed.epochs, parsed.seed, parsed.evaluate) == (7, 3, "test")


def test_test_images_of_mnist_are_not_looked_at_by_default():
    parsed = QUESTIONS["depth"].parse(["--dataset", "mnist"])
    assert (parsed.epochs, parsed.evaluate) == (6, "validation")


def test_images_in_a_csv_are_those_that_went_in(tmp_path, rng):
    X = rng.uniform(-0.1, 1.1, size=(3, 4 * 5 * 3))
    report.write_csv(
        tmp_path / "a.csv", [{"images": datasets.pack_images(X, (4, 5, 3)), "n": 3, "empty": None}]
    )
    (row,) = report.read_csv(tmp_path / "a.csv")
    found = datasets.unpack_images(row["images"])
    assert found.shape == (3, 4, 5, 3)
    np.testing.assert_allclose(found.reshape(3, -1), X.clip(0, 1), atol=0.5 / 31 + 1e-9)
    assert (row["n"], row["empty"]) == (3, None)


# Numbers on pages


@pytest.fixture
def figures():
    """The names of docs/figures.py."""
    return runpy.run_path(str(report.ROOT / "docs" / "figures.py"))


def test_a_table_shows_columns_with_their_formats(figures):
    frame = pd.DataFrame({"case": ["a_1", "`b_2`"], "n": [3, np.nan], "r2": [-0.00001, -0.5]})
    shown = figures["show"](frame, "case -> data set", "n:d", "r2:+.2f -> R²")
    assert figures["to_markdown"](shown, "").splitlines() == [
        "| data set | n | R² |",
        "| --- | ---: | ---: |",
        "| a 1 | 3 | 0.00 |",
        "| `b_2` |  | -0.50 |",
    ]


@pytest.mark.parametrize("values", [{"method": "PCA"}, {"method": "other"}])
def test_a_number_is_that_of_one_row(figures, values):
    frame = pd.DataFrame({"method": ["PCA", "PCA", "skae"], "r2": [0.5, 0.6, 0.7]})
    assert figures["of"](frame, method="skae").r2 == 0.7
    with pytest.raises(ValueError, match="unpack"):
        figures["of"](frame, **values)
