"""The comparison on tables: many tables, few depths each, several seeds."""

from itertools import product

import numpy as np
from joblib import Parallel, delayed

from benchmarks import datasets, report
from benchmarks.measures import one_thread
from benchmarks.methods import methods
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
    seeds = range(seed, seed + N_SEEDS)
    scores = {case: {} for case in cases}
    jobs = (delayed(_score)(case, seed, evaluate, epochs) for case, seed in product(cases, seeds))
    with report.progress(len(cases) * N_SEEDS) as advance:
        for case, seed, r2 in Parallel(n_jobs, return_as="generator_unordered")(jobs):
            scores[case][seed] = r2
            advance(f"{case[0].stem}, depth {case[1]}, seed {seed}")
    rows = [_summarize(case, [scores[case][seed] for seed in seeds]) for case in cases]
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    report.write_csv(out.with_suffix(".csv"), [row | about for row in rows])


def _relative_depths(path):
    n_features = _shape(path)[1]
    return sorted({max(1, depth) for depth in (2, n_features // 4, n_features // 2)})


def _shape(path):
    with np.load(path) as file:
        return file["X"].shape


def _score(case, seed, evaluate, epochs):
    path, depth = case
    with one_thread():
        split = datasets.table(path, evaluate=evaluate, seed=seed)
        fitted = {name: make(depth, seed).fit(split.train.X) for name, make in methods(epochs).items()}
        return case, seed, {name: reconstruction_score(method, split.held_out.X) for name, method in fitted.items()}


def _summarize(case, scores):
    path, depth = case
    pca, skae = (np.array([r2[name] for r2 in scores]) for name in ("PCA", "skae"))
    n_rows, n_features = _shape(path)
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
