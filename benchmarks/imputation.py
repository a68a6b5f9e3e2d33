"""Missing entries of tabular data: how well and how fast they are imputed."""

import warnings
from hashlib import sha256
from importlib.metadata import version
from inspect import getsource
from itertools import product
from statistics import mean, median
from time import perf_counter

import numpy as np
from joblib import Memory
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import cells, datasets, report
from benchmarks.methods import CLASSIFIERS
from benchmarks.questions import option, question, sources
from skae import DenoisingAutoencoder

PATTERNS = ("random", "by_value", "blocks")
FRACTION = 0.2  # of the entries that are missing
REFERENCE, TREES = "BayesianRidge", "ExtraTrees"  # in IterativeImputer
SKAE, FAST = "skae", "skae, 200 steps"
METHODS = ("mean", "KNN", "PCA", TREES, SKAE, FAST)
FAST_STEPS, BATCH_SIZE = 200, 256
MOST_FOR_TREES = 2000  # training samples
LARGE = 1000  # samples: ratios of seconds are those of data sets with more
N_RANKS, MAX_ITER, TOLERANCE = 16, 200, 1e-6  # of the iterated PCA


def hide(X, pattern, rng, train):
    """Which entries of X are missing, about a fifth of them.

    "random" hides each with the same probability. "by_value" hides an entry with a probability of
    0.4 times the fraction of the training values of its feature that are less (those equal to it
    count half): from 0 for the smallest to 0.4 for the largest. "blocks" hides half of the
    features of about 40 % of the samples: those from a random one on, the first after the last.
    """
    n, p = X.shape
    if pattern == "blocks":
        is_hit = rng.random((n, 1)) < FRACTION * p / (p // 2)
        return is_hit & ((np.arange(p) - rng.integers(p, size=(n, 1))) % p < p // 2)
    probability = FRACTION
    if pattern == "by_value":
        pairs = list(zip(np.sort(train, axis=0).T, X.T, strict=True))
        ranks = [[np.searchsorted(*pair, side) for pair in pairs] for side in ("left", "right")]
        probability = FRACTION * np.sum(ranks, axis=0).T / len(train)
    return rng.random(X.shape) < probability


class IteratedPCA(BaseEstimator):
    """PCA of incomplete samples: missing entries are set to their reconstruction, repeatedly.

    As in missMDA, the components are shrunk by the variance of the noise, the mean of the
    discarded ones. Their number is that with the smallest error on a fifth of the entries of a
    fifth of the samples, which are hidden, after a fit to the other samples.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X):
        rng, errors = np.random.RandomState(self.random_state), {}
        tested, others = np.split(rng.permutation(X), [len(X) // 5])
        is_hidden = ~np.isnan(tested) & (rng.uniform(size=tested.shape) < FRACTION)
        for k in np.unique(np.linspace(1, X.shape[1] - 1, N_RANKS).astype(int)):
            self.transform(others, k)
            filled = self.transform(np.where(is_hidden, np.nan, tested))
            errors[k] = np.square(filled - tested)[is_hidden].mean()
        self.transform(X, min(errors, key=errors.get))
        return self

    def transform(self, X, k=None):
        """Fill in samples; first fit PCA of `k` components to them if that is given."""
        is_missing = np.isnan(X)
        filled = np.where(is_missing, np.nanmean(X, axis=0) if k else self.mean_, X)
        for _ in range(MAX_ITER):
            if k:
                variances, axes = np.linalg.eigh(np.cov(filled.T))  # in ascending order
                variances, axes, noise = variances[-k:], axes[:, -k:], variances[:-k].mean()
                shrunk = 1 - noise / np.maximum(variances, max(noise, 1e-12))
                self.mean_, self.projection_ = filled.mean(axis=0), axes * shrunk @ axes.T
            before = filled[is_missing]
            filled[is_missing] = (self.mean_ + (filled - self.mean_) @ self.projection_)[is_missing]
            after = filled[is_missing]
            if np.square(after - before).sum() <= TOLERANCE * np.square(after).sum():
                break
        return filled


def _imputer(method, seed, epochs, shape):
    """Imputer for a method and for training samples of that shape."""
    given = {"corruption": "masking", "noise_level": 0.25, "random_state": seed}
    n_epochs = max(1, round(FAST_STEPS / (0.9 * shape[0] / BATCH_SIZE)))  # a tenth validates
    fast = {"hidden_layer_sizes": (128,), "learning_rate_init": 1e-2, "batch_size": BATCH_SIZE}
    fast |= {"max_iter": n_epochs if epochs == "auto" else epochs}
    return {
        "mean": SimpleImputer(),
        "KNN": KNNImputer(),
        "PCA": IteratedPCA(random_state=seed),
        REFERENCE: IterativeImputer(random_state=seed),
        TREES: IterativeImputer(ExtraTreesRegressor(random_state=seed), random_state=seed),
        SKAE: DenoisingAutoencoder(shape[1], max_iter=epochs, **given),
        FAST: DenoisingAutoencoder(shape[1], **fast, **given),
    }[method]


@question(
    "imputation",
    "table pattern method tables lowest mse:.4f ratio:.3f seconds:.2f seconds_ratio:.2f "
    "worst_seconds_ratio:.2f roc_auc:.3f difference:+.3f",
    file="imputation{label}_{evaluate}",
    datasets=("tabular",),
    options=(
        option("--patterns", "which entries are missing", nargs="+", choices=PATTERNS),
        option("--methods", f"compared with {REFERENCE}", nargs="+", choices=METHODS),
        option("--timing", f"text: with a new one, {REFERENCE} and skae are timed again"),
        option("--n-seeds", "number of seeds", type=int),
    ),
    defaults={"patterns": PATTERNS, "methods": METHODS, "n_seeds": 5, "threads": 1},
    quick={"n_seeds": 1, "methods": [name for name in METHODS if name != TREES]},
    timed=True,
)
def imputation(options):
    """Whether skae imputes missing entries better than scikit-learn does, and how fast."""
    every, methods = sources(options, n_seeds=options.n_seeds), (REFERENCE, *options.methods)
    jobs = [
        (method, pattern, source, options.epochs, options.timing, options.cache)
        for pattern, source, method in product(options.patterns, every, methods)
        if method != TREES or len(datasets.load(source).train.X) <= MOST_FOR_TREES
    ]
    rows = []
    for results in report.by(cells.run(_kept, jobs), "pattern", "table").values():
        found = {method: _over_seeds(own) for method, own in report.by(results, "method").items()}
        reference = found[REFERENCE]
        for method, row in found.items():
            # Settings of skae do not compete with one another.
            rivals = found.keys() - ({SKAE, FAST} if method in (SKAE, FAST) else {FAST})
            row["lowest"] = int(row["mse"] <= min(found[name]["mse"] for name in rivals | {method}))
            row |= {"ratio": row["mse"] / reference["mse"]}
            row |= {"seconds_ratio": row["seconds"] / reference["seconds"]}
            rows.append(row | {"difference": row["roc_auc"] - reference["roc_auc"]})
    summary = [_over_tables(own) for own in report.by(rows, "pattern", "method").values()]
    return {"": rows, "_summary": summary}


def _over_seeds(results):
    row = results[0] | {"seconds": median(x["seconds"] for x in results), "seeds": len(results)}
    return row | {name: mean(x[name] for x in results) for name in ("mse", "roc_auc")}


def _over_tables(rows):
    """Medians over data sets, those of ratios of seconds over the large ones."""
    ratios = [row["seconds_ratio"] for row in rows if row["samples"] > LARGE] or [np.nan]
    summary = {name: rows[0][name] for name in ("pattern", "method")} | {"tables": len(rows)}
    summary |= {"lowest": sum(row["lowest"] for row in rows), "seconds_ratio": median(ratios)}
    medians = {x: median(row[x] for row in rows) for x in ("ratio", "seconds", "difference")}
    return summary | medians | {"worst_seconds_ratio": max(ratios)}


def _kept(method, pattern, source, epochs, timing, cache):
    """The measurements of a job, from `cache` if they are there.

    Those without skae are still there when skae has changed: they depend on the parameters of the
    method, on the functions that are listed here and on datasets.py.
    """
    timing = timing if method in (REFERENCE, SKAE, FAST) else None
    if method in (SKAE, FAST):
        return cells.remembered(_measure, cache)(method, pattern, source, timing, epochs)
    made_by = [repr(_imputer(method, source.seed, epochs, (1, 1))), *map(version, cells.PACKAGES)]
    made_by += map(getsource, (datasets, hide, IteratedPCA, _measure))
    key = sha256("".join(made_by).encode()).hexdigest()
    return Memory(cache, verbose=0).cache(_baseline)(key, method, pattern, source, timing)


def _baseline(key, *job):
    return _measure(*job)


def _measure(method, pattern, source, timing, epochs="auto"):
    """Error on the hidden held-out entries, seconds, and how well outliers are classified then.

    Features are standardized by the complete training part.
    """
    train, held_out = datasets.load(source)[1:3]
    rng = np.random.default_rng(source.seed)
    hidden = [hide(part.X, pattern, rng, train.X) for part in (train, held_out)]
    given = [np.where(hidden[i], np.nan, part.X) for i, part in enumerate((train, held_out))]
    imputer = _imputer(method, source.seed, epochs, train.X.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten iterations are the default
        start = perf_counter()
        imputer.fit(given[0])
        impute = getattr(imputer, "impute", imputer.transform)
        filled = impute(given[1])
        seconds = perf_counter() - start
    error = float(np.square(filled - held_out.X)[hidden[1]].mean())
    y, y_held_out = (part.y == train.y.max() for part in (train, held_out))  # the outliers
    classifier = make_pipeline(StandardScaler(), CLASSIFIERS["logistic_regression"])
    scores = classifier.fit(impute(given[0]), y).decision_function(filled)
    row = {"table": source.title, "pattern": pattern, "method": method, "mse": error}
    row |= {"samples": len(y) + len(y_held_out), "features": filled.shape[1], "seconds": seconds}
    return row | {"roc_auc": float(roc_auc_score(y_held_out, scores))}
