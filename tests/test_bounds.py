import numpy as np
import pytest
import torch
from scipy.special import expit

from skae._data import bounds as _bounds
from skae._data.moments import Moments
from skae._data.sources import ArraySource
from skae._nn.outputs import OUTPUTS, StraightThroughClip

INF = np.inf


def bounds(X, chunk_size=1024, **options):
    return _bounds.bounds(Moments.of(ArraySource(X).chunks(chunk_size), cross=False), **options)


def _column(n_samples, n_on_bound):
    """A column with `n_on_bound` samples at 0, its smallest value, and all others different."""
    return np.r_[np.zeros(n_on_bound), np.linspace(1, 2, n_samples - n_on_bound)]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("n_samples", "n_on_bound", "is_bound"),
    [
        (100, 5, True),
        (100, 4, False),
        (1000, 50, True),
        (1000, 49, False),
        (20, 5, True),
        (20, 4, False),
        (200, 9, False),
    ],
)
def test_a_side_is_bounded_where_five_percent_and_five_samples_sit_on_it(
    n_samples, n_on_bound, is_bound, sign
):
    lower, upper = bounds(sign * _column(n_samples, n_on_bound)[:, None])
    expected = {1: (0 if is_bound else -INF, INF), -1: (-INF, 0 if is_bound else INF)}[sign]
    assert (lower[0], upper[0]) == expected


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize(
    ("n_sharing", "is_shared"), [(1, False), (2, False), (3, True), (4, True), (6, True)]
)
def test_an_extreme_shared_by_half_of_the_features_bounds_all_of_them(
    n_sharing, is_shared, side, rng
):
    X = rng.uniform(1, 2, size=(200, 6))
    X[0, :n_sharing] = 0  # one sample each: too few to be a bound by themselves
    lower, upper = bounds(X) if side == "lower" else (-b for b in reversed(bounds(-X)))
    np.testing.assert_array_equal(lower, np.full(6, 0.0 if is_shared else -INF))
    np.testing.assert_array_equal(upper, np.full(6, INF))


def test_a_shared_extreme_leaves_features_that_lie_beyond_it_alone(rng):
    X = rng.uniform(1, 2, size=(200, 4))
    X[0, :3] = 0
    X[:, 3] -= 5
    np.testing.assert_array_equal(bounds(X)[0], [0, 0, 0, -INF])


def test_constant_features_do_not_count_for_a_shared_extreme(rng):
    varying = rng.uniform(1, 2, size=(200, 2))
    X = np.c_[varying, np.zeros((200, 6))]
    lower, upper = bounds(X)
    np.testing.assert_array_equal(lower, [-INF] * 2 + [0] * 6)
    np.testing.assert_array_equal(upper, [INF] * 2 + [0] * 6)


def test_no_feature_varies():
    lower, upper = bounds(np.full((10, 3), 4.0))
    np.testing.assert_array_equal(lower, [4, 4, 4])
    np.testing.assert_array_equal(upper, [4, 4, 4])


def test_heavy_tails_stay_free_next_to_a_bounded_feature(rng):
    X = np.c_[
        rng.standard_cauchy(500),
        rng.lognormal(sigma=2, size=500),
        np.clip(rng.normal(size=500), -1, 1),
    ]
    lower, upper = bounds(X)
    np.testing.assert_array_equal(lower, [-INF, -INF, -1])
    np.testing.assert_array_equal(upper, [INF, INF, 1])


def test_everywhere_is_the_range_of_the_data(rng):
    X = rng.normal(size=(50, 3))
    lower, upper = bounds(X, everywhere=True)
    np.testing.assert_array_equal(lower, X.min(axis=0))
    np.testing.assert_array_equal(upper, X.max(axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_do_not_matter(digits, dtype):
    X = digits.astype(dtype)
    for chunked, at_once in zip(bounds(X, chunk_size=7), bounds(X, chunk_size=len(X)), strict=True):
        assert chunked.dtype == np.float64
        np.testing.assert_array_equal(chunked, at_once)


def test_images_are_bounded_on_both_sides(digits):
    varies = digits.min(axis=0) < digits.max(axis=0)
    lower, upper = bounds(digits)
    np.testing.assert_array_equal(lower, 0)
    np.testing.assert_array_equal(upper[varies], 16)


@pytest.fixture
def clip():
    clip = StraightThroughClip(3)
    clip.set_bounds(np.array([-1.0, -INF, 0.0]), np.array([1.0, 2.0, INF]))
    return clip


@pytest.mark.parametrize("training", [True, False])
def test_clip_is_numpys(clip, training, rng):
    x = 3 * rng.normal(size=(20, 3)).astype(np.float32)
    expected = np.clip(x, [-1, -INF, 0], [1, 2, INF])
    np.testing.assert_array_equal(
        clip.train(training)(torch.from_numpy(x)).numpy(), expected.astype(np.float32)
    )


def test_gradient_passes_the_clip_unchanged(clip):
    x = torch.tensor([[5.0, 5.0, -5.0], [0.5, 0.5, 0.5]], requires_grad=True)
    weights = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    (weights * clip.train()(x)).sum().backward()
    assert torch.equal(x.grad, weights)


def test_error_beyond_a_bound_is_measured_at_the_bound(clip):
    # Where the gradient of the clip is that of the identity, d/dx (clip(x) - t)^2 is
    # 2 (clip(x) - t): here 2 (1 - 0.25), 0 and 2 (0 - 4).
    x = torch.tensor([[7.0, 9.0, -3.0]], requires_grad=True)
    target = torch.tensor([[0.25, 2.0, 4.0]])
    (clip.train()(x) - target).square().sum().backward()
    assert torch.equal(x.grad, torch.tensor([[1.5, 0.0, -8.0]]))


@pytest.mark.parametrize(
    ("name", "function"), [("identity", lambda x: x), ("clip", lambda x: x), ("sigmoid", expit)]
)
def test_outputs_before_bounds_are_set(name, function):
    x = np.linspace(-30, 30, 12).reshape(4, 3)
    np.testing.assert_allclose(
        OUTPUTS[name](3)(torch.from_numpy(x)).numpy(), function(x), rtol=1e-12
    )
