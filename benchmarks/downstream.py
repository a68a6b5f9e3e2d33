"""What latent codes are worth to a classifier."""

from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.methods import CLASSIFIERS, accuracies, encoded, fitted, held_out_errors, methods
from benchmarks.questions import over_fits, question, run, sources
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

RAW = "raw pixels"
MASKING = {"corruption": "masking", "noise_level": 0.25}
SETTINGS = {
    "PCA": (PCA, {}),
    "defaults": (AutoencoderTransformer, {}),
    "20 epochs": (AutoencoderTransformer, {"max_iter": 20}),
    "gelu": (AutoencoderTransformer, {"activation": "gelu"}),
    "hidden layers 512, 256": (AutoencoderTransformer, {"hidden_layer_sizes": (512, 256)}),
    "one hidden layer": (AutoencoderTransformer, {"hidden_layer_sizes": (256,)}),
    "rate 1e-3": (AutoencoderTransformer, {"learning_rate_init": 1e-3}),
    "alpha 1e-2": (AutoencoderTransformer, {"alpha": 1e-2}),
    "ordered": (AutoencoderTransformer, {"ordered": True}),
    "a quarter of the values masked": (DenoisingAutoencoder, MASKING),
    "variational": (VAETransformer, {}),
}


def draw(path):
    """Draw the accuracy against the number of components, that on raw pixels as a level."""
    *rows, raw = sorted(report.read_csv(path), key=lambda row: row["method"] == RAW)
    sizes = sorted({row["depth"] for row in rows})
    panels = []
    for name in CLASSIFIERS:
        lines = report.lines(rows, "depth", name)
        lines[RAW] = sizes, [raw[name]] * len(sizes)
        labels = {"ylabel": "held-out accuracy", "title": name.replace("_", " ")}
        panels.append(report.Panel(lines, report.doubling_axis(sizes) | labels))
    report.draw_lines(path.with_suffix(".png"), panels)


@question(
    "downstream",
    "depth method logistic_regression:.4f nearest_neighbors:.4f",
    defaults={"n_components": (8, 16, 32, 64)},
    quick={"n_components": [4, 8]},
    mnist={"epochs": 6},
    draw=draw,
)
def downstream(options):
    """How accurate classifiers on the latent codes are, compared with those on PCA's."""
    (source,) = sources(options)
    split = datasets.load(source)
    sizes = [k for k in options.n_components if k <= split.train.X.shape[1]]
    rows = over_fits(_accuracies, methods(image_shape=split.image_shape), sizes, source, options)
    (raw,) = run(_raw_accuracies, [(source,)], options)
    pca = {row["depth"]: row for row in rows if row["method"] == "PCA"}
    for row in rows:
        for name in CLASSIFIERS:
            row[f"difference_{name}"] = row[name] - pca[row["depth"]][name]
    return [*rows, raw]


def _raw_accuracies(source):
    split = datasets.load(source)
    (n, p), raw = split.train.X.shape, accuracies(split.train, split.held_out, standardize=False)
    return {"dataset": source.title, "train_rows": n, "method": RAW, "depth": p} | raw


def _accuracies(method, sizes, source, epochs, cache):
    split = datasets.load(source)
    about = {"dataset": source.title, "train_rows": len(split.train.X), "method": method}
    return [
        about | {"depth": k} | accuracies(*encoded(estimator, split))
        for k, estimator in fitted(method, sizes, source, epochs, cache).items()
    ]


@question(
    "downstream settings",
    "depth setting mse:.5f logistic_regression:.4f nearest_neighbors:.4f",
    file="settings_{dataset}{label}_{evaluate}",
    defaults={"n_components": (32,), "settings": tuple(SETTINGS)},
    quick={"n_components": [4], "epochs": 1, "settings": ("PCA", "defaults", "ordered")},
    mnist={"epochs": 6},
)
def settings(options):
    """Whether other settings than the defaults make codes worth more to a classifier."""
    (source,) = sources(options)
    jobs = [
        (setting, k, source, options.epochs)
        for k in options.n_components
        for setting in options.settings
    ]
    return run(_measure_setting, jobs, options)


def _measure_setting(setting, k, source, epochs):
    split = datasets.load(source)
    cls, given = SETTINGS[setting]
    parameters = given if cls is PCA else {"max_iter": epochs} | given
    estimator = cls(k, random_state=source.seed, **parameters).fit(split.train.X)
    row = {"depth": k, "setting": setting} | held_out_errors(estimator, split)
    return row | accuracies(*encoded(estimator, split))
