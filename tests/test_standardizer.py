import numpy as np
import pytest

from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._data.standardizer import Standardizer

ABOUT_THE_SCALE = "too large to train on.*StandardScaler or RobustScaler"


def _moments(X, chunk_size=1024):
    return Moments.of(ArraySource(X).chunks(chunk_size), cross=False)


def _standardizer(X, **options):
    return Standardizer.of(_moments(X), **{"centered": True, "bounded": False} | options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk_size", [7, 1024])
def test_mean_and_scale_are_those_of_the_samples(cancer, dtype, chunk_size):
    X = (3 * cancer + np.arange(30)).astype(dtype)
    standardizer = Standardizer.of(_moments(X, chunk_size), centered=True, bounded=False)
    np.testing.assert_allclose(
        standardizer.mean, X.astype(float).mean(axis=0), rtol=1e-9, atol=1e-15
    )
    assert standardizer.scale == pytest.approx(
        np.sqrt(X.astype(float).var(axis=0).mean()), rel=1e-6
    )


def test_data_that_are_not_centered_stay_as_they_are(digits):
    standardizer = _standardizer(digits / 16, centered=False)
    np.testing.assert_array_equal(standardizer.transform(digits / 16), digits / 16)


def test_identity_leaves_samples_as_they_are(cancer):
    identity = Standardizer.identity(30)
    np.testing.assert_array_equal(identity.transform(cancer), cancer)
    np.testing.assert_array_equal(identity.inverse_transform(cancer), cancer)
    assert not identity.is_bounded


@pytest.mark.parametrize(
    ("dtype", "offset", "tolerance"),
    [(np.float64, 0, 1e-12), (np.float64, 1e6, 1e-8), (np.float32, 0, 1e-5)],
)
def test_round_trip(cancer, dtype, offset, tolerance):
    X = (5 * cancer + offset).astype(dtype)
    standardizer = _standardizer(X)
    U = standardizer.transform(X)
    assert U.dtype == dtype
    assert U.mean() == pytest.approx(0, abs=1e-6)
    assert np.square(U.astype(float)).mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(
        standardizer.inverse_transform(U),
        X,
        atol=tolerance * 5,
        rtol=1e-6 if dtype == np.float32 else 1e-15,
    )


def test_float32_samples_are_centered_without_loss_at_a_large_offset(cancer):
    X = (cancer + 1e5).astype(np.float32)
    exact = X.astype(float) - X.astype(float).mean(axis=0)
    standardizer = _standardizer(X)
    np.testing.assert_allclose(
        standardizer.transform(X) * standardizer.scale, exact, atol=2e-6 * np.abs(exact).max()
    )


def test_constant_data_have_scale_one():
    standardizer = _standardizer(np.full((10, 3), 4.0))
    assert standardizer.scale == 1
    np.testing.assert_array_equal(standardizer.transform(np.full((2, 3), 4.0)), 0)


def test_inverse_transform_stays_within_the_bounds():
    standardizer = Standardizer(
        np.array([1.0, 1.0]), 2.0, np.array([0.0, -np.inf]), np.array([np.inf, 3.0])
    )
    np.testing.assert_array_equal(
        standardizer.inverse_transform(np.array([[-5.0, -5.0], [5.0, 5.0]])), [[0, -9], [11, 3]]
    )


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ([-np.inf, -np.inf], [np.inf, np.inf], False),
        ([-np.inf, 0], [np.inf, np.inf], True),
        ([-np.inf] * 2, [1, np.inf], True),
    ],
)
def test_is_bounded(lower, upper, expected):
    assert Standardizer(np.zeros(2), 1.0, np.array(lower), np.array(upper)).is_bounded is expected


def test_standardized_bounds_are_the_bounds_in_the_units_of_the_network():
    standardizer = Standardizer(
        np.array([1.0, 2.0]), 2.0, np.array([0.0, -np.inf]), np.array([5.0, 8.0])
    )
    lower, upper = standardizer.standardized_bounds
    np.testing.assert_array_equal(lower, [-0.5, -np.inf])
    np.testing.assert_array_equal(upper, [2.0, 3.0])


def test_bounds_are_looked_for_only_where_asked(digits):
    assert not _standardizer(digits, bounded=False).is_bounded
    np.testing.assert_array_equal(_standardizer(digits, bounded=True).lower, 0)
    np.testing.assert_array_equal(
        _standardizer(digits, bounded=True, everywhere=True).upper, digits.max(axis=0)
    )


@pytest.mark.parametrize("factor", [1e200, 1e300])
def test_overflowing_variance_is_refused(cancer, factor):
    with pytest.raises(ValueError, match="X has values " + ABOUT_THE_SCALE):
        _standardizer(cancer[:20] * factor)


def test_samples_far_from_the_training_samples_are_refused_by_name(cancer):
    standardizer = _standardizer(cancer)
    standardizer.check_range(_moments(cancer * 1e15), "X_val")
    with pytest.raises(ValueError, match="X_val has values " + ABOUT_THE_SCALE):
        standardizer.check_range(_moments(cancer * 1e25), "X_val")
