"""What do ordered codes cost, and what do they spare? Seconds of a fit, and of a sweep over depths.

python benchmarks/ordered_cost.py                                  # the digits of scikit-learn
python benchmarks/ordered_cost.py --dataset mnist --data-dir DIR   # the fit alone: DIR/mnist.npz

The sweep finds the depth at which logistic regression on the codes is best, by cross-validation: with a fit for each depth,
be it by a search for each depth or by one over all, and by one ordered fit a fold, which a Pipeline with `memory` keeps for
all depths.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import datasets, report
from benchmarks.options import about, parse, parser, sources
from skae import AutoencoderTransformer

DEPTHS, CV, REPEATS, SWEEPS = (2, 4, 8, 12, 16, 24, 32, 48), 3, 5, 5
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
        {
            "what": f"fit, ordered={ordered}",
            "depth": depth,
            "seconds": value,
            "ratio": value / medians[False],
        }
        for ordered, value in medians.items()
    ]


def compare_sweeps(train, options):
    """Seconds and cross-validated accuracies of the sweeps, which alternate, each time with the next seed.

    A search for each depth refits each at the end, where one search over all refits the best alone: its seconds are those
    of the former less the other refits.

    Returns
    -------
    rows : list of dict
        One for each sweep, with medians, and one for each way to fit and depth, with means. `ratio` is to a search for each
        depth.
    """
    seconds = {
        "a search for each depth": [],
        "one search over all depths": [],
        "one ordered fit": [],
    }
    accuracies = {"a fit for each depth": [], "one ordered fit": []}
    with report.progress(2 * options.sweeps) as advance:
        for seed in range(options.seed, options.seed + options.sweeps):
            total, found, refits = _timed(_separate(options, seed), train)
            seconds["a search for each depth"].append(total)
            seconds["one search over all depths"].append(
                total - sum(refits) + refits[found.argmax()]
            )
            accuracies["a fit for each depth"].append(found)
            advance(f"seed {seed}, a fit for each depth: {total:.1f} s")
            with TemporaryDirectory() as folder:
                total, found, _ = _timed([_ordered(options, seed, folder)], train)
            seconds["one ordered fit"].append(total)
            accuracies["one ordered fit"].append(found)
            advance(f"seed {seed}, one ordered fit: {total:.1f} s")
    medians = {name: median(found) for name, found in seconds.items()}
    means = {name: np.mean(found, axis=0).tolist() for name, found in accuracies.items()}
    each, one, ordered = medians.values()
    print(
        f"The sweep by one ordered fit is {each / ordered:.1f} times as fast as a search for each depth,"
    )
    print(
        f"{one / ordered:.1f} times as fast as one search over all depths; its accuracies less those of the others:"
    )
    differences = np.subtract(means["one ordered fit"], means["a fit for each depth"])
    print(
        "  ".join(
            f"{depth}: {x:+.4f}" for depth, x in zip(options.depths, differences, strict=True)
        )
    )
    rows = [
        {"what": f"sweep, {name}", "seconds": value, "ratio": value / each}
        for name, value in medians.items()
    ]
    rows += [
        {"what": f"accuracy, {name}", "depth": depth, "accuracy": accuracy}
        for name, values in means.items()
        for depth, accuracy in zip(options.depths, values, strict=True)
    ]
    return [row | {"seeds": options.sweeps} for row in rows]


def _timed(searches, train):
    """Seconds of fitting all of them, mean accuracy at each depth, and seconds of each refit."""
    started = perf_counter()
    for search in searches:
        search.fit(*train)
    total = perf_counter() - started
    accuracies = np.concatenate([search.cv_results_["mean_test_score"] for search in searches])
    return total, accuracies, [search.refit_time_ for search in searches]


def _separate(options, seed):
    """A search for each depth."""
    pipeline = Pipeline(_steps(options, seed, ordered=False))
    return [
        GridSearchCV(pipeline, {"autoencoder__n_components": [depth]}, cv=CV)
        for depth in options.depths
    ]


def _ordered(options, seed, folder):
    """One search over all depths."""
    autoencoder, classifier = _steps(options, seed, ordered=True)
    steps = [autoencoder, ("first", FunctionTransformer(_first)), classifier]
    grid = {"first__kw_args": [{"k": depth} for depth in options.depths]}
    return GridSearchCV(Pipeline(steps, memory=folder), grid, cv=CV)


def _steps(options, seed, *, ordered):
    autoencoder = AutoencoderTransformer(
        max(options.depths), ordered=ordered, max_iter=options.epochs, random_state=seed
    )
    return [
        ("autoencoder", autoencoder),
        ("classifier", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
    ]


def _first(Z, k):
    return Z[:, :k]


def _parse(argv):
    made = parser(__doc__)
    made.add_argument(
        "--depths",
        type=int,
        nargs="+",
        default=DEPTHS,
        help="of the sweep; fits are at the largest",
    )
    made.add_argument(
        "--repeats",
        type=int,
        default=REPEATS,
        help="timed fits of each kind (default: 5; mnist: 3)",
    )
    made.add_argument(
        "--sweeps",
        type=int,
        default=SWEEPS,
        help="timed sweeps of each kind, a seed for each (default: 5)",
    )
    quick = {"depths": [2, 4], "epochs": 1, "repeats": 1, "sweeps": 1}
    return parse(made, argv, quick=quick, mnist={"epochs": 15, "depths": [128], "repeats": 3})


if __name__ == "__main__":
    main()
