"""What skae costs beside what it is made of: to fit, to apply, to import and to keep.

python benchmarks/engine.py                    # digits
python benchmarks/engine.py --data-dir DIR     # and 20,000 images of DIR/mnist.npz

Seconds of a fit beside those of hand-written loops, and its peak memory; rows per second beside those of the bare module
and of PCA; bytes of a pickle beside those of the weights; seconds to import it beside those of what it imports.
"""

import argparse
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from benchmarks import datasets, loops, memory, report
from benchmarks.measures import pause
from skae import AutoencoderTransformer, ConvAutoencoderTransformer

HAND_WRITTEN, DEFAULT_ADAM = "hand-written loop", "hand-written loop, default Adam"
ENCODE, DECODE = "module.encode", "module.decode"
N_APPLIED = 5  # times that rows go through the network, for each timed fit
IMPORTED = {"torch, sklearn, skorch": "import torch, sklearn, skorch", "skae": "import skae"}


class Case(NamedTuple):
    """Rows to train on, rows to apply to, the estimator, and the same network for a plain loop.

    As many of the rows to apply to as a fit would take out of its own validate (skae only). `hidden` are the hidden layers
    of a perceptron of that size, where there is one.
    """

    name: str
    X: np.ndarray
    X_held_out: np.ndarray
    estimator: object
    body: object
    hidden: tuple | None


class Clock(Callback):
    """Adds up the seconds of a fit that no plain loop would spend.

    Parameters
    ----------
    started : float
        Time at which the fit was called.

    Attributes
    ----------
    start : float
        Seconds before training: checks, PCA, bounds, building the net, scoring epoch 0.
    validation : float
        Seconds after the last batch of each epoch: scoring the validation rows, keeping the best weights.
    """

    def __init__(self, started):
        self.started = started

    def on_train_begin(self, net, **kwargs):
        self.start = perf_counter() - self.started
        self.validation = 0.0

    def on_batch_end(self, net, **kwargs):
        self.last_batch = perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.validation += perf_counter() - self.last_batch


def main(argv=None):
    """Measure what the arguments ask for; write engine.csv and engine_use.csv."""
    options = _parse(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    rows, used = [], []
    for case in _cases(options.data_dir):
        rows += compare_seconds(case, options.epochs, options.repeats)
        used += compare_use(case, N_APPLIED * options.repeats)
    if options.memory_rows:
        rows += compare_memory(options.memory_rows)
    used += compare_imports(options.repeats)
    about = report.provenance(seed=0)
    report.write_csv(options.out / "engine.csv", [row | about for row in rows])
    report.write_csv(options.out / "engine_use.csv", [row | about for row in used])


def compare_seconds(case, epochs, repeats):
    """Medians over alternating runs of skae and of the loops, each also over those of two of the hand-written loops.

    Parameters
    ----------
    case : Case
    epochs, repeats : int

    Returns
    -------
    rows : list of dict
    """
    runs = []
    with report.progress(repeats + 1) as advance:
        _run_each(case, epochs=1)
        advance(f"{case.name}, warm-up")
        for i in range(repeats):
            runs.append(_run_each(case, epochs))
            advance(f"{case.name}, run {i + 1}")
    medians = {what: median(run[what] for run in runs) for what in runs[0]}
    about = {"epochs": epochs, "repeats": repeats}
    rows = [
        {"case": case.name, "what": what, "seconds": value, "ratio": value / medians[HAND_WRITTEN]}
        | {"over_default_adam": value / medians[DEFAULT_ADAM]}
        | about
        for what, value in medians.items()
    ]
    depth, batch_size = case.estimator.n_components, case.estimator.batch_size
    n_rows, n_features = case.X.shape
    print(
        f"\n{case.name}: {n_rows:,} x {n_features}, depth {depth}, batches of {batch_size}, {epochs} epochs,"
    )
    print(
        f"medians of {repeats} alternating runs, ratio to the hand-written loop and to the one with torch's default Adam"
    )
    report.print_table(
        rows, {"what": "", "seconds": ".4f", "ratio": ".3f", "over_default_adam": ".3f"}
    )
    return rows


def _run_each(case, epochs):
    """Seconds of one run of everything that is compared, by what was run."""
    sizes = (case.X, case.body, case.estimator.n_components, case.estimator.batch_size, epochs)
    return {
        HAND_WRITTEN: _seconds(loops.hand_written, *sizes),
        DEFAULT_ADAM: _seconds(loops.hand_written, *sizes, fused=False),
        "hand-written loop, one-cycle rate": _seconds(loops.hand_written, *sizes, one_cycle=True),
        "skorch's defaults": _seconds(loops.skorch_defaults, *sizes),
        **(_perceptron_seconds(case, epochs) if case.hidden else {}),
        **_fit_seconds(case, epochs),
        **(_variant_seconds(case, epochs) if case.hidden else {}),
    }


def _perceptron_seconds(case, epochs):
    """Seconds of a textbook autoencoder, without skae's linear paths: by hand with the default Adam, and scikit-learn's."""
    depth, batch_size = case.estimator.n_components, case.estimator.batch_size
    network = loops.perceptron(case.X.shape[1], case.hidden, depth)
    return {
        "textbook loop, default Adam": _seconds(
            loops.textbook, case.X, network, batch_size, epochs
        ),
        "MLPRegressor": _seconds(
            loops.scikit_learn, case.X, case.hidden, depth, batch_size, epochs
        ),
    }


def _seconds(function, *args, **kwargs):
    pause()
    started = perf_counter()
    function(*args, **kwargs)
    return perf_counter() - started


def _fit_seconds(case, epochs):
    """Seconds of a fit, of one in one thread, and of its parts in a third: a callback makes skae take a slower optimiser."""
    X_val = _validation_rows(case)
    estimator = clone(case.estimator).set_params(max_iter=epochs)
    total = _seconds(estimator.fit, case.X, X_val=X_val)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = _seconds(clone(estimator).fit, case.X, X_val=X_val)
    torch.set_num_threads(n_threads)
    pause()
    clock = Clock(perf_counter())
    clone(estimator).set_params(skorch_callbacks=[clock]).fit(case.X, X_val=X_val)
    return {
        "skae": total,
        "skae, one thread": alone,
        "skae, without start and validation": total - clock.start - clock.validation,
        "skae: start": clock.start,
        "skae: validation": clock.validation,
    }


def _variant_seconds(case, epochs):
    """Seconds of fits whose parameters are not parts of one vector, and whose steps are fewer."""
    variants = {
        "skae, torch.optim.Adam": {"optimizer": torch.optim.Adam},
        "skae, batches four times as large": {"batch_size": 4 * case.estimator.batch_size},
    }
    fits = {
        what: clone(case.estimator).set_params(max_iter=epochs, **variant).fit
        for what, variant in variants.items()
    }
    return {what: _seconds(fit, case.X, X_val=_validation_rows(case)) for what, fit in fits.items()}


def _validation_rows(case):
    return case.X_held_out[: len(case.X) // 10]


def compare_memory(n_rows):
    """Peak memory of a fit above what was there before, each in a process of its own.

    Parameters
    ----------
    n_rows : int
        Of the float32 array to fit on.

    Returns
    -------
    rows : list of dict
    """
    size = n_rows * memory.N_FEATURES * np.dtype(np.float32).itemsize
    name = f"memory, {n_rows} x {memory.N_FEATURES}"
    rows = []
    for method in ("PCA", "skae"):
        command = [sys.executable, "-m", "benchmarks.memory", method, str(n_rows)]
        done = subprocess.run(
            command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        peak = int(done.stdout)
        rows.append(
            {
                "case": name,
                "what": method,
                "mebibytes": peak / 2**20,
                "ratio": peak / size,
                "epochs": memory.EPOCHS,
            }
        )
    print(
        f"\nPeak memory of a fit at depth {memory.DEPTH} on float32 {n_rows:,} x {memory.N_FEATURES} above what was there"
    )
    print("before it (after a small fit, which loads what libraries load late), ratio to the array")
    report.print_table(rows, {"what": "", "mebibytes": ".1f", "ratio": ".3f"})
    return rows


def compare_use(case, repeats):
    """Rows per second of a fitted estimator beside its bare module and PCA, and bytes of its pickle beside its weights.

    Parameters
    ----------
    case : Case
    repeats : int
        Alternating runs, whose medians count.

    Returns
    -------
    rows : list of dict
        `ratio`: seconds over those of the module, or bytes over those of the weights as float32.
    """
    estimator = clone(case.estimator).set_params(max_iter=1).fit(case.X)
    pca = PCA(estimator.n_components, random_state=0).fit(case.X)
    rows = [
        {"case": case.name, "dtype": dtype, "rows": len(case.X_held_out), "repeats": repeats} | row
        for dtype in ("float32", "float64")
        for row in _applied(estimator, pca, case.X_held_out.astype(dtype), repeats)
    ]
    weights, size = 4 * estimator.summary().total, len(pickle.dumps(estimator))
    rows.append(
        {
            "case": case.name,
            "what": "pickle",
            "bytes": size,
            "weight_bytes": weights,
            "ratio": size / weights,
        }
    )
    print(f"\n{case.name}: {len(case.X_held_out):,} rows, medians of {repeats} alternating runs,")
    print(
        "seconds over those of the bare module under inference_mode; pickle: bytes over those of the weights as float32"
    )
    report.print_table(
        rows, {"dtype": "", "what": "", "rows_per_second": ",.0f", "bytes": ",d", "ratio": ".3f"}
    )
    return rows


def _applied(estimator, pca, X, repeats):
    module = deepcopy(estimator.net_.module_).to(torch.from_numpy(X).dtype)
    Z = estimator.transform(X)
    ways = {
        ENCODE: lambda: _bare(module.encode, X),
        "transform": lambda: estimator.transform(X),
        "PCA.transform": lambda: pca.transform(X),
        DECODE: lambda: _bare(module.decode, Z),
        "inverse_transform": lambda: estimator.inverse_transform(Z),
        "PCA.inverse_transform": lambda: pca.inverse_transform(Z),
    }
    runs = [{what: _seconds(way) for what, way in ways.items()} for _ in range(repeats + 1)][1:]
    medians = {what: median(run[what] for run in runs) for what in ways}
    bare = {
        what: medians[DECODE if what.endswith(("decode", "inverse_transform")) else ENCODE]
        for what in ways
    }
    return [
        {"what": what, "rows_per_second": len(X) / seconds, "ratio": seconds / bare[what]}
        for what, seconds in medians.items()
    ]


def _bare(function, X):
    with torch.inference_mode():
        return function(torch.from_numpy(X))


def compare_imports(repeats):
    """Seconds of importing skae in a process of its own, beside those of the libraries that it imports.

    Parameters
    ----------
    repeats : int
        Alternating runs, whose medians count.

    Returns
    -------
    rows : list of dict
    """
    runs = [
        {what: _import_seconds(statement) for what, statement in IMPORTED.items()}
        for _ in range(repeats)
    ]
    medians = {what: median(run[what] for run in runs) for what in IMPORTED}
    bare = medians[next(iter(IMPORTED))]
    rows = [
        {
            "case": "import",
            "what": what,
            "seconds": value,
            "ratio": value / bare,
            "repeats": repeats,
        }
        for what, value in medians.items()
    ]
    print(f"\nImport, medians of {repeats} alternating runs")
    report.print_table(rows, {"what": "", "seconds": ".2f", "ratio": ".3f"})
    return rows


def _import_seconds(statement):
    program = f"from time import perf_counter\nstart = perf_counter()\n{statement}\nprint(perf_counter() - start)"
    command = [sys.executable, "-c", program]
    return float(
        subprocess.run(
            command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


def _cases(data_dir):
    hidden = (256,)
    dense = {"hidden_layer_sizes": hidden, "random_state": 0}
    digits = datasets.digits()
    cases = [
        (digits, "dense", AutoencoderTransformer(16, batch_size=32, **dense), loops.dense, hidden)
    ]
    if data_dir is not None:
        mnist = datasets.mnist(data_dir)
        cases.append(
            (
                mnist,
                "dense",
                AutoencoderTransformer(32, batch_size=128, **dense),
                loops.dense,
                hidden,
            )
        )
        conv = ConvAutoencoderTransformer(32, batch_size=128, random_state=0)
        cases.append((mnist, "convolutional", conv, loops.conv, None))
    for split, kind, *rest in cases:
        yield Case(f"{split.name}, {kind}", split.train.X, split.held_out.X, *rest)


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with mnist.npz (default: digits only)")
    add("--epochs", type=int, default=6, help="of every timed fit (default: 6)")
    add("--repeats", type=int, default=9, help="timed runs of each (default: 9)")
    add(
        "--memory-rows",
        type=int,
        default=60_000,
        help="rows of the memory measurement; 0: none (default: 60000)",
    )
    add("--threads", type=int, help="threads of torch (default: torch's own)")
    add(
        "--quick",
        action="store_true",
        help="digits, one epoch, one run of each, no memory measurement",
    )
    add(
        "--out",
        type=Path,
        default=report.RESULTS,
        help="folder to write to (default: results/ of the repository)",
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.data_dir, options.epochs, options.repeats, options.memory_rows = None, 1, 1, 0
    return options


if __name__ == "__main__":
    main()
