"""What the density of the variational autoencoder is worth: likelihood, samples, outliers."""

from itertools import product

import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from skorch.callbacks import Callback

from benchmarks import datasets, report
from benchmarks.cells import remembered
from benchmarks.datasets import pack_images
from benchmarks.methods import seconds_to_fit
from benchmarks.questions import option, over_seeds, question, run, sources
from skae import AutoencoderTransformer, VAETransformer

N_SEEDS = 5
IMPORTANCE_SAMPLES, IMPORTANCE_IMAGES = 100, 1000
# The start of training; the defaults; a textbook start; an output clipped to the range of pixels.
VARIANTS = {
    "PCA by skae": {"max_iter": 0},
    "skae": {},
    "skae, random start": {"init": "random"},
    "skae, clipped": {"output_activation": "auto"},
    "skae conv": {"image_shape": "auto"},
}
BINARIZED = {"n_components": 50, "hidden_layer_sizes": (500, 500), "validation_fraction": 0.02}
N_SAMPLES, CERTAIN, N_SHOWN = 1000, 0.9, 12
REAL = "held-out images"
CONTAMINATION = 0.1  # the default of PyOD; the fractions of outliers are not looked at
# Data sets on which the ways of skae were chosen, every other one; the rest was looked at once.
CHOSEN_ON = (
    *("annthyroid", "cardiotocography", "ionosphere", "letter"),
    *("musk", "pendigits", "spambase", "wdbc"),
)


@question(
    "density",
    "table features depth method score:.1f importance_weighted:.1f active fit_seconds:.1f "
    "score_pca:.3f score_skae:.3f per_feature:+.4f worst_per_feature:+.4f",
    datasets=("digits", "mnist", "tabular"),
    quick={"n_components": [3]},
    mnist={"epochs": 8},
)
def density(options):
    """Whether the density of the VAE is better than that of probabilistic PCA, in nats."""
    if options.dataset == "tabular":
        found = over_seeds(_table_scores, options, N_SEEDS, options.n_components, options.epochs)
        return [row for title, results in found.items() for row in _compare(title, results)]
    (source,) = sources(options)
    cases = product(("PCA", *VARIANTS), options.n_components or (8, 32))
    jobs = [(*case, source, options.epochs) for case in cases]
    rows = run(_image_scores, jobs, options)
    return sorted(rows, key=lambda row: row["depth"])


def _image_scores(method, k, source, epochs):
    split = datasets.load(source)
    X, row = split.held_out.X, {"depth": k, "method": method}
    if method == "PCA":
        pca = PCA(k, random_state=source.seed).fit(split.train.X)
        return row | {"score": float(pca.score(X))}
    given = {"max_iter": epochs, "random_state": source.seed} | VARIANTS[method]
    vae = VAETransformer(k, **given)
    row |= {"fit_seconds": seconds_to_fit(vae, split.train.X), "score": vae.score(X)}
    weighted = vae.score(X[:IMPORTANCE_IMAGES], n_importance_samples=IMPORTANCE_SAMPLES)
    return row | {"importance_weighted": weighted, "active": vae.n_active_components_}


def _table_scores(source, sizes, epochs):
    """Number of features, and by number of components the scores of PCA and of skae."""
    split, seed = datasets.load(source), source.seed
    p = split.train.X.shape[1]
    scores = {}
    for k in sizes or sorted({2, max(1, p // 4)}):
        pca = PCA(k, random_state=seed)
        vae = VAETransformer(k, max_iter=epochs, random_state=seed)
        scores[k] = [method.fit(split.train.X).score(split.held_out.X) for method in (pca, vae)]
    return p, scores


def _compare(title, results):
    for k in results[0][1]:
        p, scores = results[0][0], np.array([scores[k] for _, scores in results])
        difference = (scores[:, 1] - scores[:, 0]) / p
        pca, skae = map(float, scores.mean(axis=0))
        row = {"table": title, "features": p, "depth": k, "score_pca": pca, "score_skae": skae}
        row |= {"per_feature": float(difference.mean())}
        yield row | {"worst_per_feature": float(difference.min())}


class Binarized(Callback):
    """X, images of zeros and ones from probabilities, drawn again in place in each epoch."""

    def __init__(self, images, seed):
        self.images = images
        self.rng = np.random.default_rng(seed)
        self.X = np.empty_like(images)
        self.on_epoch_begin(None)

    def on_epoch_begin(self, net, **kwargs):
        for start in range(0, len(self.images), 1000):
            images = self.images[start : start + 1000]
            is_one = self.rng.random(images.shape, dtype=np.float32) < images
            self.X[start : start + 1000] = is_one


@question(
    "density binarized",
    "epochs best_iter elbo:.2f importance_weighted:.2f fit_seconds:.0f",
    file="binarized_{dataset}{label}_{evaluate}",
    options=(
        option("--images", "held-out images", type=int, default=1000),
        option("--samples", "importance samples", type=int, default=500),
    ),
    defaults={"epochs": 60},
    quick={"epochs": 2, "images": 50, "samples": 5},
    mnist={"train_size": 50_000},
)
def binarized(options):
    """How far the VAE is from published results on binarized MNIST, in nats."""
    jobs = [(*sources(options), options.epochs, options.images, options.samples)]
    return run(_fit_binarized, jobs, options)


def _fit_binarized(source, epochs, n_images, n_samples):
    split = datasets.load(source)
    train = Binarized(split.train.X, source.seed)
    held_out = Binarized(split.held_out.X[:n_images], source.seed + 1).X
    given = {"max_iter": epochs, "skorch_callbacks": [train], "random_state": source.seed}
    vae = VAETransformer(likelihood="bernoulli", **BINARIZED, **given)
    row = {"epochs": epochs, "fit_seconds": seconds_to_fit(vae, train.X)}
    row |= {"best_iter": vae.best_iter_, "elbo": vae.score(held_out)}
    row |= {"importance_weighted": vae.score(held_out, n_importance_samples=n_samples)}
    row |= {"samples": n_samples, "images": len(held_out), "train_images": len(train.X)}
    return row | {"elbo_of_start": vae.baseline_score_, "active": vae.n_active_components_}


def _samplers(k, epochs, image_shape, seed):
    """Functions from training images to samples, by method."""
    rng = np.random.default_rng(seed)

    def gaussian(X):
        pca = PCA(k, random_state=seed).fit(X)
        codes = rng.normal(size=(N_SAMPLES, k)) * np.sqrt(pca.explained_variance_)
        return pca.inverse_transform(codes)

    def mixture(X, n_components):
        pca = PCA(k, random_state=seed).fit(X)
        density = GaussianMixture(n_components, random_state=seed)
        codes = density.fit(pca.transform(X).astype(float)).sample(N_SAMPLES)[0]
        return pca.inverse_transform(rng.permutation(codes))  # they are sorted by component

    def vae(X, **parameters):
        given = {"max_iter": epochs, "random_state": seed} | parameters
        return VAETransformer(k, **given).fit(X).sample(N_SAMPLES, random_state=seed)

    prior = GaussianMixture(50)
    return {
        "PCA, Gaussian": gaussian,
        "PCA, mixture of 10": lambda X: mixture(X, 10),
        "PCA, mixture of 50": lambda X: mixture(X, 50),
        "skae": vae,
        "skae, clipped": lambda X: vae(X, output_activation="auto"),
        "skae, bernoulli": lambda X: vae(X, likelihood="bernoulli"),
        "skae conv, clipped": lambda X: vae(X, output_activation="auto", image_shape=image_shape),
        "skae, mixture of 50": lambda X: vae(X, prior=prior),
        "skae, clipped, mixture of 50": lambda X: vae(X, output_activation="auto", prior=prior),
        "skae conv, clipped, mixture of 50": lambda X: vae(
            X, output_activation="auto", image_shape=image_shape, prior=prior
        ),
    }


def draw_samples(path):
    """Draw some samples of each method."""
    rows = report.read_csv(path)
    images = [(f"{row['method']}\n{row['certain']:.3f}", row["images"]) for row in rows]
    report.draw_images(path.with_suffix(".png"), images)


@question(
    "density samples",
    "method certain:.3f frechet:.1f",
    file="samples_{dataset}{label}_{evaluate}",
    defaults={"n_components": [16]},
    quick={"n_components": [4]},
    mnist={"epochs": 20},
    draw=draw_samples,
)
def samples(options):
    """What fraction of samples a classifier of real images recognizes with certainty.

    The Fréchet distance compares the means and covariances of the hidden layer of the classifier,
    for samples and for held-out images: it is large if all samples are alike, too.
    """
    (source,), (k,) = sources(options), options.n_components
    split = datasets.load(source)
    classifier = remembered(_classifier, options.cache)(source)
    print(f"Accuracy of the classifier on held-out images: {classifier.score(*split.held_out):.3f}")
    names = (REAL, *_samplers(k, 1, None, 0))
    found = run(_sample, [(name, k, source, options.epochs) for name in names], options)
    others = split.held_out.X[N_SAMPLES:]
    features = _features(classifier, others if len(others) else split.held_out.X)
    rows = []
    for name, X in zip(names, found, strict=True):
        certain = float((classifier.predict_proba(X).max(axis=1) > CERTAIN).mean())
        row = {"dataset": source.title, "depth": k, "method": name, "certain": certain}
        row["frechet"] = _frechet(_features(classifier, X), features)
        rows.append(row | {"images": pack_images(X[:N_SHOWN], split.image_shape)})
    return rows


def _classifier(source):
    train = datasets.load(source).train
    return MLPClassifier((256,), max_iter=50, random_state=source.seed).fit(*train)


def _features(classifier, X):
    """Values of the hidden layer of the classifier."""
    return np.maximum(X @ classifier.coefs_[0] + classifier.intercepts_[0], 0)


def _frechet(A, B):
    """Squared Fréchet distance between normal distributions with the moments of two samples."""
    a, b = np.cov(A.T), np.cov(B.T)
    root = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    return float(np.square(A.mean(0) - B.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * root)


def _sample(method, k, source, epochs):
    split = datasets.load(source)
    if method == REAL:
        return split.held_out.X[:N_SAMPLES]
    sample = _samplers(k, epochs, split.image_shape, source.seed)[method]
    return np.clip(sample(split.train.X), 0, 1)


def _detectors(n_features, epochs, seed):
    """Estimators by name: `score_samples` is low where a sample is an outlier."""
    given, k = {"max_iter": epochs, "random_state": seed}, min(32, max(1, n_features // 2))
    robust = VAETransformer(contamination=CONTAMINATION, **given)
    of_codes = EllipticEnvelope(support_fraction=1 - CONTAMINATION, random_state=seed)
    return {
        "PCA": PCA(k, random_state=seed),  # with as many components as skae has by default
        "scaled_PCA": make_pipeline(RobustScaler(unit_variance=True), PCA(k, random_state=seed)),
        "codes_of_PCA": make_pipeline(PCA(k, random_state=seed), of_codes),
        "isolation_forest": IsolationForest(random_state=seed),
        "local_outlier_factor": LocalOutlierFactor(),
        "skae_vae": VAETransformer(**given),
        "skae_vae_robust": robust,
        "scaled_skae_vae_robust": make_pipeline(RobustScaler(unit_variance=True), robust),
        "skae_autoencoder": AutoencoderTransformer(**given),
        "codes_of_skae_autoencoder": make_pipeline(AutoencoderTransformer(**given), of_codes),
    }


def _pyod(seed):
    """Detectors of PyOD by name, with their defaults; none if PyOD is not installed."""
    try:
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.ecod import ECOD
        from pyod.models.vae import VAE
    except ImportError:
        return {}
    given = {"random_state": seed, "verbose": 0}
    return {
        "pyod_autoencoder": AutoEncoder(**given),
        "pyod_vae": VAE(**given),
        "pyod_ecod": ECOD(),
    }


@question(
    "outliers",
    "table PCA:.3f scaled_PCA:.3f codes_of_PCA:.3f isolation_forest:.3f local_outlier_factor:.3f "
    "skae_vae:.3f skae_vae_robust:.3f scaled_skae_vae_robust:.3f skae_autoencoder:.3f "
    "codes_of_skae_autoencoder:.3f pyod_autoencoder:.3f pyod_vae:.3f pyod_ecod:.3f",
    file="outliers{label}",
    datasets=("tabular",),
    options=(option("--n-seeds", "number of seeds", type=int, default=3),),
    quick={"n_seeds": 1},
)
def outliers(options):
    """Whether outliers in tabular data are found without labels, by area under the ROC curve."""
    found = over_seeds(_areas, options, options.n_seeds, options.epochs)
    names = list(next(iter(found.values()))[0])
    if "pyod_vae" not in names:
        print("PyOD is not installed: its detectors are left out.")

    def mean(areas):
        return {name: float(np.mean([area[name] for area in areas])) for name in names}

    rows = [{"table": title} | mean(areas) for title, areas in found.items()]
    parts = {
        "mean, chosen on": [row for row in rows if row["table"] in CHOSEN_ON],
        "mean, others": [row for row in rows if row["table"] not in CHOSEN_ON],
        "mean": rows,
    }
    return [*rows, *({"table": title} | mean(part) for title, part in parts.items() if part)]


def _areas(source, epochs):
    X, y = datasets.read_table(source.name)
    X, is_outlier = StandardScaler().fit_transform(X), y == y.max()
    scores = {
        name: _scores_of_outliers(estimator.fit(X), X)
        for name, estimator in _detectors(X.shape[1], epochs, source.seed).items()
    }
    scores |= {name: pyod.fit(X).decision_scores_ for name, pyod in _pyod(source.seed).items()}
    return {name: float(roc_auc_score(is_outlier, score)) for name, score in scores.items()}


def _scores_of_outliers(fitted, X):
    """Scores of the samples that a detector was fitted to, high for outliers."""
    if hasattr(fitted, "negative_outlier_factor_"):  # it has no score_samples for them
        return -fitted.negative_outlier_factor_
    return -fitted.score_samples(X)
