"""Fill in the figures of the pages, from the files that the benchmarks and the examples wrote.

python docs/figures.py

A page says in a comment what a figure is, in pandas' words and with Python's format, where each file is a name and `of`
finds rows: ``<!-- {of(depth_mnist_test, method="PCA", depth=8).r2:.3f} -->0.443``. The comment of a table stands alone on
the line above it.
"""

import re
from pathlib import Path

import pandas as pd

DOCS = Path(__file__).resolve().parent
PAGES = [
    DOCS / "index.md",
    DOCS / "guide.md",
    DOCS / "architecture.md",
    *sorted((DOCS / "guide").glob("*.md")),
]
FILES = [
    *sorted((DOCS.parent / "benchmarks" / "results").glob("*.csv")),
    DOCS / "pictures" / "figures.csv",
]
COMMENT = r"(?P<comment><!-- \{(?P<what>.+?)(?::(?P<format>[.,\d]*[df%]))?\} -->)"
FIGURE = re.compile(rf"{COMMENT}-?[\d.,]*\d%?")
TABLE = re.compile(rf"^{COMMENT}\n(?:\|.*\n)+", flags=re.MULTILINE)


def fill(text):
    """The page with its figures as the files have them."""
    names = {"of": of, **{path.stem: pd.read_csv(path) for path in FILES}}

    def figure(match):
        return match["comment"] + format(eval(match["what"], names), match["format"] or "")

    def table(match):
        return f"{match['comment']}\n{to_markdown(eval(match['what'], names), match['format'] or '')}\n"

    return FIGURE.sub(figure, TABLE.sub(table, text))


def of(frame, **values):
    """The one row that has these values."""
    (row,) = frame[(frame[list(values)] == pd.Series(values)).all(axis=1)].itertuples()
    return row


def to_markdown(frame, spec):
    """A table whose first column are the frame's rows, with all values in one format."""
    rows = [[frame.columns.name or "", *frame.columns], ["---", *["---:"] * len(frame.columns)]]
    rows += [
        [name, *(format(value, spec) for value in values)]
        for name, *values in frame.itertuples(name=None)
    ]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("_", " ") for cell in row) + " |" for row in rows
    )


def main():
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
