"""Fits in several processes: each has a part of the samples, and all get the same estimator."""

from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist

from skae._data.group import ACTIVE

# What a process reports that has only noticed the failure of another one, and what is reported of
# one that does not answer.
_NOTICED, _LOST = "noticed", "lost"
_FAILED = set()  # groups of some of the processes that have failed


@contextmanager
def process_group(group=None):
    """Context manager in which `fit` trains one estimator in all processes of a group.

    Each process calls `fit` with its own part of the samples, its shard, and with the same
    parameters. All processes get the same estimator, bit by bit: that of all samples together. The
    statistics from which training starts, the gradients and the validation scores are summed over
    the processes. Outside of the context, an estimator never waits for another process.

    Shards may differ in length. Each has at least two samples, and all have the same features and
    the same dtype. Weights, `X_target` and `X_val` belong to the samples of the shard; a process
    without validation samples passes None. `batch_size` is the number of samples in a gradient step
    of all processes together, and each takes part in it in proportion to its samples. The seed is
    that of the first process.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, default=None
        Group of processes; this process must be one of them. None is the default group, of all
        processes.

    Yields
    ------
    None

    Raises
    ------
    RuntimeError
        If ``torch.distributed`` is not initialized. In `fit`, if another process has failed or has
        ended: the message has its rank and its error, and the estimator is then as it was before.
    ValueError
        If this process does not belong to the group. In `fit`, if the shards or the parameters do
        not match.

    Notes
    -----
    Processes exchange the statistics once, as many float32 values as the network has parameters in
    each step, and a few numbers in each epoch. A failure is noticed at once where tensors are on
    the CPU and the backend is Gloo; with NCCL, it is noticed after the time-out of the group.

    Other transformers know nothing of the context: a StandardScaler in front of the estimator would
    be fitted to the shard alone. Scale the shards by the same numbers first.

    Examples
    --------
    This example has one process. ``torchrun`` starts several ones, and sets the environment
    variables from which ``init_process_group`` finds the others.

    >>> import tempfile
    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.distributed import process_group
    >>> X = load_digits().data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group(
    ...         "gloo", init_method=f"file://{folder}/store", rank=0, world_size=1
    ...     )
    ...     shard = X[dist.get_rank() :: dist.get_world_size()]
    ...     with process_group():
    ...         autoencoder = AutoencoderTransformer(8, max_iter=2, random_state=0).fit(shard)
    ...     dist.destroy_process_group()
    >>> autoencoder.transform(X).shape
    (1797, 8)
    """
    active = ProcessGroup(group)
    token = ACTIVE.set(active)
    try:
        yield
    except BaseException as error:
        active.fail(error)
        raise
    finally:
        ACTIVE.reset(token)
        active.close()


class ProcessGroup:
    """A group of processes that are connected by ``torch.distributed``.

    It has two sets of connections. One is for sums. It is closed where a process fails, which
    wakes the others. The other one leads to the first process only, which learns by it who has
    failed, and tells everybody.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup or None
        Group of processes. None is the default group.
    """

    def __init__(self, group=None):
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "process_group needs processes that are connected, but torch.distributed is not"
                " initialized: call torch.distributed.init_process_group first, in a process that"
                " torchrun or another launcher has started."
            )
        self._given = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        if self.rank < 0:
            raise ValueError(
                f"group does not contain this process, whose rank is {dist.get_rank()}: enter the"
                " context in the processes of the group only."
            )
        self._ranks = dist.get_process_group_ranks(group)
        self._failed = False
        self._is_world = self.size == dist.get_world_size()
        if tuple(self._ranks) in _FAILED:
            raise RuntimeError(
                f"A fit of the processes {self._ranks} has failed before, and torch cannot connect"
                " some of all processes twice: start the processes again."
            )
        self._reports, self._sums = self._connected(), self._connected()

    def _connected(self):
        return dist.new_group(
            self._ranks, backend="gloo", use_local_synchronization=not self._is_world
        )

    def gather(self, value):
        reports = self._report(value=value)
        return [reports[rank][1] for rank in range(self.size)]

    def sum(self, values):
        total = torch.from_numpy(np.array(values, dtype=np.float64))
        self._collective(lambda: dist.all_reduce(total, group=self._sums))
        return total.numpy() if np.ndim(values) else float(total)

    def sum_tensors(self, tensors):
        """Sum each of some tensors over the processes, in one message."""
        is_one = len(tensors) == 1
        flat = tensors[0] if is_one else torch.cat([tensor.flatten() for tensor in tensors])
        self._collective(lambda: dist.all_reduce(flat, group=self._group_of(flat)))
        if not is_one:
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def broadcast(self, tensors):
        for tensor in tensors:
            self._collective(
                lambda tensor=tensor: dist.broadcast(
                    tensor, self._ranks[0], group=self._group_of(tensor)
                )
            )

    def fail(self, error):
        if not self._failed:
            self._failed = True
            self._disconnect()
            self._exchange((f"{type(error).__name__}: {error}", None))

    def close(self):
        """Close the connections of a group that has not failed."""
        # torch gives a group of some of the processes the same name again once it is destroyed,
        # and would not find the new connections.
        if self._is_world:
            for group in (self._reports, self._sums):
                if group is not None:
                    dist.destroy_process_group(group)

    def _group_of(self, tensor):
        """Group that sums tensors on the device of this one."""
        return self._sums if tensor.device.type == "cpu" else self._given

    def _collective(self, call):
        try:
            call()
            return
        except RuntimeError:
            pass
        # Not in the except block: the exception holds connections, which would stay open.
        self._disconnect()
        self._report(error=_NOTICED)

    def _disconnect(self):
        """Close the connections for sums, so that processes that wait for this one get an error."""
        if self._sums is not None:
            dist.destroy_process_group(self._sums)
            self._sums = None
            if not self._is_world:
                _FAILED.add(tuple(self._ranks))

    def _report(self, error=None, value=None):
        """Reports of all processes; raise an error if one of them has failed."""
        reports = self._exchange((error, value))
        errors = {rank: error for rank, (error, _) in reports.items() if error is not None}
        if not errors:
            return reports
        self._failed = True
        self._disconnect()
        causes = [
            f"process {rank} has ended or is not reached"
            if error == _LOST
            else f"in process {rank}: {error.rstrip('.')}"
            for rank, error in errors.items()
            if error != _NOTICED
        ]
        raise RuntimeError(
            f"The fit of {self.size} processes has failed:"
            f" {'; '.join(causes) or 'a connection between them is lost'}."
        )

    def _exchange(self, report):
        """Reports of all processes, which go to the first one and from there to everybody."""
        first = self._ranks[0]
        if self.rank:
            try:
                dist.send_object_list([report], dst=first, group=self._reports)
                return self._received(first)
            except RuntimeError:
                return {0: (_LOST, None)}
        reports = {0: report}
        for rank in range(1, self.size):
            try:
                reports[rank] = self._received(self._ranks[rank])
            except RuntimeError:
                reports[rank] = (_LOST, None)
        for rank in range(1, self.size):
            if reports[rank][0] != _LOST:
                try:
                    dist.send_object_list([reports], dst=self._ranks[rank], group=self._reports)
                except RuntimeError:  # it will be noticed at the next exchange
                    continue
        return reports

    def _received(self, rank):
        box = [None]
        dist.recv_object_list(box, src=rank, group=self._reports)
        return box[0]
