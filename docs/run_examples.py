"""Run the examples, and keep the figure and the numbers of each for the pages.

python docs/run_examples.py                  # all, to docs/pictures/
python docs/run_examples.py plot_depth ...   # these only; the numbers of the others stay
"""

import csv
import runpy
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from PIL import Image

DOCS = Path(__file__).resolve().parent
HEADER = ["example", "measure", "method", "value"]


def main(names=(), out=DOCS / "pictures"):
    """Run examples, by default all.

    Each has a `figure`. If it compares methods, it has `errors` or `scores` by name, in which skae
    is the best, or `results`, in which it need not be.
    """
    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    paths = {path.stem: path for path in sorted((DOCS / "examples").glob("plot_*.py"))}
    file = out / "figures.csv"
    lines = {name: [] for name in paths}
    if names and file.exists():
        with file.open(newline="", encoding="utf-8") as stream:
            for example, *line in list(csv.reader(stream))[1:]:
                if example in lines and example not in names:
                    lines[example].append((example, *line))
    for name in names or paths:
        namespace = runpy.run_path(str(paths[name]))
        save(namespace["figure"], out / f"{name}.png")
        plt.close("all")
        for measure in ("error", "score", "result"):
            values = namespace.get(f"{measure}s", {})
            lines[name] += [
                (name, measure, method, f"{value:.4g}") for method, value in values.items()
            ]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([HEADER, *(line for name in lines for line in lines[name])])


def save(figure, path):
    """Write a figure without its alpha channel, which nothing uses, as small as PNG can be."""
    figure.savefig(path, dpi=100)
    with Image.open(path) as image:
        image.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
