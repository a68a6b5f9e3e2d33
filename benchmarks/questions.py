"""What the questions share: options, and the way from an answer to a table, a CSV and a figure."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from inspect import getdoc
from pathlib import Path
from typing import NamedTuple

from benchmarks import cells, report
from benchmarks.datasets import Source, table_paths
from benchmarks.methods import fits

QUESTIONS = {}  # by name
PART_OF = {"mnist": "validation"}  # to hold out by default, by data set


def option(flag, text, **settings):
    """An option of the command line: its flag, and what `add_argument` takes."""
    return flag.replace("_", "-"), settings | {"help": f"{text} (default: %(default)s)"}


def number_of_epochs(text):
    """Number of epochs given on the command line, or "auto"."""
    return text if text == "auto" else int(text)


MNIST_HELP = "folder with mnist.npz and tabular/*.npz, else from OpenML and scikit-learn"
DATA_DIR = option("--data-dir", MNIST_HELP, type=Path)
OUT = option("--out", "folder to write to", type=Path, default=report.RESULTS)
QUICK = option("--quick", "small data, one epoch: to see that it runs", action="store_true")
JOBS = option("--jobs", "processes, one thread each if more than one", type=int, default=1)
THREADS = option("--threads", "threads of torch and numpy, else their own", type=int)
SHARED = (
    *(QUICK, DATA_DIR, OUT),
    option("--train-size", "training images of MNIST", type=int, default=20_000),
    option("--epochs", "epochs of a fit, a number or auto", type=number_of_epochs, default="auto"),
    option("--seed", "first random seed", type=int, default=0),
    option("--evaluate", "held-out part, else test; for MNIST validation", choices=report.PARTS),
    option("--label", "text to add to the names of the files", default=""),
)
SIZED = {  # of questions whose quick form has one
    "n_components": option("--n-components", "numbers of components", type=int, nargs="+"),
    "repeats": option("--repeats", "timed fits of each kind", type=int),
}


class Question(NamedTuple):
    """A question and how it is answered."""

    name: str  # one or two words of the command line
    answer: object  # ``answer(options) -> rows``, or a dict of rows by the ending of their file
    columns: str  # to print, with their formats; those that no row has are left out
    file: str = "{name}_{dataset}{label}_{evaluate}"  # of the CSV, with options
    datasets: tuple = ("digits", "mnist")  # the default first
    options: tuple = ()  # not shared by all questions
    defaults: dict = {}
    quick: dict = {}  # defaults with `--quick`
    mnist: dict = {}  # defaults for MNIST
    draw: object = None  # ``draw(path)`` draws the figure of a CSV next to it
    timed: bool = False  # measures seconds, in one process: has `--threads` instead of `--jobs`

    @property
    def text(self):
        """What is asked, in one line."""
        return getdoc(self.answer).partition("\n")[0]

    def parse(self, argv):
        """Read the options; those given take precedence over `quick`, these over `mnist`."""
        parser = ArgumentParser(
            prog=f"python -m benchmarks {self.name}",
            description=getdoc(self.answer),
            formatter_class=RawDescriptionHelpFormatter,
        )
        if len(self.datasets) > 1:
            flag, settings = option("--dataset", "data set", choices=self.datasets)
            parser.add_argument(flag, **settings)
        sized = [SIZED[name] for name in SIZED if name in self.quick]
        for flag, settings in (*self.options, *sized, *SHARED, THREADS if self.timed else JOBS):
            parser.add_argument(flag, **settings)
        fixed = {"jobs": 1} if self.timed else {"threads": None}
        parser.set_defaults(dataset=self.datasets[0], **fixed | self.defaults)
        given = parser.parse_args(argv)
        if given.dataset == "mnist":
            parser.set_defaults(**self.mnist)
        if given.quick:
            parser.set_defaults(**{"epochs": 1} | self.quick)
        options = parser.parse_args(argv)
        options.evaluate = options.evaluate or PART_OF.get(options.dataset, "test")
        options.label = options.label and f"_{options.label}"
        options.cache = options.out / "cache"
        return options

    def run(self, argv):
        """Answer the question; return the paths of the CSVs that are written."""
        options = self.parse(argv)
        about = {"evaluate": options.evaluate, "epochs": options.epochs}
        with cells.limited_threads(options.threads):
            answer = self.answer(options)
            about |= report.provenance(options.seed, None if options.jobs == 1 else 1)
        name = self.file_name(options) + ("_quick" if options.quick else "")
        paths = []
        for ending, rows in (answer if isinstance(answer, dict) else {"": answer}).items():
            report.print_table(rows, self.columns)
            paths.append(options.out / f"{name}{ending}.csv")
            report.write_csv(paths[-1], [row | about | row for row in rows])
        if self.draw:
            self.draw(paths[0])
        return paths

    def file_name(self, options):
        """Name of the CSV without its ending."""
        return self.file.format(**{"name": self.name} | vars(options))


def question(name, columns, **settings):
    """Make a function the answer to a question; the parameters are those of :class:`Question`."""

    def register(answer):
        QUESTIONS[name] = Question(name, answer, columns, **settings)
        return answer

    return register


def sources(options, *, n_seeds=1):
    """Sources of the data set of the options; for "tabular" of all of them, with several seeds."""
    names = table_paths(options.data_dir) if options.dataset == "tabular" else [options.dataset]
    seeds = range(options.seed, options.seed + n_seeds)
    given = options.data_dir, options.evaluate
    return [Source(name, *given, seed, options.train_size) for name in names for seed in seeds]


def run(measure, jobs, options):
    """Results of ``measure(*job)`` in the order of the jobs."""
    return cells.run(measure, jobs, cache=options.cache, n_jobs=options.jobs)


def over_fits(measure, names, sizes, source, options):
    """Rows of ``measure(method, sizes, source, epochs, cache)``, by number of components."""
    jobs = [(*pair, source, options.epochs, options.cache) for pair in fits(names, sizes)]
    rows = [row for rows in run(measure, jobs, options) for row in rows]
    return sorted(rows, key=lambda row: row["depth"])


def over_seeds(measure, options, n_seeds, *arguments):
    """Results of ``measure(source, *arguments)`` in the order of the seeds, by data set."""
    every = sources(options, n_seeds=n_seeds)
    results = run(measure, [(source, *arguments) for source in every], options)
    found = {}
    for source, result in zip(every, results, strict=True):
        found.setdefault(source.title, []).append(result)
    return found
