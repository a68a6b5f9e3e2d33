"""The measurements of a study: in parallel, each kept on disk when it is done.

A run that is interrupted continues where it stopped, and another question finds the same fits.
"""

import hashlib
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from inspect import getfile
from pathlib import Path

import torch
from joblib import Memory, Parallel, delayed
from threadpoolctl import threadpool_limits

from benchmarks import report

PACKAGES = ("numpy", "scikit-learn", "torch")  # a result depends on their versions


def run(measure, cells, *, cache=None, n_jobs=1):
    """Results of ``measure(*cell)`` in the order of the cells, kept in the folder `cache`."""
    results = [None] * len(cells)
    measure = remembered(measure, cache)
    jobs = (delayed(_measure)(measure, i, cell, n_jobs == 1) for i, cell in enumerate(cells))
    advance = report.progress(len(cells))
    for i, result in Parallel(n_jobs, return_as="generator_unordered")(jobs):
        results[i] = result
        advance(", ".join(str(getattr(x, "stem", x)) for x in cells[i][:3]))
    return results


def _measure(measure, position, cell, is_alone):
    with limited_threads(None if is_alone else 1):  # several processes have one thread each
        return position, measure(*cell)


@contextmanager
def limited_threads(n_threads):
    """Compute with that many threads of torch and numpy; None leaves their numbers as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def remembered(function, folder):
    """A function of a module, of positional arguments, that keeps its results in a folder.

    A result is computed again if its arguments, the version of one of `PACKAGES`, a file of skae,
    the file of the function, datasets.py or methods.py have changed.
    """
    if folder is None:
        return function
    remember = Memory(folder, verbose=0).cache(_call, ignore=["function"])
    return partial(remember, function, _identity(function))


def _call(function, identity, *arguments):
    return function(*arguments)


def _identity(function):
    package = Path(find_spec("skae").origin).parent
    files = sorted({*package.rglob("*.py"), *_files(function)})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return (function.__module__, function.__name__, digest, *map(version, PACKAGES))


def _files(function):
    """Files of benchmarks/ that results of a function depend on."""
    folder = Path(__file__).parent
    return {folder / "datasets.py", folder / "methods.py", Path(getfile(function))}
