"""What ordered components give, and what they cost."""

from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import datasets, report
from benchmarks.depth import errors
from benchmarks.methods import ORDERED, seconds_to_fit
from benchmarks.questions import option, over_fits, over_seeds, question, sources
from skae import AutoencoderTransformer, reconstruction_score

FRACTION, VALIDATION_FRACTION = 0.9, 0.1
N_SEEDS, N_FRACTION_SEEDS = 5, 3  # on tabular data
CV = 3
# What a sweep is called in the CSV.
EACH, ALL, ONE = "a search for each depth", "one search over all depths", "one ordered fit"
ALONE = "a fit for each depth"


@question(
    "ordered",
    "dataset features components depth method mse:.4f to_pca:.3f to_alone:.3f worst_prefix "
    "difference:+.4f",
    file="ordered_prefixes_{dataset}{label}_{evaluate}",
    datasets=("digits", "mnist", "tabular"),
    defaults={"n_components": (2, 4, 8, 16, 32)},
    quick={"n_components": [2, 4]},
    mnist={"epochs": 15, "n_components": (2, 4, 8, 16, 32, 64, 128)},
)
def ordered(options):
    """Whether every prefix of an ordered code is as good as PCA and as a separate fit."""
    if options.dataset == "tabular":
        found = over_seeds(_curves, options, 1 if options.quick else N_SEEDS, options.epochs)
        return [_worst_prefix(title, results) for title, results in found.items()]
    (source,) = sources(options)
    rows = over_fits(errors, ("PCA", "skae", ORDERED), options.n_components, source, options)
    error = {(row["depth"], row["method"]): row["mse"] for row in rows}
    for row in rows:
        row["to_pca"] = row["mse"] / error[row["depth"], "PCA"]
        row["to_alone"] = row["mse"] / error[row["depth"], "skae"]
    return rows


def _curves(source, epochs):
    """Number of features, and R² at each prefix of PCA and of skae."""
    split = datasets.load(source)
    skae = AutoencoderTransformer(ordered=True, max_iter=epochs, random_state=source.seed)
    skae.fit(split.train.X)
    pca = PCA(skae.n_components_, random_state=source.seed).fit(split.train.X)
    X = split.held_out.X
    return X.shape[1], (_pca_curve(pca, X), skae.explained_variance_curve(X))


def _pca_curve(pca, X):
    """R² at each prefix of the components of PCA, which are orthogonal."""
    centered, codes = X - pca.mean_, pca.transform(X)
    left = np.square(centered).sum() - np.square(codes).sum(axis=0).cumsum()
    return 1 - left / np.square(X - X.mean(axis=0)).sum()


def _worst_prefix(title, results):
    pca, skae = (np.mean([curves[i] for _, curves in results], axis=0) for i in (0, 1))
    worst = int(np.argmin(skae - pca))
    row = {"dataset": title, "features": results[0][0], "components": len(pca)}
    row |= {"seeds": len(results), "worst_prefix": worst + 1}
    row |= {"difference": float((skae - pca)[worst]), "r2_pca": float(pca[worst])}
    return row | {"r2_skae": float(skae[worst]), "mean_difference": float((skae - pca).mean())}


@question(
    "ordered fraction",
    "dataset depth_skae:.1f r2_skae:.3f depth_pca:.1f r2_pca:.3f depth_pca_by_rule:.1f "
    "r2_pca_by_rule:.3f",
    file="ordered_share_{dataset}{label}_{evaluate}",
    datasets=("digits", "tabular"),
)
def ordered_fraction(options):
    """How many components n_components=0.9 selects, and what they keep of held-out data.

    "By rule" is PCA with a number of components that is selected on the validation set of skae.
    """
    found = over_seeds(_selected, options, 1 if options.quick else N_FRACTION_SEEDS, options.epochs)
    rows = []
    for title, results in found.items():
        more = max(result["depth_skae"] - result["depth_pca_by_rule"] for result in results)
        row = {"dataset": title, "share": FRACTION, "seeds": len(results)}
        row |= {name: float(np.mean([result[name] for result in results])) for name in results[0]}
        rows.append(row | {"most_over_pca_by_rule": more})
    return rows


def _selected(source, epochs):
    split, seed = datasets.load(source), source.seed
    X, X_val = train_test_split(split.train.X, test_size=VALIDATION_FRACTION, random_state=seed)
    reached = _pca_curve(PCA().fit(X), X_val) >= FRACTION
    estimators = {
        "skae": AutoencoderTransformer(FRACTION, max_iter=epochs, random_state=seed),
        "pca": PCA(FRACTION, random_state=seed),
        "pca_by_rule": PCA(int(reached.argmax()) + 1 if reached.any() else len(reached)),
    }
    result = {}
    for name, estimator in estimators.items():
        estimator.fit(X, **({"X_val": X_val} if name == "skae" else {}))
        result[f"depth_{name}"] = int(estimator.n_components_)
        result[f"r2_{name}"] = reconstruction_score(estimator, split.held_out.X)
    return result


@question(
    "ordered cost",
    "what depth seconds:.2f ratio:.3f accuracy:.4f",
    file="ordered_cost_{dataset}{label}_{evaluate}",
    options=(option("--sweeps", "timed sweeps, each with a seed", type=int),),
    defaults={"n_components": (2, 4, 8, 12, 16, 24, 32, 48), "repeats": 5, "sweeps": 5},
    quick={"n_components": [2, 4], "epochs": 1, "repeats": 1, "sweeps": 1},
    mnist={"epochs": 15, "n_components": [128], "repeats": 3},
    timed=True,
)
def ordered_cost(options):
    """How many seconds an ordered fit takes, and how many it saves in a sweep."""
    split = datasets.load(*sources(options))
    rows = _compare_fits(split.train.X, options)
    return rows + (_compare_sweeps(split.train, options) if options.dataset == "digits" else [])


def _compare_fits(X, options):
    """Medians of alternating fits without and with ordered components."""
    seconds = {False: [], True: []}
    for _ in range(options.repeats + 1):
        for is_ordered, found in seconds.items():
            found.append(seconds_to_fit(_autoencoder(options, options.seed, is_ordered), X))
    medians = {is_ordered: median(found[1:]) for is_ordered, found in seconds.items()}
    about = {"depth": max(options.n_components)}
    return [
        {"what": f"fit, ordered={is_ordered}", "seconds": s, "ratio": s / medians[False]} | about
        for is_ordered, s in medians.items()
    ]


def _compare_sweeps(train, options):
    """Median seconds and mean accuracies of sweeps that alternate, each time with the next seed.

    A search for each number refits each at the end, where one search over all refits the best
    alone: its seconds are those of the former less the other refits.
    """
    seconds, accuracies = {EACH: [], ALL: [], ONE: []}, {ALONE: [], ONE: []}
    advance = report.progress(options.sweeps)
    for seed in range(options.seed, options.seed + options.sweeps):
        total, found, refits = _timed(_searches(options, seed), train)
        seconds[EACH].append(total)
        seconds[ALL].append(total - sum(refits) + refits[found.argmax()])
        accuracies[ALONE].append(found)
        with TemporaryDirectory() as folder:
            total, found, _ = _timed(_searches(options, seed, folder), train)
        seconds[ONE].append(total)
        accuracies[ONE].append(found)
        advance(f"seed {seed}")
    medians = {name: median(found) for name, found in seconds.items()}
    ratios = {name: s / medians[EACH] for name, s in medians.items()}
    rows = [{"what": f"sweep, {k}", "seconds": s, "ratio": ratios[k]} for k, s in medians.items()]
    for name, found in accuracies.items():
        means = np.mean(found, axis=0).tolist()
        rows += [
            {"what": f"accuracy, {name}", "depth": k, "accuracy": accuracy}
            for k, accuracy in zip(options.n_components, means, strict=True)
        ]
    return [row | {"seeds": options.sweeps} for row in rows]


def _timed(searches, train):
    """Seconds of fitting all, mean accuracy of each candidate, and seconds of each refit."""
    started = perf_counter()
    for search in searches:
        search.fit(*train)
    total = perf_counter() - started
    accuracies = np.concatenate([search.cv_results_["mean_test_score"] for search in searches])
    return total, accuracies, [search.refit_time_ for search in searches]


def _searches(options, seed, memory=None):
    """A search for each number of components, or with `memory` one over all of an ordered fit."""
    code = ("code", _autoencoder(options, seed, memory is not None))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    if memory is None:
        grids = [{"code__n_components": [k]} for k in options.n_components]
        return [GridSearchCV(Pipeline([code, ("classifier", classifier)]), g, cv=CV) for g in grids]
    steps = [code, ("first", FunctionTransformer(_first)), ("classifier", classifier)]
    grid = {"first__kw_args": [{"k": k} for k in options.n_components]}
    return [GridSearchCV(Pipeline(steps, memory=memory), grid, cv=CV)]


def _autoencoder(options, seed, is_ordered):
    k = max(options.n_components)
    return AutoencoderTransformer(k, ordered=is_ordered, max_iter=options.epochs, random_state=seed)


def _first(Z, k):
    return Z[:, :k]
