"""The skorch net, faster, and adapted to this package's batches and objectives."""

import math

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import Dataset

_ARRAY_BATCH_SIZE = 1024  # of an array that a callback has the net predict


class Batches:
    """Iterable over batches of a dataset, with the signature that skorch expects.

    Parameters
    ----------
    dataset : skae._data.datasets.SampleDataset
        Samples.
    batch_size : int or None
        Number of samples in a batch; None is as many as fit in a bounded memory.
    rng : numpy.random.Generator or None, default=None
        Generator that shuffles the samples in each epoch. With None, they keep their order.
    """

    def __init__(self, dataset, batch_size, rng=None):
        self.dataset = dataset
        self.batch_size = batch_size or getattr(dataset, "chunk_size", _ARRAY_BATCH_SIZE)
        self.rng = rng

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        if hasattr(self.dataset, "batches"):
            return self.dataset.batches(self.batch_size, self.rng)
        # A callback has passed an array to the net.
        positions = np.arange(len(self.dataset))
        return (
            self.dataset[positions[batch]] for batch in gen_batches(len(positions), self.batch_size)
        )


class Net(NeuralNet):
    """A skorch net without default callbacks, which waits for the device only once an epoch."""

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        """Initialize the optimizer, if there is one.

        A net that is not trained has none: to make one, torch imports its compiler, which takes
        seconds.
        """
        if self.optimizer is None:
            return self
        try:
            return super().initialize_optimizer()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"optimizer={self.optimizer.__name__} could not be created ({error}): choose"
                " 'adam', or a class that accepts lr and parameters of any shape."
            ) from error

    def notify(self, method_name, **kwargs):
        """Call the callbacks that implement a method.

        skorch would call all of them, three times for each batch, which takes time.
        """
        if method_name == "on_train_begin" or not hasattr(self, "_hooks"):
            self._hooks = {}
        if method_name not in self._hooks:
            nothing = getattr(Callback, method_name, None)
            hooks = (getattr(callback, method_name) for _, callback in self.callbacks_)
            busy = [hook for hook in hooks if getattr(hook, "__func__", hook) is not nothing]
            self._hooks[method_name] = [getattr(self, method_name), *busy]
        for hook in self._hooks[method_name]:
            hook(self, **kwargs)

    def _set_training(self, training=True):
        # skorch sets the mode of all layers before each batch, which is slow.
        if self.module_.training != training:
            super()._set_training(training)

    def infer(self, x, **fit_params):
        """Reconstruct a batch."""
        return super().infer(x, **fit_params).reconstruction

    def evaluation_step(self, batch, training=False):
        """Reconstruct a batch, of which skorch expects two parts."""
        return super().evaluation_step((batch[0], None), training)

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch and its gradient."""
        self._set_training(True)
        if not len(batch.input):  # other processes of a group take this step
            return {"loss": torch.zeros((), device=self.device), "y_pred": None}
        loss = self.criterion_(self.module_(batch.input, **fit_params), batch)
        (loss if batch.share == 1 else loss * batch.share).backward()
        return {"loss": loss, "y_pred": None}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch and record its mean loss.

        The method of skorch would wait for the device after each batch.
        """
        # Sum in one tensor: a list of losses would fragment the memory that batches free.
        total, n_samples, n_batches = torch.zeros((), dtype=torch.float32, device=self.device), 0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            total.add_(step["loss"].detach(), alpha=len(batch[0]))
            n_samples, n_batches = n_samples + len(batch[0]), n_batches + 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
        total, n_samples = iterator.dataset.group.sum(np.array([float(total), n_samples]))
        self.history.record(f"{prefix}_batch_count", n_batches)
        self.history.record(f"{prefix}_loss", float(total / n_samples))


def make_net(module, objective, device, optimizer=None, **settings):
    """Make an initialized skorch net of a module, which cannot be trained without an optimizer."""
    return Net(
        module,
        objective,
        optimizer=optimizer,
        device=device,
        train_split=None,
        use_caching=False,
        **settings,
    ).initialize()


class Scored(Dataset):
    """A dataset with the attributes that skorch's scoring callbacks use.

    They predict from `X` and compare with the targets `y`.
    """

    def __init__(self, dataset):
        self.X = dataset

    def __len__(self):
        return len(self.X)

    @property
    def y(self):
        return torch.cat([target.cpu() for target in self.X.targets()]).numpy()


def find_device(device):
    """Torch device of a name; "auto" is CUDA if it is available, otherwise the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"device={device!r} is not available here: choose 'auto', 'cpu' or another device that"
            " torch can use."
        ) from error
    return torch.device(device)
