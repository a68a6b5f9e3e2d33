"""One measurement for many cases and several seeds, in parallel."""

from itertools import product

from joblib import Parallel, delayed

from benchmarks import report
from benchmarks.measures import one_thread


def over_seeds(measure, cases, seeds, n_jobs, *args):
    """Measure each case with each seed, in processes with one thread each.

    Parameters
    ----------
    measure : callable
        ``measure(case, seed, *args)``; a function of a module.
    cases : list of hashable
    seeds : sequence of int
    n_jobs : int
        Number of processes.

    Returns
    -------
    found : dict of case to list
        What was measured, in the order of the seeds.
    """
    found = {case: {} for case in cases}
    jobs = (delayed(_measure)(measure, case, seed, args) for case, seed in product(cases, seeds))
    with report.progress(len(cases) * len(seeds)) as advance:
        for case, seed, result in Parallel(n_jobs, return_as="generator_unordered")(jobs):
            found[case][seed] = result
            advance(f"{_name(case)}, seed {seed}")
    return {case: [results[seed] for seed in seeds] for case, results in found.items()}


def _measure(measure, case, seed, args):
    with one_thread():
        return case, seed, measure(case, seed, *args)


def _name(case):
    parts = case if isinstance(case, tuple) else (case,)
    return " ".join(str(getattr(part, "stem", part)) for part in parts)
