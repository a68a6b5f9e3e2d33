"""Peak memory of one fit, measured in the process that this module is started in.

    python -m benchmarks.memory METHOD N_ROWS

prints the bytes above what was there before the fit. A fit on a few small rows goes before, so that what libraries
load at a first fit is not counted.
"""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.methods import methods

N_FEATURES = 784
DEPTH = 32
EPOCHS = 2


def main(argv=None):
    """Measure the method that the arguments name."""
    name, n_rows = sys.argv[1:] if argv is None else argv
    make = methods(EPOCHS)[name]
    X = _image_like(int(n_rows))
    make(8, 0).fit(X[:200, :16].copy())
    _reset_peak()
    before = _peak()
    make(DEPTH, 0).fit(X)
    print(_peak() - before)


def _image_like(n_rows):
    """Values in [0, 1], four fifths of them 0, made in place: a temporary array would hide what the fit needs."""
    X = np.random.default_rng(0).random((n_rows, N_FEATURES), dtype=np.float32)
    X *= 5
    X -= 4
    return np.maximum(X, 0, out=X)


def _reset_peak():
    """Make what is there now the peak; where the system has no such thing, the peak so far stays."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak():
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not on Linux
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


if __name__ == "__main__":
    main()
