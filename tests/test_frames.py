"""DataFrames as input and output, with `set_output` and scikit-learn's global configuration."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import ESTIMATORS
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    reconstruction_score,
)

NAMES = ["zeta", "alpha", "mid", "beta"]  # in no order
OTHERS = {"pandas": "polars", "polars": "pandas"}


def _make(cls=AutoencoderTransformer, **parameters):
    return cls(2, **{"max_iter": 1, "random_state": 0} | parameters)


def _table(n=40):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 4))
    return {
        "zeta": rng.integers(0, 9, n),
        "alpha": z[:, 0],
        "mid": (z[:, 0] + z[:, 1]).astype(np.float32),
        "beta": z[:, 2] > 0,
    }


def _rows(table):
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in table.values()])


def _frame(library, X, names=NAMES):
    if library == "polars":
        return pl.DataFrame(X, schema=list(names))
    return pd.DataFrame(X, columns=names, index=[f"row{7 * i % len(X)}" for i in range(len(X))])


def _columns(frame):
    return list(frame.columns)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_there_and_back(cls, library):
    X = _rows(_table())
    frame = _frame(library, X)
    estimator = _make(cls).fit(frame)
    expected = estimator.inverse_transform(estimator.transform(frame))
    assert isinstance(expected, np.ndarray)
    estimator.set_output(transform=library)
    codes = estimator.transform(frame)
    back = estimator.inverse_transform(codes)
    assert type(codes) is type(back) is type(frame)
    assert _columns(codes) == [f"{cls.__name__.lower()}{i}" for i in range(2)]
    assert _columns(back) == NAMES
    np.testing.assert_array_equal(back.to_numpy(), expected)
    reconstructed = estimator.reconstruct(frame)
    assert type(reconstructed) is type(frame)
    assert _columns(reconstructed) == NAMES
    np.testing.assert_allclose(reconstructed.to_numpy(), expected, atol=1e-9)
    if library == "pandas":
        for result in (codes, back, reconstructed):
            pd.testing.assert_index_equal(result.index, frame.index)
        pd.testing.assert_frame_equal(estimator.inverse_transform(codes[::-1]), back[::-1])
    fitted_again = _make(cls).set_output(transform=library).fit_transform(frame)
    assert _columns(fitted_again) == _columns(codes)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_global_configuration(library):
    frame = _frame(library, _rows(_table()))
    estimator = _make().fit(frame)
    codes = estimator.transform(frame)
    with config_context(transform_output=library):
        assert _columns(estimator.inverse_transform(codes)) == NAMES
        assert (
            _columns(estimator.set_output(transform=OTHERS[library]).inverse_transform(codes))
            == NAMES
        )
    assert type(estimator.inverse_transform(codes)) is not type(frame)
    assert isinstance(
        estimator.set_output(transform="default").inverse_transform(codes), np.ndarray
    )


def test_first_step_of_a_pipeline_decides():
    frame = _frame("pandas", _rows(_table()))
    first = make_pipeline(_make(), StandardScaler()).set_output(transform="pandas").fit(frame)
    back = first.inverse_transform(first.transform(frame))
    assert _columns(back) == NAMES
    last = make_pipeline(StandardScaler(), _make()).set_output(transform="pandas").fit(frame)
    codes = last.transform(frame)
    assert _columns(codes) == ["autoencodertransformer0", "autoencodertransformer1"]
    pd.testing.assert_index_equal(codes.index, frame.index)
    assert isinstance(last.inverse_transform(codes), np.ndarray)  # as StandardScaler gives them
    np.testing.assert_allclose(
        last.inverse_transform(codes),
        last[0].inverse_transform(last[-1].inverse_transform(codes)),
        rtol=1e-12,
    )


def test_without_names_the_container_names_the_columns():
    X = _rows(_table())
    for library, names in {
        "pandas": list(range(4)),
        "polars": [f"column_{i}" for i in range(4)],
    }.items():
        estimator = _make().set_output(transform=library).fit(X)
        assert _columns(estimator.inverse_transform(estimator.transform(X))) == names
    assert _columns(estimator.set_output(transform="pandas").reconstruct(pd.DataFrame(X))) == list(
        range(4)
    )


def test_codes_in_another_order_are_refused():
    frame = _frame("pandas", _rows(_table()))
    estimator = _make().set_output(transform="pandas").fit(frame)
    codes = estimator.transform(frame)
    with pytest.raises(
        ValueError, match=r"columns autoencodertransformer1, autoencodertransformer0.*in that order"
    ):
        estimator.inverse_transform(codes[codes.columns[::-1]])
    # Other names say nothing of an order: as for PCA, the first column is the first component.
    pd.testing.assert_frame_equal(
        estimator.inverse_transform(codes.set_axis(["b", "a"], axis=1)),
        estimator.inverse_transform(codes),
    )


def test_images_stay_arrays(digits):
    images = digits[:40].reshape(-1, 8, 8)
    estimator = (
        _make(ConvAutoencoderTransformer, channels=(4,)).set_output(transform="pandas").fit(images)
    )
    codes = estimator.transform(images)
    assert _columns(codes) == ["convautoencodertransformer0", "convautoencodertransformer1"]
    assert (
        estimator.inverse_transform(codes).shape
        == estimator.reconstruct(images).shape
        == (40, 8, 8)
    )


def test_measured_corruption_returns_the_columns_of_the_targets():
    X = _rows(_table())
    damaged, clean = _frame("pandas", X), _frame("pandas", X[:, :3], ["red", "green", "blue"])
    estimator = (
        _make(DenoisingAutoencoder).set_output(transform="pandas").fit(damaged, X_target=clean)
    )
    denoised = estimator.denoise(damaged)
    assert (
        _columns(denoised)
        == _columns(estimator.inverse_transform(estimator.transform(damaged)))
        == _columns(clean)
    )
    pd.testing.assert_index_equal(denoised.index, damaged.index)
    assert _columns(estimator.fit(damaged, X_target=X[:, :3]).denoise(damaged)) == [0, 1, 2]
    assert _columns(estimator.fit(damaged).denoise(damaged)) == NAMES


def test_drawn_samples_have_the_columns_of_x():
    frame = _frame("polars", _rows(_table()))
    estimator = _make(VAETransformer).set_output(transform="polars").fit(frame)
    for drawn in (
        estimator.sample(3, random_state=0),
        estimator.interpolate(frame[:1], frame[1:2], 3),
    ):
        assert (drawn.shape, _columns(drawn)) == ((3, 4), NAMES)


# Columns of any number type


def _mixed(kind):
    table = _table()
    if kind == "polars":
        return pl.DataFrame(table)
    if kind == "pandas":
        return pd.DataFrame(table)
    types = dict(zip(table, ["Int64", "Float64", "Float32", "boolean"], strict=True))
    return pd.DataFrame(
        {name: pd.array(values, dtype=types[name]) for name, values in table.items()}
    )


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars"])
def test_mixed_columns_are_the_array_of_their_values(cls, kind):
    frame, X = _mixed(kind), _rows(_table())
    estimator, expected = _make(cls).fit(frame, X_val=frame[:9]), _make(cls).fit(X, X_val=X[:9])
    assert list(estimator.feature_names_in_) == NAMES
    for method in ("transform", "reconstruct", "score", "score_samples"):
        given, wanted = getattr(estimator, method)(frame), getattr(expected, method)(X)
        np.testing.assert_allclose(given, wanted, rtol=1e-6, atol=1e-8)
    codes = estimator.transform(frame)
    assert codes.dtype == np.float64
    assert reconstruction_score(estimator, frame) == pytest.approx(
        reconstruction_score(expected, X)
    )
    estimator.set_output(transform="polars" if kind == "polars" else "pandas")
    assert reconstruction_score(estimator, frame) == pytest.approx(
        reconstruction_score(expected, X)
    )
    np.testing.assert_allclose(
        estimator.inverse_transform(estimator.transform(frame)), expected.reconstruct(X), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["nullable", "polars"])
def test_missing_values_are_taken(kind):
    frame = _mixed(kind)
    if kind == "polars":
        hole = frame.with_columns(alpha=pl.Series([None, *frame["alpha"][1:]]))
    else:
        hole = frame.assign(alpha=frame["alpha"].where(frame.index != 0))
    as_array = np.asarray(frame, dtype=float)
    as_array[0, list(frame.columns).index("alpha")] = np.nan
    np.testing.assert_array_equal(
        np.asarray(_make().fit(hole).transform(hole)),
        _make().fit(as_array).transform(as_array),
    )
    assert np.isfinite(np.asarray(_make().fit(frame).transform(hole))).all()
