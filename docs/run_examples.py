"""Run the examples, and keep the picture and the figures of each for the pages.

python docs/run_examples.py        # writes docs/pictures/*.png and docs/pictures/figures.csv
"""

import csv
import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parent


def main(out=DOCS / "pictures"):
    """Run all examples; each has a `figure` and, where it compares, `errors` or `scores` by name."""
    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted((DOCS / "examples").glob("plot_*.py")):
        names = runpy.run_path(str(path))
        names["figure"].savefig(out / f"{path.stem}.png", dpi=100)
        plt.close("all")
        for measure in ("error", "score"):
            values = names.get(f"{measure}s", {})
            rows += [(path.stem, measure, name, f"{value:.4g}") for name, value in values.items()]
    with (out / "figures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("example", "measure", "method", "value"), *rows])


if __name__ == "__main__":
    main()
