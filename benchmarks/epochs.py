"""What a longer training gives, and how far the network of 2006 gets."""

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.datasets import pack_examples
from benchmarks.methods import fitted, reconstruct, reconstruction, seconds_to_fit
from benchmarks.questions import option, question, run, sources
from skae import AutoencoderTransformer

METHODS = ("skae", "skae conv", "skae VAE")
REFERENCE_COMPONENTS, REFERENCE_HIDDEN = 30, (1000, 500, 250)
# Squared errors per image that the paper has.
REPORTED = {"PCA, as reported": 13.87, "Hinton and Salakhutdinov, as reported": 3.00}
VARIED = {"alpha": float, "learning_rate_init": float, "batch_size": int}  # of the reference


def draw(path):
    """Draw reconstructions by number of epochs and of components, and the charts of losses."""
    originals, *rows = report.read_csv(path)
    by_case = report.by(rows, "case")
    for case, size in {"lengths": "{epochs} epochs", "depths": "{depth} components"}.items():
        label = f"{{method}}, {size}\nR² {{r2:.3f}}"
        images = [(label.format(**row), row["images"]) for row in by_case[case]]
        first = ("held-out\nimages", originals["images"])
        report.draw_images(path.with_name(f"{path.stem}_{case}.png"), [first, *images])
    _draw_losses(path.with_suffix(".png"), by_case["lengths"])


def _draw_losses(path, rows):
    by_method = report.by(rows, "method")
    longest = {name: max(own, key=lambda row: row["epochs"]) for name, own in by_method.items()}
    scores = {name: np.array(row["scores"].split(), float) for name, row in longest.items()}
    elbo = scores.pop("skae VAE")
    missing = {name: (np.arange(len(score)), 1 - score) for name, score in scores.items()}
    inside = {"xlabel": "epoch", "title": f"one fit of {longest['skae']['epochs']} epochs"}
    outside = {"xlabel": "epochs of the fit", "ylabel": report.ERROR}
    score = {"ylabel": "1 - R² of the validation set", "yscale": "log"}
    bound = {"ylabel": "negative ELBO, nats per sample"}
    panels = [
        report.Panel(report.lines(rows, "epochs", "mse"), outside | {"title": "separate fits"}),
        report.Panel(missing, inside | score, ".-"),
        report.Panel({"skae VAE": (np.arange(len(elbo)), -elbo)}, inside | bound, ".-"),
    ]
    report.draw_lines(path, panels)


@question(
    "epochs",
    "method depth epochs best_iter r2:.4f mse:.3e",
    options=(
        option("--lengths", "epochs of separate fits", type=int, nargs="+"),
        option("--length-components", "their number of components", type=int),
    ),
    defaults={"lengths": (5, 10, 15, 20, 30), "length_components": 16, "epochs": 5},
    quick={"lengths": [1], "length_components": 4, "n_components": [4, 8]},
    mnist={"length_components": 32, "n_components": (32, 64, 128, 256)},
    draw=draw,
)
def epochs(options):
    """How many epochs it takes, and what reconstructions look like after them."""
    (source,) = sources(options)
    split = datasets.load(source)
    cases = {
        "lengths": [(options.length_components, length) for length in options.lengths],
        "depths": [(k, options.epochs) for k in options.n_components or (2, 4, 8, 16)],
    }
    sizes = sorted({*cases["lengths"], *cases["depths"]})
    jobs = [(method, size, source, options.cache) for method in METHODS for size in sizes]
    found = run(_curves, jobs, options)
    by_cell = {job[:2]: row for job, row in zip(jobs, found, strict=True)}
    shown = pack_examples(split.held_out.X, split)
    rows = [{"dataset": source.title, "method": "held-out images", "images": shown}]
    for case, sizes in cases.items():
        rows += [by_cell[name, size] | {"case": case} for name in METHODS for size in sizes]
    return rows


def _curves(method, size, source, cache):
    k, n_epochs = size
    split = datasets.load(source)
    estimator = fitted(method, (k,), source, n_epochs, cache)[k]
    reconstructed = reconstruct(estimator, split.held_out.X)
    scores = (estimator.baseline_score_, *estimator.validation_scores_)
    row = {"dataset": source.title, "train_rows": len(split.train.X), "method": method}
    row |= {"depth": k, "epochs": n_epochs, "best_iter": estimator.best_iter_}
    row |= reconstruction(split.held_out.X, reconstructed)
    for name, numbers in {"losses": estimator.loss_curve_, "scores": scores}.items():
        row[name] = " ".join(map("{:.5g}".format, numbers))
    return row | {"images": pack_examples(reconstructed, split)}


@question(
    "reference",
    "method error_per_image:.3f epochs best_iter fit_seconds:.0f settings",
    file="reference_{dataset}_{evaluate}{label}",
    datasets=("mnist", "digits"),
    options=tuple(option(f"--{name}", "else of skae", type=kind) for name, kind in VARIED.items()),
    defaults={"epochs": 20, "train_size": None},
    quick={"epochs": 2, "dataset": "digits"},
    timed=True,
)
def reference(options):
    """How far the network of 2006, 784-1000-500-250-30, gets on all of MNIST."""
    if options.train_size is None:  # all that are not held out
        options.train_size = 60_000 if options.evaluate == "test" else 50_000
    split = datasets.load(*sources(options))
    settings = {k: v for k, v in vars(options).items() if k in VARIED and v is not None}
    reported = REPORTED if options.dataset == "mnist" else {}
    rows = [{"method": name, "error_per_image": error} for name, error in reported.items()]
    pca = PCA(REFERENCE_COMPONENTS, random_state=options.seed)
    given = {"max_iter": options.epochs, "random_state": options.seed, "verbose": True}
    given |= {"hidden_layer_sizes": REFERENCE_HIDDEN} | settings
    skae = AutoencoderTransformer(REFERENCE_COMPONENTS, **given)
    X = split.held_out.X
    for name, estimator in {"PCA": pca, "skae": skae}.items():
        row = {"method": name, "fit_seconds": seconds_to_fit(estimator, split.train.X)}
        errors = np.square(X - reconstruct(estimator, X)).sum(axis=1, dtype=np.float64)
        row |= {"best_iter": getattr(estimator, "best_iter_", None)}
        rows.append(row | {"error_per_image": float(errors.mean())})
    text = " ".join(f"{name}={value}" for name, value in settings.items())
    rows[-1] |= {"epochs": options.epochs, "settings": text or "defaults"}
    about = {"dataset": split.name, "train_images": len(split.train.X), "images": len(X)}
    return [{"epochs": None} | row | about for row in rows]
