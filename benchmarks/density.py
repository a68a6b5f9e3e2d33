"""Log densities of held-out rows: the variational autoencoder beside probabilistic PCA, in nats a row.

python benchmarks/density.py                                        # the digits of scikit-learn
python benchmarks/density.py --dataset mnist --data-dir DIR         # DIR/mnist.npz; without DIR from OpenML
python benchmarks/density.py --dataset tabular --data-dir DIR       # DIR/tabular/*.npz
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.seeds import over_seeds
from skae import VAETransformer

N_SEEDS = 5
IMPORTANCE_SAMPLES, IMPORTANCE_ROWS = 100, 1000
IMAGE_COLUMNS = {"depth": "", "method": "", "score": ".1f", "importance_weighted": ".1f", "active": "", "fit_seconds": ".1f"}
TABLE_COLUMNS = {"table": "", "features": "", "depth": "", "score_pca": ".3f", "score_skae": ".3f"} | {
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
    about = {"evaluate": options.evaluate, "epochs": options.epochs}
    if options.dataset == "tabular":
        rows, columns = _compare_tables(options), TABLE_COLUMNS
        about |= report.provenance(options.seed, threads=1)
    else:
        rows, columns = _compare_images(options), IMAGE_COLUMNS
        about |= report.provenance(options.seed)
    report.print_table(rows, columns)
    if options.dataset == "tabular":
        worst = min(rows, key=lambda row: row["per_feature"])
        print(
            f"Worst mean difference: {worst['per_feature']:+.4f} nats a feature ({worst['table']}, depth {worst['depth']})"
        )
    report.write_csv(options.out / f"density_{options.dataset}_{options.evaluate}.csv", [row | about for row in rows])


def _compare_images(options):
    split = datasets.images(options.dataset, options.data_dir, evaluate=options.evaluate, seed=options.seed)
    rows = []
    with report.progress(len(options.depths) * (1 + len(VARIANTS))) as advance:
        for depth in options.depths:
            pca = PCA(depth, random_state=options.seed).fit(split.train.X)
            rows.append({"depth": depth, "method": "PCA", "score": pca.score(split.held_out.X)})
            advance(f"PCA, depth {depth}")
            for method, parameters in VARIANTS.items():
                vae = VAETransformer(depth, **{"max_iter": options.epochs, "random_state": options.seed} | parameters)
                rows.append({"depth": depth, "method": method} | _score(vae, split))
                advance(f"{method}, depth {depth}: {rows[-1]['score']:.1f}")
    return rows


def _score(vae, split):
    start = perf_counter()
    vae.fit(split.train.X)
    seconds = perf_counter() - start
    X = split.held_out.X
    return {
        "score": vae.score(X),
        "importance_weighted": vae.score(X[:IMPORTANCE_ROWS], n_importance_samples=IMPORTANCE_SAMPLES),
        "active": vae.n_active_components_,
        "fit_seconds": seconds,
    }


def _compare_tables(options):
    n_features = {path: datasets.table_shape(path)[1] for path in datasets.table_paths(options.data_dir)}
    cases = [(path, k) for path, p in n_features.items() for k in options.depths or sorted({2, max(1, p // 4)})]
    seeds = range(options.seed, options.seed + N_SEEDS)
    found = over_seeds(_table_scores, cases, seeds, options.jobs, options.evaluate, options.epochs)
    return [_summarize(path, depth, n_features[path], np.array(scores)) for (path, depth), scores in found.items()]


def _table_scores(case, seed, evaluate, epochs):
    """Held-out score of PCA and of skae."""
    path, depth = case
    split = datasets.table(path, evaluate=evaluate, seed=seed)
    methods = PCA(depth, random_state=seed), VAETransformer(depth, max_iter=epochs, random_state=seed)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", choices=["digits", "mnist", "tabular"], default="digits")
    add("--data-dir", type=Path, help="folder with mnist.npz and tabular/*.npz")
    add("--depths", type=int, nargs="+", help="default: 8 32; tabular: 2 and p/4 of p features")
    add("--epochs", type=report.epochs, help="default: auto; mnist: 8")
    add("--seed", type=int, default=0, help="tabular: the first of five (default: 0)")
    add("--evaluate", choices=["validation", "test"], help="held-out part (default: test; mnist: validation)")
    add("--jobs", type=int, default=1, help="processes for tabular, with one thread each (default: 1)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    options = parser.parse_args(argv)
    is_mnist = options.dataset == "mnist"
    if options.dataset == "tabular":
        if options.data_dir is None:
            parser.error("--dataset tabular needs --data-dir")
    else:
        options.depths = options.depths or [8, 32]
    options.epochs = (8 if is_mnist else "auto") if options.epochs is None else options.epochs
    options.evaluate = options.evaluate or ("validation" if is_mnist else "test")
    return options


if __name__ == "__main__":
    main()
