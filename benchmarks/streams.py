"""Samples in files larger than memory: what it costs to train on them, and what it costs in R²."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import numpy as np

from benchmarks import datasets, report
from benchmarks.questions import option, question, sources
from skae import AutoencoderTransformer

MEMORY, SAMPLE = "array in memory", "sample in memory"
MAP, SORTED = "memory map", "memory map, sorted by class"
N_SAMPLE = 60_000  # of the sample, which is trained on for as many steps
N_WRITTEN = 10_000  # samples that are made at once
N_COMPONENTS, BATCH_SIZE, JITTER = 32, 128, 0.02
STATUS = Path("/proc/self/status")


@question(
    "streams",
    "dtype what gibibytes:.1f seconds:.1f ratio:.2f samples_per_second:,.0f mebibytes:.0f r2:.4f",
    datasets=("digits", "mnist"),
    options=(option("--samples", "samples in a file", type=int),),
    defaults={"samples": 1_020_000, "epochs": 1},
    quick={"samples": 5_000},
    timed=True,
)
def streams(options):
    """What fits to memory maps cost, compared with fits to arrays in memory.

    Files hold training images, repeated with noise, in random order or sorted by class. They are
    read from the disk, not from the cache of the operating system. Each fit has a process of its
    own, and memory is what it takes in addition to its arrays. It runs on Linux alone.
    """
    split = datasets.load(*sources(options))
    rows = []
    options.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.out) as folder:
        np.save(f"{folder}/held_out.npy", split.held_out.X)
        for dtype in ("float32", "uint8"):
            paths = {}
            for what, is_sorted in ((MAP, False), (SORTED, True)):
                paths[what] = f"{folder}/{dtype}_{is_sorted}.npy"
                _write(paths[what], split.train, options.samples, dtype, is_sorted)
            paths |= {MEMORY: paths[MAP], SAMPLE: paths[MAP]}
            seconds = None
            for what in (MEMORY, MAP, SORTED, SAMPLE):
                row = _fit_elsewhere(paths[what], what, options)
                seconds = seconds or row["seconds"]
                row |= {"dtype": dtype, "gibibytes": os.path.getsize(paths[what]) / 2**30}
                rows.append(row | {"ratio": row["seconds"] / seconds})
            for path in set(paths.values()):
                os.remove(path)
    return rows


def _write(path, train, n_samples, dtype, is_sorted):
    """Write images of the training part with noise, 0 to 255 for integers and else 0 to 1."""
    rng = np.random.default_rng(0)
    order = rng.integers(len(train.X), size=n_samples)
    if is_sorted:
        order = order[np.argsort(train.y[order], kind="stable")]
    largest = train.X.max()
    file = np.lib.format.open_memmap(path, "w+", dtype, (n_samples, train.X.shape[1]))
    for start in range(0, n_samples, N_WRITTEN):
        X = train.X[order[start : start + N_WRITTEN]] / largest
        X = (X + JITTER * rng.standard_normal(X.shape) * (X > 0)).clip(0, 1)
        file[start : start + len(X)] = np.rint(255 * X) if dtype == "uint8" else X
    file.flush()


def _fit_elsewhere(path, what, options):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    given = json.dumps([path, what, options.samples, options.epochs, options.threads or 1])
    program = "import sys; from benchmarks import streams; streams.fit_here(sys.argv[1])"
    run = subprocess.run(
        [sys.executable, "-c", program, given],
        cwd=report.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def fit_here(given):
    """Fit in this process, and print the result as JSON."""
    import torch
    from threadpoolctl import threadpool_limits

    path, what, n_samples, n_epochs, n_threads = json.loads(given)
    torch.set_num_threads(n_threads)
    threadpool_limits(n_threads)
    X = np.load(path, mmap_mode=None if what == MEMORY else "r")
    if what == SAMPLE:
        chosen = np.random.default_rng(1).choice(n_samples, min(N_SAMPLE, n_samples), False)
        n_epochs = round(n_epochs * n_samples / len(chosen))
        X = np.array(X[np.sort(chosen)])
    held_out = np.load(Path(path).with_name("held_out.npy"))
    held_out = (held_out / held_out.max() * (255 if X.dtype == np.uint8 else 1)).astype(np.float32)
    autoencoder = AutoencoderTransformer(
        N_COMPONENTS, batch_size=BATCH_SIZE, max_iter=n_epochs, random_state=0
    )
    AutoencoderTransformer(2, max_iter=1).fit(held_out[:200])  # libraries load at a first fit
    with _Peak() as peak:
        start = perf_counter()
        autoencoder.fit(X)
        seconds = perf_counter() - start
    row = {"what": what, "seconds": seconds, "mebibytes": peak.bytes / 2**20}
    row |= {"samples_per_second": n_epochs * len(X) / seconds, "steps": n_epochs * len(X) // 128}
    print(json.dumps(row | {"r2": autoencoder.score(held_out)}))


class _Peak:
    """Largest size of the memory of this process that is no file, above that at the start."""

    def __enter__(self):
        self._start, self.bytes, self._stop = _anonymous(), 0, Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.wait(0.02):
            self.bytes = max(self.bytes, _anonymous() - self._start)


def _anonymous():
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024
