"""Autoencoders of other libraries, each as its documentation shows it but for depth, hidden layers and epochs.

Every peer is ``peer(X, hidden, depth, epochs, seed, curve)``: it fits an autoencoder of `depth` components, with `hidden`
layers before the code and the same in reverse behind it, to the rows of X in [0, 1], and calls ``curve.mark`` with its
reconstruction after each epoch. One whose library is not installed raises ImportError.
"""

import logging
import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from itertools import pairwise
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback
from torch import nn

from benchmarks import loops

TEXTBOOK_BATCH = 256  # rows, as many as in Keras's tutorial


class Point(NamedTuple):
    """Seconds of a fit so far, and the mean squared error per value on held-out rows."""

    epochs: int
    seconds: float
    mse: float


class Curve:
    """Error against seconds of one fit, whose clock stands still while the error is measured.

    The clock starts when the curve is made.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Held-out rows.

    Attributes
    ----------
    points : list of Point
        One for each call of :meth:`mark`, the first after one epoch.
    """

    def __init__(self, X):
        self.points = []
        self._X = X
        self._seconds = 0.0
        self._since = perf_counter()

    def mark(self, reconstruct):
        """Note where the fit is: `reconstruct` gives rows for rows."""
        self._seconds += perf_counter() - self._since
        mse = float(np.mean(np.square(reconstruct(self._X) - self._X), dtype=np.float64))
        self.points.append(Point(len(self.points) + 1, self._seconds, mse))
        self._since = perf_counter()


def textbook(X, hidden, depth, epochs, seed, curve):
    """Hand-written PyTorch loop: ReLU, sigmoid output, Adam with a rate of 1e-3; the rows are a tensor in memory."""
    torch.manual_seed(seed)
    network = loops.perceptron(X.shape[1], hidden, depth)
    loops.textbook(
        X, network, TEXTBOOK_BATCH, epochs, after_epoch=lambda: curve.mark(_forward(network))
    )


def skorch(X, hidden, depth, epochs, seed, curve, **settings):
    """The regressor of skorch's user guide: stochastic gradient descent with a rate of 0.1, a fifth of the rows validate."""
    torch.manual_seed(seed)
    network = loops.perceptron(X.shape[1], hidden, depth)
    settings = {"lr": 0.1} | settings
    net = NeuralNetRegressor(
        network, max_epochs=epochs, iterator_train__shuffle=True, verbose=0, **settings
    )
    net.set_params(callbacks=[_MarkInSkorch(curve)]).fit(X, X)


def skorch_adam(X, hidden, depth, epochs, seed, curve):
    """The same with the optimiser of the textbook loop."""
    skorch(
        X, hidden, depth, epochs, seed, curve, optimizer=torch.optim.Adam, lr=loops.LEARNING_RATE
    )


class _MarkInSkorch(Callback):
    def __init__(self, curve):
        self.curve = curve

    def on_epoch_end(self, net, **kwargs):
        self.curve.mark(net.predict)


def scikit_learn(X, hidden, depth, epochs, seed, curve):
    """MLPRegressor with its defaults, fitted to its own input an epoch at a time."""
    net = MLPRegressor(hidden_layer_sizes=(*hidden, depth, *hidden[::-1]), random_state=seed)
    for _ in range(epochs):
        net.partial_fit(X, X)
        curve.mark(net.predict)


def pyod(X, hidden, depth, epochs, seed, curve):
    """PyOD's AutoEncoder: batch normalisation and dropout, batches of 32. Its preprocessing is turned off.

    That divides a pixel by its deviation, or by 1e-8 where it never varies among the training images: one held-out image in
    which it does then has an error beyond all bounds, for as long as the weights of that pixel have not decayed. The error
    is smaller without it.
    """
    from pyod.models.auto_encoder import AutoEncoder

    class Marked(AutoEncoder):
        def epoch_update(self):  # PyOD's own hook
            self.model.eval()
            curve.mark(_forward(self.model))  # PyOD itself gives the errors of rows alone
            self.model.train()

    sizes = {"hidden_neuron_list": [*hidden, depth], "epoch_num": epochs}
    Marked(**sizes, preprocessing=False, random_state=seed, verbose=0, device="cpu").fit(X)


def keras(X, hidden, depth, epochs, seed, curve):
    """The deep autoencoder of Keras's tutorial, on PyTorch: sigmoid output, Adam, batches of 256.

    It minimises the squared error, by which it is compared here, and not the cross-entropy of the tutorial.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(seed)
    widths = (*hidden, depth, *hidden[::-1])
    hidden_layers = [keras.layers.Dense(width, activation="relu") for width in widths]
    output = keras.layers.Dense(X.shape[1], activation="sigmoid")
    model = keras.Sequential([keras.Input((X.shape[1],)), *hidden_layers, output])
    model.compile(optimizer="adam", loss="mse")
    marking = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: curve.mark(
            lambda rows: model.predict(rows, batch_size=1024, verbose=0)
        )
    )
    model.fit(X, X, epochs=epochs, batch_size=256, shuffle=True, verbose=0, callbacks=[marking])


def pythae_autoencoder(X, hidden, depth, epochs, seed, curve):
    """The AE of pythae, trained as its documentation shows: Adam with a rate of 1e-3, batches of 64."""
    from pythae.models import AE, AEConfig

    _fit_pythae(AE, AEConfig, X, hidden, depth, epochs, seed, curve)


def pythae_variational(X, hidden, depth, epochs, seed, curve):
    """The VAE of pythae, trained like its AE; reconstructed from the mean of each row's code."""
    from pythae.models import VAE, VAEConfig

    _fit_pythae(VAE, VAEConfig, X, hidden, depth, epochs, seed, curve)


def _fit_pythae(model_class, config_class, X, hidden, depth, epochs, seed, curve):
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = _relu_layers(X.shape[1], *hidden)
            self.embedding, self.log_covariance = (nn.Linear(hidden[-1], depth) for _ in range(2))

        def forward(self, x):
            h = self.layers(x)
            return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_covariance(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            layers = _relu_layers(depth, *hidden[::-1])
            self.layers = nn.Sequential(layers, nn.Linear(hidden[0], X.shape[1]), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    class Marking(TrainingCallback):
        def on_epoch_end(self, training_config, *, model, **kwargs):
            curve.mark(lambda rows: _forward(lambda x: model.predict(x).recon_x)(rows))

    torch.manual_seed(seed)
    model = model_class(
        config_class(input_dim=(X.shape[1],), latent_dim=depth), Encoder(), Decoder()
    )
    with _silence(), TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, learning_rate=1e-3, seed=seed, no_cuda=True
        )
        TrainingPipeline(model, config)(X, callbacks=[Marking()])


def _relu_layers(*widths):
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU()) for n_in, n_out in pairwise(widths))
    )


@contextmanager
def _silence():
    """Show neither what is logged nor progress bars."""
    logging.disable()
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _forward(module):
    """Rows from a module or a function of tensors, as numpy arrays."""

    def reconstruct(X):
        with torch.no_grad():
            return module(torch.from_numpy(X)).numpy()

    return reconstruct


PEERS = {
    "textbook loop": textbook,
    "skorch": skorch,
    "skorch, Adam": skorch_adam,
    "MLPRegressor": scikit_learn,
    "PyOD": pyod,
    "pythae AE": pythae_autoencoder,
    "pythae VAE": pythae_variational,
    "Keras": keras,
}
