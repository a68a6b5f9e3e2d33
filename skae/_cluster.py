"""Fits to arrays of dask on the workers of a cluster, each of which keeps its blocks."""

import sys
import time
import uuid
from contextlib import suppress
from functools import wraps
from urllib.parse import urlsplit

import numpy as np
import torch.distributed as dist
from sklearn.base import clone
from sklearn.utils import check_random_state

from skae._data.streams import BlockStream, DaskStream, is_dask
from skae.distributed import process_group

_STORES = {}  # of this worker, by which the workers of a fit find each other
# Seconds that workers have to notice the failure of another one.
_PATIENCE = 20


def on_workers(fit):
    """Decorate `fit` so that an array of dask is fitted to by the workers that hold its blocks.

    Without a client of a cluster, and within a task, its blocks are streamed through this process.
    """

    @wraps(fit)
    def of_any(self, X, y=None, **arrays):
        client = _client() if is_dask(X) else None
        if client is None:
            return fit(self, X, y, **arrays)
        return _fit_on_workers(self, client, X, arrays)

    return of_any


def _client():
    """Client of a cluster of processes, if there is one and this is not a task."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client, get_worker

    try:
        get_worker()
        return None
    except ValueError:
        pass
    try:
        client = default_client()
    except ValueError:
        return None
    is_here = any(address.startswith("inproc") for address in client.nthreads())
    return None if is_here or client.asynchronous else client


def _fit_on_workers(estimator, client, X, arrays):
    from distributed import Lock

    stream = DaskStream(X, "X")  # checks it
    arrays = {name: array for name, array in arrays.items() if array is not None}
    for name, array in arrays.items():
        if "val" not in name and len(array) != len(stream):
            raise ValueError(
                f"{name} has {len(array)} entries, but X has {len(stream)} samples: give one for"
                " each of them."
            )
    # The state of a RandomState is in this process.
    seed = check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max)
    copied = clone(estimator).set_params(random_state=seed)
    X = client.persist(stream.array)
    futures, places = _places(client, X)
    ends = np.append(0, np.cumsum(X.chunks[0]))
    shards, n_before = [], 0
    for blocks in places.values():
        parts = [slice(ends[i], ends[i + 1]) for i in blocks]
        before, n_before = n_before, n_before + sum(part.stop - part.start for part in parts)
        shard = {}
        for name, array in arrays.items():
            # A validation set is divided in the same proportions.
            share = [slice(*(len(array) * n // len(stream) for n in (before, n_before)))]
            shard[name] = _of_worker(client, array, share if "val" in name else parts)
        shards.append(([futures[i] for i in blocks], shard))
    with Lock("skae"):  # a process has one default group
        fitted = _fit_shards(client, copied, list(places), shards, stream.header)
    vars(estimator).update(vars(fitted.set_params(**estimator.get_params(deep=False))))
    return estimator


def _places(client, X):
    """Futures of the blocks of an array, and their numbers by the worker that is to use them."""
    from distributed import futures_of, wait

    by_key = {future.key: future for future in futures_of(X)}
    futures = [by_key[key] for key in _keys(X)]
    wait(futures)
    holders, places = client.who_has(futures), {}
    for i, future in enumerate(futures):
        if future.status == "error":
            future.result()  # raises it
        worker = min(holders[future.key], key=lambda worker: len(places.get(worker, ())))
        places.setdefault(worker, []).append(i)
    return futures, places


def _keys(X):
    """Keys of the blocks of an array that is not divided along its features."""
    keys = X.__dask_keys__()
    for _ in range(X.ndim - 1):
        keys = [key[0] for key in keys]
    return keys


def _of_worker(client, array, parts):
    """Some parts of an array that belongs to the samples, in one array; None if they are empty."""
    if not sum(part.stop - part.start for part in parts):
        return None
    if is_dask(array):
        import dask.array as da

        array = array.to_dask_array(lengths=True) if hasattr(array, "to_dask_array") else array
        return client.compute(da.concatenate([array[part] for part in parts]))
    array = getattr(array, "iloc", array if hasattr(array, "shape") else np.asarray(array))
    if len(parts) == 1:
        return array[parts[0]]
    return array[np.concatenate([np.arange(part.start, part.stop) for part in parts])]


def _fit_shards(client, estimator, workers, shards, header):
    """Fit one estimator to the shards of all workers."""
    key, address = uuid.uuid4().hex, None
    if len(workers) > 1:
        host = urlsplit(workers[0]).hostname
        port = client.submit(_open_store, key, host, workers=workers[0], pure=False).result()
        address = key, host, port
    futures = [
        client.submit(
            _fit_shard,
            estimator,
            blocks,
            header,
            arrays,
            (rank, len(workers), address),
            workers=worker,
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        for rank, (worker, (blocks, arrays)) in enumerate(zip(workers, shards, strict=True))
    ]
    try:
        return _first_result(client, futures, workers)
    finally:
        client.cancel(futures, force=True)
        if address and workers[0] in client.nthreads():
            client.submit(_STORES.pop, key, None, workers=workers[0], pure=False)


def _first_result(client, futures, workers):
    """Result of the first task, once all have ended; raise an error if one has failed."""
    from distributed import wait

    deadline = np.inf
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            wait(futures, timeout=1)
        lost = [worker for worker in workers if worker not in client.nthreads()]
        if all(f.done() or w in lost for f, w in zip(futures, workers, strict=True)):
            break
        if deadline == np.inf and (lost or any(f.status == "error" for f in futures)):
            deadline = time.monotonic() + _PATIENCE
    if lost:
        raise RuntimeError(
            f"The worker {', '.join(lost)} has ended during the fit: see its log, and fit again."
        )
    errors = [
        (future.exception(), worker)
        for future, worker in zip(futures, workers, strict=True)
        if future.status == "error"
    ]
    if not errors:
        return futures[0].result()
    # The worker that has failed has another error than those that stopped because of it.
    error, worker = min(errors, key=lambda error: "processes has failed" in str(error[0]))
    error.add_note(f"It is an error of {worker}; samples are counted in the blocks that it has.")
    raise error


def _open_store(key, host):
    _STORES[key] = dist.TCPStore(host, 0, is_master=True, wait_for_workers=False)
    return _STORES[key].port


def _fit_shard(estimator, blocks, header, arrays, place):
    """Fit to the blocks of one worker; the first one returns the estimator."""
    rank, size, address = place
    X = BlockStream(blocks, header)
    if size == 1:
        return estimator.fit(X, **arrays)
    key, host, port = address
    store = _STORES[key] if rank == 0 else dist.TCPStore(host, port, is_master=False)
    dist.init_process_group("gloo", store=dist.PrefixStore(key, store), rank=rank, world_size=size)
    try:
        with process_group():
            estimator.fit(X, **arrays)
    finally:
        dist.destroy_process_group()
    return estimator if rank == 0 else None
