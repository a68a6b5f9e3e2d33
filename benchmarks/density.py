"""Log densities of held-out rows: the variational autoencoder beside probabilistic PCA, in nats a row.

python benchmarks/density.py                                        # the digits of scikit-learn
python benchmarks/density.py --dataset mnist --data-dir DIR         # DIR/mnist.npz; without DIR from OpenML
python benchmarks/density.py --dataset tabular --data-dir DIR       # DIR/tabular/*.npz; without DIR scikit-learn's
"""

import sys
from pathlib import Path
from time import perf_counter

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import cells, datasets, report
from benchmarks.options import about, parse, parser, sources
from benchmarks.seeds import over_seeds
from skae import VAETransformer

N_SEEDS = 5
IMPORTANCE_SAMPLES, IMPORTANCE_ROWS = 100, 1000
IMAGE_COLUMNS = {
    "depth": "",
    "method": "",
    "score": ".1f",
    "importance_weighted": ".1f",
    "active": "",
    "fit_seconds": ".1f",
}
TABLE_COLUMNS = {
    "table": "",
    "features": "",
    "depth": "",
    "score_pca": ".3f",
    "score_skae": ".3f",
} | {
    "per_feature": "+.4f",
    "worst_per_feature": "+.4f",
}
# Beside the defaults: where training starts as probabilistic PCA and ends there; the textbook start; an output that is
# clipped to the range of the pixels; a convolutional body.
VARIANTS = {
    "PCA by skae": {"max_iter": 0},
    "skae": {},
    "skae, random start": {"init": "random"},
    "skae, clipped": {"output_activation": "auto"},
    "skae conv": {"image_shape": "auto"},
}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    if options.dataset == "tabular":
        rows, columns = _compare_tables(options), TABLE_COLUMNS
    else:
        rows, columns = _compare_images(options), IMAGE_COLUMNS
    report.print_table(rows, columns)
    if options.dataset == "tabular":
        worst = min(rows, key=lambda row: row["per_feature"])
        print(
            f"Worst mean difference: {worst['per_feature']:+.4f} nats a feature ({worst['table']}, depth {worst['depth']})"
        )
    path = options.out / f"density_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])


def _compare_images(options):
    (source,) = sources(options)
    jobs = [
        (method, depth, source, options.epochs)
        for depth in options.depths
        for method in ("PCA", *VARIANTS)
    ]
    return cells.run(_score, jobs, cache=options.cache, n_jobs=options.jobs)


def _score(method, depth, source, epochs):
    split = datasets.load(source)
    X = split.held_out.X
    row = {"depth": depth, "method": method}
    if method == "PCA":
        return row | {
            "score": float(PCA(depth, random_state=source.seed).fit(split.train.X).score(X))
        }
    vae = VAETransformer(
        depth, **{"max_iter": epochs, "random_state": source.seed} | VARIANTS[method]
    )
    start = perf_counter()
    vae.fit(split.train.X)
    seconds = perf_counter() - start
    return row | {
        "score": vae.score(X),
        "importance_weighted": vae.score(
            X[:IMPORTANCE_ROWS], n_importance_samples=IMPORTANCE_SAMPLES
        ),
        "active": vae.n_active_components_,
        "fit_seconds": seconds,
    }


def _compare_tables(options):
    n_features = {
        path: datasets.read_table(path)[0].shape[1]
        for path in datasets.table_paths(options.data_dir)
    }
    cases = [
        (path, k)
        for path, p in n_features.items()
        for k in options.depths or sorted({2, max(1, p // 4)})
    ]
    seeds = range(options.seed, options.seed + N_SEEDS)
    found = over_seeds(
        _table_scores,
        cases,
        seeds,
        options.jobs,
        options.evaluate,
        options.epochs,
        cache=options.cache,
    )
    return [
        _summarize(path, depth, n_features[path], np.array(scores))
        for (path, depth), scores in found.items()
    ]


def _table_scores(case, seed, evaluate, epochs):
    """Held-out score of PCA and of skae."""
    path, depth = case
    split = datasets.table(path, evaluate=evaluate, seed=seed)
    methods = (
        PCA(depth, random_state=seed),
        VAETransformer(depth, max_iter=epochs, random_state=seed),
    )
    return [method.fit(split.train.X).score(split.held_out.X) for method in methods]


def _summarize(path, depth, n_features, scores):
    difference = (scores[:, 1] - scores[:, 0]) / n_features
    return {
        "table": path.stem,
        "features": n_features,
        "depth": depth,
        "score_pca": float(scores[:, 0].mean()),
        "score_skae": float(scores[:, 1].mean()),
        "per_feature": float(difference.mean()),
        "worst_per_feature": float(difference.min()),
    }


def _parse(argv):
    made = parser(__doc__, datasets=("digits", "mnist", "tabular"))
    made.add_argument(
        "--depths", type=int, nargs="+", help="default: 8 32; tabular: 2 and p/4 of p features"
    )
    options = parse(made, argv, quick={"depths": [3], "epochs": 1}, mnist={"epochs": 8})
    if options.dataset != "tabular":
        options.depths = options.depths or [8, 32]
    return options


if __name__ == "__main__":
    main()
