"""Numbers of threads that libraries compute with."""

from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread():
    """Context manager in which the BLAS of numpy and scipy uses one thread.

    Further threads would keep spinning afterwards and slow down the first batches. The number of
    threads belongs to the whole process. Where several threads are in the context, the first one
    sets the number and the last one restores it: otherwise one could restore what another has set.
    """
    with _LOCK:
        if not _INSIDE:
            _INSIDE.append(_threadpools().limit(limits=1, user_api="blas"))
        else:
            _INSIDE.append(None)
    try:
        yield
    finally:
        with _LOCK:
            if len(_INSIDE) == 1:
                _INSIDE[0].restore_original_limits()
            _INSIDE.pop()


def openmp_threads(n_threads):
    """Context manager in which this thread computes with a number of threads of OpenMP.

    PyTorch uses OpenMP. Unlike ``torch.set_num_threads``, it changes nothing for other threads.
    """
    return _threadpools().limit(limits=n_threads, user_api="openmp")


_LOCK = Lock()
_INSIDE = []  # an entry for each thread in the context: the limiter, then None for the others


@cache
def _threadpools():
    return ThreadpoolController()
