"""How well does a code of some depth keep held-out rows? R² and error of PCA and of skae's autoencoders.

python benchmarks/depth.py                                               # the digits of scikit-learn
python benchmarks/depth.py --dataset patches                             # colour patches of its sample photographs
python benchmarks/depth.py --dataset mnist --data-dir DIR                # DIR/mnist.npz; without DIR from OpenML
python benchmarks/depth.py --dataset mnist --depths 32 64 128 256 --epochs 5 --data-dir DIR
python benchmarks/depth.py --dataset tabular --data-dir DIR --jobs 2     # DIR/tabular/*.npz; without DIR scikit-learn's

The ordered autoencoder is fitted once, at the largest depth, and cut to the others.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks import cells, datasets, report
from benchmarks.measures import n_parameters, reconstruct, reconstruction
from benchmarks.methods import fits, fitted, methods
from benchmarks.options import about, parse, parser, sources

DEPTHS = {"digits": (2, 4, 8, 16, 32)}
ALL_DEPTHS = (2, 4, 8, 16, 32, 64, 128, 256)
EPOCHS = 6  # on MNIST
N_SEEDS = 5  # on tables
ROUNDING = 1e-6  # of an R², where training has found nothing better than PCA in float32
COLUMNS = {
    "dataset": "",
    "depth": "",
    "method": "",
    "r2": ".4f",
    "mse": ".3e",
    "difference": "+.4f",
    "parameters": ",d",
}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    rows = compare(options)
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    case = f"{options.dataset}_{options.epochs}_epochs" if options.case else options.dataset
    path = options.out / f"depth_{case}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])
    draw(path)


def compare(options):
    """Measure each method at each depth.

    Returns
    -------
    rows : list of dict
        One for each dataset, depth and method: means over the seeds.
    """
    jobs = []
    for source in sources(options, n_seeds=N_SEEDS if options.dataset == "tabular" else 1):
        split = datasets.load(source)
        names = methods(image_shape=split.image_shape)
        jobs += [
            (*pair, source, options.epochs, options.cache)
            for pair in fits(names, _depths(options, split))
        ]
    found = cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)
    return _summarize([row for rows in found for row in rows])


def _depths(options, split):
    n_features = split.train.X.shape[1]
    if options.depths:
        return options.depths
    if options.dataset == "tabular":
        return sorted({max(1, depth) for depth in (2, n_features // 4, n_features // 2)})
    return [depth for depth in DEPTHS.get(options.dataset, ALL_DEPTHS) if depth < n_features]


def _measure(method, depths, source, epochs, cache):
    split = datasets.load(source)
    sizes = {
        "dataset": source.title,
        "features": split.train.X.shape[1],
        "train_rows": len(split.train.X),
    }
    return [
        sizes
        | {
            "depth": depth,
            "method": method,
            "seed": source.seed,
            "parameters": n_parameters(estimator),
        }
        | reconstruction(split.held_out.X, reconstruct(estimator, split.held_out.X))
        for depth, estimator in fitted(method, depths, source, epochs, source.seed, cache).items()
    ]


def _summarize(found):
    """Means over seeds, and what they are beside PCA's."""
    groups = {}
    for row in found:
        groups.setdefault((row["dataset"], row["depth"], row["method"]), []).append(row)
    rows = []
    for (dataset, depth, _), group in sorted(groups.items(), key=lambda item: item[0][:2]):
        pca, r2 = (
            np.array([row["r2"] for row in part]) for part in (groups[dataset, depth, "PCA"], group)
        )
        rows.append(
            {
                name: group[0][name]
                for name in ("dataset", "train_rows", "features", "depth", "method", "parameters")
            }
            | {
                "seeds": len(group),
                "r2": float(r2.mean()),
                "mse": float(np.mean([row["mse"] for row in group])),
            }
            | {"difference": float((r2 - pca).mean()), "worst_difference": float((r2 - pca).min())}
            | {"error_ratio": float((1 - r2.mean()) / (1 - pca.mean()))}
        )
    return rows


def _print_verdict(rows):
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] != "PCA"):
        own = [row for row in rows if row["method"] == name]
        n_better = sum(row["difference"] >= -ROUNDING for row in own)
        worst = min(own, key=lambda row: row["difference"])
        print(
            f"Held-out R² of {name} is at or above PCA's in {n_better} of {len(own)} cases; the worst difference is"
            f" {worst['difference']:+.4f} ({worst['dataset']}, depth {worst['depth']})."
        )


def draw(path):
    """Draw the chart of a CSV beside it: R² and error against depth; of several tables, R² against PCA's."""
    rows = report.read_csv(path)
    names = list(dict.fromkeys(row["method"] for row in rows))
    if len({row["dataset"] for row in rows}) > 1:
        panels = [_beside_pca(rows, names)]
    else:
        depths = sorted({row["depth"] for row in rows})
        lines = {name: [row for row in rows if row["method"] == name] for name in names}
        panels = [
            report.Panel(
                {
                    name: ([row["depth"] for row in own], [row[measure] for row in own])
                    for name, own in lines.items()
                },
                report.depth_axis(depths)
                | {"yscale": scale, "ylabel": label, "title": rows[0]["dataset"]},
            )
            for measure, label, scale in (
                ("r2", "held-out R²", "linear"),
                ("mse", "held-out squared error per value", "log"),
            )
        ]
    report.draw_lines(path.with_suffix(".png"), panels)


def _beside_pca(rows, names):
    pca = {(row["dataset"], row["depth"]): row["r2"] for row in rows if row["method"] == "PCA"}
    lines = {}
    for name in names:
        own = [row for row in rows if row["method"] == name]
        lines[name] = [pca[row["dataset"], row["depth"]] for row in own], [row["r2"] for row in own]
    return report.Panel(
        lines, {"xlabel": "held-out R² of PCA", "ylabel": "held-out R²", "title": "tables"}, "o"
    )


def _parse(argv):
    made = parser(__doc__, datasets=("digits", "patches", "mnist", "tabular"))
    help_depths = (
        "default: 2 4 8 16 32; mnist and patches: 2 to 256; tabular: 2, p/4 and p/2 of p features"
    )
    made.add_argument("--depths", type=int, nargs="+", help=help_depths)
    options = parse(made, argv, quick={"depths": [2, 8], "epochs": 1}, mnist={"epochs": EPOCHS})
    options.case = options.dataset == "mnist" and options.epochs != EPOCHS and not options.quick
    return options


if __name__ == "__main__":
    main()
