"""Data to compare methods on, each as a part to train on and a held-out part to evaluate on.

Which part is held out is `evaluate`: the test part is not even read for ``"validation"``.
"""

import base64
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn import datasets as embedded
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import interpolate

HELD_OUT_FRACTION = 0.25  # of the samples, for data that come without a test part
EMBEDDED_TABLES = {"breast_cancer": embedded.load_breast_cancer, "wine": embedded.load_wine}
MNIST_TRAIN, MNIST_VALIDATION = 60_000, 10_000  # all training images; the last ones validate
PATCH = 16  # pixels, the height and width of a patch and the step from one to the next
CROPPED = 80, 160  # pixels, the smallest side of what is cut out, and a limit that none reaches
QUARTERS = {"train": (0, 2), "validation": (2, 3), "test": (3, 4)}  # of the width, for crops
LEVELS = 32  # of brightness, of images that are kept as text


class Part(NamedTuple):
    """Samples and their labels."""

    X: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    """What to train on and what to evaluate on; `image_shape` is None unless X are images."""

    name: str
    train: Part
    held_out: Part
    image_shape: tuple | None = None


class Source(NamedTuple):
    """Where a split comes from: images by the name of the data set, or a file of tabular data."""

    name: str | Path
    data_dir: Path | None = None
    evaluate: str = "test"
    seed: int = 0
    train_size: int = 20_000

    @property
    def title(self):
        """Name of the data set."""
        return Path(self.name).stem

    def __str__(self):
        return f"{self.title}, seed {self.seed}"


def load(source):
    """The :class:`Split` that a :class:`Source` describes."""
    if isinstance(source.name, Path):
        return _table(source)
    return {"digits": _digits, "mnist": _mnist, "patches": _patches}[source.name](source)


def _digits(source):
    """scikit-learn's 1,797 images of 8 x 8 pixels, scaled to [0, 1]; a quarter is held out."""
    X, y = embedded.load_digits(return_X_y=True)
    parts = _hold_out((X / 16).astype(np.float32), y, source.evaluate, source.seed)
    return Split("digits", *parts, image_shape=(8, 8))


def _mnist(source):
    """MNIST, scaled to [0, 1]; the validation part is the last 10,000 training images."""
    X, y = _read_mnist(source.data_dir, "train")
    n, n_held_out = source.train_size, MNIST_VALIDATION if source.evaluate == "validation" else 0
    if not 1 <= n <= len(X) - n_held_out:
        raise ValueError(f"train_size={n} must be 1 to {len(X) - n_held_out}.")
    held_out = X[-MNIST_VALIDATION:], y[-MNIST_VALIDATION:]
    if source.evaluate == "test":
        held_out = _read_mnist(source.data_dir, "test")
    return Split("mnist", _flat_images(X[:n], y[:n]), _flat_images(*held_out), (28, 28))


def _patches(source):
    """Color patches of scikit-learn's two sample photographs, scaled to [0, 1].

    The test part is the right quarter of both, the validation part the quarter next to it;
    training patches are from the left of that. The label is the photograph. Patches do not
    overlap: the validation set of a fit would have pixels of its training set.
    """
    photographs = _photographs()
    quarter = photographs[0].shape[1] // 4
    end = {"validation": 3, "test": 4}[source.evaluate] * quarter
    train = _patches_of([image[:, : end - quarter] for image in photographs])
    held_out = _patches_of([image[:, end - quarter : end] for image in photographs])
    return Split("patches", train, held_out, image_shape=(PATCH, PATCH, 3))


def _photographs():
    return [image.astype(np.float32) / 255 for image in embedded.load_sample_images().images]


def crops(side, n_samples, part, seed):
    """Square color images, cut out of a part of the two photographs and scaled to a side, flat.

    The parts are those of `QUARTERS`. Place, size, orientation and brightness are random, so the
    crops of a part overlap.
    """
    rng, (start, end) = np.random.default_rng([seed, *QUARTERS[part]]), QUARTERS[part]
    X, photographs = np.empty((n_samples, side, side, 3), np.float32), _photographs()
    for crop in X:
        image, size = photographs[rng.integers(len(photographs))], rng.integers(*CROPPED)
        quarter = image.shape[1] // 4
        top = rng.integers(len(image) - size + 1)
        left = rng.integers(start * quarter, end * quarter - size + 1)
        cut = image[top : top + size, left : left + size][:, :: rng.choice([1, -1])].copy()
        channels = torch.from_numpy(cut).permute(2, 0, 1)[None]
        scaled = interpolate(channels, (side, side), mode="bilinear", antialias=True)[0]
        np.clip(scaled.permute(1, 2, 0).numpy() * rng.uniform(0.8, 1.2), 0, 1, out=crop)
    return X.reshape(n_samples, -1)


def _patches_of(images):
    shape = (PATCH, PATCH, 3)
    windows = [sliding_window_view(image, shape)[::PATCH, ::PATCH, 0] for image in images]
    X = [window.reshape(-1, np.prod(shape)) for window in windows]
    return Part(np.concatenate(X), np.repeat(np.arange(len(X)), [len(part) for part in X]))


def table_paths(data_dir=None):
    """Files in `data_dir/tabular`, by name; without a folder names of scikit-learn's data sets."""
    if data_dir is None:
        return [Path(name) for name in EMBEDDED_TABLES]
    paths = sorted((Path(data_dir) / "tabular").glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"There is no data set tabular/*.npz in {data_dir}.")
    return paths


def read_table(path):
    """Samples and labels of one of :func:`table_paths`, as they are."""
    if path.name in EMBEDDED_TABLES:
        return EMBEDDED_TABLES[path.name](return_X_y=True)
    with np.load(path) as file:
        return file["X"], file["y"]


def _table(source):
    """A tabular data set, a quarter held out, standardized by its training part."""
    parts = _hold_out(*read_table(source.name), source.evaluate, source.seed)
    scaler = StandardScaler().fit(parts[0].X)
    return Split(source.title, *(Part(scaler.transform(part.X), part.y) for part in parts))


def _hold_out(X, y, evaluate, seed):
    """Two parts: the test part is a quarter, the validation part a quarter of the others."""
    split = train_test_split(X, y, test_size=HELD_OUT_FRACTION, random_state=seed)
    X_train, X_held_out, y_train, y_held_out = split
    if evaluate == "validation":
        return _hold_out(X_train, y_train, "test", seed)
    return Part(X_train, y_train), Part(X_held_out, y_held_out)


def _read_mnist(data_dir, part):
    if data_dir is not None:
        with np.load(Path(data_dir) / "mnist.npz") as file:
            return file[f"X_{part}"], file[f"y_{part}"]
    X, y = embedded.fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    chosen = slice(MNIST_TRAIN) if part == "train" else slice(MNIST_TRAIN, None)
    return X[chosen], y[chosen].astype(int)


def _flat_images(X, y):
    return Part((X.reshape(len(X), -1) / np.float32(255)).astype(np.float32, copy=False), y)


def pack_images(X, image_shape):
    """Images in [0, 1] as text for a CSV: 32 levels of brightness, compressed, in base 85."""
    levels = (np.clip(X, 0, 1) * (LEVELS - 1)).round().astype(np.uint8)
    shape = "x".join(map(str, (len(X), *image_shape)))
    return f"{shape}:{base64.b85encode(zlib.compress(levels.tobytes(), 9)).decode()}"


def pack_examples(X, split):
    """One image of each class as text, from images in the order of the held-out ones."""
    return pack_images(X[np.unique(split.held_out.y, return_index=True)[1]], split.image_shape)


def unpack_images(text):
    """Images in [0, 1] from a text of :func:`pack_images`, an array of three or four dimensions."""
    shape, _, packed = text.partition(":")
    levels = np.frombuffer(zlib.decompress(base64.b85decode(packed)), np.uint8)
    return levels.reshape(tuple(map(int, shape.split("x")))) / (LEVELS - 1)
