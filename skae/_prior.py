"""Densities of latent codes that are fitted after training, and sampled from."""

from copy import copy
from inspect import signature

from sklearn.base import clone
from sklearn.pipeline import Pipeline


def check_prior(prior):
    """Refuse what is not a density of scikit-learn."""
    if prior is None:
        return
    *steps, density = [step for _, step in prior.steps] if isinstance(prior, Pipeline) else [prior]
    is_density = hasattr(density, "fit") and hasattr(density, "sample")
    if not is_density or not all(hasattr(step, "inverse_transform") for step in steps):
        raise ValueError(
            f"prior={prior!r} is not a density that can be sampled from: give one such as"
            " sklearn.mixture.GaussianMixture(50) or sklearn.neighbors.KernelDensity(), or a"
            " Pipeline of transformers with `inverse_transform` that ends in one."
        )


def fitted_prior(prior, codes, seed):
    """Fit a clone of a density to codes; the seed takes the place of a random_state of None."""
    prior = clone(prior)
    unset = [
        name
        for name, value in prior.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return prior.set_params(**dict.fromkeys(unset, seed)).fit(codes)


def draw_codes(prior, n_samples, rng):
    """Sample codes from a fitted density, in random order.

    Parameters
    ----------
    prior : object
        Fitted density.
    n_samples : int
        Number of codes.
    rng : numpy.random.RandomState
        Source of random numbers.

    Returns
    -------
    codes : ndarray of shape (n_samples, n_components)
        Codes.
    """
    if isinstance(prior, Pipeline):
        codes = draw_codes(prior[-1], n_samples, rng)
        for step in [step for _, step in prior.steps[:-1]][::-1]:
            codes = step.inverse_transform(codes)
        return codes
    seed = rng.randint(2**31 - 1)
    if "random_state" in signature(prior.sample).parameters:
        codes = prior.sample(n_samples, random_state=seed)
    else:  # a mixture has its own, and would give the same codes at each call
        codes = copy(prior).set_params(random_state=seed).sample(n_samples)
    codes = codes[0] if isinstance(codes, tuple) else codes
    return codes[rng.permutation(n_samples)]  # those of mixtures are sorted by component
