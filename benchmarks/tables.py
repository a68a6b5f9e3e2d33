"""The comparison on tables: many tables, few depths each, several seeds."""

import numpy as np

from benchmarks import datasets, report
from benchmarks.methods import methods
from benchmarks.seeds import over_seeds
from skae import reconstruction_score

N_SEEDS = 5
COLUMNS = {"table": "", "rows": "", "features": "", "depth": "", "r2_pca": ".4f", "r2_skae": ".4f"} | {
    "difference": "+.4f",
    "worst_difference": "+.4f",
    "error_ratio": ".3f",
}


def compare(paths, *, depths, epochs, evaluate, seed, n_jobs, about, out):
    """Compare held-out R² on each table and depth over seeds; write a CSV and a table.

    Parameters
    ----------
    paths : list of pathlib.Path
        Files of the tables.
    depths : sequence of int or None
        None is 2, a quarter and half of the features of each table.
    epochs : int or "auto"
    evaluate : {"validation", "test"}
        The part to hold out.
    seed : int
        The first of the seeds, of the split as of the methods.
    n_jobs : int
        Number of processes, with one thread each.
    about : dict
        What the CSV says in each row beside the results.
    out : pathlib.Path
        File to write to, without its extension.
    """
    cases = [(path, depth) for path in paths for depth in depths or _relative_depths(path)]
    found = over_seeds(_scores, cases, range(seed, seed + N_SEEDS), n_jobs, evaluate, epochs)
    rows = [_summarize(case, scores) for case, scores in found.items()]
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    report.write_csv(out.with_suffix(".csv"), [row | about for row in rows])


def _relative_depths(path):
    n_features = datasets.table_shape(path)[1]
    return sorted({max(1, depth) for depth in (2, n_features // 4, n_features // 2)})


def _scores(case, seed, evaluate, epochs):
    path, depth = case
    split = datasets.table(path, evaluate=evaluate, seed=seed)
    fitted = {name: make(depth, seed).fit(split.train.X) for name, make in methods(epochs).items()}
    return {name: reconstruction_score(method, split.held_out.X) for name, method in fitted.items()}


def _summarize(case, scores):
    path, depth = case
    pca, skae = (np.array([r2[name] for r2 in scores]) for name in ("PCA", "skae"))
    n_rows, n_features = datasets.table_shape(path)
    return {
        "table": path.stem,
        "rows": n_rows,
        "features": n_features,
        "depth": depth,
        "r2_pca": float(pca.mean()),
        "r2_skae": float(skae.mean()),
        "difference": float((skae - pca).mean()),
        "worst_difference": float((skae - pca).min()),
        "error_ratio": float((1 - skae.mean()) / (1 - pca.mean())),
    }


def _print_verdict(rows):
    worst = min(rows, key=lambda row: row["difference"])
    print(f"Worst mean difference of R²: {worst['difference']:+.4f} ({worst['table']}, depth {worst['depth']})")
    print(f"Median of (1 - R²) / (1 - R² of PCA): {np.median([row['error_ratio'] for row in rows]):.3f}")
