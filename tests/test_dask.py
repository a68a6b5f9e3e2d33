"""Arrays of dask against arrays of numpy."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

da = pytest.importorskip("dask.array")

ESTIMATORS = (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)


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
    assert lazily.score(given) == expected.score(X)


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
    """Client of two worker processes of this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
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
    codes = fitted.transform(da.from_array(X, chunks=(100, 64)))
    assert_allclose(client.compute(codes).result(), fitted.transform(X), atol=1e-5)
