"""How results are shown and kept: progress, table, CSV, picture."""

import csv
import platform
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
from tabulate import tabulate  # skorch depends on it

import skae

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"  # ignored by git; what is to be kept goes to benchmarks/results by --out


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
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
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
            writer.writerow({name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()})
    print(f"Wrote {path}")


def draw_images(path, rows, image_shape):
    """Draw images row by row, and say where the picture is; without matplotlib, say that there is none.

    Parameters
    ----------
    path : pathlib.Path
    rows : list of (str, ndarray of shape (n_images, n_pixels))
        Label and images in [0, 1] of each row of the picture.
    image_shape : tuple of int
        Height and width of an image.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No picture: matplotlib is not installed.")
        return
    n_images = len(rows[0][1])
    figure = Figure(figsize=(1.8 + 0.7 * n_images, 0.75 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), n_images, squeeze=False)
    for axes, (label, images) in zip(grid, rows, strict=True):
        axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11)
        for ax, image in zip(axes, images, strict=True):
            ax.imshow(image.reshape(image_shape).clip(0, 1), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"Wrote {path}")
