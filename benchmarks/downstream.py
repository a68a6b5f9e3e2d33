"""What are codes worth to a classifier? Accuracy of logistic regression and of five nearest neighbours on them.

python benchmarks/downstream.py                                   # the digits of scikit-learn
python benchmarks/downstream.py --dataset mnist --data-dir DIR    # DIR/mnist.npz; without DIR from OpenML

The classifiers are fitted to the codes of the training images, standardised; on raw pixels, as they are.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks import cells, datasets, report
from benchmarks.measures import accuracies
from benchmarks.methods import fits, fitted, methods
from benchmarks.options import about, parse, parser, sources

DEPTHS = (8, 16, 32, 64)
RAW = "raw pixels"
CLASSIFIERS = {
    "logistic_regression": "logistic regression",
    "nearest_neighbors": "five nearest neighbours",
}
COLUMNS = {"depth": "", "method": ""} | dict.fromkeys(CLASSIFIERS, ".4f")


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    rows = compare(options)
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    path = options.out / f"downstream_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])
    draw(path)


def compare(options):
    """Measure the accuracies at each depth, and on raw pixels.

    Returns
    -------
    rows : list of dict
        One for each depth and method; `difference_...` are accuracies less those on PCA's codes of the same depth.
    """
    (source,) = sources(options)
    split = datasets.load(source)
    depths = [depth for depth in options.depths if depth <= split.train.X.shape[1]]
    pairs = [(RAW, ()), *fits(methods(image_shape=split.image_shape), depths)]
    jobs = [(*pair, source, options.epochs, options.cache) for pair in pairs]
    found = cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)
    rows = sorted((row for rows in found for row in rows), key=lambda row: row["depth"])
    pca = {row["depth"]: row for row in rows if row["method"] == "PCA"}
    for row in rows:
        if row["method"] != RAW:
            row |= {
                f"difference_{name}": row[name] - pca[row["depth"]][name] for name in CLASSIFIERS
            }
    return rows


def _measure(method, depths, source, epochs, cache):
    split = datasets.load(source)
    about = {"dataset": source.title, "train_rows": len(split.train.X), "method": method}
    if method == RAW:
        n_features = split.train.X.shape[1]
        return [
            about
            | {"depth": n_features}
            | accuracies(split.train, split.held_out, standardize=False)
        ]
    rows = []
    for depth, estimator in fitted(method, depths, source, epochs, source.seed, cache).items():
        codes = [
            part._replace(X=estimator.transform(part.X)) for part in (split.train, split.held_out)
        ]
        rows.append(about | {"depth": depth} | accuracies(*codes))
    return rows


def _print_verdict(rows):
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] not in ("PCA", RAW)):
        differences = [
            row[f"difference_{c}"] for row in rows if row["method"] == name for c in CLASSIFIERS
        ]
        n_better = int(np.sum(np.array(differences) >= 0))
        print(
            f"Accuracy on codes of {name} is at or above that on PCA's in {n_better} of {len(differences)} cells."
        )


def draw(path):
    """Draw the chart of a CSV beside it: accuracy against depth, that on raw pixels as a level."""
    rows = report.read_csv(path)
    depths = sorted({row["depth"] for row in rows if row["method"] != RAW})
    panels = []
    for classifier, label in CLASSIFIERS.items():
        lines = {}
        for name in dict.fromkeys(row["method"] for row in rows if row["method"] != RAW):
            own = [row for row in rows if row["method"] == name]
            lines[name] = [row["depth"] for row in own], [row[classifier] for row in own]
        level = next(row[classifier] for row in rows if row["method"] == RAW)
        lines[RAW] = depths, [level] * len(depths)
        options = {"ylabel": "held-out accuracy", "title": label}
        panels.append(report.Panel(lines, report.depth_axis(depths) | options))
    report.draw_lines(path.with_suffix(".png"), panels)


def _parse(argv):
    made = parser(__doc__)
    made.add_argument("--depths", type=int, nargs="+", default=DEPTHS, help="default: 8 16 32 64")
    return parse(made, argv, quick={"depths": [4, 8], "epochs": 1}, mnist={"epochs": 6})


if __name__ == "__main__":
    main()
