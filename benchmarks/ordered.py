"""What do ordered codes give? Every prefix beside PCA and a fit for that depth alone; the depth for a share of the variance.

python benchmarks/ordered.py                                                        # prefixes, on the digits of scikit-learn
python benchmarks/ordered.py --dataset mnist --data-dir DIR                         # DIR/mnist.npz; without DIR from OpenML
python benchmarks/ordered.py --dataset tabular --data-dir DIR --jobs 2              # DIR/tabular/*.npz
python benchmarks/ordered.py --question share --dataset tabular --data-dir DIR      # the depth that n_components=0.9 chooses
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from benchmarks import cells, datasets, report
from benchmarks.measures import reconstruct, reconstruction
from benchmarks.methods import ORDERED, fits, fitted
from benchmarks.options import about, parse, parser, sources
from skae import AutoencoderTransformer, reconstruction_score

DEPTHS = {"digits": (2, 4, 8, 16, 32), "mnist": (2, 4, 8, 16, 32, 64, 128)}
SHARE, VALIDATION_SHARE = 0.9, 0.1
N_SEEDS, N_SHARE_SEEDS = 5, 3  # on tables
IMAGE_COLUMNS = {"depth": "", "method": "", "mse": ".4f", "to_pca": ".3f", "to_alone": ".3f"}
TABLE_COLUMNS = {
    "dataset": "",
    "features": "",
    "components": "",
    "worst_prefix": "",
    "difference": "+.4f",
}
SHARE_COLUMNS = {"dataset": ""} | {
    f"{what}_{name}": form
    for name in ("skae", "pca", "pca_by_rule")
    for what, form in (
        ("depth", ".1f"),
        ("r2", ".3f"),
    )
}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    question = {
        "share": compare_shares,
        "prefixes": compare_tables if options.dataset == "tabular" else compare_depths,
    }
    columns = {
        "share": SHARE_COLUMNS,
        "prefixes": TABLE_COLUMNS if options.dataset == "tabular" else IMAGE_COLUMNS,
    }
    rows = question[options.question](options)
    report.print_table(rows, columns[options.question])
    path = options.out / f"ordered_{options.question}_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])


def compare_depths(options):
    """Errors of PCA, of a fit for each depth alone, and of the prefixes of one ordered code.

    Returns
    -------
    rows : list of dict
        One for each depth and method; `to_pca` and `to_alone` are errors over those of the others at that depth.
    """
    (source,) = sources(options)
    pairs = fits(("PCA", "skae", ORDERED), options.depths or DEPTHS[options.dataset])
    jobs = [(*pair, source, options.epochs, options.cache) for pair in pairs]
    found = [
        row
        for rows in cells.run(_errors, jobs, cache=options.cache, n_jobs=options.jobs)
        for row in rows
    ]
    error = {(row["depth"], row["method"]): row["mse"] for row in found}
    for row in found:
        row["to_pca"] = row["mse"] / error[row["depth"], "PCA"]
        row["to_alone"] = row["mse"] / error[row["depth"], "skae"]
    ratios = [row["to_alone"] for row in found if row["method"] == ORDERED]
    print(
        f"Mean ratio of the error of a prefix to that of a fit for its depth alone: {np.mean(ratios):.3f}"
    )
    return sorted(found, key=lambda row: row["depth"])


def _errors(method, depths, source, epochs, cache):
    X = datasets.load(source).held_out.X
    return [
        {"depth": depth, "method": method} | reconstruction(X, reconstruct(estimator, X))
        for depth, estimator in fitted(method, depths, source, epochs, source.seed, cache).items()
    ]


def compare_tables(options):
    """R² of each prefix less PCA's at that depth, of one ordered code a table and seed.

    Returns
    -------
    rows : list of dict
        One for each table: its worst prefix, and the mean `difference` over the seeds there.
    """
    found = {}
    every = sources(options, n_seeds=1 if options.quick else N_SEEDS)
    results = cells.run(
        _curves, [(s, options.epochs) for s in every], cache=options.cache, n_jobs=options.jobs
    )
    for source, result in zip(every, results, strict=True):
        found.setdefault(source.title, []).append(result)
    rows = []
    for title, results in found.items():
        pca, skae = (np.mean([curves[i] for _, curves in results], axis=0) for i in (0, 1))
        worst = int(np.argmin(skae - pca))
        rows.append(
            {
                "dataset": title,
                "features": results[0][0],
                "components": len(pca),
                "seeds": len(results),
            }
            | {"worst_prefix": worst + 1, "difference": float((skae - pca)[worst])}
            | {
                "r2_pca": float(pca[worst]),
                "r2_skae": float(skae[worst]),
                "mean_difference": float((skae - pca).mean()),
            }
        )
    worst = min(rows, key=lambda row: row["difference"])
    print(
        f"Worst prefix: {worst['difference']:+.4f} ({worst['dataset']}, depth {worst['worst_prefix']})"
    )
    return rows


def _curves(source, epochs):
    """Number of features, and R² at each prefix of PCA and of skae."""
    split = datasets.load(source)
    skae = AutoencoderTransformer(ordered=True, max_iter=epochs, random_state=source.seed).fit(
        split.train.X
    )
    pca = PCA(skae.n_components_, random_state=source.seed).fit(split.train.X)
    held_out = split.held_out.X
    return held_out.shape[1], (_pca_curve(pca, held_out), skae.explained_variance_curve(held_out))


def _pca_curve(pca, X):
    """R² at each prefix of PCA's components, which are orthogonal."""
    centred, codes = X - pca.mean_, pca.transform(X)
    left = np.square(centred).sum() - np.square(codes).sum(axis=0).cumsum()
    return 1 - left / np.square(X - X.mean(axis=0)).sum()


def compare_shares(options):
    """Depth for a share of the variance and held-out R² there: of skae, of PCA, and of PCA by skae's rule.

    Returns
    -------
    rows : list of dict
        One for each dataset: means over the seeds, and `most_over_pca_by_rule`, components more in the worst seed.
    """
    every = sources(options, n_seeds=1 if options.quick else N_SHARE_SEEDS)
    results = cells.run(
        _depths, [(s, options.epochs) for s in every], cache=options.cache, n_jobs=options.jobs
    )
    found = {}
    for source, result in zip(every, results, strict=True):
        found.setdefault(source.title, []).append(result)
    rows = []
    for title, results in found.items():
        more = max(result["depth_skae"] - result["depth_pca_by_rule"] for result in results)
        means = {name: float(np.mean([result[name] for result in results])) for name in results[0]}
        rows.append(
            {"dataset": title, "share": SHARE, "seeds": len(results)}
            | means
            | {"most_over_pca_by_rule": more}
        )
    print(
        f"Components more than PCA takes by the same rule, at most: {max(row['most_over_pca_by_rule'] for row in rows)}"
    )
    return rows


def _depths(source, epochs):
    split = datasets.load(source)
    X, X_val = train_test_split(split.train.X, test_size=VALIDATION_SHARE, random_state=source.seed)
    skae = AutoencoderTransformer(SHARE, max_iter=epochs, random_state=source.seed).fit(
        X, X_val=X_val
    )
    pca = PCA(SHARE, random_state=source.seed).fit(X)
    reached = _pca_curve(PCA().fit(X), X_val) >= SHARE
    by_rule = PCA(int(reached.argmax()) + 1 if reached.any() else len(reached)).fit(X)
    result = {}
    for name, method in {"skae": skae, "pca": pca, "pca_by_rule": by_rule}.items():
        result[f"depth_{name}"] = int(method.n_components_)
        result[f"r2_{name}"] = reconstruction_score(method, split.held_out.X)
    return result


def _parse(argv):
    made = parser(__doc__, datasets=("digits", "mnist", "tabular"))
    made.add_argument("--question", choices=("prefixes", "share"), default="prefixes")
    made.add_argument(
        "--depths", type=int, nargs="+", help="of images (default: 2 to 32; mnist: 2 to 128)"
    )
    return parse(made, argv, quick={"depths": [2, 4], "epochs": 1}, mnist={"epochs": 15})


if __name__ == "__main__":
    main()
