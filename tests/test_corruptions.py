import numpy as np
import pytest

from skae._data.corruptions import (
    CORRUPTIONS,
    Erasure,
    Function,
    GaussianNoise,
    Masking,
    Ranges,
    Replacement,
)
from skae._data.joint_moments import JointMoments
from skae._data.moments import Moments
from skae._data.sources import ArraySource

SHAPE = (6, 6, 1)
INF = np.inf


def _rng(seed=0):
    return np.random.default_rng(seed)


def _corruption(name, noise_level, *, n_features=4, image_shape=None, **values):
    ranges = {
        "lower": np.full(n_features, -INF),
        "upper": np.full(n_features, INF),
        "fill": np.zeros(n_features),
    }
    ranges |= {"low": np.full(n_features, -1.0), "high": np.full(n_features, 1.0)}
    return CORRUPTIONS[name](noise_level, Ranges(**ranges | values, image_shape=image_shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_draws_are_new_at_each_call_and_seeded(name, dtype):
    X = _rng(1).uniform(2, 3, size=(20, 36)).astype(dtype)
    corruption = _corruption(name, 0.3, n_features=36, image_shape=SHAPE)
    before, rng = X.copy(), _rng()
    first, second = corruption(X, rng), corruption(X, rng)
    assert first.dtype == dtype
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(corruption(X, _rng()), first)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_a_level_of_zero_corrupts_nothing(name):
    X = _rng(1).uniform(size=(20, 36))
    np.testing.assert_array_equal(
        _corruption(name, 0.0, n_features=36, image_shape=SHAPE)(X, _rng()), X
    )


def test_gaussian_noise_has_its_standard_deviation_in_the_units_of_x():
    X = np.tile([0.0, -3.0, 100.0, 7.0], (20_000, 1))
    noise = _corruption("gaussian", 0.5)(X, _rng()) - X
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)


def test_gaussian_noise_stays_within_the_bounds():
    lower, upper = np.array([-0.5, -INF, 0.0, -0.1]), np.array([0.5, 0.2, INF, 0.1])
    noisy = _corruption("gaussian", 1.0, lower=lower, upper=upper)(np.zeros((500, 4)), _rng())
    np.testing.assert_array_less(lower - 1e-6, noisy.min(axis=0))
    np.testing.assert_array_less(noisy.max(axis=0), upper + 1e-6)
    assert noisy[:, 1].min() < -1


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_masking_sets_its_fraction_to_the_fill_value(fraction):
    fill = np.array([5.0, 6.0, 7.0, 8.0])
    masked = _corruption("masking", fraction, fill=fill)(np.zeros((10_000, 4)), _rng())
    assert set(np.unique(masked)) <= {0, *fill}
    np.testing.assert_allclose((masked == fill).mean(axis=0), fraction, atol=0.02)


@pytest.mark.parametrize("fraction", [0.2, 1.0])
def test_salt_and_pepper_sets_half_of_its_fraction_to_each_end(fraction):
    low, high = np.array([-1.0, -2.0, -3.0, -4.0]), np.array([1.0, 2.0, 3.0, 4.0])
    corrupted = _corruption("salt_and_pepper", fraction, low=low, high=high)(
        np.zeros((10_000, 4)), _rng()
    )
    for end in (low, high):
        np.testing.assert_allclose((corrupted == end).mean(axis=0), fraction / 2, atol=0.02)
    np.testing.assert_allclose((corrupted == 0).mean(), 1 - fraction, atol=0.02)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_erase_sets_a_rectangle_of_its_fraction_in_all_channels(fraction, n_channels):
    shape = (20, 30, n_channels)
    n_features = int(np.prod(shape))
    corruption = _corruption(
        "erase", fraction, n_features=n_features, image_shape=shape, fill=np.full(n_features, 7.0)
    )
    erased = corruption(np.zeros((3000, n_features)), _rng()).reshape(3000, *shape) == 7
    assert (erased == erased[..., :1]).all()
    assert erased[..., 0].mean() == pytest.approx(fraction, rel=0.05)
    for image in erased[..., 0]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    if fraction < 0.5:  # rectangles are everywhere, of both kinds
        assert erased[..., 0].any(axis=0).all()
        heights, widths = (
            erased[..., 0].any(axis=2).sum(axis=1) / 20,
            erased[..., 0].any(axis=1).sum(axis=1) / 30,
        )
        assert (heights > widths).any()
        assert (heights < widths).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [None, (2, 2)])
def test_a_function_sees_float64_samples_in_the_units_and_the_form_of_the_data(shape, dtype):
    seen = []

    def corrupt(X, random_state):
        seen.append((X.copy(), random_state.uniform()))
        X[:] = 10
        return X

    corruption, rng = Function(corrupt, shape), _rng()
    X = _rng(1).uniform(100, 200, size=(3, 4)).astype(dtype)
    before = X.copy()
    corrupted = corruption(X, rng)
    corruption(X, rng)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(corrupted, np.full((3, 4), 10.0))
    np.testing.assert_array_equal(seen[0][0].reshape(3, 4), X)
    assert seen[0][0].dtype == np.float64
    assert seen[0][0].shape == (3, *(shape or (4,)))
    assert seen[0][1] != seen[1][1]


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (
            lambda X, random_state: X[:, 1:],
            r"corruption=<lambda> returned an array of shape \(3, 3\) for .* shape \(3, 4\)",
        ),
        (lambda X, random_state: X * np.nan, "corruption=<lambda> returned NaN or infinity"),
    ],
)
def test_a_function_that_corrupts_too_much_is_refused_by_name(corrupt, message):
    with pytest.raises(ValueError, match=message):
        Function(corrupt, None)(np.zeros((3, 4)), _rng())


# What corruptions are made from


def _moments(X, cross=True):
    return Moments.of(ArraySource(X).chunks(), cross=cross)


@pytest.mark.parametrize("is_bounded", [True, False])
def test_corruptions_are_made_from_the_ranges_of_the_data(is_bounded):
    X = np.array([[-1.0, 2.0, -9.0, 0.0], [3.0, 6.0, -5.0, 0.0]])
    lower, upper = ([-1.5, -INF, -10, 0], [INF, 8, -4, 0]) if is_bounded else (-INF, INF)
    ranges = Ranges.of(
        _moments(X), np.array(lower, dtype=float), np.array(upper, dtype=float), SHAPE
    )
    low, high = (
        ([-1.5, 2, -10, 0], [3, 8, -4, 0]) if is_bounded else ([-1, 2, -9, 0], [3, 6, -5, 0])
    )
    fill = [0, 4, -7, 0]  # zero where that is in the range, else the mean
    made = {name: make(0.25, ranges) for name, make in CORRUPTIONS.items()}
    expected = {
        "erase": (Erasure, {"fraction": 0.25, "fill": fill, "image_shape": SHAPE}),
        "gaussian": (
            GaussianNoise,
            {"std": 0.25, "lower": np.full(4, lower), "upper": np.full(4, upper)},
        ),
        "masking": (Masking, {"fraction": 0.25, "low": fill, "high": fill}),
        "salt_and_pepper": (Replacement, {"fraction": 0.25, "low": low, "high": high}),
    }
    assert set(made) == set(expected)
    for name, (cls, attributes) in expected.items():
        assert type(made[name]) is cls
        for attribute, value in attributes.items():
            np.testing.assert_array_equal(getattr(made[name], attribute), value)


# Joint moments


@pytest.fixture(name="X")
def samples(rng):
    """Correlated samples, of which some sit on 0 and on 2."""
    return (1 + rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) / 2).clip(0, 2)


NO_BOUND = np.full(4, INF)
VALUES = np.array([0.0, -1.0, 3.0, 0.5])
JOINT = {
    "no noise": GaussianNoise(0.0, -NO_BOUND, NO_BOUND),
    "gaussian": GaussianNoise(0.7, -NO_BOUND, NO_BOUND),
    "gaussian within bounds": GaussianNoise(0.7, np.zeros(4), np.full(4, 2.0)),
    "gaussian within some bounds": GaussianNoise(
        0.7, np.array([0, -INF, -INF, -0.5]), np.array([INF, 2, INF, 2.5])
    ),
    "masking": Replacement(0.3, VALUES, VALUES),
    "salt and pepper": Replacement(0.4, VALUES, np.array([2.0, 2.0, 2.0, 0.6])),
    "all are replaced": Replacement(1.0, np.zeros(4), np.full(4, 2.0)),
}
N_COPIES = 5000


def _estimates(corruption, X, rng):
    """Mean, scatter and cross scatter of each of many corrupted copies of the samples."""
    copies = corruption(np.tile(X, (N_COPIES, 1)), rng).reshape(N_COPIES, *X.shape)
    deviations = copies - copies.mean(axis=(0, 1))
    return {
        "mean": copies.mean(axis=1),
        "scatter": np.einsum("cni,cnj->cij", deviations, deviations),
        "cross": np.einsum("ni,cnj->cij", X - X.mean(axis=0), deviations),
    }


def _assert_joint_moments(joint, estimates, n_draws=INF, n_copies=1):
    for name, copies in estimates.items():
        result = getattr(joint, name) / (1 if name == "mean" else n_copies)
        standard_error = copies.std(axis=0) * np.sqrt(1 / N_COPIES + 1 / n_draws)
        error = np.abs(result - copies.mean(axis=0))
        assert (error <= 5 * standard_error + 1e-9).all(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", JOINT)
def test_joint_moments_are_those_of_many_corrupted_copies(name, X, dtype, rng):
    X, corruption = X[:20].astype(dtype), JOINT[name]  # so few that clipped noise has its formula
    joint = corruption.joint_moments(_moments(X), ArraySource(X).chunks(7), rng, cross=True)
    X = X.astype(np.float64)
    np.testing.assert_allclose(joint.target_mean, X.mean(axis=0), rtol=1e-12)
    _assert_joint_moments(joint, _estimates(corruption, X, rng))


def test_joint_moments_of_clipped_noise_are_those_of_copies_where_two_of_each_sample_are_enough(
    X, rng
):
    corruption = JOINT["gaussian within bounds"]
    joint = corruption.joint_moments(_moments(X), ArraySource(X).chunks(7), rng, cross=True)
    _assert_joint_moments(joint, _estimates(corruption, X, rng), n_draws=2, n_copies=2)


def test_joint_moments_without_a_formula_are_those_of_some_corrupted_copies(rng):
    X, corruption = (
        rng.normal(size=(8, 4)) @ rng.normal(size=(4, 4)),
        Erasure(0.3, VALUES, (2, 2, 1)),
    )
    joint = corruption.joint_moments(_moments(X), ArraySource(X).chunks(3), rng, cross=True)
    # At least twenty samples for each feature.
    _assert_joint_moments(joint, _estimates(corruption, X, rng), n_draws=10, n_copies=10)


def test_joint_moments_of_a_function_are_those_of_what_it_gives(X, rng):
    joint = Function(lambda X, random_state: X**2, None).joint_moments(
        _moments(X), ArraySource(X).chunks(7), rng, cross=True
    )
    deviations, corrupted = X - X.mean(axis=0), X**2 - (X**2).mean(axis=0)
    np.testing.assert_allclose(joint.mean, (X**2).mean(axis=0), rtol=1e-10)
    # Each sample is given twice.
    np.testing.assert_allclose(joint.scatter, 2 * corrupted.T @ corrupted, rtol=1e-10)
    np.testing.assert_allclose(joint.cross, 2 * deviations.T @ corrupted, rtol=1e-10)


@pytest.mark.parametrize("corruption", [*JOINT.values(), Erasure(0.3, VALUES, (2, 2, 1))])
def test_joint_moments_have_products_where_asked(corruption, X):
    joint = corruption.joint_moments(
        _moments(X, False), ArraySource(X).chunks(), _rng(), cross=False
    )
    assert joint.scatter is None
    assert joint.cross is None
    mean = corruption(np.tile(X, (N_COPIES, 1)), _rng()).mean(axis=0)
    # Of forty samples with a corruption each, or of a formula.
    np.testing.assert_allclose(joint.mean, mean, atol=0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joint_moments_of_measured_pairs_of_another_width_are_numpys(dtype, rng):
    corrupted = (rng.normal(size=(90, 5)) @ rng.normal(size=(5, 5)) + 3).astype(dtype)
    clean = (corrupted[:, :2] + rng.normal(size=(90, 2))).astype(dtype)
    pairs = ((corrupted[i : i + 20], clean[i : i + 20], None) for i in range(0, 90, 20))
    joint = JointMoments.of(pairs, cross=True)
    together = 89 * np.cov(corrupted.T.astype(np.float64), clean.T.astype(np.float64))
    np.testing.assert_allclose(joint.mean, corrupted.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(joint.target_mean, clean.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(joint.scatter, together[:5, :5], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(joint.cross, together[5:, :5], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cross", [True, False])
def test_joint_moments_of_pairs_have_both_means(cross, rng):
    corrupted, clean = rng.normal(size=(2, 90, 3)) + np.array([5, 1])[:, None, None]
    joint = JointMoments.of([(corrupted, clean, None)], cross=cross)
    np.testing.assert_allclose(joint.mean, corrupted.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(joint.target_mean, clean.mean(axis=0), rtol=1e-12)
    assert (joint.scatter is None) is not cross
    assert (joint.cross is None) is not cross


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_joint_moments_at_an_offset_lose_no_digits(offset, rng):
    corrupted, clean = rng.normal(size=(2, 90, 4)) @ rng.normal(size=(4, 4))
    # The samples whose means the deviations are taken from are not like the others.
    corrupted[:20] += 3
    joint = JointMoments.of(
        [
            (corrupted[i : i + 20] + offset, clean[i : i + 20] + offset, None)
            for i in range(0, 90, 20)
        ],
        cross=True,
    )
    together = 89 * np.cov(corrupted.T, clean.T)
    np.testing.assert_allclose(
        joint.scatter, together[:4, :4], rtol=1e-12, atol=1e-12 + 90 * 1e-15 * abs(offset)
    )
    np.testing.assert_allclose(
        joint.cross, together[4:, :4], rtol=1e-12, atol=1e-12 + 90 * 1e-15 * abs(offset)
    )


@pytest.mark.parametrize("middle", [0.0, 0.1])
def test_a_feature_that_is_not_lit_in_training_stays_without_variance(middle, rng):
    """Where its mean is zero up to rounding, masking by zero replaces nothing."""
    X = rng.uniform(size=(200, 3)) * [1, 1, 0]
    X[:20, 2] = rng.uniform(-1, 1, size=20) * (middle == 0) + rng.uniform(size=20) * (middle > 0)
    everything, part = _moments(X), _moments(X[:20])
    masking = Replacement(0.3, np.zeros(3), np.zeros(3))
    joint = masking.joint_moments(
        everything.without(part), ArraySource(X[20:]).chunks(), rng, cross=True
    )
    assert joint.scatter[2, 2] == 0
    assert (joint.scatter[[0, 1], [0, 1]] > 1).all()
