"""How results are shown and kept: progress, table, CSV, picture."""

import csv
import platform
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tabulate import tabulate  # skorch depends on it

import skae
from benchmarks import images

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"  # ignored by git; what is to be kept goes to benchmarks/results by --out
# In the same colours in all charts.
COLOURED = ("PCA", "skae", "skae ordered", "skae VAE", "skae conv")


def epochs(text):
    """Number of epochs that a command is given, or "auto"."""
    return text if text == "auto" else int(text)


@contextmanager
def progress(n_steps):
    """Show how far a job is: a bar where rich is installed and there is a terminal, else a line for each step.

    Yields
    ------
    advance : callable
        To be called after each step with a text that says what was done.
    """
    bar = _bar()
    if bar is None:
        n_done = 0

        def advance(text):
            nonlocal n_done
            n_done += 1
            print(f"[{n_done}/{n_steps}] {text}", flush=True)

        yield advance
    else:
        with bar:
            task = bar.add_task("", total=n_steps)
            yield lambda text: bar.update(task, advance=1, description=text)


def _bar():
    try:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )
    except ImportError:
        return None
    bar = Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )
    return bar if bar.console.is_terminal else None


def print_table(rows, formats):
    """Print rows (dicts) as a table.

    Parameters
    ----------
    rows : list of dict
    formats : dict of str to str
        The columns to show, and the format of each ("" for text and integers).
    """
    cells = [{name: row.get(name) for name in formats} for row in rows]
    print(tabulate(cells, headers="keys", floatfmt=[form or "g" for form in formats.values()]))


def provenance(seed, threads=None):
    """Where results come from: versions, processor, threads and seed."""
    packages = {name: version(name) for name in ("torch", "scikit-learn", "skorch", "numpy")}
    return {
        "seed": seed,
        "threads": threads or torch.get_num_threads(),
        "skae": skae.__version__,
        **packages,
        "python": platform.python_version(),
        "processor": _processor(),
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_csv(path, rows):
    """Write rows (dicts) to a CSV file, floats with six digits, and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()}
            )
    print(f"Wrote {path}")


def read_csv(path):
    """Read what :func:`write_csv` wrote.

    Returns
    -------
    rows : list of dict
        Numbers are int or float, an empty cell is None.
    """
    csv.field_size_limit(2**27)  # images are in some of them
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _number(text):
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text or None


def draw_images(path, rows):
    """Draw images row by row, and say where the picture is; without matplotlib, say that there is none.

    Parameters
    ----------
    path : pathlib.Path
    rows : list of (str, str)
        Label of each row of the picture, and its images as :func:`benchmarks.images.pack` writes them.
    """
    parts = [images.unpack(text) for _, text in rows]
    mosaic = np.concatenate(
        [np.concatenate([_framed(image) for image in part], axis=1) for part in parts]
    )
    figure = _figure(1.8 + 0.7 * len(parts[0]), 0.75 * len(rows))
    if figure is None:
        return
    ax = figure.subplots()
    ax.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1)
    ax.set_xticks([])
    ax.set_yticks(
        (parts[0].shape[1] + 1) * (np.arange(len(rows)) + 0.5) - 0.5,
        [label for label, _ in rows],
        fontsize=9,
    )
    _save(figure, path)


def _framed(image):
    """An image in [0, 1] with a grey line below and to the right."""
    pad = [(0, 1), (0, 1), *[(0, 0)] * (image.ndim - 2)]
    return np.pad(image, pad, constant_values=0.5)


class Panel(NamedTuple):
    """A chart of lines: by label the x and y of each, and what `matplotlib.axes.Axes.set` takes."""

    lines: dict
    options: dict
    style: str = "o-"


def depth_axis(depths):
    """What :class:`Panel` takes for an axis of depths, or of other sizes that double."""
    return {"xscale": "log", "xlabel": "depth", "xticks": depths, "xticklabels": depths}


def draw_lines(path, panels):
    """Draw charts side by side, a colour for each label; without matplotlib, say that there is none.

    Parameters
    ----------
    path : pathlib.Path
    panels : list of Panel
    """
    figure = _figure(4.6 * len(panels), 3.6)
    if figure is None:
        return
    labels = list(dict.fromkeys([*COLOURED, *(label for panel in panels for label in panel.lines)]))
    for ax, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for label, (x, y) in panel.lines.items():
            ax.plot(x, y, panel.style, color=f"C{labels.index(label)}", label=label, markersize=4)
        ax.set(**panel.options)
        if "xticks" in panel.options:
            ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        ax.legend(fontsize=8)
        ax.grid(alpha=0.3)
    _save(figure, path)


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No picture: matplotlib is not installed.")
        return None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    print(f"Wrote {path}")
