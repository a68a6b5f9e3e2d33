"""The prior of a variational autoencoder, fitted to its codes."""

import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VAETransformer

MIXTURE = GaussianMixture(3)


def _fit(X, prior, **parameters):
    settings = {"max_iter": 3, "hidden_layer_sizes": 16, "random_state": 0} | parameters
    return VAETransformer(4, prior=prior, **settings).fit(X)


@pytest.fixture
def clusters(rng):
    """Two clusters far from each other, which no normal distribution of codes can have."""
    centers = np.repeat([[-1.0], [1.0]], [80, 120], axis=0) * np.ones(6)
    return centers + 0.1 * rng.normal(size=(200, 6))


@pytest.mark.parametrize(
    "prior",
    [
        MIXTURE,
        BayesianGaussianMixture(n_components=3),
        KernelDensity(bandwidth=0.1),
        make_pipeline(StandardScaler(), PCA(), GaussianMixture(3)),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_samples_come_from_where_the_data_are(clusters, prior):
    before = repr(prior.get_params())
    vae = _fit(clusters, prior)
    samples = vae.sample(500, random_state=0)
    assert samples.shape == (500, 6)
    assert np.mean(np.abs(samples.mean(axis=1)) < 0.5) < 0.05  # between the clusters
    assert np.mean(np.abs(_fit(clusters, None).sample(500, 0).mean(axis=1)) < 0.5) > 0.2
    assert np.mean(samples.mean(axis=1) > 0) == pytest.approx(0.6, abs=0.1)
    assert abs((samples[:250].mean(axis=1) > 0).mean() - 0.6) < 0.15  # in random order
    assert repr(prior.get_params()) == before
    assert not hasattr(prior, "weights_")


def test_the_prior_is_fitted_to_draws_from_the_posteriors(clusters):
    prior = _fit(clusters, GaussianMixture(1, reg_covar=0)).prior_
    vae = _fit(clusters, None)
    mean, std = vae.encode_distribution(clusters)
    n = np.sqrt(len(clusters))
    np.testing.assert_allclose(prior.means_[0], mean.mean(axis=0), atol=5 / n)
    expected = np.cov(mean.T, ddof=0) + np.diag(np.square(std).mean(axis=0))
    np.testing.assert_allclose(prior.covariances_[0], expected, atol=0.2)


def test_weights_enter_the_prior(clusters):
    weights = np.repeat([1.0, 0.0], [80, 120])
    vae = VAETransformer(4, prior=MIXTURE, max_iter=2, random_state=0)
    samples = vae.fit(clusters, sample_weight=weights + 1e-9).sample(200, random_state=0)
    assert (samples.mean(axis=1) < 0).all()


def test_samples_depend_on_the_random_state_alone(clusters):
    vae = _fit(clusters, MIXTURE)
    first = vae.sample(20, random_state=1)
    np.testing.assert_array_equal(vae.sample(20, random_state=1), first)
    assert not np.array_equal(vae.sample(20, random_state=2), first)
    again = _fit(clusters, MIXTURE)
    np.testing.assert_array_equal(again.sample(20, random_state=1), first)
    restored = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(restored.sample(20, random_state=1), first)


def test_noise_makes_samples_of_the_likelihood(clusters):
    vae = _fit(clusters, MIXTURE)
    means, noisy = (vae.sample(3000, 0, add_noise=add) for add in (False, True))
    assert np.var(noisy - means) == pytest.approx(vae.noise_variance_, rel=0.1)
    X = (clusters > 0).astype(float)
    binary = _fit(X, MIXTURE, likelihood="bernoulli")
    means, noisy = (binary.sample(3000, 0, add_noise=add) for add in (False, True))
    assert set(np.unique(noisy)) == {0, 1}
    np.testing.assert_allclose(noisy.mean(axis=0), means.mean(axis=0), atol=0.05)


def test_the_prior_of_the_first_components_is_a_margin(clusters):
    vae = _fit(clusters, MIXTURE, ordered=True)
    truncated = vae.truncate(2)
    codes = vae.prior_.sample(1)[0]
    assert codes.shape == (1, 4)
    samples = truncated.sample(300, random_state=0)
    assert np.mean(np.abs(samples.mean(axis=1)) < 0.5) < 0.1


def test_scores_are_those_of_the_normal_prior(clusters):
    with_prior, without = _fit(clusters, MIXTURE), _fit(clusters, None)
    assert with_prior.score(clusters) == without.score(clusters)
    np.testing.assert_array_equal(with_prior.transform(clusters), without.transform(clusters))


def test_a_search_reaches_the_parameters_of_the_prior(clusters):
    vae = VAETransformer(2, prior=MIXTURE, max_iter=1, random_state=0)
    search = GridSearchCV(vae, {"prior__n_components": [1, 2]}, cv=2).fit(clusters)
    assert search.best_estimator_.prior_.n_components == search.best_params_["prior__n_components"]


@pytest.mark.parametrize("prior", [3, PCA(2), make_pipeline(PCA(2)), "mixture"])
def test_what_is_no_density_is_refused(clusters, prior):
    with pytest.raises(ValueError, match="is not a density that can be sampled from"):
        VAETransformer(2, prior=prior).fit(clusters)
