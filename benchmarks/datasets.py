"""Data to compare methods on, each as a part to train on and a held-out part to evaluate on.

Which part is held out is the loader's `evaluate`: the test part of a dataset is not even read for ``"validation"``.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_digits,
    load_sample_images,
    load_wine,
)
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

HELD_OUT_SHARE = 0.25  # of the rows, for data that come without a test part
EMBEDDED_TABLES = {"breast_cancer": load_breast_cancer, "wine": load_wine}
# All training images; the last of them, which validate.
MNIST_TRAIN, MNIST_VALIDATION = 60_000, 10_000


class Part(NamedTuple):
    """Rows and their labels."""

    X: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    """What to train on and what to evaluate on; `image_shape` is None where the rows are no images."""

    name: str
    train: Part
    held_out: Part
    image_shape: tuple | None = None


class Source(NamedTuple):
    """Where a split comes from: a dataset of images by its name, or a table by its path."""

    name: str | Path
    data_dir: Path | None = None
    evaluate: str = "test"
    seed: int = 0
    train_size: int = 20_000

    @property
    def title(self):
        """Name of the dataset."""
        return Path(self.name).stem

    def __str__(self):
        return f"{self.title}, seed {self.seed}"


def load(source):
    """Give the split that a :class:`Source` describes.

    Returns
    -------
    split : Split
    """
    if isinstance(source.name, Path):
        return table(source.name, evaluate=source.evaluate, seed=source.seed)
    given = {"evaluate": source.evaluate, "seed": source.seed, "train_size": source.train_size}
    return images(source.name, source.data_dir, **given)


def digits(*, evaluate="test", seed=0):
    """Give scikit-learn's 1,797 images of 8 x 8 pixels, scaled to [0, 1].

    Parameters
    ----------
    evaluate : {"validation", "test"}, default="test"
        The part to hold out. The test part is a quarter of the rows, the validation part a quarter of the others.
    seed : int, default=0
        Of the split.

    Returns
    -------
    split : Split
    """
    X, y = load_digits(return_X_y=True)
    return Split(
        "digits", *_hold_out((X / 16).astype(np.float32), y, evaluate, seed), image_shape=(8, 8)
    )


def mnist(data_dir=None, *, evaluate="validation", train_size=20_000):
    """Give MNIST, scaled to [0, 1]; the validation part is the last 10,000 training images.

    Parameters
    ----------
    data_dir : path-like, default=None
        Folder with `mnist.npz`: X_train (60000, 28, 28), y_train, X_test (10000, 28, 28), y_test. None downloads the
        images from OpenML, which needs pandas.
    evaluate : {"validation", "test"}, default="validation"
        The part to hold out.
    train_size : int, default=20_000
        Number of training images: the first ones.

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        If `train_size` asks for validation images or for more than there are.
    """
    X, y = _read_mnist(data_dir, "train")
    available = len(X) - MNIST_VALIDATION if evaluate == "validation" else len(X)
    if not 1 <= train_size <= available:
        raise ValueError(
            f"train_size={train_size} must be 1 to {available}: the other images are held out."
        )
    train = _flat_images(X[:train_size], y[:train_size])
    if evaluate == "validation":
        held_out = _flat_images(X[-MNIST_VALIDATION:], y[-MNIST_VALIDATION:])
    else:
        held_out = _flat_images(*_read_mnist(data_dir, "test"))
    return Split("mnist", train, held_out, image_shape=(28, 28))


def patches(*, evaluate="test", size=16, step=16):
    """Give colour patches of scikit-learn's two sample photographs, scaled to [0, 1]; the label is the photograph.

    Parameters
    ----------
    evaluate : {"validation", "test"}, default="test"
        The part to hold out. The test part is the right quarter of both photographs, the validation part the quarter
        beside it; training patches are from the left of the part that is held out.
    size, step : int
        Height and width of a patch, and the pixels from one patch to the next. Where patches overlap, the validation rows
        that a fit draws share pixels with those that it trains on, and tell nothing about unseen parts of a photograph.

    Returns
    -------
    split : Split
    """
    photographs = [image.astype(np.float32) / 255 for image in load_sample_images().images]
    quarter = photographs[0].shape[1] // 4
    end = {"validation": 3, "test": 4}[evaluate] * quarter
    train = _cut([image[:, : end - quarter] for image in photographs], size, step)
    held_out = _cut([image[:, end - quarter : end] for image in photographs], size, step)
    return Split("patches", train, held_out, image_shape=(size, size, 3))


def _cut(images, size, step):
    windows = [sliding_window_view(image, (size, size, 3))[::step, ::step, 0] for image in images]
    X = [cut.reshape(-1, size * size * 3) for cut in windows]
    return Part(np.concatenate(X), np.repeat(np.arange(len(X)), [len(rows) for rows in X]))


def images(name, data_dir=None, *, evaluate, seed=0, train_size=20_000):
    """Give a dataset of images by its name; the other parameters are those of :func:`digits` and :func:`mnist`.

    Parameters
    ----------
    name : {"digits", "mnist", "patches"}

    Returns
    -------
    split : Split
    """
    if name == "digits":
        return digits(evaluate=evaluate, seed=seed)
    if name == "patches":
        return patches(evaluate=evaluate)
    return mnist(data_dir, evaluate=evaluate, train_size=train_size)


def table_paths(data_dir=None):
    """Files of the tables in `data_dir/tabular`, by name; without a folder the names of tables of scikit-learn.

    Raises
    ------
    FileNotFoundError
        If there is none in the folder.
    """
    if data_dir is None:
        return [Path(name) for name in EMBEDDED_TABLES]
    folder = Path(data_dir) / "tabular"
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"There is no table (*.npz) in {folder}.")
    return paths


def read_table(path):
    """Give the rows and the labels of a table, as they are.

    Parameters
    ----------
    path : pathlib.Path
        One of :func:`table_paths`.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
    """
    if path.name in EMBEDDED_TABLES:
        return EMBEDDED_TABLES[path.name](return_X_y=True)
    with np.load(path) as file:
        return file["X"], file["y"]


def table(path, *, evaluate="test", seed=0):
    """Give a table, standardised by its training part.

    Parameters
    ----------
    path : pathlib.Path
        One of :func:`table_paths`: an npz file of X (n, p) and y (n,).
    evaluate : {"validation", "test"}, default="test"
        The part to hold out, as for :func:`digits`.
    seed : int, default=0
        Of the split.

    Returns
    -------
    split : Split
    """
    train, held_out = _hold_out(*read_table(path), evaluate, seed)
    scaler = StandardScaler().fit(train.X)
    return Split(path.stem, *(Part(scaler.transform(part.X), part.y) for part in (train, held_out)))


def _hold_out(X, y, evaluate, seed):
    X_train, X_held_out, y_train, y_held_out = train_test_split(
        X, y, test_size=HELD_OUT_SHARE, random_state=seed
    )
    if evaluate == "validation":
        return _hold_out(X_train, y_train, "test", seed)
    return Part(X_train, y_train), Part(X_held_out, y_held_out)


def _read_mnist(data_dir, part):
    if data_dir is not None:
        with np.load(Path(data_dir) / "mnist.npz") as file:
            return file[f"X_{part}"], file[f"y_{part}"]
    X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    rows = slice(MNIST_TRAIN) if part == "train" else slice(MNIST_TRAIN, None)
    return X[rows], y[rows].astype(int)


def _flat_images(X, y):
    return Part((X.reshape(len(X), -1) / np.float32(255)).astype(np.float32, copy=False), y)
