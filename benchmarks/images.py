"""The comparison on images: one training set, several depths, and a picture."""

import numpy as np

from benchmarks import report
from benchmarks.measures import evaluate, reconstruct
from benchmarks.methods import methods

DEPTHS = (2, 4, 8, 16, 32)
N_DRAWN_DEPTHS = 3
ROUNDING = 1e-6  # of an R², where training has found nothing better than PCA in float32
COLUMNS = {"depth": "", "method": "", "r2": ".4f", "mse": ".3e", "accuracy": ".3f", "fit_seconds": ".2f"}


def compare(split, *, depths, epochs, seed, about, out):
    """Compare the methods at each depth; write a CSV, a picture and a table.

    Parameters
    ----------
    split : benchmarks.datasets.Split
    depths : sequence of int
    epochs : int or "auto"
    seed : int
    about : dict
        What the CSV says in each row beside the results.
    out : pathlib.Path
        File to write to, without its extension.
    """
    print(f"{split.name}: {len(split.train.X):,} training rows, {len(split.held_out.X):,} held-out rows")
    shown = split.held_out.X[_one_of_each(split.held_out.y)]
    drawn_depths = _spread(depths, N_DRAWN_DEPTHS)
    rows, pictures = [], [("held-out\nimages", shown)]
    _warm_up(split.train.X)
    with report.progress(len(depths) * len(methods())) as advance:
        for depth in depths:
            for name, make in methods(epochs).items():
                estimator = make(depth, seed)
                row = {"dataset": split.name, "depth": depth, "method": name, **evaluate(estimator, split)}
                rows.append(row)
                if depth in drawn_depths:
                    pictures.append((f"{name}, depth {depth}\nR² {row['r2']:.2f}", reconstruct(estimator, shown)))
                advance(f"{name}, depth {depth}: R² {row['r2']:.4f} after {row['fit_seconds']:.2f} s")
    report.print_table(rows, COLUMNS)
    _print_verdict(rows, depths)
    report.write_csv(out.with_suffix(".csv"), [row | about for row in rows])
    report.draw_images(out.with_suffix(".png"), pictures, split.image_shape)


def _warm_up(X):
    """Let libraries load what they load at a first fit, so that no method's seconds count it."""
    for make in methods(1).values():
        make(1, 0).fit(X[:100])


def _one_of_each(y):
    return np.unique(y, return_index=True)[1]


def _spread(values, n):
    """At most n of the values, from the first to the last."""
    return {values[i] for i in np.linspace(0, len(values) - 1, n).round().astype(int)}


def _print_verdict(rows, depths):
    r2 = {(row["method"], row["depth"]): row["r2"] for row in rows}
    n_better = sum(r2["skae", depth] >= r2["PCA", depth] - ROUNDING for depth in depths)
    print(f"Held-out R² of skae is at or above PCA's at {n_better} of {len(depths)} depths.")
