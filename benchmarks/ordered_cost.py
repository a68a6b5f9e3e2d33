"""What do ordered codes cost, and what do they spare? Seconds of a fit, and of a sweep over depths.

python benchmarks/ordered_cost.py                                  # the digits of scikit-learn
python benchmarks/ordered_cost.py --dataset mnist --data-dir DIR   # the fit alone: DIR/mnist.npz

The sweep finds the depth at which logistic regression on the codes is best, by cross-validation: with a fit for each depth,
and by one ordered fit a fold, which a Pipeline with `memory` keeps for all depths.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import datasets, report
from benchmarks.options import about, parse, parser, sources
from skae import AutoencoderTransformer

DEPTHS, CV, REPEATS = (2, 4, 8, 12, 16, 24, 32, 48), 3, 5
COLUMNS = {"what": "", "depth": "", "seconds": ".2f", "ratio": ".3f", "accuracy": ".4f"}


def main(argv=None):
    """Measure the fits and, on digits, the sweep."""
    options = _parse(argv)
    split = datasets.load(*sources(options))
    rows = compare_fits(split.train.X, options)
    if options.dataset == "digits":
        rows += compare_sweeps(split.train, options)
    report.print_table(rows, COLUMNS)
    path = options.out / f"ordered_cost_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])


def compare_fits(X, options):
    """Medians of alternating fits without and with ordered codes.

    Returns
    -------
    rows : list of dict
        `ratio` is to the fit without.
    """
    depth = max(options.depths)
    seconds = {False: [], True: []}
    with report.progress(2 * options.repeats) as advance:
        for run in range(options.repeats + 1):
            for ordered, found in seconds.items():
                estimator = AutoencoderTransformer(
                    depth, ordered=ordered, max_iter=options.epochs, random_state=options.seed
                )
                started = perf_counter()
                estimator.fit(X)
                if run:  # the first warms up
                    found.append(perf_counter() - started)
                    advance(f"fit {run}, ordered={ordered}: {found[-1]:.2f} s")
    medians = {ordered: median(found) for ordered, found in seconds.items()}
    return [
        {"what": f"fit, ordered={ordered}", "depth": depth, "seconds": value, "ratio": value / medians[False]}
        for ordered, value in medians.items()
    ]


def compare_sweeps(train, options):
    """Seconds and cross-validated accuracies of both sweeps.

    Returns
    -------
    rows : list of dict
        One for each sweep, and one for each sweep and depth.
    """
    rows, whole = [], {}
    with report.progress(2) as advance:
        for name, sweep in {"a fit for each depth": _separate, "one ordered fit": _ordered}.items():
            with TemporaryDirectory() as folder:
                search = sweep(options, folder)
                started = perf_counter()
                search.fit(*train)
            whole[name] = perf_counter() - started
            scores = search.cv_results_["mean_test_score"]
            rows.append(
                {"what": f"sweep, {name}", "seconds": whole[name], "ratio": whole[name] / whole["a fit for each depth"]}
            )
            rows += [
                {"what": f"accuracy, {name}", "depth": depth, "accuracy": float(score)}
                for depth, score in zip(options.depths, scores, strict=True)
            ]
            advance(f"sweep with {name}: {whole[name]:.1f} s")
    spared = whole["a fit for each depth"] / whole["one ordered fit"]
    accuracies = [[row["accuracy"] for row in rows if row["what"] == f"accuracy, {name}"] for name in whole]
    print(f"The sweep by one ordered fit is {spared:.1f} times as fast; accuracies less those of the other:")
    print("  ".join(f"{depth}: {x:+.4f}" for depth, x in zip(options.depths, np.subtract(*accuracies[::-1]), strict=True)))
    return rows


def _separate(options, folder):
    steps = _steps(options, max(options.depths), ordered=False)
    return GridSearchCV(Pipeline(steps), {"autoencoder__n_components": list(options.depths)}, cv=CV)


def _ordered(options, folder):
    autoencoder, *others = _steps(options, max(options.depths), ordered=True)
    steps = [autoencoder, ("first", FunctionTransformer(_first)), *others]
    grid = {"first__kw_args": [{"k": depth} for depth in options.depths]}
    return GridSearchCV(Pipeline(steps, memory=folder), grid, cv=CV)


def _steps(options, depth, *, ordered):
    autoencoder = AutoencoderTransformer(depth, ordered=ordered, max_iter=options.epochs, random_state=options.seed)
    return [("autoencoder", autoencoder), ("scaler", StandardScaler()), ("classifier", LogisticRegression(max_iter=1000))]


def _first(Z, k):
    return Z[:, :k]


def _parse(argv):
    made = parser(__doc__)
    made.add_argument("--depths", type=int, nargs="+", default=DEPTHS, help="of the sweep; fits are at the largest")
    made.add_argument("--repeats", type=int, default=REPEATS, help="timed fits of each kind (default: 5)")
    quick = {"depths": [2, 4], "epochs": 1, "repeats": 1}
    return parse(made, argv, quick=quick, mnist={"epochs": 15, "depths": [128], "repeats": 3})


if __name__ == "__main__":
    main()
