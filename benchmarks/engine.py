"""What the training engine costs: seconds of a fit beside those of hand-written loops, and its peak memory.

python benchmarks/engine.py                    # digits
python benchmarks/engine.py --data-dir DIR     # and 20,000 images of DIR/mnist.npz
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from benchmarks import datasets, loops, memory, report
from skae import AutoencoderTransformer, ConvAutoencoderTransformer

HAND_WRITTEN = "hand-written loop"


class Case(NamedTuple):
    """Rows to train on, rows that validate (skae only), the estimator, and the same network for a plain loop."""

    name: str
    X: np.ndarray
    X_val: np.ndarray
    estimator: object
    body: object


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
    """Measure seconds and memory; write engine.csv."""
    options = _parse(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = []
    for case in _cases(options.data_dir):
        rows += compare_seconds(case, options.epochs, options.repeats)
    if options.memory_rows:
        rows += compare_memory(options.memory_rows)
    about = report.provenance(seed=0)
    report.write_csv(options.out / "engine.csv", [row | about for row in rows])


def compare_seconds(case, epochs, repeats):
    """Medians over alternating runs of skae and of the loops, each also over that of the hand-written loop.

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
        {"case": case.name, "what": what, "seconds": value, "ratio": value / medians[HAND_WRITTEN]} | about
        for what, value in medians.items()
    ]
    depth, batch_size = case.estimator.n_components, case.estimator.batch_size
    n_rows, n_features = case.X.shape
    print(f"\n{case.name}: {n_rows:,} x {n_features}, depth {depth}, batches of {batch_size}, {epochs} epochs,")
    print(f"medians of {repeats} alternating runs, ratio to the hand-written loop")
    report.print_table(rows, {"what": "", "seconds": ".4f", "ratio": ".3f"})
    return rows


def _run_each(case, epochs):
    """Seconds of one run of everything that is compared, by what was run."""
    sizes = (case.X, case.body, case.estimator.n_components, case.estimator.batch_size, epochs)
    return {
        HAND_WRITTEN: _seconds(loops.hand_written, *sizes),
        "hand-written loop, one-cycle rate": _seconds(loops.hand_written, *sizes, one_cycle=True),
        "skorch's defaults": _seconds(loops.skorch_defaults, *sizes),
        **_fit_seconds(case, epochs),
    }


def _seconds(function, *args, **kwargs):
    started = perf_counter()
    function(*args, **kwargs)
    return perf_counter() - started


def _fit_seconds(case, epochs):
    """Seconds of a fit, and of its parts."""
    clock = Clock(perf_counter())
    clone(case.estimator).set_params(max_iter=epochs, skorch_callbacks=[clock]).fit(case.X, X_val=case.X_val)
    total = perf_counter() - clock.started
    return {
        "skae": total,
        "skae, without start and validation": total - clock.start - clock.validation,
        "skae: start": clock.start,
        "skae: validation": clock.validation,
    }


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
        done = subprocess.run(command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True, check=True)
        peak = int(done.stdout)
        rows.append({"case": name, "what": method, "mebibytes": peak / 2**20, "ratio": peak / size, "epochs": memory.EPOCHS})
    print(f"\nPeak memory of a fit at depth {memory.DEPTH} on float32 {n_rows:,} x {memory.N_FEATURES} above what was there")
    print("before it (after a small fit, which loads what libraries load late), ratio to the array")
    report.print_table(rows, {"what": "", "mebibytes": ".1f", "ratio": ".3f"})
    return rows


def _cases(data_dir):
    dense = {"hidden_layer_sizes": (256,), "random_state": 0}
    digits = datasets.digits()
    cases = [(digits, "dense", AutoencoderTransformer(16, batch_size=32, **dense), loops.dense)]
    if data_dir is not None:
        mnist = datasets.mnist(data_dir)
        cases.append((mnist, "dense", AutoencoderTransformer(32, batch_size=128, **dense), loops.dense))
        cases.append((mnist, "convolutional", ConvAutoencoderTransformer(32, batch_size=128, random_state=0), loops.conv))
    for split, kind, estimator, body in cases:
        n_validation = len(split.train.X) // 10  # as many beside the training rows as a fit would take out of them
        yield Case(f"{split.name}, {kind}", split.train.X, split.held_out.X[:n_validation], estimator, body)


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with mnist.npz (default: digits only)")
    add("--epochs", type=int, default=6, help="of every timed fit (default: 6)")
    add("--repeats", type=int, default=9, help="timed runs of each (default: 9)")
    add("--memory-rows", type=int, default=60_000, help="rows of the memory measurement; 0: none (default: 60000)")
    add("--threads", type=int, help="threads of torch (default: torch's own)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
