"""Fill in the numbers of the pages, from the files that the benchmarks and the examples wrote.

python docs/figures.py

A page says in a comment what a number is, as an expression of pandas with a format of Python.
Each file is a name, `of` finds a row and `show` makes a table with a format for each column:
``<!-- {of(depth_mnist_test, method="PCA", depth=8).r2:.3f} -->0.443``. The comment of a table
stands alone on the line above it.
"""

import re
from functools import cache
from pathlib import Path

import pandas as pd

DOCS = Path(__file__).resolve().parent
BENCHMARKS = DOCS.parent / "benchmarks"
PAGES = [
    *(page for page in sorted(DOCS.glob("*.md")) if page.name != "README.md"),
    *sorted((DOCS / "guide").glob("*.md")),
    BENCHMARKS / "README.md",
]
FILES = [*sorted((BENCHMARKS / "results").glob("*.csv")), DOCS / "pictures" / "figures.csv"]
COMMENT = r"(?P<comment><!-- \{(?P<what>.+?)(?::(?P<format>[+.,\d]*[df%]))?\} -->)"
FIGURE = re.compile(rf"{COMMENT}[+-]?[\d.,]*\d%?")
TABLE = re.compile(rf"^{COMMENT}\n(?:\|.*\n)+", flags=re.MULTILINE)


def fill(text):
    """The page with its numbers as the files have them."""

    def figure(match):
        return match["comment"] + formatted(eval(match["what"], names()), match["format"] or "")

    def table(match):
        shown = to_markdown(eval(match["what"], names()), match["format"] or "")
        return f"{match['comment']}\n{shown}\n"

    return FIGURE.sub(figure, TABLE.sub(table, text))


@cache
def names():
    """What an expression can use: the files by their names, and functions."""
    files = {path.stem: pd.read_csv(path) for path in FILES}
    return {"of": of, "show": show, **files}


def of(frame, **values):
    """The one row that has these values."""
    (row,) = frame[(frame[list(values)] == pd.Series(values)).all(axis=1)].itertuples()
    return row


def show(frame, *columns):
    """Columns with a format and a label each, as in ``"mse:.4f -> squared error"``.

    The first column names the rows of the table.
    """
    shown = {}
    for column in columns:
        source, _, label = column.partition(" -> ")
        name, _, spec = source.partition(":")
        shown[label or name] = [formatted(value, spec) for value in frame[name]]
    first = next(iter(shown))
    return pd.DataFrame(shown).set_index(first).rename_axis(index=None, columns=first)


def formatted(value, spec):
    """Text of a value: nothing where it is missing, and a zero without a sign."""
    if isinstance(value, str) or pd.isna(value):
        return value if isinstance(value, str) else ""
    text = format(round(value) if spec.endswith("d") else value, spec)
    return text if re.search("[1-9]", text) else text.lstrip("+-")


def to_markdown(frame, spec):
    """A table whose first column is the index of the frame, with all values in one format."""
    rows = [[frame.columns.name or "", *frame.columns], ["---", *["---:"] * len(frame.columns)]]
    for name, *values in frame.itertuples(name=None):
        rows.append([name, *(formatted(value, spec) for value in values)])
    return "\n".join("| " + " | ".join(map(_entry, row)) + " |" for row in rows)


def _entry(value):
    """An entry of a table, with spaces for underscores unless it is code."""
    return str(value) if "`" in str(value) else str(value).replace("_", " ")


def main():
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
