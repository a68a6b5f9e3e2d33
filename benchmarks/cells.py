"""The cells of a study: measured in parallel, each kept when it is done."""

from joblib import Parallel, delayed

from benchmarks import report
from benchmarks.cache import remembered
from benchmarks.measures import one_thread


def run(measure, cells, *, cache=None, n_jobs=1):
    """Measure each cell; those that the cache holds are not computed again.

    Parameters
    ----------
    measure : callable
        A function of a module.
    cells : list of tuple
        Its arguments.
    cache : path-like, default=None
        Folder in which results are kept; None keeps none.
    n_jobs : int, default=1
        Number of processes. A single one takes all threads of torch, several take one thread each.

    Returns
    -------
    results : list
        In the order of the cells.
    """
    results = [None] * len(cells)
    measure = remembered(measure, cache)
    jobs = (
        delayed(_measure)(measure, position, cell, n_jobs == 1)
        for position, cell in enumerate(cells)
    )
    with report.progress(len(cells)) as advance:
        for position, result in Parallel(n_jobs, return_as="generator_unordered")(jobs):
            results[position] = result
            advance(_name(cells[position]))
    return results


def _measure(measure, position, cell, is_alone):
    if is_alone:
        return position, measure(*cell)
    with one_thread():
        return position, measure(*cell)


def _name(cell):
    """What tells a cell from the others: its first arguments."""
    return ", ".join(str(getattr(argument, "stem", argument)) for argument in cell[:3])
