"""What skae costs compared with what it is made of: to fit, to apply, to import and to store."""

import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from benchmarks import cells, datasets, peers, report
from benchmarks.methods import methods
from benchmarks.questions import option, question, sources
from skae import AutoencoderTransformer, ConvAutoencoderTransformer

HAND_WRITTEN, DEFAULT_ADAM = "hand-written loop", "hand-written loop, default Adam"
ENCODE, DECODE = "module.encode", "module.decode"
N_APPLIED = 5  # times that samples go through the network, for each timed fit
IMPORTED = {"torch, sklearn, skorch": "import torch, sklearn, skorch", "skae": "import skae"}
PROCESS = Path("/proc/self")
MEMORY_FEATURES, MEMORY_COMPONENTS, MEMORY_EPOCHS = 784, 32, 2


class Case(NamedTuple):
    """Data, the estimator, and the same network for a plain loop."""

    name: str
    X: np.ndarray
    X_held_out: np.ndarray
    estimator: object
    paths: object  # the function that makes the residual paths of the network
    hidden: tuple | None  # layers of a perceptron of that size, if there is one


class Clock(Callback):
    """Adds up the seconds of a fit that no plain loop would spend.

    `start` are those before training: checks, PCA, bounds, building the net, scoring epoch 0.
    `validation` are those after the last batch of an epoch: scoring, keeping the best weights.
    """

    def __init__(self):
        self.began, self.validation = perf_counter(), 0.0

    def on_train_begin(self, net, **kwargs):
        self.start = perf_counter() - self.began

    def on_batch_end(self, net, **kwargs):
        self.last_batch = perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.validation += perf_counter() - self.last_batch


@question(
    "engine",
    "case dtype what seconds:.4f rows_per_second:,.0f bytes:,d mebibytes:.1f ratio:.3f "
    "over_default_adam:.3f",
    file="engine{label}",
    options=(option("--memory-samples", "samples to measure memory", type=int, default=60_000),),
    defaults={"epochs": 6, "repeats": 9},
    quick={"repeats": 1, "memory_samples": 0},
    timed=True,
)
def engine(options):
    """What training, applying, importing and storing cost, compared with plain PyTorch.

    With `--dataset mnist` MNIST is measured next to the digits.
    """
    rows, used = [], []
    for case in cases(options):
        rows += _compare_seconds(case, options.epochs, options.repeats)
        used += _compare_use(case, N_APPLIED * options.repeats)
    if options.memory_samples and PROCESS.exists():  # on Linux alone
        rows += _compare_memory(options.memory_samples)
    return {"": rows, "_use": used + _compare_imports(options.repeats)}


def cases(options):
    """Yield the digits and, with `--dataset mnist`, MNIST, with what is fitted to them."""
    dense = {"hidden_layer_sizes": (256,), "random_state": 0}
    small = AutoencoderTransformer(16, batch_size=32, **dense)
    cases = [(datasets.load(datasets.Source("digits")), "dense", small, peers.dense, (256,))]
    if options.dataset == "mnist":
        mnist = datasets.load(*sources(options))
        large = AutoencoderTransformer(32, batch_size=128, **dense)
        conv = ConvAutoencoderTransformer(32, batch_size=128, random_state=0)
        cases.append((mnist, "dense", large, peers.dense, (256,)))
        cases.append((mnist, "convolutional", conv, peers.conv, None))
    for (name, (X, _), (held_out, _), _), kind, *rest in cases:
        yield Case(f"{name}, {kind}", X, held_out, *rest)


def _compare_seconds(case, epochs, repeats):
    """Medians over alternating runs, also over those of two of the hand-written loops."""
    _run_each(case, epochs=1)  # warms up
    runs, advance = [], report.progress(repeats)
    for _ in range(repeats):
        runs.append(_run_each(case, epochs))
        advance(case.name)
    medians = {what: median(run[what] for run in runs) for what in runs[0]}
    return [
        {"case": case.name, "what": what, "seconds": value, "ratio": value / medians[HAND_WRITTEN]}
        | {"over_default_adam": value / medians[DEFAULT_ADAM], "epochs": epochs, "repeats": repeats}
        for what, value in medians.items()
    ]


def _run_each(case, epochs):
    """Seconds of one run of everything that is compared, by what was run."""
    k, batch_size = case.estimator.n_components, case.estimator.batch_size
    sizes = (case.X, case.paths, k, batch_size, epochs)
    seconds = {
        HAND_WRITTEN: seconds_of(peers.hand_written, *sizes),
        DEFAULT_ADAM: seconds_of(peers.hand_written, *sizes, fused=False),
        "hand-written loop, one-cycle rate": seconds_of(peers.hand_written, *sizes, one_cycle=True),
        "skorch's defaults": seconds_of(peers.skorch_defaults, *sizes),
    }
    if case.hidden:  # a textbook autoencoder, without the linear paths of skae
        network, rest = peers.perceptron(case.X.shape[1], case.hidden, k), (batch_size, epochs)
        loop, of_sklearn = peers.train_textbook, peers.train_mlp_regressor
        seconds["textbook loop, default Adam"] = seconds_of(loop, case.X, network, *rest)
        seconds["MLPRegressor"] = seconds_of(of_sklearn, case.X, case.hidden, k, *rest)
    return seconds | _fit_seconds(case, epochs)


def _fit_seconds(case, epochs):
    """Seconds of a fit, of its parts and of variants; each is a fit of its own.

    A callback, which times the parts, makes skae use a slower optimizer.
    """
    X_val = case.X_held_out[: len(case.X) // 10]  # as many as a fit would hold out

    def make(**parameters):
        return clone(case.estimator).set_params(max_iter=epochs, **parameters)

    def fit(**parameters):
        return seconds_of(make(**parameters).fit, case.X, X_val=X_val)

    total = fit()
    with cells.limited_threads(1):
        alone = fit()
    peers.pause()
    clock = Clock()
    make(skorch_callbacks=[clock]).fit(case.X, X_val=X_val)
    seconds = {
        "skae": total,
        "skae, one thread": alone,
        "skae, without start and validation": total - clock.start - clock.validation,
        "skae: start": clock.start,
        "skae: validation": clock.validation,
    }
    if case.hidden:
        seconds["skae, torch.optim.Adam"] = fit(optimizer=torch.optim.Adam)
        larger = 4 * case.estimator.batch_size
        seconds["skae, batches four times as large"] = fit(batch_size=larger)
    return seconds


def seconds_of(function, *args, **kwargs):
    peers.pause()
    started = perf_counter()
    function(*args, **kwargs)
    return perf_counter() - started


def _compare_use(case, repeats):
    """Samples per second of a fitted estimator, and bytes of its pickle."""
    estimator = clone(case.estimator).set_params(max_iter=1).fit(case.X)
    pca = PCA(estimator.n_components, random_state=0).fit(case.X)
    rows = []
    for dtype in ("float32", "float64"):
        about = {"case": case.name, "dtype": dtype, "rows": len(case.X_held_out)}
        applied = _applied(estimator, pca, case.X_held_out.astype(dtype), repeats)
        rows += [about | {"repeats": repeats} | row for row in applied]
    weights, size = 4 * estimator.summary().total, len(pickle.dumps(estimator))
    row = {"case": case.name, "what": "pickle", "bytes": size, "weight_bytes": weights}
    return [*rows, row | {"ratio": size / weights}]


def _applied(estimator, pca, X, repeats):
    module = deepcopy(estimator.net_.module_).to(torch.from_numpy(X).dtype)
    encode, decode = map(torch.inference_mode(), (module.encode, module.decode))
    Z = estimator.transform(X)
    ways = {
        ENCODE: lambda: encode(torch.from_numpy(X)),
        "transform": lambda: estimator.transform(X),
        "PCA.transform": lambda: pca.transform(X),
        DECODE: lambda: decode(torch.from_numpy(Z)),
        "inverse_transform": lambda: estimator.inverse_transform(Z),
        "PCA.inverse_transform": lambda: pca.inverse_transform(Z),
    }
    runs = [{what: seconds_of(way) for what, way in ways.items()} for _ in range(repeats + 1)][1:]
    medians = {what: median(run[what] for run in runs) for what in ways}
    rows = []
    for what, seconds in medians.items():
        plain = medians[DECODE if what.endswith(("decode", "inverse_transform")) else ENCODE]
        rows.append({"what": what, "rows_per_second": len(X) / seconds, "ratio": seconds / plain})
    return rows


def _compare_imports(repeats):
    """Seconds of importing skae, and of the libraries that it imports."""
    timed = "from time import perf_counter as now\nstart = now()\n{}\nprint(now() - start)"
    runs = [
        {what: float(_python(timed.format(statement))) for what, statement in IMPORTED.items()}
        for _ in range(repeats)
    ]
    medians = {what: median(run[what] for run in runs) for what in IMPORTED}
    libraries = medians[next(iter(IMPORTED))]
    return [
        {"case": "import", "what": what, "seconds": s, "ratio": s / libraries, "repeats": repeats}
        for what, s in medians.items()
    ]


def _compare_memory(n_samples):
    """Peak memory of a fit above what was there before, each in a process of its own."""
    size = n_samples * MEMORY_FEATURES * np.dtype(np.float32).itemsize
    rows = []
    for method in ("PCA", "skae"):
        peak = int(in_new_process(f"benchmarks.engine.peak_of_fit({method!r}, {n_samples})"))
        row = {"case": f"memory, {n_samples} x {MEMORY_FEATURES}", "what": method}
        row |= {"mebibytes": peak / 2**20, "ratio": peak / size, "epochs": MEMORY_EPOCHS}
        rows.append(row)
    return rows


def in_new_process(call):
    """What a call of a function of a module prints if it is made in a process of its own."""
    module = call.partition("(")[0].rpartition(".")[0]
    return _python(f"import {module}; print({call})")


def _python(program):
    """What a program prints in a process of its own."""
    given = {"cwd": report.ROOT, "stdout": subprocess.PIPE, "text": True, "check": True}
    return subprocess.run([sys.executable, "-c", program], **given).stdout


def peak_of_fit(method, n_samples):
    """Bytes at the peak of a fit above what was there before, in this process."""
    make = methods(MEMORY_EPOCHS)[method]
    # Values in [0, 1], four fifths of them 0, in place: a temporary array would hide the peak.
    X = np.random.default_rng(0).random((n_samples, MEMORY_FEATURES), dtype=np.float32)
    X *= 5
    X -= 4
    np.maximum(X, 0, out=X)
    make(8, 0).fit(X[:200, :16].copy())  # libraries load at a first fit
    return peak_above(lambda: make(MEMORY_COMPONENTS, 0).fit(X))


def peak_above(function):
    """Bytes at the peak of a function above what was there before, in this process, on Linux."""
    (PROCESS / "clear_refs").write_text("5")  # makes what there is the peak
    before = _peak()
    function()
    return _peak() - before


def _peak():
    lines = (PROCESS / "status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
