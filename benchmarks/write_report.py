"""Write benchmarks/README.md from the results in benchmarks/results/ and the sections in benchmarks/sections/.

python benchmarks/write_report.py           # the page
python benchmarks/write_report.py --draw    # the figures too, anew from the CSVs

A section is a jinja2 template; sections follow one another in the order of their names. In it stand no figures but those
that these put there, out of a CSV of the results, named without its ending:

- ``rows(name, **where)``: the rows that have these values, as dicts;
- ``value(name, column, **where)``: the value of the one row that has these;
- ``table(name, rows=..., columns=..., values=..., form=..., **where)``: a table; all values of the column `columns` side by
  side, or with a list for it those columns themselves;
- ``picture(name, text)``: a picture of the results;
- ``has(name)``: whether there is such a CSV: what has not been measured yet can say so;

and the filters ``form``, a format of Python, and ``extract``, the value of a row in the column that is given:
``{{ value("depth_mnist_test", "r2", method="PCA", depth=32) | form(".3f") }}``.
"""

import argparse
import importlib
import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from jinja2 import Environment, FileSystemLoader, StrictUndefined  # torch depends on it
from tabulate import tabulate

from benchmarks import report

FOLDER = Path(__file__).resolve().parent
RESULTS, SECTIONS, PAGE = FOLDER / "results", FOLDER / "sections", FOLDER / "README.md"
# Commands that have `draw`.
WITH_FIGURES = ("compression", "denoising", "depth", "downstream", "epochs", "samples")


def main(argv=None):
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draw", action="store_true", help="draw the figures of all results, too")
    if parser.parse_args(argv).draw:
        draw_all()
    PAGE.write_text(render(), encoding="utf-8")
    print(f"Wrote {PAGE}")


def render(sections=SECTIONS, results=RESULTS):
    """Give the text of the page.

    Parameters
    ----------
    sections, results : path-like
        Folders of the templates and of the CSVs.

    Returns
    -------
    text : str
    """
    environment = Environment(
        loader=FileSystemLoader(sections),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"form": format, "extract": lambda key, row: row[key]}
    environment.globals |= Results(Path(results)).names()
    texts = [
        environment.get_template(name).render().strip()
        for name in sorted(environment.list_templates(["md"]))
    ]
    return "\n\n".join(texts) + "\n"


def draw_all(results=RESULTS):
    """Draw the figures of all CSVs whose command draws one."""
    for command in WITH_FIGURES:
        for path in sorted(Path(results).glob(f"{command}_*.csv")):
            importlib.import_module(f"benchmarks.{command}").draw(path)


class Results:
    """What a section can say of the results.

    Parameters
    ----------
    folder : pathlib.Path
        Of the CSVs and pictures.
    """

    def __init__(self, folder):
        self.folder = folder

    def names(self):
        """The functions that a section can call, by name."""
        return {name: getattr(self, name) for name in ("rows", "value", "table", "picture", "has")}

    def has(self, name):
        """Whether there is such a CSV."""
        return (self.folder / f"{name}.csv").exists()

    def rows(self, name, **where):
        """Rows of a CSV that have these values in these columns; a list stands for any of its values."""
        found = report.read_csv(self.folder / f"{name}.csv")
        wanted = {
            column: given if isinstance(given, list) else [given] for column, given in where.items()
        }
        return [
            row for row in found if all(row[column] in given for column, given in wanted.items())
        ]

    def value(self, name, column, **where):
        """The value of a column in the one row that has these values in these columns.

        Raises
        ------
        ValueError
            If there is no such row, or more than one.
        """
        found = self.rows(name, **where)
        if len(found) != 1:
            raise ValueError(
                f"{name}.csv has {len(found)} rows with {where}: name columns that tell one from the others."
            )
        return found[0][column]

    def table(self, name, *, rows, columns, values=None, form="", heads=None, **where):
        """A table: a line for each value of the column `rows`.

        Parameters
        ----------
        name : str
        rows : str or list of str
            The columns that name a line.
        columns : str or list of str
            A column whose values head the table's columns, of the column `values`; or the columns to show themselves.
        values : str, default=None
        form : str or dict of str to str, default=""
            Format of the numbers, or of those of each column.
        heads : dict of str to str, default=None
            What to call columns.
        """
        rows = [rows] if isinstance(rows, str) else rows
        lines, shown = {}, []
        for row in self.rows(name, **where):
            line = lines.setdefault(tuple(row[column] for column in rows), {})
            cells = (
                {row[columns]: row[values]}
                if isinstance(columns, str)
                else {name: row[name] for name in columns}
            )
            line |= {
                head: _cell(cell, form.get(head, "") if isinstance(form, dict) else form)
                for head, cell in cells.items()
            }
            shown = list(dict.fromkeys([*shown, *cells]))
        body = [[*key, *(line.get(head, "") for head in shown)] for key, line in lines.items()]
        labels = [(heads or {}).get(head, head) for head in (*rows, *shown)]
        sides = ["left"] * len(rows) + ["right"] * len(shown)
        return tabulate(
            body, headers=labels, tablefmt="github", colalign=sides, disable_numparse=True
        )

    def picture(self, name, text):
        """A picture of the results, and what it shows."""
        if not (self.folder / f"{name}.png").exists():
            raise FileNotFoundError(f"There is no picture {name}.png in {self.folder}.")
        return f"![{text}](results/{name}.png)"


def _cell(value, form):
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, form)


if __name__ == "__main__":
    main()
