"""What a fit costs on a GPU beside a bare loop, and whether it finds there what it finds on a CPU.

It runs on whatever device there is: on a CPU, both loops and all fits are on it.
"""

from statistics import median

import numpy as np
import torch
from sklearn.base import clone

from benchmarks import peers, report
from benchmarks.engine import HAND_WRITTEN, cases, seconds_of
from benchmarks.questions import option, question

BATCH_SIZES = (128, 1024)
N_SEEDS = 3  # of the fits whose errors are compared


@question(
    "gpu",
    "case device batch_size what images_per_second:,.0f ratio:.3f r2:.5f spread:.5f",
    file="gpu{label}",
    options=(option("--device", "device of torch; auto is a GPU where there is one"),),
    defaults={"epochs": 4, "repeats": 5, "device": "auto"},
    quick={"repeats": 1},
    timed=True,
)
def gpu(options):
    """How fast fits are on a GPU beside a bare loop, and whether the errors are those of a CPU.

    The loop has the same network and batches and the fused Adam, keeps the samples on the device
    and validates nothing. Fits and loops alternate. Errors are those of held-out images, means over
    three seeds, with their standard deviation. With `--dataset mnist` MNIST is measured next to the
    digits.
    """
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    device, rows = torch.device(options.device), []
    for case in cases(options):
        rows += [
            row
            for batch_size in BATCH_SIZES
            for row in _compare_speed(case, device, batch_size, options)
        ]
        for where in dict.fromkeys(("cpu", str(device))):
            rows.append(_errors(case, where, options))
    return rows


def _compare_speed(case, device, batch_size, options):
    """Images per second of fits and loops, medians over alternating runs."""
    k, epochs = case.estimator.n_components, options.epochs
    settings = {"batch_size": batch_size, "max_iter": epochs, "device": str(device)}
    estimator = clone(case.estimator).set_params(**settings)
    ways = {
        HAND_WRITTEN: lambda: peers.hand_written(
            case.X, case.paths, k, batch_size, epochs, device=device
        ),
        "skae": lambda: estimator.fit(case.X, X_val=case.X_held_out[: len(case.X) // 10]),
    }
    runs = [
        {what: seconds_of(way) for what, way in ways.items()} for _ in range(options.repeats + 1)
    ][1:]  # the first one warms up
    seconds = {what: median(run[what] for run in runs) for what in ways}
    about = {"case": case.name, "device": _name(device), "batch_size": batch_size}
    return [
        about
        | {"what": what, "seconds": value, "images_per_second": epochs * len(case.X) / value}
        | {"ratio": value / seconds[HAND_WRITTEN], "repeats": options.repeats}
        for what, value in seconds.items()
    ]


def _errors(case, device, options):
    """R² of fits on a device, mean and standard deviation over seeds."""
    settings = {"max_iter": options.epochs, "device": device}
    fits = [
        clone(case.estimator).set_params(random_state=seed, **settings).fit(case.X)
        for seed in range(N_SEEDS)
    ]
    r2 = [fit.score(case.X_held_out) for fit in fits]
    about = {"case": case.name, "device": _name(torch.device(device)), "what": "held-out R²"}
    return about | {"r2": float(np.mean(r2)), "spread": float(np.std(r2, ddof=1))}


def _name(device):
    """Name of the processor of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return report.processor() if device.type == "cpu" else device.type
