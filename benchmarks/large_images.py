"""Large color images: where the time of a convolutional fit goes, and what memory it takes."""

from time import perf_counter
from typing import NamedTuple

from sklearn.decomposition import PCA

from benchmarks import datasets, peers, report
from benchmarks.engine import PROCESS, Clock, in_new_process, peak_above
from benchmarks.methods import n_parameters, reconstruct, reconstruction
from benchmarks.questions import option, question
from skae import ConvAutoencoderTransformer

N_HELD_OUT = 500
METHODS = PCA_NAME, CONV, RESIDUAL = "PCA", "skae conv", "skae conv, no linear paths"


class Found(NamedTuple):
    """What is measured of a fit; `parts` has the seconds of each of its parts."""

    seconds: float
    parts: dict
    mse: float
    parameters: int


@question(
    "large_images",
    "side method what seconds:.1f mebibytes:,.0f ratio:.3f mse:.3e parameters:,d",
    datasets=("crops",),
    file="large_images_{evaluate}{label}",
    options=(
        option("--sides", "heights of square images in pixels", type=int, nargs="+"),
        option("--images", "number of training images", type=int),
    ),
    defaults={"n_components": [32], "epochs": 5, "sides": [64, 128], "images": 5_000},
    quick={"n_components": [4], "sides": [16], "images": 300},
    timed=True,
)
def large_images(options):
    """What fits to large color images cost, in seconds and memory, and what their error is.

    Ratios are those of seconds to PCA's, of parts to the seconds of their fit, of the peak memory
    to that of the training images, and of the error on held-out images to PCA's.
    """
    X, X_val = _images(16, 100, 0)
    _fit(CONV, 2, 1, 16, X, X_val, X_val)  # libraries load at a first fit
    return [row for side in options.sides for row in _of_side(side, options)]


def _of_side(side, options):
    n_images, (k,) = options.images, options.n_components
    X, X_val, *others = _images(side, n_images, options.seed, options.evaluate)
    held_out = others[0] if others else X_val
    rows, pca, advance = [], None, report.progress(len(METHODS))
    for name in METHODS:
        found = _fit(name, k, options.epochs, side, X, X_val, held_out)
        pca = pca or found
        values = [
            *(
                {"what": what, "seconds": seconds, "ratio": seconds / found.seconds}
                for what, seconds in found.parts.items()
            ),
            {"what": "fit", "seconds": found.seconds, "ratio": found.seconds / pca.seconds},
            {"what": "error", "mse": found.mse, "ratio": found.mse / pca.mse},
            {"what": "parameters", "parameters": found.parameters},
        ]
        if PROCESS.exists():  # on Linux alone
            given = name, k, side, n_images
            peak = int(in_new_process(f"benchmarks.large_images.peak_of_fit{given}"))
            ratio = peak / X.nbytes
            values.append({"what": "peak memory", "mebibytes": peak / 2**20, "ratio": ratio})
        sizes = {"images": n_images, "depth": k}
        rows += [{"side": side, "method": name} | row | sizes for row in values]
        advance(f"{side} x {side}, {name}")
    return rows


def _images(side, n_images, seed, *evaluated):
    """Training images, and images of other parts of the photographs."""
    sizes = {"train": n_images, "validation": N_HELD_OUT} | dict.fromkeys(evaluated, N_HELD_OUT)
    return [datasets.crops(side, n, part, seed) for part, n in sizes.items()]


def _make(name, k, epochs, side, callbacks=None):
    if name == PCA_NAME:
        return PCA(k, random_state=0)
    return ConvAutoencoderTransformer(
        k,
        image_shape=(side, side, 3),
        init="random" if name == RESIDUAL else "pca",
        max_iter=epochs,
        random_state=0,
        skorch_callbacks=callbacks,
    )


def _given(name, X_val):
    """What `fit` is given beside the training images."""
    return {} if name == PCA_NAME else {"X_val": X_val}


def _fit(name, k, epochs, side, X, X_val, held_out):
    peers.pause()
    clock, parts = Clock(), {}
    estimator = _make(name, k, epochs, side, [clock]).fit(X, **_given(name, X_val))
    seconds = perf_counter() - clock.began
    if name != PCA_NAME:
        parts = {"start": clock.start, "validation": clock.validation}
        parts["gradient steps"] = seconds - sum(parts.values())
    mse = reconstruction(held_out, reconstruct(estimator, held_out))["mse"]
    return Found(seconds, parts, mse, n_parameters(estimator))


def peak_of_fit(name, k, side, n_images):
    """Bytes at the peak of a fit of one epoch above what was there before, in this process."""
    X, X_val = _images(side, n_images, 0)
    _make(name, 2, 1, side).fit(X[:100])  # libraries load at a first fit
    return peak_above(lambda: _make(name, k, 1, side).fit(X, **_given(name, X_val)))
