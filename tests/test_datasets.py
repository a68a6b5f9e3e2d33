"""Datasets: what a network is given of samples."""

import numpy as np
import pytest
import torch

from skae._data import datasets, sources
from skae._data.corruptions import Function, GaussianNoise
from skae._data.datasets import CorruptedDataset, ResidentDataset, SampleDataset
from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._data.standardizer import Standardizer

POSITIONS = np.array([5, 1, 9, 20])


def _standardizer(X):
    return Standardizer.of(
        Moments.of(ArraySource(X).chunks(), cross=False), centered=True, bounded=False
    )


def _by_hand(X):
    return (X - X.astype(float).mean(axis=0)) / np.sqrt(X.astype(float).var(axis=0).mean())


def _dataset(X, positions=None, *, target=None, target_standardizer=None, **corruption):
    standardizer = _standardizer(X)
    if target is not None:
        target, target_standardizer = ArraySource(target), _standardizer(target)
    make = CorruptedDataset if corruption else SampleDataset
    arguments = (
        ArraySource(X),
        standardizer,
        target_standardizer or standardizer,
        torch.device("cpu"),
    )
    return make(*arguments, positions, target, **corruption)


def _one_batch(dataset, rng=None):
    batch = next(dataset.batches(1_000_000, rng))
    return batch.input.numpy(), batch.target.numpy()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_are_standardized_batch_by_batch_in_float32(cancer, dtype, order):
    X = np.array(cancer * 3 + 2, dtype=dtype, order=order)
    before = X.copy()
    dataset = _dataset(X, POSITIONS)
    assert len(dataset) == 4
    batches = list(dataset.batches(3))
    assert [len(batch.input) for batch in batches] == [3, 1]
    for part in ("input", "target"):
        tensor = torch.cat([getattr(batch, part) for batch in batches])
        assert tensor.numpy().dtype == np.float32
        np.testing.assert_allclose(tensor.numpy(), _by_hand(X)[POSITIONS], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(X, before)


def test_samples_default_to_all(cancer):
    dataset = _dataset(cancer)
    assert len(dataset) == len(cancer)
    assert next(dataset.batches(10)).input.shape == (10, 30)
    np.testing.assert_allclose(_one_batch(dataset)[0], _by_hand(cancer), rtol=1e-4, atol=1e-5)


def _numbered(n):
    """Samples that say what their position is."""
    return np.c_[np.arange(n, dtype=float), np.zeros(n)]


@pytest.mark.parametrize("size", [1, 7, 300, 1024, 1500, 5000])
def test_batches_cover_every_position_once_shuffled_only_by_an_rng(size, rng):
    X = _numbered(2500)
    dataset = _dataset(X)

    def positions(rng=None):
        batches = [batch.input for batch in dataset.batches(size, rng)]
        assert [len(batch) for batch in batches] == [
            min(size, 2500 - i) for i in range(0, 2500, size)
        ]
        return np.rint(
            dataset.standardizer.inverse_transform(torch.cat(batches).double().numpy())[:, 0]
        ).astype(int)

    np.testing.assert_array_equal(positions(), np.arange(2500))
    first, second = positions(rng), positions(rng)
    assert not np.array_equal(first, second)
    for shuffled in (first, second):
        np.testing.assert_array_equal(np.sort(shuffled), np.arange(2500))
        assert not np.array_equal(shuffled, np.arange(2500))


def test_input_and_target_are_the_same_tensor_where_nothing_differs(cancer):
    assert all(batch.input is batch.target for batch in _dataset(cancer).batches(100))


@pytest.mark.parametrize("is_shuffled", [True, False])
def test_targets_are_those_of_their_samples(cancer, is_shuffled, rng):
    target = cancer[:, :3] ** 2 + 7
    u, y = _one_batch(_dataset(cancer, POSITIONS, target=target), rng if is_shuffled else None)
    order = [np.abs(_by_hand(cancer) - sample).sum(axis=1).argmin() for sample in u]
    assert sorted(order) == sorted(POSITIONS)
    np.testing.assert_allclose(u, _by_hand(cancer)[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y, _by_hand(target)[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_samples_in_other_units_are_a_target(cancer, dtype):
    X, mean = (3 * cancer + 2).astype(dtype), np.arange(30.0)
    u, y = _one_batch(
        _dataset(
            X, target_standardizer=Standardizer(mean, 4.0, np.array(-np.inf), np.array(np.inf))
        )
    )
    np.testing.assert_allclose(u, _by_hand(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y, (X - mean) / 4, rtol=1e-4, atol=1e-5)


def _noise(n_features, std=1.0):
    return GaussianNoise(std, np.full(n_features, -np.inf), np.full(n_features, np.inf))


def _add_in_place(X, random_state):
    X += 5
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("positions", [None, POSITIONS])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_standardizer": Standardizer.identity(30)},
        {"corruption": _noise(30), "seed": [0]},
        {"corruption": Function(_add_in_place, None), "seed": [0]},
    ],
    ids=["samples", "other units", "noise", "function"],
)
def test_data_are_left_alone(cancer, options, positions, order, dtype, rng):
    X = np.array(3 * cancer + 2, dtype=dtype, order=order)
    before = X.copy()
    for batch in [
        *_dataset(X, positions, **options).batches(16),
        *_dataset(X, positions, **options).batches(16, rng),
    ]:
        for tensor in batch[:2]:
            tensor.zero_()
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_are_corrupted_in_the_units_of_x_and_their_targets_are_clean(cancer, dtype):
    X, seen = (3 * cancer + 2).astype(dtype), []

    def corrupt(given, random_state):
        seen.append(given.copy())
        return given**2

    dataset = _dataset(X, POSITIONS, corruption=Function(corrupt, None), seed=[0])
    u, y = _one_batch(dataset)
    np.testing.assert_array_equal(np.concatenate(seen), X[POSITIONS])
    scale = np.sqrt(X.astype(float).var(axis=0).mean())
    np.testing.assert_allclose(
        u, (X[POSITIONS].astype(float) ** 2 - X.mean(axis=0)) / scale, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(y, _by_hand(X)[POSITIONS], rtol=1e-4, atol=1e-5)


def _passes(rng, seed=(0,), n=3):
    """Inputs of passes over the same samples, of which only the corruption differs."""
    X = np.r_[np.zeros((40, 3)), np.ones((40, 3))]
    dataset = _dataset(X, np.arange(40), corruption=_noise(3), seed=seed)
    next(dataset.batches(16))  # a pass that is not ended
    return [
        torch.cat([batch.input for batch in dataset.batches(16, rng)]).numpy() for _ in range(n)
    ]


@pytest.mark.parametrize("is_shuffled", [True, False])
def test_corruption_is_another_at_each_pass_only_where_it_is_shuffled(is_shuffled, monkeypatch):
    monkeypatch.setattr(sources, "_CHUNK_SIZE", 16)
    first, *others = _passes(np.random.default_rng(0) if is_shuffled else None)
    assert all(np.array_equal(first, other) is not is_shuffled for other in others)
    # Within a pass, each sample has a corruption of its own, whatever is fetched together.
    assert len(np.unique(first, axis=0)) == 40


@pytest.mark.parametrize("is_shuffled", [True, False])
def test_corruption_is_that_of_the_seed(is_shuffled):
    def passes(seed):
        return _passes(np.random.default_rng(0) if is_shuffled else None, seed)

    for one, same, other in zip(passes([0]), passes([0]), passes([0, 1]), strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)


def test_whoever_looks_at_a_dataset_does_not_change_the_passes_of_training():
    X = np.zeros((40, 3)) + np.arange(40)[:, None]

    def training(looks):
        dataset, rng = (
            _dataset(X, np.arange(40), corruption=_noise(3), seed=[0]),
            np.random.default_rng(0),
        )
        for _ in range(2):
            if looks:
                list(dataset.batches(16))
                list(dataset.targets())
                dataset[:5]
            last = torch.cat([batch.input for batch in dataset.batches(16, rng)])
        return last.numpy()

    np.testing.assert_array_equal(training(looks=True), training(looks=False))


@pytest.mark.parametrize("index", [3, slice(1, 3), np.array([3, 1, 1])])
def test_samples_by_their_place(cancer, index):
    batch = _dataset(3 * cancer + 2, POSITIONS)[index]
    expected = _by_hand(3 * cancer + 2)[np.atleast_1d(np.arange(len(cancer))[POSITIONS][index])]
    for part in batch[:2]:
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-5)


def test_targets_are_those_of_the_batches_without_corruption(cancer):
    dataset = _dataset(3 * cancer + 2, POSITIONS, corruption=_noise(30), seed=[0])
    targets = torch.cat(list(dataset.targets()))
    np.testing.assert_array_equal(
        targets, torch.cat([batch.target for batch in dataset.batches(16)])
    )


# In the memory of a device


def _rooms(monkeypatch, n_bytes):
    """As on a device with so much room for samples."""
    monkeypatch.setattr(datasets, "_room_for_samples", lambda device: n_bytes)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("positions", [None, POSITIONS])
@pytest.mark.parametrize("has_target", [False, True])
def test_resident_samples_are_the_batches_that_would_be_read(
    cancer, monkeypatch, size, shuffled, positions, has_target
):
    X = cancer[:120].copy()
    X[3, 4] = X[9, 0] = np.nan
    source = ArraySource(X, sample_weight=np.arange(1.0, 121)).with_fill(np.nan_to_num)
    standardizer = _standardizer(cancer)
    arguments = (source, standardizer, standardizer, "cpu", positions)
    dataset = SampleDataset(*arguments, ArraySource(X[:, :2].copy()) if has_target else None)
    if has_target:
        dataset.target_standardizer = _standardizer(cancer[:, :2])
        dataset.target = dataset.target.with_fill(np.nan_to_num)
    # Samples are prepared in several chunks.
    monkeypatch.setattr(datasets, "chunk_size", lambda n_features: 50)
    _rooms(monkeypatch, 1e9)
    resident = dataset.resident()
    assert isinstance(resident, ResidentDataset)
    assert len(resident) == len(dataset)
    rngs = [np.random.default_rng(0) if shuffled else None for _ in range(2)]
    for _ in range(2):  # passes
        batches = [
            list(which.batches(size, rng))
            for which, rng in zip((dataset, resident), rngs, strict=True)
        ]
        assert len(batches[0]) == len(batches[1])
        for read, kept in zip(*batches, strict=True):
            for part, other in zip(read[:4], kept[:4], strict=True):
                assert torch.equal(part, other)
            assert (kept.input is kept.target) == (not has_target)


def test_samples_are_resident_only_where_there_is_room(cancer, monkeypatch):
    dataset = _dataset(cancer.astype(np.float32))
    assert dataset.resident() is dataset  # on the CPU
    n_bytes = 4 * cancer.size
    _rooms(monkeypatch, n_bytes - 1)
    assert dataset.resident() is dataset
    _rooms(monkeypatch, n_bytes)
    resident = dataset.resident()
    assert isinstance(resident, ResidentDataset)
    assert resident.resident() is resident
    corrupted = _dataset(cancer, corruption=GaussianNoise(0.1, -np.inf, np.inf), seed=[0])
    assert corrupted.resident() is corrupted


def test_resident_samples_are_read_once(cancer, monkeypatch):
    dataset = _dataset(cancer)
    _rooms(monkeypatch, 1e9)
    resident = dataset.resident()
    monkeypatch.setattr(ArraySource, "take", None)
    rng = np.random.default_rng(0)
    assert sum(
        len(batch.input) for _ in range(3) for batch in resident.batches(10, rng)
    ) == 3 * len(cancer)
