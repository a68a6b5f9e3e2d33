"""Groups of processes that fit one estimator together; each of them has some of the samples.

A group has the `rank` of this process in it, its `size`, and

- ``gather(value)``: the values of all processes, in the order of their ranks;
- ``sum(values)``: the sum over the processes of a number or an array, in float64;
- ``sum_tensors(tensors)`` and ``broadcast(tensors)``: put the sum over the processes, or what the
  first process has, into tensors in place;
- ``fail(error)``: tell the other processes that this one has failed.

All processes call them in the same order. They then have the same results, bit by bit.
"""

from contextlib import contextmanager
from contextvars import ContextVar


class SingleProcess:
    """The group of a fit in one process."""

    rank, size = 0, 1

    def gather(self, value):
        return [value]

    def sum(self, values):
        return values

    def sum_tensors(self, tensors):
        """Leave the tensors as they are."""

    def broadcast(self, tensors):
        """Leave the tensors as they are."""

    def fail(self, error):
        """Do nothing, as there is no other process."""


SINGLE = SingleProcess()
ACTIVE = ContextVar("group of the processes that fit together", default=SINGLE)


@contextmanager
def joined():
    """Context manager of a fit in the active group: if one process fails, all of them do."""
    group = ACTIVE.get()
    try:
        yield group
        group.gather(None)  # wait until all have come this far
    except BaseException as error:
        group.fail(error)
        if group.size > 1:
            error.add_note(f"This is process {group.rank} of {group.size}.")
        raise
