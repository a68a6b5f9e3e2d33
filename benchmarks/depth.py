"""How much a code of some number of components keeps of held-out samples, and what it costs."""

from typing import NamedTuple

import numpy as np

from benchmarks import datasets, report
from benchmarks.methods import fitted, held_out_errors, methods, n_parameters, reconstruction
from benchmarks.questions import over_fits, question, sources

DIGITS, UP_TO_256 = (2, 4, 8, 16, 32), (2, 4, 8, 16, 32, 64, 128, 256)
N_SEEDS = 5  # on tabular data
ROUNDING = 1e-6  # of an R², where training has found nothing better than PCA in float32
N_LEVELS = 256  # of a component that is kept in one byte
FLOAT_BYTES = 4  # of a number in float32


def draw(path):
    """Draw R² and error against the number of components; of tabular data, R² against PCA's."""
    rows = report.read_csv(path)
    if len({row["dataset"] for row in rows}) > 1:
        of_pca = [row for row in rows if row["method"] == "PCA"]
        pca = {(row["dataset"], row["depth"]): row["r2"] for row in of_pca}
        rows = [row | {"pca": pca[row["dataset"], row["depth"]]} for row in rows]
        labels = {"xlabel": "held-out R² of PCA", "ylabel": "held-out R²", "title": "tabular data"}
        panels = [report.Panel(report.lines(rows, "pca", "r2"), labels, "o")]
    else:
        axis = report.doubling_axis(sorted({row["depth"] for row in rows}))
        axis["title"] = rows[0]["dataset"]
        r2, mse = {"ylabel": "held-out R²"}, {"ylabel": report.ERROR, "yscale": "log"}
        panels = [
            report.Panel(report.lines(rows, "depth", "r2"), axis | r2),
            report.Panel(report.lines(rows, "depth", "mse"), axis | mse),
        ]
    report.draw_lines(path.with_suffix(".png"), panels)


@question(
    "depth",
    "dataset depth method r2:.4f mse:.3e difference:+.4f parameters:,d",
    datasets=("digits", "patches", "mnist", "tabular"),
    quick={"n_components": [2, 8]},
    mnist={"epochs": 6},
    draw=draw,
)
def depth(options):
    """How much of held-out samples k components keep, by PCA and by skae.

    On tabular data k is 2, a quarter and a half of the features; results are means over five seeds.
    """
    found = []
    for source in sources(options, n_seeds=N_SEEDS if options.dataset == "tabular" else 1):
        split = datasets.load(source)
        names = methods(image_shape=split.image_shape)
        found += over_fits(errors, names, _sizes(options, split), source, options)
    rows = _summarize(found)
    ours = [row for row in rows if row["method"] != "PCA"]
    n_better = sum(row["difference"] >= -ROUNDING for row in ours)
    print(f"R² of skae is at or above that of PCA in {n_better} of {len(ours)} cases.")
    return rows


def _sizes(options, split):
    p = split.train.X.shape[1]
    if options.n_components:
        return options.n_components
    if options.dataset == "tabular":
        return sorted({max(1, k) for k in (2, p // 4, p // 2)})
    return [k for k in (DIGITS if options.dataset == "digits" else UP_TO_256) if k < p]


def errors(method, sizes, source, epochs, cache):
    """R² and squared error on held-out samples of a method, a row per number of components."""
    split = datasets.load(source)
    n_samples, n_features = split.train.X.shape
    about = {"dataset": source.title, "train_rows": n_samples, "features": n_features}
    return [
        about
        | {"depth": k, "method": method, "parameters": n_parameters(estimator)}
        | held_out_errors(estimator, split)
        for k, estimator in fitted(method, sizes, source, epochs, cache).items()
    ]


def _summarize(found):
    """Means over the seeds, and how they compare with those of PCA."""
    groups, rows = report.by(found, "dataset", "depth", "method"), []
    for key, group in sorted(groups.items(), key=lambda item: item[0][:2]):
        pca = np.array([row["r2"] for row in groups[*key[:2], "PCA"]])
        r2 = np.array([row["r2"] for row in group])
        mean = {"r2": float(r2.mean()), "mse": float(np.mean([row["mse"] for row in group]))}
        row = group[0] | {"seeds": len(group)} | mean | {"difference": float((r2 - pca).mean())}
        row |= {"worst_difference": float((r2 - pca).min())}
        rows.append(row | {"error_ratio": float((1 - r2.mean()) / (1 - pca.mean()))})
    return rows


class Quantizer(NamedTuple):
    """Codes with one byte per component: 256 levels, evenly between two values of each."""

    low: np.ndarray  # the first level; what is beyond becomes the nearer one
    high: np.ndarray

    @classmethod
    def of(cls, codes):
        """Take the range of training codes."""
        return cls(codes.min(axis=0), codes.max(axis=0))

    @property
    def step(self):
        """Distance between two levels, for each component."""
        return (self.high - self.low) / (N_LEVELS - 1)

    def quantize(self, codes):
        """Codes as uint8."""
        step = np.where(self.step > 0, self.step, 1)  # a component that does not vary
        return ((codes - self.low) / step).round().clip(0, N_LEVELS - 1).astype(np.uint8)

    def restore(self, levels):
        """Codes from uint8."""
        return (self.low + levels * self.step).astype(self.low.dtype)


def draw_compression(path):
    """Draw the error against the bytes of a code and of the model."""
    rows = report.read_csv(path)
    by_code = report.by(rows, "code")
    labels = {"ylabel": report.ERROR, "xscale": "log", "yscale": "log"}
    panels = [
        report.Panel(report.lines(by_code[code], x, "mse"), labels | {"title": title, "xlabel": x})
        for code, x, title in (
            ("float32", "bytes_per_image", "codes as float32"),
            ("uint8", "bytes_per_image", "codes with one byte per component"),
            ("uint8", "model_bytes", "the model, once"),
        )
    ]
    report.draw_lines(path.with_suffix(".png"), panels)


@question(
    "compression",
    "depth method code bytes_per_image r2:.4f mse:.3e model_bytes:,d",
    defaults={"n_components": UP_TO_256},
    quick={"n_components": [4, 8]},
    mnist={"epochs": 6},
    draw=draw_compression,
)
def compression(options):
    """What a code costs in bytes, and what it keeps."""
    (source,) = sources(options)
    split = datasets.load(source)
    sizes = [k for k in options.n_components if k < split.train.X.shape[1]]
    return over_fits(_costs, methods(image_shape=split.image_shape), sizes, source, options)


def _costs(method, sizes, source, epochs, cache):
    split = datasets.load(source)
    X = split.held_out.X
    rows = []
    for k, estimator in fitted(method, sizes, source, epochs, cache).items():
        quantizer, codes = Quantizer.of(estimator.transform(split.train.X)), estimator.transform(X)
        quantized = quantizer.restore(quantizer.quantize(codes))
        about = {"dataset": source.title, "image_bytes": X.shape[1], "depth": k, "method": method}
        model, ranges = FLOAT_BYTES * n_parameters(estimator), 2 * FLOAT_BYTES * k
        stored = ("float32", FLOAT_BYTES * k, model, codes), ("uint8", k, model + ranges, quantized)
        for code, n_bytes, model_bytes, kept in stored:
            row = about | {"code": code, "bytes_per_image": n_bytes}
            row |= reconstruction(X, estimator.inverse_transform(kept))
            rows.append(row | {"model_bytes": model_bytes})
    return rows
