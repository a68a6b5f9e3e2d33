"""The same training without skae: hand-written loops of PyTorch, and other libraries.

A peer is ``peer(X, hidden, k, epochs, seed, curve)``: it fits an autoencoder of k components, with
`hidden` layers before the code and the same in reverse after it, to samples in [0, 1], and calls
``curve.mark`` with its reconstruction after each epoch. Each is as its documentation shows it
otherwise. One whose library is not installed raises ImportError.
"""

import logging
import os
import warnings
from collections import namedtuple
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from itertools import pairwise
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet, NeuralNetRegressor
from skorch.callbacks import Callback
from torch import nn

LEARNING_RATE = 1e-3
TEXTBOOK_BATCH = 256  # samples, as many as in the tutorial of Keras


def pause():
    """Wait before a fit is timed: the threads of numpy, still looking for work, slow it down."""
    sleep(0.2)


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lower, upper):
        return x.clamp(lower, upper)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


def dense(n_features, k):
    """Residual paths of skae's dense network with one hidden layer of 256 units."""
    f = nn.Sequential(nn.Linear(n_features, 256), nn.SiLU(), nn.Linear(256, k))
    return f, nn.Sequential(nn.Linear(k, 256), nn.SiLU(), nn.Linear(256, n_features))


def conv(n_features, k):
    """Residual paths of skae's convolutional network, with its defaults, on images of 28 x 28."""
    layer, size = {"kernel_size": 3, "stride": 2, "padding": 1}, 64 * 7 * 7
    f = nn.Sequential(
        *(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 32, **layer), nn.SiLU()),
        *(nn.Conv2d(32, 64, **layer), nn.SiLU(), nn.Flatten(), nn.Linear(size, k)),
    )
    layer["output_padding"] = 1
    g = nn.Sequential(
        *(nn.Linear(k, size), nn.SiLU(), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 32, **layer), nn.SiLU()),
        *(nn.ConvTranspose2d(32, 1, **layer), nn.Flatten()),
    )
    return f, g


class Network(nn.Module):
    """skae's network by hand: linear paths, `dense` or `conv` ones, a straight-through clip."""

    def __init__(self, paths, n_features, k, lower, upper):
        super().__init__()
        self.V = nn.Linear(n_features, k, bias=False)
        self.D = nn.Linear(k, n_features, bias=False)
        self.f, self.g = paths(n_features, k)
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def forward(self, u):
        z = self.V(u) + self.f(u)
        return _Clip.apply(self.D(z) + self.g(z), self.lower, self.upper)


def _prepare(X, paths, k, device="cpu"):
    """Standardized samples on a device, and a network whose bounds are the range of all values."""
    X = torch.from_numpy(X).to(device)
    mean = X.mean(0)
    scale = (X - mean).square().mean().sqrt()
    lower, upper = ((bound - mean) / scale for bound in (X.min(), X.max()))
    return (X - mean) / scale, Network(paths, X.shape[1], k, lower, upper).to(device)


def _train(network, X, optimizer, batch_size, epochs, after_step=None, after_epoch=None):
    """Train with as little around the arithmetic as PyTorch allows; X is a tensor."""
    for _ in range(epochs):
        for chosen in torch.randperm(len(X), device=X.device).split(batch_size):
            x = X[chosen]
            optimizer.zero_grad()
            (network(x) - x).square().mean().backward()
            optimizer.step()
            if after_step:
                after_step()
        if after_epoch:
            after_epoch()


def hand_written(X, paths, k, batch_size, epochs, *, one_cycle=False, fused=True, device="cpu"):
    """Train skae's network by hand, with fused Adam, on samples that are kept on a device."""
    U, network = _prepare(X, paths, k, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=fused or None)
    n_steps = epochs * -(-len(U) // batch_size)
    cycle = partial(torch.optim.lr_scheduler.OneCycleLR, optimizer, LEARNING_RATE, n_steps)
    _train(network, U, optimizer, batch_size, epochs, cycle().step if one_cycle else None)
    float(network.V.weight.detach().sum())  # waits for the device


def skorch_defaults(X, paths, k, batch_size, epochs):
    """Train a NeuralNet as skorch makes it, silent: its DataLoader, callbacks, default Adam."""
    U, network = _prepare(X, paths, k)
    given = {"lr": LEARNING_RATE, "batch_size": batch_size, "max_epochs": epochs, "verbose": 0}
    given |= {"optimizer": torch.optim.Adam, "iterator_train__shuffle": True, "train_split": None}
    NeuralNet(network, criterion=nn.MSELoss, **given).fit(U, U)


def perceptron(n_features, hidden, k):
    """Textbook autoencoder: ReLU, a linear code, sigmoid output; the decoder is a mirror image."""
    encoder, decoder = _relu_layers(n_features, *hidden, k), _relu_layers(k, *hidden[::-1])
    output = nn.Linear(hidden[0], n_features)
    return nn.Sequential(*encoder[:-1], *decoder, output, nn.Sigmoid())


def _relu_layers(*widths):
    layers = [(nn.Linear(n_in, n_out), nn.ReLU()) for n_in, n_out in pairwise(widths)]
    return nn.Sequential(*(module for layer in layers for module in layer))


def train_textbook(X, network, batch_size, epochs, *, after_epoch=None):
    """Train a network to reconstruct samples as tutorials do: squared error, default Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    _train(network, torch.from_numpy(X), optimizer, batch_size, epochs, after_epoch=after_epoch)


def train_mlp_regressor(X, hidden, k, batch_size, epochs):
    """Train scikit-learn's MLPRegressor to reconstruct samples, for all the epochs."""
    sizes = {"hidden_layer_sizes": (*hidden, k, *hidden[::-1]), "batch_size": batch_size}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is not meant to converge
        MLPRegressor(**sizes, max_iter=epochs, n_iter_no_change=epochs).fit(X, X)


# Seconds of a fit so far, and the mean squared error per value on held-out samples.
Point = namedtuple("Point", "epochs seconds mse")


class Curve:
    """Error on held-out samples against seconds since it was made, without those of `mark`."""

    def __init__(self, X):
        self.points = []
        self._X = X
        self._seconds = 0.0
        self._since = perf_counter()

    def mark(self, reconstruct):
        """Note the time and the error of `reconstruct`, a function of samples."""
        self._seconds += perf_counter() - self._since
        mse = float(np.mean(np.square(reconstruct(self._X) - self._X), dtype=np.float64))
        self.points.append(Point(len(self.points) + 1, self._seconds, mse))
        self._since = perf_counter()


def textbook(X, hidden, k, epochs, seed, curve):
    """Hand-written PyTorch loop: ReLU, sigmoid output, Adam with a rate of 1e-3."""
    torch.manual_seed(seed)
    network = perceptron(X.shape[1], hidden, k)
    mark = {"after_epoch": lambda: curve.mark(_forward(network))}
    train_textbook(X, network, TEXTBOOK_BATCH, epochs, **mark)


def skorch(X, hidden, k, epochs, seed, curve, **settings):
    """The regressor of skorch's user guide: gradient descent with a rate of 0.1."""

    class Mark(Callback):
        def on_epoch_end(self, net, **kwargs):
            curve.mark(net.predict)

    torch.manual_seed(seed)
    settings = {"lr": 0.1, "iterator_train__shuffle": True, "verbose": 0} | settings
    network = perceptron(X.shape[1], hidden, k)
    net = NeuralNetRegressor(network, max_epochs=epochs, **settings)
    net.set_params(callbacks=[Mark()]).fit(X, X)


def mlp_regressor(X, hidden, k, epochs, seed, curve):
    """MLPRegressor with its defaults, fitted to its own input an epoch at a time."""
    net = MLPRegressor(hidden_layer_sizes=(*hidden, k, *hidden[::-1]), random_state=seed)
    for _ in range(epochs):
        net.partial_fit(X, X)
        curve.mark(net.predict)


def pyod(X, hidden, k, epochs, seed, curve):
    """PyOD's AutoEncoder, without its preprocessing, which fails on pixels that never vary."""
    from pyod.models.auto_encoder import AutoEncoder

    class Marked(AutoEncoder):
        def epoch_update(self):  # PyOD's own hook
            self.model.eval()
            curve.mark(_forward(self.model))  # PyOD itself has errors of samples only
            self.model.train()

    sizes = {"hidden_neuron_list": [*hidden, k], "epoch_num": epochs}
    Marked(**sizes, preprocessing=False, random_state=seed, verbose=0, device="cpu").fit(X)


def keras(X, hidden, k, epochs, seed, curve):
    """The deep autoencoder of Keras's tutorial, on PyTorch, but for the squared error."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(seed)
    widths = (*hidden, k, *hidden[::-1])
    hidden_layers = [keras.layers.Dense(width, activation="relu") for width in widths]
    output = keras.layers.Dense(X.shape[1], activation="sigmoid")
    model = keras.Sequential([keras.Input((X.shape[1],)), *hidden_layers, output])
    model.compile(optimizer="adam", loss="mse")

    def mark(epoch, logs):
        curve.mark(lambda samples: model.predict(samples, batch_size=1024, verbose=0))

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=mark)]
    model.fit(X, X, epochs=epochs, batch_size=256, shuffle=True, verbose=0, callbacks=callbacks)


def pythae(X, hidden, k, epochs, seed, curve, kind="AE"):
    """The AE or VAE of pythae, as its documentation shows it: Adam, 1e-3, batches of 64."""
    from pythae import models
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = _relu_layers(X.shape[1], *hidden)
            self.embedding, self.log_covariance = (nn.Linear(hidden[-1], k) for _ in range(2))

        def forward(self, x):
            h = self.layers(x)
            return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_covariance(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            output = nn.Linear(hidden[0], X.shape[1])
            self.layers = nn.Sequential(_relu_layers(k, *hidden[::-1]), output, nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    class Marking(TrainingCallback):
        def on_epoch_end(self, training_config, *, model, **kwargs):
            curve.mark(_forward(lambda x: model.predict(x).recon_x))

    torch.manual_seed(seed)
    sizes = getattr(models, f"{kind}Config")(input_dim=(X.shape[1],), latent_dim=k)
    model = getattr(models, kind)(sizes, Encoder(), Decoder())
    given = {"num_epochs": epochs, "learning_rate": 1e-3, "seed": seed, "no_cuda": True}
    logging.getLogger("pythae").setLevel(logging.WARNING)
    no_bars = redirect_stdout(StringIO()), redirect_stderr(StringIO())
    with no_bars[0], no_bars[1], TemporaryDirectory() as folder:
        config = BaseTrainerConfig(output_dir=folder, **given)
        TrainingPipeline(model, config)(X, callbacks=[Marking()])


def _forward(module):
    """A function of numpy arrays from a module, or a function of tensors."""

    def reconstruct(X):
        with torch.no_grad():
            return module(torch.from_numpy(X)).numpy()

    return reconstruct


PEERS = {
    "textbook loop": textbook,
    "skorch": skorch,
    "skorch, Adam": partial(skorch, optimizer=torch.optim.Adam, lr=LEARNING_RATE),
    "MLPRegressor": mlp_regressor,
    "PyOD": pyod,
    "pythae AE": pythae,
    "pythae VAE": partial(pythae, kind="VAE"),
    "Keras": keras,
}
