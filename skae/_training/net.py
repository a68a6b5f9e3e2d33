"""The net: skorch's, without what takes time, and with what it has to know."""

import math

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import Dataset


class Batches:
    """Batches of a dataset, as skorch asks for them.

    Parameters
    ----------
    dataset : skae._data.datasets.SampleDataset
    batch_size : int
    rng : numpy.random.Generator or None, default=None
        Shuffles the samples in each epoch; None keeps their order.
    """

    def __init__(self, dataset, batch_size, rng=None):
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        if hasattr(self.dataset, "batches"):
            return self.dataset.batches(self.batch_size, self.rng)
        positions = np.arange(len(self.dataset))  # of an array that a callback has the net predict
        return (
            self.dataset[positions[batch]] for batch in gen_batches(len(positions), self.batch_size)
        )


class Net(NeuralNet):
    """A skorch net without default callbacks that reads the loss off the device once an epoch."""

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        """Initialize the optimizer, if there is one: making it has torch import its compiler, which takes seconds."""
        if self.optimizer is None:
            return self
        try:
            return super().initialize_optimizer()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"optimizer={self.optimizer.__name__} does not suit: {error} Choose 'adam', or a class that takes parameters"
                " of any shape with lr."
            ) from error

    def notify(self, method_name, **kwargs):
        """Call the callbacks that have something to do then; skorch calls all, three times a batch."""
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
        # skorch does so before each batch, and it visits all layers.
        if self.module_.training != training:
            super()._set_training(training)

    def infer(self, x, **fit_params):
        """Reconstruct a batch."""
        return super().infer(x, **fit_params).reconstruction

    def train_step_single(self, batch, **fit_params):
        """Compute the loss and its gradient."""
        self._set_training(True)
        loss = self.criterion_(self.module_(batch.input, **fit_params), batch)
        loss.backward()
        return {"loss": loss, "y_pred": None}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Compute one epoch and record its mean loss; skorch's own waits for the device after each batch."""
        # One number that is added to: a list of numbers would break up the memory that batches
        # leave.
        total, n_samples, n_batches = torch.zeros((), dtype=torch.float32, device=self.device), 0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            total.add_(step["loss"].detach(), alpha=len(batch[0]))
            n_samples, n_batches = n_samples + len(batch[0]), n_batches + 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_batch_count", n_batches)
        self.history.record(f"{prefix}_loss", float(total) / n_samples)


def make_net(module, objective, device, optimizer=None, **settings):
    """An initialized skorch net around a module; without an optimizer it can be applied, but not trained."""
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
    """A dataset as callbacks of skorch that score it have it: `X`, which the net predicts from, and the target `y`."""

    def __init__(self, dataset):
        self.X = dataset

    def __len__(self):
        return len(self.X)

    @property
    def y(self):
        return torch.cat([target.cpu() for target in self.X.targets()]).numpy()


def find_device(device):
    """The torch device of that name; "auto" is CUDA where it is there, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"device={device!r} is not available here: choose 'auto', 'cpu' or another device that torch can use."
        ) from error
    return torch.device(device)
