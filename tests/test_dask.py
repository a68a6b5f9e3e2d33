"""Arrays of dask against arrays of numpy."""

import os
import signal
from threading import Timer

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import ESTIMATORS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
)

da = pytest.importorskip("dask.array")


@pytest.fixture(name="X")
def _samples(digits):
    return digits.astype(np.float32)


@pytest.fixture
def fitted(X):
    return AutoencoderTransformer(4, max_iter=2, random_state=0).fit(X)


def _never(block):
    raise AssertionError("A block was computed.")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_fit_gives_the_bits_of_that_to_an_array(estimator, X):
    """There are fewer than nine chunks, whose order is that of an array."""
    parameters = {"max_iter": 2, "random_state": 0}
    given = da.from_array(X, chunks=(130, 64))
    lazily, expected = (estimator(4, **parameters).fit(samples) for samples in (given, X))
    assert lazily.validation_scores_ == expected.validation_scores_
    assert_array_equal(lazily.transform(X), expected.transform(X))
    assert lazily.score(given) == pytest.approx(expected.score(X), rel=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_methods_compute_nothing_until_asked_and_equal_those_of_arrays(estimator, method, dtype, X):
    X = X.astype(dtype)
    fitted = estimator(4, max_iter=1, random_state=0).fit(X)
    call, expected = getattr(fitted, method), getattr(fitted, method)(X)
    given = da.from_array(X, chunks=(130, 20))
    result = call(given)
    assert isinstance(result, da.Array)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert result.chunks[0] == (130, 130, 40)
    assert_allclose(result.compute(), expected, rtol=1e-5, atol=1e-4)
    call(given.map_blocks(_never, dtype=dtype))  # raises nothing


def test_whole_blocks_of_an_array_give_its_bits(fitted, X):
    given = da.from_array(X, chunks=(100, 64))
    codes = fitted.transform(given)
    expected = [fitted.transform(X[i : i + 100]) for i in (0, 100, 200)]
    assert_array_equal(codes.compute(), np.concatenate(expected))
    assert_allclose(fitted.inverse_transform(codes).compute(), fitted.reconstruct(X), atol=1e-5)


def test_the_score_is_that_of_all_blocks_together(fitted, X, rng):
    weights = rng.exponential(1, 300)
    weights[:100] = 0
    for given in (da.from_array(X, chunks=(100, 64)), da.from_array(X, chunks=((0, 7, 293), 64))):
        for w in (None, weights):
            expected = r2_score(
                X, fitted.reconstruct(X), sample_weight=w, multioutput="variance_weighted"
            )
            assert fitted.score(given, sample_weight=w) == pytest.approx(expected, rel=1e-6)


def test_images(X):
    images = X.reshape(-1, 8, 8)
    given = da.from_array(images, chunks=(130, 8, 8))
    fitted = ConvAutoencoderTransformer(4, max_iter=1, random_state=0).fit(given)
    assert fitted.image_shape_ == (8, 8)
    assert fitted.transform(given).shape == (300, 4)
    assert_allclose(fitted.reconstruct(given).compute(), fitted.reconstruct(images), atol=1e-5)


def test_the_estimator_is_in_one_node_of_the_graph(fitted, X):
    graph = fitted.transform(da.from_array(X, chunks=(10, 64))).__dask_graph__()
    held = [key for key in graph if "AutoencoderTransformer" in str(key)]
    assert len(held) == 1


def test_data_frames(X):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(64)])
    given = dd.from_pandas(frame, npartitions=3)
    fitted = AutoencoderTransformer(4, max_iter=1, random_state=0).fit(given)
    assert_array_equal(fitted.feature_names_in_, frame.columns)
    assert_allclose(fitted.transform(given).compute(), fitted.transform(frame), atol=1e-5)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(given[frame.columns[::-1]])


def test_bad_input_is_refused_at_once(fitted, X):
    given = da.from_array(X, chunks=(130, 64))
    with pytest.raises(ValueError, match="5 features"):
        fitted.transform(given[:, :5])
    with pytest.raises(ValueError, match="3 columns, but the latent codes"):
        fitted.inverse_transform(fitted.transform(given)[:, :3])
    for bad, message in (
        (given[given[:, 20] > 3], r"call X.compute_chunk_sizes\(\) first"),
        (given.rechunk((130, 32)), r"call X.rechunk\({1: -1}\)"),
        (da.from_array(np.full((9, 3), "a"), chunks=(9, 3)), "dtype <U1"),
        (da.where(given > 15, np.inf, given), "X has infinity in sample"),
    ):
        estimator = AutoencoderTransformer(2)
        with pytest.raises(ValueError, match=message):
            estimator.fit(bad)
        assert not hasattr(estimator, "n_features_in_")


@pytest.fixture(scope="module")
def client():
    """Client of two worker processes of this machine, with four threads each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=4, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_search_on_a_cluster_scores_as_one_in_this_process(client, X):
    grid = {"hidden_layer_sizes": [(8,), (16,)]}
    estimator = AutoencoderTransformer(4, max_iter=2, random_state=0)
    expected = GridSearchCV(estimator, grid, cv=2).fit(X)
    with joblib.parallel_config(backend="dask"):
        found = GridSearchCV(estimator, grid, cv=2).fit(X)
    assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


def test_methods_on_a_cluster(client, fitted, X):
    given = da.from_array(X, chunks=(100, 64))
    codes = fitted.transform(given)
    assert_allclose(client.compute(codes).result(), fitted.transform(X), atol=1e-5)
    assert fitted.score(given) == pytest.approx(fitted.score(X), rel=1e-6)


@pytest.fixture
def images():
    return load_digits().data / 16


def test_workers_start_at_pca_of_all_blocks(client, images):
    blocks = da.from_array(images, chunks=((700, 97, 500, 500), 64))
    fitted = AutoencoderTransformer(8, max_iter=0, random_state=0).fit(blocks)
    assert_allclose(fitted.mean_, images.mean(axis=0), rtol=1e-10, atol=1e-12)
    pca = PCA(8).fit(images)
    assert_allclose(fitted.transform(images), pca.transform(images), atol=1e-5)
    assert fitted.n_iter_ == 0
    assert fitted.get_params()["random_state"] == 0


def test_workers_train_as_well_as_one_process(client, images):
    train, held_out, test = np.split(images, [1200, 1500])
    estimator = AutoencoderTransformer(
        8, max_iter=20, hidden_layer_sizes=(64,), learning_rate_init=1e-2, random_state=0
    )
    alone = clone(estimator).fit(train, X_val=held_out)
    blocks = da.from_array(train, chunks=((400, 400, 100, 300), 64))
    fitted = estimator.fit(blocks, X_val=held_out)
    assert fitted.score(test) == pytest.approx(alone.score(test), abs=0.005)
    lazily = fitted.transform(da.from_array(test, chunks=(100, 64)))
    expected = [fitted.transform(test[i : i + 100]) for i in (0, 100, 200)]
    assert_array_equal(lazily.compute(), np.concatenate(expected))


def test_arrays_of_the_samples_go_where_the_samples_are(client, images):
    """With weights of zero for other samples, the mean and the targets are those of the rest."""
    noisy = (images + np.random.default_rng(0).normal(0, 0.3, images.shape)).clip(0, 1)
    weights = np.repeat([0.0, 1.0, 2.0], 599)
    denoiser = DenoisingAutoencoder(8, max_iter=0).fit(
        da.from_array(noisy, chunks=(200, 64)),
        sample_weight=weights,
        X_target=da.from_array(images, chunks=(500, 64)),
        X_val=noisy[:100],
        X_val_target=images[:100],
    )
    alone = DenoisingAutoencoder(8, max_iter=0).fit(
        noisy,
        sample_weight=weights,
        X_target=images,
        X_val=noisy[:100],
        X_val_target=images[:100],
    )
    assert_allclose(denoiser.mean_, np.average(noisy, axis=0, weights=weights), rtol=1e-9)
    assert_allclose(denoiser.denoise(noisy), alone.denoise(noisy), atol=1e-5)
    assert denoiser.baseline_score_ == pytest.approx(alone.baseline_score_, rel=1e-5)


def test_frames_on_a_cluster(client, images):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(images, columns=[f"x{i}" for i in range(64)])
    fitted = AutoencoderTransformer(4, max_iter=0).fit(dd.from_pandas(frame, npartitions=3))
    assert_array_equal(fitted.feature_names_in_, frame.columns)
    assert_allclose(fitted.mean_, images.mean(axis=0), rtol=1e-9)


@pytest.mark.filterwarnings("ignore")  # of workers that end
def test_an_error_on_a_worker_is_that_of_the_fit(client, images):
    given = da.from_array(images, chunks=(300, 64))
    estimator = AutoencoderTransformer(4, max_iter=2)
    with pytest.raises(ValueError, match="X has infinity in sample"):
        estimator.fit(da.where(given > 0.99, np.inf, given))
    with pytest.raises(ValueError, match="sample_weight has 3 entries, but X has 1797 samples"):
        estimator.fit(given, sample_weight=np.ones(3))
    with pytest.raises(ZeroDivisionError):
        estimator.fit(given.map_blocks(lambda block: 1 / 0, dtype=float, meta=np.empty((0, 64))))
    pids = list(client.run(os.getpid).values())
    kill = Timer(3, os.kill, (pids[1], signal.SIGKILL))
    kill.start()
    with pytest.raises(RuntimeError, match=r"The worker tcp://\S+ has ended during the fit"):
        AutoencoderTransformer(4, max_iter=5000).fit(given)
    kill.join()
    assert not hasattr(estimator, "n_features_in_")
    client.wait_for_workers(2)
    estimator.fit(given)  # the cluster is as before


def test_fits_in_four_threads_of_a_worker_give_the_bits_of_fits_alone(client, X):
    def fit(seed):
        return AutoencoderTransformer(4, max_iter=5, random_state=seed).fit(X).transform(X)

    where = {"workers": next(iter(client.nthreads())), "pure": False}
    together = client.gather([client.submit(fit, seed, **where) for seed in range(4)])
    for seed, codes in enumerate(together):
        assert_array_equal(codes, client.submit(fit, seed, **where).result())
