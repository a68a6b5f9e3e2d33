"""Samples that are outliers: left out of training, and found."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.covariance import EllipticEnvelope, MinCovDet
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer
from skae._data.datasets import Batch
from skae._data.sources import ArraySource
from skae._linear.inliers import find_inliers, threshold
from skae._nn.nested_dropout import NestedDropout
from skae._nn.objectives import NegativeELBO


def _make(n_components=8, **parameters):
    return VAETransformer(n_components, **{"max_iter": 3, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def trained(digits):
    return _make(max_iter=40).fit(digits)


@pytest.fixture
def far(rng):
    """400 samples of 20 features, the last 20 of which are far from the others, and together."""
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 20)) + 0.3 * rng.normal(size=(400, 20))
    X[380:] += rng.choice([-300, 300], size=20)
    return X


# Gradient steps


def test_contamination_leaves_out_the_samples_with_the_lowest_elbo(trained):
    rows = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    rows[[2, 5]] *= 100
    rows.requires_grad_()
    objective = NegativeELBO(1.0, torch.zeros(1, 8), 0.0, contamination=0.25)
    output = deepcopy(trained.net_.module_).train()(rows, torch.Generator().manual_seed(0))
    objective(output, Batch(rows, rows.detach())).backward()
    assert (rows.grad == 0).all(1).nonzero().flatten().tolist() == [2, 5]


def test_contamination_leaves_out_samples_at_every_length_alike(digits):
    """A short prefix has a high loss for any sample."""
    estimator = _make(16, ordered=True, max_iter=0).fit(digits)
    module, objective = (
        estimator.net_.module_,
        NegativeELBO(1.0, torch.zeros(1, 16), 0.0, contamination=0.2),
    )
    rows = (
        torch.from_numpy(estimator._model.standardizer.transform(np.repeat(digits, 10, axis=0)))
        .float()
        .requires_grad_()
    )
    output = module.train()(rows, torch.Generator().manual_seed(0))
    objective(output, Batch(rows, rows.detach())).backward()
    left_out = (rows.grad == 0).all(1)
    depths = output.mask.length[:, 0]
    shares = [
        left_out[depths == depth].float().mean().item() for depth in NestedDropout(16).lengths
    ]
    assert left_out.float().mean().item() == pytest.approx(0.2, abs=1e-3)
    assert max(shares) < 2 * min(shares)


def test_a_rare_cluster_is_not_learned_where_contamination_says_so(digits, rng):
    rare = rng.permutation(digits[0]) + rng.normal(size=(15, 64))
    X, is_rare = np.concatenate([digits, rare]), np.repeat([0, 1], [300, 15])
    estimators = (_make(2, max_iter=60, contamination=share) for share in (0.0, 0.1))
    learnt, left_out = (
        roc_auc_score(is_rare, -estimator.fit(X).score_samples(X)) for estimator in estimators
    )
    assert learnt < 0.1
    assert left_out > 0.95


# The samples that the start is limited to


@pytest.mark.parametrize("weighted", [False, True])
def test_outliers_that_hide_each_other_are_left_out(far, weighted):
    """PCA of all samples would have a component for them, in which they are not unusual."""
    assert np.argmin(PCA(3).fit(far).score_samples(far)) < 380
    weight = np.repeat([3.0, 1.0], [100, 300]) if weighted else None
    kept = find_inliers(ArraySource(far, sample_weight=weight), 0.1, 3, 0)
    assert kept.max() < 380
    assert (np.ones(400) if weight is None else weight)[kept].sum() == pytest.approx(
        0.9 * (600 if weighted else 400), abs=3
    )


def test_inliers_are_those_of_the_minimum_covariance_determinant(rng):
    """With nearly as many components as features, the model is a covariance matrix."""
    X = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    X[:40] += [20, 0, 0, -20]
    kept = find_inliers(ArraySource(X), 0.2, 3, 0)
    oracle = MinCovDet(support_fraction=0.8, random_state=0).fit(X)
    nearest = np.sort(oracle.mahalanobis(X).argsort()[:240])
    assert len(np.intersect1d(kept, nearest)) > 0.97 * 240


def test_weights_are_copies(far):
    weight = np.ones(400)
    weight[:50] = 2
    kept = find_inliers(ArraySource(far, sample_weight=weight), 0.1, 3, 0)
    copied = find_inliers(ArraySource(np.concatenate([far, far[:50]])), 0.1, 3, 0)
    assert kept.tolist() == copied[copied < 400].tolist()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_samples_that_are_all_the_same_are_all_kept(value):
    assert len(find_inliers(ArraySource(np.full((10, 4), value)), 0.3, 2, 0)) == 10


def test_the_start_is_that_of_the_inliers_alone(far):
    """Not only the components: the noise, the mean and the units, too."""
    inliers, outliers = far[:380], far[380:]
    start = _make(3, max_iter=0, contamination=0.05).fit(far)
    pca = PCA(3).fit(inliers)
    assert start.mean_ == pytest.approx(pca.mean_, abs=1e-9)
    assert start.score(inliers) == pytest.approx(pca.score(inliers), abs=1e-3)
    # With all samples, the density of an inlier is lower by tens of nats.
    assert start.score(inliers) > _make(3, max_iter=0).fit(far).score(inliers) + 5
    assert start.score_samples(outliers).max() < start.score_samples(inliers).min() - 100


def test_the_validation_set_has_no_outliers(far):
    estimator = _make(3, contamination=0.1, max_iter=2).fit(far)
    assert min([estimator.baseline_score_, *estimator.validation_scores_]) > -40
    # Outliers have scores of less than -1e4.
    assert _make(3, max_iter=0).fit(far[:380]).score(far[380:]) < -1e4


def test_the_start_of_incomplete_samples_is_that_of_the_inliers(far, rng):
    incomplete = np.where(rng.uniform(size=far.shape) < 0.1, np.nan, far)
    start = _make(3, max_iter=0, contamination=0.05).fit(incomplete)
    clean = _make(3, max_iter=0).fit(incomplete[:380])
    assert start.mean_ == pytest.approx(clean.mean_, abs=1e-6)
    assert start.predict(incomplete[380:]).tolist() == [-1] * 20


@pytest.mark.parametrize("n_features", [20, 500])  # more features than samples: no scatter matrix
def test_many_features(rng, n_features):
    X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, n_features))
    X += 0.1 * rng.normal(size=X.shape)
    X[:10] += 50 * rng.normal(size=(10, n_features))
    start = _make(2, max_iter=0, contamination=0.1).fit(X)
    assert (start.predict(X[:10]) == -1).all()


def test_values_that_only_outliers_have_must_still_fit_into_float32(far):
    far[399] = 1e30
    with pytest.raises(ValueError, match="X has values too large to train on"):
        _make(3, contamination=0.1).fit(far)


# The threshold


@pytest.mark.parametrize(
    ("values", "fraction", "expected"),
    [
        ([3.0, 1.0, 2.0, 4.0], 0.5, 2.5),
        ([3.0, 1.0, 2.0, 4.0], 0.49, 1.5),
        ([3.0, 1.0, 2.0, 4.0], 0.1, 1.0),  # none is below it
        (np.arange(300.0), 0.1, 29.5),
        (np.arange(300.0), 0.1001, 29.5),
        ([2.0, 2.0, 2.0, 5.0], 0.5, 2.0),  # equal scores are not distinguished
        ([-8.0, 2.0 - 1e-9, 2.0, 5.0], 0.5, -3.0),  # nor are those that differ by rounding
    ],
)
def test_threshold(values, fraction, expected):
    values = np.array(values)
    source = ArraySource(np.zeros((len(values), 1)))
    assert threshold(values, fraction, source) == expected


def test_weights_count_as_copies_in_the_threshold(rng):
    scores, weight = rng.normal(size=20), rng.integers(1, 5, size=20)
    weighted = ArraySource(np.zeros((20, 1)), sample_weight=weight.astype(float))
    copied = ArraySource(np.zeros((weight.sum(), 1)))
    for fraction in (0.0, 0.03, 0.1, 0.31, 0.5):
        assert threshold(scores, fraction, weighted) == threshold(
            np.repeat(scores, weight), fraction, copied
        )


@pytest.mark.parametrize("contamination", [0.03, 0.1, 0.5])
def test_that_fraction_of_the_training_samples_is_outside(digits, contamination):
    detector = _make(contamination=contamination)
    labels = detector.fit_predict(digits)
    assert (labels == -1).sum() == contamination * 300
    scores = detector.score_samples(digits)
    lowest = np.sort(scores)[: int(contamination * 300)]
    assert sorted(scores[labels == -1]) == lowest.tolist()
    assert detector.decision_function(digits) == pytest.approx(scores - detector.offset_)
    assert (detector.predict(digits) == labels).all()


def test_weights_count_in_the_threshold(digits):
    weight = np.where(np.arange(300) < 100, 5.0, 1.0)
    detector = _make(contamination=0.1).fit(digits, sample_weight=weight)
    outside = weight[detector.predict(digits) == -1].sum()
    assert 0 <= 0.1 * weight.sum() - outside <= 5


def test_without_contamination_there_is_no_threshold(trained):
    for name in ("predict", "fit_predict", "decision_function"):
        assert not hasattr(trained, name)
        with pytest.raises(AttributeError) as error:
            getattr(trained, name)
        assert "set contamination, for instance to 0.1, before fit" in str(error.value.__cause__)
    assert not hasattr(trained, "offset_")


def test_a_truncated_estimator_has_no_threshold(digits):
    detector = _make(4, contamination=0.1, ordered=True).fit(digits)
    with pytest.raises(ValueError, match="truncate has made this estimator"):
        detector.truncate(2).predict(digits)
    assert detector.predict(digits).min() == -1


def test_a_pipeline_detects_outliers(far):
    pipeline = make_pipeline(StandardScaler(), _make(3, contamination=0.05))
    assert np.flatnonzero(pipeline.fit_predict(far) == -1).tolist() == list(range(380, 400))
    assert (np.sign(pipeline.decision_function(far)) == pipeline.predict(far)).all()


def test_a_search_over_detectors(digits, rng):
    """Known outliers choose parameters, by a scorer that uses `decision_function`."""
    X, y = (
        np.concatenate([digits, rng.permuted(digits[:30], axis=1)]),
        np.repeat([1, -1], [300, 30]),
    )
    order = rng.permutation(330)
    search = GridSearchCV(
        _make(contamination=0.1), {"n_components": [2, 8]}, scoring="roc_auc", cv=2
    ).fit(X[order], y[order])
    assert search.best_score_ > 0.9
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()


def test_the_recipe_for_a_plain_autoencoder(far):
    """Of the guide: outliers are reconstructed, but their codes are far from the others."""
    detector = make_pipeline(
        AutoencoderTransformer(3, max_iter=100, random_state=0),
        EllipticEnvelope(support_fraction=0.9, contamination=0.05, random_state=0),
    )
    labels = detector.fit_predict(far) == -1
    assert labels[380:].all()
