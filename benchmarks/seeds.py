"""One measurement for many cases and several seeds, in parallel."""

from itertools import product

from benchmarks import cells


def over_seeds(measure, cases, seeds, n_jobs, *args, cache=None):
    """Measure each case with each seed.

    Parameters
    ----------
    measure : callable
        ``measure(case, seed, *args)``; a function of a module.
    cases : list of hashable
    seeds : sequence of int
    n_jobs : int
        Number of processes.
    cache : path-like, default=None
        Folder in which results are kept, as for :func:`benchmarks.cells.run`.

    Returns
    -------
    found : dict of case to list
        What was measured, in the order of the seeds.
    """
    results = cells.run(
        measure, [(*pair, *args) for pair in product(cases, seeds)], cache=cache, n_jobs=n_jobs
    )
    return {case: results[i * len(seeds) : (i + 1) * len(seeds)] for i, case in enumerate(cases)}
