"""What does a code cost and what does it keep? Bytes of an image against the error of its reconstruction.

python benchmarks/compression.py                                   # the digits of scikit-learn
python benchmarks/compression.py --dataset mnist --data-dir DIR    # DIR/mnist.npz; without DIR from OpenML

A code is kept as float32, four bytes a component, or quantised to one byte: 256 levels, evenly from the least to the
largest value that the component has in training codes.
"""

import sys
from pathlib import Path
from typing import NamedTuple

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks import cells, datasets, report
from benchmarks.measures import n_parameters, reconstruction
from benchmarks.methods import fits, fitted, methods
from benchmarks.options import about, parse, parser, sources

DEPTHS = (2, 4, 8, 16, 32, 64, 128, 256)
N_LEVELS = 256
FLOAT_BYTES = 4  # of a number in float32
COLUMNS = {
    "depth": "",
    "method": "",
    "code": "",
    "bytes_per_image": "",
    "r2": ".4f",
    "mse": ".3e",
    "model_bytes": ",d",
}


class Quantizer(NamedTuple):
    """Codes as one byte a component, evenly between two values of each; what is beyond them becomes the nearer one.

    Parameters
    ----------
    low, high : ndarray of shape (n_components,)
        The values of the first and of the last level.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, codes):
        """Take the range that training codes have."""
        return cls(codes.min(axis=0), codes.max(axis=0))

    @property
    def step(self):
        """Distance of two levels, for each component."""
        return (self.high - self.low) / (N_LEVELS - 1)

    def quantize(self, codes):
        """Codes as uint8."""
        step = np.where(self.step > 0, self.step, 1)  # a component that does not vary
        return ((codes - self.low) / step).round().clip(0, N_LEVELS - 1).astype(np.uint8)

    def restore(self, levels):
        """Codes of uint8."""
        return (self.low + levels * self.step).astype(self.low.dtype)


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    (source,) = sources(options)
    split = datasets.load(source)
    depths = [depth for depth in options.depths if depth < split.train.X.shape[1]]
    pairs = fits(methods(image_shape=split.image_shape), depths)
    jobs = [(*pair, source, options.epochs, options.cache) for pair in pairs]
    found = cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)
    rows = sorted((row for rows in found for row in rows), key=lambda row: row["depth"])
    report.print_table(rows, COLUMNS)
    path = options.out / f"compression_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])
    draw(path)


def _measure(method, depths, source, epochs, cache):
    split = datasets.load(source)
    X = split.held_out.X
    rows = []
    for depth, estimator in fitted(method, depths, source, epochs, source.seed, cache).items():
        quantizer, codes = Quantizer.of(estimator.transform(split.train.X)), estimator.transform(X)
        sizes = {
            "dataset": source.title,
            "image_bytes": X.shape[1],
            "depth": depth,
            "method": method,
        }
        model = FLOAT_BYTES * n_parameters(estimator)
        forms = {
            "float32": (FLOAT_BYTES * depth, model, codes),
            "uint8": (
                depth,
                model + 2 * FLOAT_BYTES * depth,
                quantizer.restore(quantizer.quantize(codes)),
            ),
        }
        for code, (n_bytes, model_bytes, kept) in forms.items():
            measured = reconstruction(X, estimator.inverse_transform(kept))
            rows.append(
                sizes
                | {"code": code, "bytes_per_image": n_bytes}
                | measured
                | {"model_bytes": model_bytes}
            )
    return rows


def draw(path):
    """Draw the charts of a CSV beside it: error against the bytes of a code, and against the bytes of the model."""
    rows = report.read_csv(path)
    names = list(dict.fromkeys(row["method"] for row in rows))
    panels = []
    for code, x, title in (
        ("float32", "bytes_per_image", "codes as float32"),
        ("uint8", "bytes_per_image", "codes as one byte a component"),
        ("uint8", "model_bytes", "the model, once"),
    ):
        lines = {}
        for name in names:
            own = [row for row in rows if row["method"] == name and row["code"] == code]
            lines[name] = [row[x] for row in own], [row["mse"] for row in own]
        label = "bytes an image" if x == "bytes_per_image" else "bytes"
        options = {
            "xlabel": label,
            "ylabel": "held-out squared error per value",
            "xscale": "log",
            "yscale": "log",
        }
        panels.append(report.Panel(lines, options | {"title": title}))
    report.draw_lines(path.with_suffix(".png"), panels)


def _parse(argv):
    made = parser(__doc__)
    made.add_argument(
        "--depths", type=int, nargs="+", default=DEPTHS, help="default: 2 to 256, below the pixels"
    )
    return parse(made, argv, quick={"depths": [4, 8], "epochs": 1}, mnist={"epochs": 6})


if __name__ == "__main__":
    main()
