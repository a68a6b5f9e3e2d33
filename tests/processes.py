"""Fits in several processes, which test_distributed.py starts."""

import os
import pickle
import signal
import sys

import torch
import torch.distributed as dist
from skorch.callbacks import Callback

import skae
from skae.distributed import process_group


class Failure(Callback):
    """Callback that fails in the second epoch of process 1."""

    def __init__(self, how):
        self.how = how

    def on_epoch_begin(self, net, **kwargs):
        if dist.get_rank() == 1 and len(net.history) == 2:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("a callback has failed")


def fit_shards(cases):
    """Fit an estimator to a shard for each case; a shard that is empty is None."""
    rank = dist.get_rank()
    fitted = []
    for estimator, arrays, ends in cases:
        shard = {
            name: array[ends[name][rank] :][: ends[name][rank + 1] - ends[name][rank]]
            for name, array in arrays.items()
        }
        shard = {name: part if len(part) else None for name, part in shard.items()}
        with process_group():
            fitted.append(estimator.fit(**shard))
    return fitted


def fail_in_turn(cases):
    """Try fits that fail in one process, and return the errors."""
    rank, errors = dist.get_rank(), []
    for parameters, X, X_of_1 in cases:
        estimator = skae.AutoencoderTransformer(2, max_iter=3, random_state=0, **parameters)
        before = dict(vars(estimator))
        try:
            with process_group():
                estimator.fit(X_of_1 if rank == 1 else X)
            errors.append(None)
        except Exception as error:
            is_unchanged = vars(estimator).keys() == before.keys()
            errors.append((type(error).__name__, str(error), is_unchanged))
    return errors


def main(folder, function, rank=None, size=None):
    torch.set_num_threads(1)
    if rank is None:
        dist.init_process_group("gloo")
    else:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=int(rank), world_size=int(size)
        )
    with open(f"{folder}/cases", "rb") as file:
        result = globals()[function](pickle.load(file))
    with open(f"{folder}/result{dist.get_rank()}", "wb") as file:
        pickle.dump(result, file)


if __name__ == "__main__":
    sys.modules["processes"] = sys.modules["__main__"]  # the name that pickles have
    main(*sys.argv[1:])
    os._exit(0)  # without connections to processes that were killed
