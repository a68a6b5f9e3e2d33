"""Fits in one process and in two, of one thread each."""

import json
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from benchmarks import datasets, report
from benchmarks.questions import question, sources
from skae import AutoencoderTransformer, ConvAutoencoderTransformer

BATCH_SIZES = (128, 1024)
PROGRAM = "import sys; from benchmarks import processes; processes.fit_here(*sys.argv[1:])"


@question(
    "processes",
    "network batch_size processes seconds:.2f samples_per_second:,.0f speedup:.2f",
    datasets=("digits", "mnist"),
    defaults={"epochs": 1, "repeats": 3},
    quick={"repeats": 1},
    timed=True,
)
def processes(options):
    """How much faster two processes fit than one, each with half of the images and one thread.

    They are connected by Gloo. Fits of one process and of both alternate.
    """
    split = datasets.load(*sources(options))
    with TemporaryDirectory() as folder:
        np.save(f"{folder}/X.npy", split.train.X.astype(np.float32))
        given = json.dumps([folder, options.epochs, options.repeats])
        both = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, given, rank],
                cwd=report.ROOT,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            )
            for rank in "01"
        ]
        printed = [process.communicate()[0] for process in both]
    return json.loads(printed[0])


def fit_here(given, rank):
    """Fit in this process, alone and with the other one; the first prints the result as JSON."""
    import torch.distributed as dist

    from skae.distributed import process_group

    folder, n_epochs, repeats = json.loads(given)
    rank = int(rank)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    X = np.load(f"{folder}/X.npy")
    shard, n_sides = X[rank::2], round(X.shape[1] ** 0.5)
    settings = {"max_iter": n_epochs, "random_state": 0}
    rows = []
    for network, kind in (
        ("dense", AutoencoderTransformer),
        ("convolutional", ConvAutoencoderTransformer),
    ):
        shape = (-1,) if network == "dense" else (n_sides, n_sides)
        for batch_size in BATCH_SIZES:
            estimator = kind(32, batch_size=batch_size, **settings)
            all_samples, its_samples = (part.reshape(len(part), *shape) for part in (X, shard))
            with process_group():
                estimator.fit(its_samples[:batch_size])  # libraries load at a first fit
            seconds = {1: [], 2: []}
            for _ in range(repeats):
                dist.barrier()
                if rank == 0:
                    seconds[1].append(_seconds(estimator, all_samples))
                dist.barrier()
                with process_group():
                    seconds[2].append(_seconds(estimator, its_samples))
            alone = median(seconds[1] or [0])
            for n_processes, its_seconds in seconds.items():
                its_seconds = median(its_seconds or [1])
                rows.append(
                    {
                        "network": network,
                        "batch_size": batch_size,
                        "processes": n_processes,
                        "seconds": its_seconds,
                        "samples_per_second": n_epochs * len(X) / its_seconds,
                        "speedup": alone / its_seconds,
                    }
                )
    dist.destroy_process_group()
    if rank == 0:
        print(json.dumps(rows))


def _seconds(estimator, X):
    start = perf_counter()
    estimator.fit(X)
    return perf_counter() - start
