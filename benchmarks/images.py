"""The comparison on images: one training set, several depths, and a picture."""

import numpy as np

from benchmarks import report
from benchmarks.measures import evaluate, reconstruct
from benchmarks.methods import methods

DEPTHS = (2, 4, 8, 16, 32)
N_DRAWN_DEPTHS = 3
N_DRAWN = 10
ROUNDING = 1e-6  # of an R², where training has found nothing better than PCA in float32
COLUMNS = {"depth": "", "method": "", "r2": ".4f", "mse": ".3e", "accuracy": ".3f", "accuracy_5nn": ".3f"} | {
    "parameters": ",d",
    "fit_seconds": ".2f",
}


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
    compared = methods(epochs, image_shape=split.image_shape)
    shown = split.held_out.X[_rows_to_draw(split.held_out.y)]
    drawn_depths = _spread(depths, N_DRAWN_DEPTHS)
    rows, pictures = [], [("held-out\nimages", shown)]
    _warm_up(split)
    with report.progress(len(depths) * len(compared)) as advance:
        for depth in depths:
            for name, make in compared.items():
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


def _warm_up(split):
    """Let libraries load what they load at a first fit, so that no method's seconds count it."""
    for make in methods(1, image_shape=split.image_shape).values():
        make(1, 0).fit(split.train.X[:100])


def _rows_to_draw(y):
    """One row of each class, or rows from all over the part where there are few classes."""
    firsts = np.unique(y, return_index=True)[1]
    return firsts if len(firsts) >= N_DRAWN else np.linspace(0, len(y) - 1, N_DRAWN).astype(int)


def _spread(values, n):
    """At most n of the values, from the first to the last."""
    return {values[i] for i in np.linspace(0, len(values) - 1, n).round().astype(int)}


def _print_verdict(rows, depths):
    r2 = {(row["method"], row["depth"]): row["r2"] for row in rows}
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] != "PCA"):
        n_better = sum(r2[name, depth] >= r2["PCA", depth] - ROUNDING for depth in depths)
        print(f"Held-out R² of {name} is at or above PCA's at {n_better} of {len(depths)} depths.")
