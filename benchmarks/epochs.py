"""How many epochs does it take? Reconstructions and losses after fits of several lengths, and at several depths.

python benchmarks/epochs.py                                   # the digits of scikit-learn
python benchmarks/epochs.py --dataset mnist --data-dir DIR    # DIR/mnist.npz; without DIR from OpenML

Each number of epochs is a fit of its own, with the learning-rate schedule of that length.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks import cells, datasets, images, report
from benchmarks.measures import reconstruct, reconstruction
from benchmarks.methods import fitted
from benchmarks.options import about, parse, parser, sources

METHODS = ("skae", "skae conv", "skae VAE")
LENGTHS, DEPTH = (5, 10, 15, 20, 30), 32
DEPTHS, LENGTH = (32, 64, 128, 256), 5
ORIGINALS = "held-out images"
N_DRAWN = 10
COLUMNS = {"method": "", "depth": "", "epochs": "", "best_iter": "", "r2": ".4f", "mse": ".3e"}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    rows = compare(options)
    report.print_table(rows[1:], COLUMNS)
    path = options.out / f"epochs_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [about(options) | row for row in rows])
    draw(path)


def compare(options):
    """Fit each method with each number of epochs at one depth, and with one number of epochs at each depth.

    Returns
    -------
    rows : list of dict
        The held-out images, then one row for each method, depth and number of epochs: those of the `case` "lengths" and
        those of "depths". `losses` and `scores` are of the epochs of a fit, the scores from epoch 0 on; `images` are some
        images, as :func:`benchmarks.images.pack` writes them.
    """
    (source,) = sources(options)
    split = datasets.load(source)
    cases = {
        "lengths": [(options.depth, length) for length in options.lengths],
        "depths": [(depth, options.epochs) for depth in options.depths],
    }
    sizes = sorted({*cases["lengths"], *cases["depths"]})
    jobs = [(method, size, source, options.cache) for method in METHODS for size in sizes]
    found = cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)
    by_cell = {job[:2]: row for job, row in zip(jobs, found, strict=True)}
    shown = images.pack(split.held_out.X[_rows_to_draw(split.held_out.y)], split.image_shape)
    originals = {"dataset": source.title, "method": ORIGINALS, "images": shown}
    rows = [
        by_cell[method, size] | {"case": case}
        for case, sizes in cases.items()
        for method in METHODS
        for size in sizes
    ]
    return [originals, *rows]


def _rows_to_draw(y):
    """One row of each class."""
    return np.unique(y, return_index=True)[1][:N_DRAWN]


def _measure(method, size, source, cache):
    depth, epochs = size
    split = datasets.load(source)
    estimator = fitted(method, (depth,), source, epochs, source.seed, cache)[depth]
    reconstructed = reconstruct(estimator, split.held_out.X)
    return {
        "dataset": source.title,
        "train_rows": len(split.train.X),
        "method": method,
        "depth": depth,
        "epochs": epochs,
        "best_iter": estimator.best_iter_,
        **reconstruction(split.held_out.X, reconstructed),
        "losses": " ".join(f"{loss:.5g}" for loss in estimator.loss_curve_),
        "scores": " ".join(
            f"{score:.5g}" for score in (estimator.baseline_score_, *estimator.validation_scores_)
        ),
        "images": images.pack(reconstructed[_rows_to_draw(split.held_out.y)], split.image_shape),
    }


def draw(path):
    """Draw the pictures of a CSV beside it: reconstructions by epochs and by depth, and the charts of losses."""
    originals, *rows = report.read_csv(path)
    first = ("held-out\nimages", originals["images"])
    for case, label in (
        ("lengths", "{method}, {epochs} epochs"),
        ("depths", "{method}, depth {depth}"),
    ):
        chosen = [row for row in rows if row["case"] == case]
        pictures = [(f"{label.format(**row)}\nR² {row['r2']:.3f}", row["images"]) for row in chosen]
        report.draw_images(path.with_name(f"{path.stem}_{case}.png"), [first, *pictures])
    _draw_losses(path.with_suffix(".png"), [row for row in rows if row["case"] == "lengths"])


def _draw_losses(path, rows):
    by_method = {name: [row for row in rows if row["method"] == name] for name in METHODS}
    errors = {
        name: ([row["epochs"] for row in own], [row["mse"] for row in own])
        for name, own in by_method.items()
    }
    longest = {name: max(own, key=lambda row: row["epochs"]) for name, own in by_method.items()}
    scores = {name: np.array(row["scores"].split(), float) for name, row in longest.items()}
    bound = scores.pop("skae VAE")
    missing = {name: (np.arange(len(score)), 1 - score) for name, score in scores.items()}
    epochs = longest["skae"]["epochs"]
    options = {
        "xlabel": "epochs of the fit",
        "ylabel": "held-out squared error per value",
        "title": "fits of their own",
    }
    inside = {"xlabel": "epoch", "title": f"within the fit of {epochs} epochs"}
    panels = [
        report.Panel(errors, options),
        report.Panel(
            missing, inside | {"ylabel": "1 - R² of the validation rows", "yscale": "log"}, ".-"
        ),
        report.Panel(
            {"skae VAE": (np.arange(len(bound)), -bound)},
            inside | {"ylabel": "- bound, nats a row"},
            ".-",
        ),
    ]
    report.draw_lines(path, panels)


def _parse(argv):
    made = parser(__doc__)
    add = made.add_argument
    made.set_defaults(epochs=LENGTH)
    add(
        "--lengths",
        type=int,
        nargs="+",
        default=LENGTHS,
        help="epochs of the fits at --depth (default: 5 10 15 20 30)",
    )
    add("--depth", type=int, default=16, help="default: 16; mnist: 32")
    add(
        "--depths",
        type=int,
        nargs="+",
        default=(2, 4, 8, 16),
        help="of the fits of --epochs (default: 2 to 16; mnist: 32 to 256)",
    )
    quick = {"depth": 4, "lengths": [1], "depths": [4, 8], "epochs": 1}
    return parse(made, argv, quick=quick, mnist={"depth": DEPTH, "depths": DEPTHS})


if __name__ == "__main__":
    main()
