"""The options that commands share."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from benchmarks import report
from benchmarks.datasets import Source, table_paths

DATA_DIR = "folder with mnist.npz and tabular/*.npz; without it MNIST comes from OpenML, and tables are scikit-learn's"


def parser(doc, *, datasets=("digits", "mnist")):
    """Make a parser of the options that all commands have.

    Parameters
    ----------
    doc : str
        What `--help` says above the options.
    datasets : sequence of str
        The choices of `--dataset`, the default first; a single one is no option.

    Returns
    -------
    parser : argparse.ArgumentParser
    """
    made = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    add = made.add_argument
    add(
        "--quick",
        action="store_true",
        help="in seconds, on data that scikit-learn embeds: to see that it runs",
    )
    if len(datasets) > 1:
        add("--dataset", choices=datasets, default=datasets[0])
    else:
        made.set_defaults(dataset=datasets[0])
    add("--data-dir", type=Path, help=DATA_DIR)
    add(
        "--train-size",
        type=int,
        default=20_000,
        help="number of training images of mnist (default: 20000)",
    )
    add(
        "--epochs",
        type=report.epochs,
        help="of skae: a number or auto (default: auto, but a number for mnist)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="of splits and methods; the first, where there are several (default: 0)",
    )
    add(
        "--evaluate",
        choices=["validation", "test"],
        help="held-out part (default: test; mnist: validation)",
    )
    add(
        "--jobs",
        type=int,
        default=1,
        help="processes, with one thread each if there are several (default: 1)",
    )
    add(
        "--out",
        type=Path,
        default=report.RESULTS,
        help="folder to write to (default: results/ of the repository)",
    )
    return made


def parse(parser, argv, *, quick, mnist):
    """Parse the arguments of a command.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of :func:`parser`, to which the command may have added options of its own.
    argv : list of str or None
    quick : dict
        The defaults under `--quick`.
    mnist : dict
        The defaults for MNIST, `epochs` among them.

    Returns
    -------
    options : argparse.Namespace
        With `cache`, the folder of finished cells, and `suffix`, which ends the names of the files to write.
    """
    given = parser.parse_args(argv)
    if given.dataset == "mnist":
        parser.set_defaults(**mnist)
    if given.quick:
        parser.set_defaults(**quick)
    options = parser.parse_args(argv)
    options.evaluate = options.evaluate or ("validation" if options.dataset == "mnist" else "test")
    options.epochs = "auto" if options.epochs is None else options.epochs
    options.cache = options.out / "cache"
    options.suffix = f"{options.evaluate}_quick" if options.quick else options.evaluate
    return options


def sources(options, *, n_seeds=1):
    """Sources of the dataset of the options; for "tabular" of all tables, and several seeds of each.

    Returns
    -------
    sources : list of benchmarks.datasets.Source
    """
    names = table_paths(options.data_dir) if options.dataset == "tabular" else [options.dataset]
    seeds = range(options.seed, options.seed + n_seeds)
    return [
        Source(name, options.data_dir, options.evaluate, seed, options.train_size)
        for name in names
        for seed in seeds
    ]


def about(options):
    """What each row of a CSV says of how it came about."""
    given = {"evaluate": options.evaluate, "epochs": options.epochs}
    return given | report.provenance(options.seed, threads=None if options.jobs == 1 else 1)
