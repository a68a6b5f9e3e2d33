"""Logistic regression on the codes of probabilistic PCA, where training on [0, 1] starts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from skae._linear.pca import LinearStart, principal_components
from skae._linear.ppca import probabilistic

# Candidates for the noise variance, relative to the largest eigenvalue.
_NOISE_LEVELS = (4e-3, 1.6e-2, 6.4e-2, 0.25, 1.0)
# Largest number of samples that the regression uses, and its number of steps.
_SAMPLE, _NEWTON_STEPS = 4096, 20


@dataclass(frozen=True)
class LogisticStart(LinearStart):
    """Linear encoder, and linear decoder of the logits.

    Parameters
    ----------
    encoder, decoder : ndarray
        Weights; see :class:`skae._linear.pca.LinearStart`.
    variance : ndarray of shape (n_components,)
        Variance of the code given a sample, at most 1.
    offset : ndarray of shape (n_features,)
        Logits at a code of zero.
    """

    variance: np.ndarray
    offset: np.ndarray


def logistic_ppca(samples, n_components):
    """Fit probabilistic PCA, and logistic regression of values in [0, 1] on samples of its codes.

    The noise variance of a Gaussian model is not meaningful for such values. Several are tried, up
    to one at which every component is zero and each feature is predicted by its mean. The one with
    the highest evidence lower bound on some of the samples is chosen.

    Parameters
    ----------
    samples : skae._linear.pca.StandardizedSamples
        Samples with values in [0, 1].
    n_components : int
        Number of components.

    Returns
    -------
    start : LogisticStart
        Linear model.
    """
    components, values, _ = principal_components(samples, n_components)
    rng = np.random.default_rng(samples.seed)
    some, weights = _some(samples.source, rng)
    weights = None if weights is None else torch.from_numpy(weights / weights.mean()).float()
    u, x = (
        torch.from_numpy(samples.standardizer.transform(some)).float(),
        torch.from_numpy(some).float(),
    )
    noise = torch.from_numpy(rng.standard_normal((len(some), n_components))).float()
    tiny = np.finfo(np.float32).tiny
    models = [
        probabilistic(components, values, max(level * values[0], tiny), 0)
        for level in _NOISE_LEVELS
    ]
    return max(
        (_logistic(model.padded(n_components), u, x, noise, weights) for model in models),
        key=lambda found: found[1],
    )[0]


def _some(source, rng):
    """Some samples of all processes that fit together, and their weights or None."""
    share = -(-_SAMPLE * len(source) // source.n_samples)
    positions = rng.permutation(len(source))[:share]
    parts = source.group.gather((source.take(positions), source.weights(positions)))
    some, weights = zip(*parts, strict=True)
    return np.concatenate(some), None if weights[0] is None else np.concatenate(weights)


def _logistic(start, u, x, noise, weights):
    """Fit the decoder of a model by logistic regression.

    Parameters
    ----------
    start : tuple of ndarray
        Encoder, decoder and variance of the code, in probabilistic PCA.
    u, x : Tensor of shape (n, n_features)
        Samples in the network's units and in the units of X.
    noise : Tensor of shape (n, n_components)
        Standard normal noise.
    weights : Tensor of shape (n,), or None
        Weights of the samples, with a mean of 1. None stands for weights of 1.

    Returns
    -------
    start : LogisticStart
        Linear model.
    elbo : float
        Mean evidence lower bound of the samples.
    """
    encoder, variance = (torch.from_numpy(start[i]).to(u) for i in (0, 2))
    mean = u @ encoder.T
    z = torch.nn.functional.pad(mean + variance.sqrt() * noise, (1, 0), value=1.0)
    z[:, 1:][:, variance == 1] = 0
    # Newton's method with a bound of the Hessian that holds everywhere (Böhning 1992), accelerated
    # by Nesterov's momentum. A ridge penalty keeps the weights finite for features that are all
    # zero or all one.
    weighted = z if weights is None else weights[:, None] * z
    identity = torch.eye(z.shape[1], dtype=z.dtype, device="cpu")
    inverse = torch.linalg.inv(z.T @ weighted / 4 + identity)
    p = (x if weights is None else weights[:, None] * x).mean(0).clamp(1e-4, 1 - 1e-4)
    W = torch.zeros(z.shape[1], x.shape[1], dtype=z.dtype, device="cpu")
    W[0] = p.logit()
    before = W
    for step in range(_NEWTON_STEPS):
        ahead = W + step / (step + 3) * (W - before)
        before, W = W, ahead + inverse @ (weighted.T @ (x - (z @ ahead).sigmoid()) - ahead)
    kl = (mean.square() + variance - 1 - variance.log()).sum(1) / 2
    likelihood = -binary_cross_entropy_with_logits(z @ W, x, reduction="none").sum(1)
    elbo = likelihood - kl if weights is None else weights * (likelihood - kl)
    W = W.numpy()
    encoder, _, variance = start
    return LogisticStart(encoder, W[1:].T, variance, W[0]), float(elbo.mean())
