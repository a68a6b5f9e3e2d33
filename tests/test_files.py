"""Files: pickle, joblib and skops, in this process and in another."""

import copy
import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
import zipfile
from dataclasses import fields
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from conftest import KEEPS_EPOCH_0
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException
from skorch.callbacks import Callback, LRScheduler

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    _files,
)

ROOT = Path(__file__).parent.parent
DENSE = {"hidden_layer_sizes": (16,)}
ESTIMATORS = {
    "dense": AutoencoderTransformer(3, **DENSE),
    "textbook": AutoencoderTransformer(
        3, init="random", loss="log_loss", code_activation="relu", **DENSE
    ),
    "ordered": AutoencoderTransformer(0.9, **DENSE),
    "conv": ConvAutoencoderTransformer(3, channels=(4, 8)),
    "denoising": DenoisingAutoencoder(3, corruption="salt_and_pepper", **DENSE),
    "erasing": DenoisingAutoencoder(3, corruption="erase", image_shape=(8, 8), channels=(4,)),
    "gaussian": VAETransformer(3, **DENSE),
    "bernoulli": VAETransformer(3, likelihood="bernoulli", **DENSE),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*components are in use:UserWarning", "ignore:.*is not reached:UserWarning"
)


def _fit(estimator, X, **parameters):
    return clone(estimator).set_params(**{"max_iter": 1, "random_state": 0} | parameters).fit(X)


@pytest.fixture(scope="module")
def pixels(digits):
    return digits[:100] / 16


@pytest.fixture(scope="module")
def fitted(pixels):
    return {name: _fit(estimator, pixels) for name, estimator in ESTIMATORS.items()}


def _n_bytes_of_weights(estimator):
    return 4 * estimator.summary().total


def _skops_types(file):
    return skops.io.get_untrusted_types(file=file)


DUMP = {
    "pickle": lambda x, path: path.write_bytes(pickle.dumps(x)),
    "joblib": joblib.dump,
    "skops": skops.io.dump,
}
LOAD = {
    "pickle": lambda path: pickle.loads(path.read_bytes()),
    "joblib": joblib.load,
    "skops": lambda path: skops.io.load(path, trusted=_skops_types(path)),
}


# Round trips


PROGRAM = """
import pickle, sys
from pathlib import Path
import joblib, numpy, skops.io, torch
torch.set_num_threads(1)
folder = Path(sys.argv[1])
load = {
    "pickle": lambda path: pickle.loads(path.read_bytes()),
    "joblib": joblib.load,
    "skops": lambda path: skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path)),
}
X = numpy.load(folder / "X.npy")
for path in folder.glob("*.file"):
    estimator = load[path.stem.partition("-")[0]](path)
    numpy.savez(
        path.with_suffix(".npz"),
        Z=estimator.transform(X),
        X_hat=estimator.reconstruct(X),
        score=estimator.score(X),
    )
"""


@pytest.fixture(scope="module")
def elsewhere(fitted, pixels, tmp_path_factory):
    """Folder with what another process has computed by the files of the estimators."""
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "X.npy", pixels)
    for name, estimator in fitted.items():
        for way, dump in DUMP.items():
            dump(estimator, folder / f"{way}-{name}.file")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return folder


@pytest.mark.parametrize("way", sorted(DUMP))
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_another_process_computes_the_same_to_the_last_bit(elsewhere, fitted, pixels, name, way):
    computed = np.load(elsewhere / f"{way}-{name}.npz")
    np.testing.assert_array_equal(computed["Z"], fitted[name].transform(pixels))
    np.testing.assert_array_equal(computed["X_hat"], fitted[name].reconstruct(pixels))
    assert computed["score"] == fitted[name].score(pixels)


@pytest.mark.parametrize("way", sorted(DUMP))
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_attributes_are_restored_as_they_were(fitted, pixels, tmp_path, name, way):
    DUMP[way](fitted[name], tmp_path / "file")
    twin = LOAD[way](tmp_path / "file")
    assert twin.get_params() == fitted[name].get_params()
    assert vars(twin).keys() == vars(fitted[name]).keys()
    assert list(twin.history_) == list(fitted[name].history_)
    assert (twin.loss_curve_, twin.validation_scores_) == (
        fitted[name].loss_curve_,
        fitted[name].validation_scores_,
    )
    assert {type(value) for value in twin.loss_curve_} == {float}
    assert twin.summary() == fitted[name].summary()
    np.testing.assert_array_equal(twin.score_samples(pixels), fitted[name].score_samples(pixels))


def test_pipelines(pixels, tmp_path):
    pipeline = make_pipeline(StandardScaler(), _fit(ESTIMATORS["dense"], pixels)).fit(pixels)
    for way, dump in DUMP.items():
        dump(pipeline, tmp_path / way)
        np.testing.assert_array_equal(
            LOAD[way](tmp_path / way).transform(pixels), pipeline.transform(pixels)
        )


def test_truncated_estimators(fitted, pixels, tmp_path):
    truncated = fitted["ordered"].truncate(2)
    DUMP["skops"](truncated, tmp_path / "file")
    np.testing.assert_array_equal(
        LOAD["skops"](tmp_path / "file").reconstruct(pixels), truncated.reconstruct(pixels)
    )


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_device_that_is_not_here(fitted, pixels, name):
    estimator = copy.deepcopy(fitted[name]).set_params(device="cuda:77")
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(twin.transform(pixels), fitted[name].transform(pixels))
    # Nor does the file name anything of torch, whose tensors know their device.
    opcodes = list(pickletools.genops(pickle.dumps(estimator)))
    names = {str(argument) for opcode, argument, _ in opcodes if "UNICODE" in opcode.name}
    assert "skae._data.standardizer" in names
    assert not [name for name in names if name.split(".")[0] in ("torch", "skorch")]


# Size


@pytest.mark.parametrize("name", ["dense", "ordered", "conv", "denoising", "gaussian", "bernoulli"])
def test_ten_megabytes_of_data_are_not_in_the_file(name, tmp_path):
    X = np.random.default_rng(0).uniform(size=(20_000, 64))
    assert X.nbytes > 10e6
    estimator = _fit(ESTIMATORS[name], X, n_components=16, batch_size=4096)
    for way in ("pickle", "joblib"):  # of skops, the catalog alone has tens of thousands of bytes
        DUMP[way](estimator, tmp_path / way)
        assert (tmp_path / way).stat().st_size <= _n_bytes_of_weights(estimator) + 50_000


@pytest.mark.parametrize("n_components", [32, 128])
@pytest.mark.parametrize("name", ["dense", "conv", "denoising", "gaussian", "bernoulli"])
def test_wide_samples(name, n_components):
    X = np.random.default_rng(0).uniform(size=(150, 784))
    X[:9] = X[:9].round()  # bounds
    parameters = {"image_shape": (28, 28)} if name == "conv" else {"hidden_layer_sizes": (256, 256)}
    estimator = _fit(ESTIMATORS[name], X, n_components=n_components, max_iter=0, **parameters)
    n_bytes = len(pickle.dumps(estimator))
    assert n_bytes <= 1.1 * _n_bytes_of_weights(estimator) + 50_000
    assert n_bytes <= _n_bytes_of_weights(estimator) + 50_000


@pytest.mark.parametrize(
    ("corruption", "needs"),
    [
        ("masking", {"fraction", "low", "high"}),
        ("salt_and_pepper", {"fraction", "low", "high"}),
        ("gaussian", {"std", "lower", "upper"}),
        ("own", {"function", "image_shape"}),
    ],
)
def test_no_bounds_and_of_a_corruption_what_it_draws_from(pixels, corruption, needs):
    corruption = _darken if corruption == "own" else corruption
    estimator = _fit(
        ESTIMATORS["denoising"], pixels, corruption=corruption, noise_level=0.1, max_iter=0
    )
    assert np.isfinite(estimator.net_.module_.output.upper.numpy()).any()
    state = estimator.__getstate__()
    assert not [
        name for name in state["_model"]["weights"] if name.startswith(("output.", "corruption."))
    ]
    assert {field.name for field in fields(state["_corruption"])} == needs
    twin = pickle.loads(pickle.dumps(estimator))
    assert twin.score(pixels) == estimator.score(pixels)
    np.testing.assert_array_equal(
        twin.net_.module_.output.upper, estimator.net_.module_.output.upper
    )


def _darken(X, random_state):
    return X * random_state.uniform(0.5, 1, size=X.shape)


@KEEPS_EPOCH_0
def test_long_histories(pixels, tmp_path):
    estimator = _fit(ESTIMATORS["dense"], pixels[:60], max_iter=300, batch_size=20)
    for way, dump in DUMP.items():
        dump(estimator, tmp_path / way)
        assert (tmp_path / way).stat().st_size <= _n_bytes_of_weights(estimator) + 50_000
        assert list(LOAD[way](tmp_path / way).history_) == list(estimator.history_)


class Hoarder(Callback):
    """Keeps what a callback should not, and records what JSON cannot represent.

    The name of what it keeps is like that of a fitted attribute.
    """

    def __init__(self, every=1):
        self.every = every

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.seen_ = dataset_train.X, net.optimizer_
        net.history.record("array", np.arange(2))
        net.history.record("tensor", torch.ones(1))
        net.history.record("missing", float("nan"))
        net.history.record("object", Path("here"))


@pytest.mark.parametrize(
    "make",
    [Hoarder, lambda: LRScheduler("StepLR", step_size=2), lambda: ("named", Hoarder(every=3))],
)
def test_callbacks_are_restored_as_before_the_fit(pixels, make):
    given = make()
    estimator = _fit(ESTIMATORS["dense"], pixels, skorch_callbacks=[given, Hoarder], random_state=0)
    kept = estimator.skorch_callbacks[0]
    kept = kept[-1] if isinstance(kept, tuple) else kept
    before = {name: value for name, value in vars(kept).items() if not name.endswith("_")}
    assert vars(kept) != before
    assert len(pickle.dumps(estimator)) <= _n_bytes_of_weights(estimator) + 50_000
    twin = pickle.loads(pickle.dumps(estimator))
    loaded = twin.skorch_callbacks[0]
    loaded = loaded[-1] if isinstance(loaded, tuple) else loaded
    assert vars(loaded) == before
    assert vars(kept) != before  # the estimator's own are left alone
    assert twin.skorch_callbacks[1] is Hoarder
    row = dict(twin.history_[0])
    assert (row["array"], row["tensor"], row["object"]) == ([0, 1], [1.0], "here")
    assert np.isnan(row["missing"])
    np.testing.assert_array_equal(twin.fit(pixels).transform(pixels), estimator.transform(pixels))


# Trust and versions


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_skops_has_only_our_types_to_trust(fitted, name, tmp_path):
    skops.io.dump(fitted[name], tmp_path / "file")
    types = _skops_types(tmp_path / "file")
    cls = type(fitted[name])
    assert f"{cls.__module__}.{cls.__name__}" in types
    assert {name.partition(".")[0] for name in types} == {"skae"}
    corruptions = {name for name in types if ".corruptions." in name}
    others = {f"{cls.__module__}.{cls.__name__}", "skae._data.standardizer.Standardizer"}
    assert len(corruptions) == (name in ("denoising", "erasing"))
    (fill,) = set(types) - corruptions - others
    assert fill.startswith("skae._data.missing.")
    with pytest.raises(UntrustedTypesFoundException, match="skae"):
        skops.io.load(tmp_path / "file")


@pytest.mark.parametrize("way", sorted(DUMP))
def test_another_version_is_warned_of(fitted, pixels, tmp_path, monkeypatch, way):
    estimator = fitted["dense"]
    monkeypatch.setattr(_files, "__version__", "0.0.7")
    DUMP[way](estimator, tmp_path / "file")
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning) as caught:
        twin = LOAD[way](tmp_path / "file")
    assert len(caught) == 1
    warning = caught[0].message
    assert warning.estimator_name == "AutoencoderTransformer"
    assert (warning.original_sklearn_version, warning.current_sklearn_version) == (
        "0.0.7",
        skae.__version__,
    )
    np.testing.assert_array_equal(twin.transform(pixels), estimator.transform(pixels))


def test_a_file_without_a_version_is_warned_of():
    state = AutoencoderTransformer().__getstate__()
    del state["_skae_version"]
    with pytest.warns(
        InconsistentVersionWarning, match="AutoencoderTransformer from version unknown"
    ):
        AutoencoderTransformer().__setstate__(state)


# Files that are cut short, changed, or not ours


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize(
    ("way", "errors"),
    [
        ("pickle", (EOFError, pickle.UnpicklingError)),
        ("joblib", (EOFError, IndexError, OSError, ValueError, pickle.UnpicklingError)),
        ("skops", zipfile.BadZipFile),
    ],
)
def test_files_that_are_cut_short(fitted, tmp_path, way, errors, share):
    DUMP[way](fitted["gaussian"], tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(errors):
        LOAD[way](tmp_path / "file")


def _without(state, key):
    return {name: value for name, value in state.items() if name != key}


def _changed(part, change):
    """A change of a part of the model's state."""
    return lambda state: state | {"_model": state["_model"] | {part: change(state["_model"][part])}}


DAMAGES = {
    "no model": lambda state: _without(state, "_model"),
    "no weights": lambda state: state | {"_model": _without(state["_model"], "weights")},
    "a weight less": _changed(
        "weights", lambda weights: _without(weights, "encoder.linear.weight")
    ),
    "a weight more": _changed("weights", lambda weights: weights | {"more": np.zeros(3)}),
    "no array": _changed("weights", lambda weights: weights | {"encoder.linear.weight": "three"}),
    "no sizes": lambda state: state | {"_model": _without(state["_model"], "spec")},
    "other sizes": _changed(
        "spec", lambda spec: spec.replace('"n_components": 3', '"n_components": 5')
    ),
    "unknown network": _changed("spec", lambda spec: spec.replace('"Dense"', '"Round"')),
    "cut spec": _changed("spec", lambda spec: spec[:-1]),
    "no standardizer": lambda state: (
        state | {"_model": _without(state["_model"], "target_standardizer")}
    ),
    "no history": lambda state: _without(state, "_history"),
    "other history": lambda state: state | {"_history": b"epochs"},
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_corrupt_files(fitted, damage):
    state = DAMAGES[damage](fitted["dense"].__getstate__())
    with pytest.raises(
        ValueError,
        match=r"The saved AutoencoderTransformer is incomplete.*corrupt or changed, or of another",
    ):
        AutoencoderTransformer().__setstate__(state)


def test_skops_files_that_were_changed(fitted, tmp_path):
    skops.io.dump(fitted["dense"], tmp_path / "file")
    with zipfile.ZipFile(tmp_path / "file") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    arrays = [name for name in members if name.endswith(".npy")]
    largest = max(arrays, key=lambda name: len(members[name]))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 2), dtype=np.float32))
    with zipfile.ZipFile(tmp_path / "changed", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, buffer.getvalue() if name == largest else content)
    assert json.loads(members["schema.json"])["__class__"] == "AutoencoderTransformer"
    with pytest.raises(ValueError, match="The saved AutoencoderTransformer is incomplete"):
        LOAD["skops"](tmp_path / "changed")
