"""Other dtypes, memory layouts and sparse formats have the results of float64 arrays."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from skae._data.moments import Moments
from skae._data.sources import ArraySource, chunk_size, measure

ESTIMATORS = {
    "dense": lambda **params: AutoencoderTransformer(4, random_state=0, **params),
    "conv": lambda **params: ConvAutoencoderTransformer(4, random_state=0, **params),
    "denoising": lambda **params: DenoisingAutoencoder(4, random_state=0, **params),
    "vae": lambda **params: VAETransformer(4, random_state=0, **params),
}
FORMS = {
    "uint8": lambda X: X.astype(np.uint8),
    "int64": lambda X: X.astype(np.int64),
    "float16": lambda X: X.astype(np.float16),
    "big-endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "object": lambda X: X.astype(object),
    "DataFrame": lambda X: pd.DataFrame(X.astype(np.uint8)).to_numpy(),
    "csr_array": scipy.sparse.csr_array,
    "csc_matrix": scipy.sparse.csc_matrix,
    "coo_array": scipy.sparse.coo_array,
    "csr of int32": lambda X: scipy.sparse.csr_array(X.astype(np.int32)),
}


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_result_is_that_of_float64(make, form, digits):
    given = form(digits)
    before = given.copy()
    expected, estimator = make(max_iter=1).fit(digits), make(max_iter=1).fit(given)
    for method in ("transform", "reconstruct", "score_samples"):
        result = getattr(estimator, method)(given)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, getattr(expected, method)(digits))
    assert estimator.score(given) == pytest.approx(expected.score(digits), abs=1e-14)
    assert estimator.validation_scores_ == expected.validation_scores_
    assert (given != before).sum() == 0


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_boolean_samples_and_memory_maps(make, digits, tmp_path):
    bits = digits > 8
    np.save(tmp_path / "bits.npy", bits)
    mapped = np.load(tmp_path / "bits.npy", mmap_mode="r")
    codes = make(max_iter=1).fit(mapped).transform(mapped)
    np.testing.assert_array_equal(codes, make(max_iter=1).fit(bits * 1.0).transform(bits * 1.0))


def test_float32_stays_float32(digits):
    sparse = scipy.sparse.csr_array(digits.astype(np.float32))
    estimator = AutoencoderTransformer(4, max_iter=1, random_state=0).fit(sparse)
    assert estimator.transform(sparse).dtype == np.float32


def test_integers_are_converted_a_chunk_at_a_time():
    X = np.zeros((5000, 300), dtype=np.uint8)
    source = ArraySource(X)
    assert source.dtype == np.float64
    assert all(chunk.dtype == np.float64 for chunk, _ in source.chunks())
    assert max(len(chunk) for chunk, _ in source.chunks()) == chunk_size(300) == 1024
    assert chunk_size(2**22) == 1


def _wide(rng, n_samples=60, n_features=2100):
    """Sparse samples with more features than a scatter matrix is made of."""
    observed = rng.random((n_samples, n_features)) < 0.02
    return scipy.sparse.csr_array(observed * rng.random(observed.shape))


def test_wide_sparse_samples_start_as_pca(rng):
    X = _wide(rng)
    codes = AutoencoderTransformer(3, max_iter=0, output_activation="identity").fit_transform(X)
    expected = PCA(3, svd_solver="full").fit_transform(X.toarray())
    np.testing.assert_allclose(codes, expected, atol=1e-6 * np.abs(expected).max())


def test_wide_sparse_samples_start_as_probabilistic_pca(rng):
    X = _wide(rng) * 100  # a scale that is not 1
    score = VAETransformer(3, max_iter=0, random_state=0).fit(X).score(X)
    expected = PCA(3, svd_solver="full").fit(X.toarray()).score(X.toarray())
    assert score == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n_components", [60, 80])
def test_wide_sparse_samples_of_full_rank(n_components, rng):
    X = _wide(rng)
    estimator = AutoencoderTransformer(n_components, max_iter=0, random_state=0).fit(X)
    assert estimator.score(X) > 0.99


def test_wide_sparse_samples_train_as_dense_ones(rng):
    """Of a few topics, which have words of their own: PCA of dense samples is randomized."""
    words = rng.random((4, 2100)) < 0.1
    X = words[rng.integers(0, 4, 300)] * (rng.random((300, 2100)) < 0.8) * 1.0
    sparse = AutoencoderTransformer(3, max_iter=2, random_state=0).fit(scipy.sparse.csr_array(X))
    dense = AutoencoderTransformer(3, max_iter=2, random_state=0).fit(X)
    assert sparse.baseline_score_ == pytest.approx(dense.baseline_score_, abs=1e-6)
    assert sparse.score(X) == pytest.approx(dense.score(X), abs=1e-4)


def test_sparse_moments_are_those_of_dense_samples(rng):
    X = rng.integers(-2, 3, (200, 30)) * (rng.random((200, 30)) < 0.3) * 1.0
    X[:, 0], X[:, 1], X[:, 2] = 0, 7, rng.random(200) + 1  # constant ones, and one without a zero
    of_sparse = Moments.of_sparse(scipy.sparse.csr_array(X))
    of_dense = Moments.of([(X, None)], cross=False)
    for name in ("mean", "low", "high", "low_weight", "high_weight"):
        np.testing.assert_allclose(getattr(of_sparse, name), getattr(of_dense, name), atol=1e-14)
    np.testing.assert_allclose(of_sparse.squares, of_dense.squares, rtol=1e-12, atol=1e-12)


def test_equal_sparse_samples_have_equal_hashes(rng):
    X = np.repeat(rng.random((30, 2500)) * (rng.random((30, 2500)) < 0.05), 3, axis=0)
    shuffled = scipy.sparse.coo_array(X)
    order = rng.permutation(shuffled.nnz)
    rows, columns = (part[order] for part in shuffled.coords)
    counts = np.bincount(rows, minlength=len(X))
    by_row = np.argsort(rows, kind="stable")  # indices of a sample in random order
    unsorted = scipy.sparse.csr_array(
        (shuffled.data[order][by_row], columns[by_row], np.r_[0, counts.cumsum()]), shape=X.shape
    )
    _, hashes = measure(ArraySource(unsorted), cross=False, hashed=True)
    assert (hashes.reshape(30, 3) == hashes[::3, None]).all()
    assert len(np.unique(hashes)) == 30


def test_one_hot_columns_of_many_categories(rng):
    X = pd.DataFrame({"city": rng.integers(0, 400, 600), "age": rng.normal(size=600)})
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), (StandardScaler(), ["age"])
    )
    pipeline = make_pipeline(encode, AutoencoderTransformer(5, max_iter=1, random_state=0))
    assert scipy.sparse.issparse(encode.fit_transform(X))
    assert pipeline.fit_transform(X).shape == (600, 5)


def test_pairs_may_be_sparse(digits):
    sparse = scipy.sparse.csr_array(digits)
    estimator = DenoisingAutoencoder(4, max_iter=1, random_state=0)
    expected = estimator.fit(digits, X_target=digits, X_val=digits, X_val_target=digits)
    score = expected.score(digits, X_target=digits)
    estimator.fit(sparse, X_target=sparse, X_val=sparse, X_val_target=sparse)
    assert estimator.score(sparse, X_target=sparse) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60)])
def test_integers_that_float64_cannot_hold_are_refused(value, rng):
    X = rng.integers(0, 100, (20, 3))
    X[7, 1] = value
    for given in (X, np.asfortranarray(X), scipy.sparse.csr_array(X)):
        with pytest.raises(ValueError, match=rf"X has the integer {value} in column 1.*offset"):
            AutoencoderTransformer(2).fit(given)


@pytest.mark.parametrize(
    ("X", "columns"),
    [
        (pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": list("xyz")}), "column b"),
        (pd.DataFrame({"a": list("xyz"), "b": list("xyz"), "c": 0}), "columns a, b"),
        (np.array([[1, "x"], [2, "y"]], dtype=object), "column 1"),
        (np.array([["1", "x"], ["2", "y"]]), "columns 0, 1"),
        (pd.DataFrame([[1.0, "x"], [2.0, "y"]], columns=["a", "a"]), "column a"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": pd.Categorical(["x", "y"])}), "column b"),
        ([[1, "x"], [2, "y"]], "columns 0, 1"),
    ],
)
def test_strings_are_refused_by_column(X, columns):
    with pytest.raises(ValueError, match=rf"X has strings in {columns}: .*OneHotEncoder"):
        AutoencoderTransformer(1).fit(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sparse_samples_are_finite(value, digits):
    X = scipy.sparse.csr_array(digits)
    X.data[5] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        AutoencoderTransformer(2).fit(X)


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize(("weight", "match"), [(-1.0, "Negative"), (0.0, "zero"), (np.nan, "NaN")])
def test_scores_refuse_bad_weights(make, weight, match, digits):
    estimator = make(max_iter=0).fit(digits)
    weights = np.zeros(len(digits))
    weights[3] = weight
    with pytest.raises(ValueError, match=match):
        estimator.score(digits, sample_weight=weights)
