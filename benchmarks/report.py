"""How results are shown and kept: progress, table, CSV, figure."""

import csv
import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tabulate import tabulate  # skorch depends on it

import skae
from benchmarks.datasets import unpack_images

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"  # ignored by git
PARTS = ("validation", "test")  # that can be held out
RECORDED = ROOT / "benchmarks" / "results"  # what the pages show
# In the same colors in all charts.
COLORED = ("PCA", "skae", "skae ordered", "skae VAE", "skae conv")
ERROR = "held-out squared error per value"
# What columns of a CSV are called where they are shown.
LABELS = {"depth": "components", "dataset": "data set", "table": "data set"}


def progress(n_steps):
    """A function to call after each step with a text, which prints how far the job is."""
    steps = iter(range(1, n_steps + 1))
    return lambda text: print(f"[{next(steps)}/{n_steps}] {text}", flush=True)


def print_table(rows, columns):
    """Print rows (dicts); `columns` are their names and formats, as in "method r2:.3f"."""
    formats = dict(column.partition(":")[::2] for column in columns.split())
    formats = {name: form for name, form in formats.items() if any(name in row for row in rows)}
    shown = [{LABELS.get(name, name): row.get(name) for name in formats} for row in rows]
    print(tabulate(shown, headers="keys", floatfmt=[form or "g" for form in formats.values()]))


def provenance(seed, threads=None):
    """Where results come from: versions, processor, threads and seed."""
    packages = {name: version(name) for name in ("torch", "scikit-learn", "skorch", "numpy")}
    about = {"seed": seed, "threads": threads or torch.get_num_threads(), "skae": skae.__version__}
    return about | packages | {"python": platform.python_version(), "processor": processor()}


def processor():
    """Name of the processor."""
    with suppress(OSError):  # not on Linux
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_csv(path, rows):
    """Write rows (dicts) to a CSV file, floats with six digits, and print where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            shown = {k: f"{x:.6g}" if isinstance(x, float) else x for k, x in row.items()}
            writer.writerow(shown)
    print(f"Wrote {path}")


def read_csv(path):
    """Rows of a file of :func:`write_csv`: numbers are int or float, an empty entry is None."""
    csv.field_size_limit(2**27)  # images are in some of them
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _number(text):
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text or None


def by(rows, *columns):
    """Groups of rows by the value of a column, or by those of several, in the order of the rows."""
    found = {}
    for row in rows:
        key = tuple(row[column] for column in columns)
        found.setdefault(key if len(key) > 1 else key[0], []).append(row)
    return found


def lines(rows, x, y):
    """Lines of a :class:`Panel` from two columns of the rows of each method."""
    methods = by(rows, "method").items()
    return {name: ([row[x] for row in own], [row[y] for row in own]) for name, own in methods}


def draw_images(path, rows):
    """Draw images, packed as text, row by row with a label each."""
    parts = [unpack_images(text) for _, text in rows]
    pad = [(0, 0), (0, 1), (0, 1), *[(0, 0)] * (parts[0].ndim - 3)]  # a gray line between images
    framed = [np.concatenate(np.pad(part, pad, constant_values=0.5), axis=1) for part in parts]

    def draw(figure):
        ax = figure.subplots()
        ax.imshow(np.concatenate(framed), cmap="gray_r", vmin=0, vmax=1)
        centers = (parts[0].shape[1] + 1) * (np.arange(len(rows)) + 0.5) - 0.5
        ax.set_yticks(centers, [label for label, _ in rows], fontsize=9)
        ax.set_xticks([])

    _draw(path, (1.8 + 0.7 * len(parts[0]), 0.75 * len(rows)), draw)


class Panel(NamedTuple):
    """A chart of lines: the x and y of each label, and what `matplotlib.axes.Axes.set` takes."""

    lines: dict
    options: dict
    style: str = "o-"


def doubling_axis(sizes):
    """What :class:`Panel` takes for an axis of numbers of components."""
    sizes = {"xticks": sizes, "xticklabels": sizes}
    return {"xscale": "log", "xlabel": "number of components"} | sizes


def draw_lines(path, panels, size=(4.6, 3.6)):
    """Draw charts of this size in inches next to each other."""
    labels = list(dict.fromkeys([*COLORED, *(label for panel in panels for label in panel.lines)]))

    def draw(figure):
        from matplotlib.ticker import LogLocator

        for ax, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            for label, (x, y) in panel.lines.items():
                i = labels.index(label)  # there are ten colors
                style = panel.style if i < 10 else panel.style.replace("-", "--")
                width = 2.5 if len(panel.lines) > 6 and label.startswith("skae") else 1.3
                ax.plot(x, y, style, color=f"C{i}", label=label, markersize=4, linewidth=width)
            ax.set(**panel.options)
            ax.set_xlabel(ax.get_xlabel().replace("_", " "))
            if ax.get_yscale() == "log":
                ax.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
                ax.yaxis.set(minor_formatter="")
            if "xticks" in panel.options:
                ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            ax.legend(fontsize=8)
            ax.grid(alpha=0.3)

    _draw(path, (size[0] * len(panels), size[1]), draw)


def _draw(path, size, draw):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No figure: matplotlib is not installed.")
        return
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    print(f"Wrote {path}")
