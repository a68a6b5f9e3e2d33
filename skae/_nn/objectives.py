"""Losses of a reconstruction, and the objectives that training minimizes.

A loss has the signature of torch's functions: ``loss(x_hat, x, reduction="mean")`` returns the mean
over all values, and with "none" the loss of each value.

An objective is a function of a module's output and of a batch, without access to the module:

- ``objective(output, batch)`` is the scalar that a gradient step minimizes;
- ``per_sample(output, batch)`` is the loss of each sample (n,);
- ``draws(batch)`` are groups of standard normal noise, from which fixed Monte Carlo samples of the
  latent codes are computed for validation, or ``[None]`` for deterministic codes;
- ``score(loss, reference)`` turns a mean loss into an entry of `validation_scores_`, relative to
  ``reference(batches, group)``, which is that of all processes of a group;
- ``max_losses(start, reference)`` are the highest losses, one for each length of a prefix, at which
  an epoch is eligible, given those at the start of training.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

# Limit of the values that are decoded at once. One Monte Carlo sample of each sample may exceed it.
_MAX_DECODED_VALUES = 4_000_000


def log_loss(x_hat, x, reduction="mean"):
    """Binary cross-entropy, with logarithms limited to -100 as in torch.

    The loss of NaN is NaN, which the training loop handles, whereas torch's raises an error.
    """
    values = -(x * x_hat.log().clamp(min=-100) + (1 - x) * (-x_hat).log1p().clamp(min=-100))
    return values.mean() if reduction == "mean" else values


LOSSES = {"absolute_error": l1_loss, "log_loss": log_loss, "squared_error": mse_loss}


class Reconstruction(nn.Module):
    """Loss of the reconstruction, averaged over features.

    Parameters
    ----------
    loss : str
        Loss, a key of `LOSSES`.
    sufficient_score : float
        Score that suffices for a prefix of ordered codes: where a prefix starts above it, an epoch
        with at least this score is eligible.
    """

    def __init__(self, loss, sufficient_score):
        super().__init__()
        self.loss = LOSSES[loss]
        self.sufficient_score = sufficient_score

    def forward(self, output, batch):
        return self._mean(output.reconstruction, batch)

    def per_sample(self, output, batch):
        return self._of_samples(output.reconstruction, batch)

    def _mean(self, x_hat, batch):
        if batch.weight is not None:
            return (self._of_samples(x_hat, batch) * batch.weight).mean()
        if batch.observed is not None:
            return self._of_samples(x_hat, batch).mean()
        # The mean over all values is one kernel, whereas losses of samples would need several.
        return self.loss(x_hat, batch.target)

    def _of_samples(self, x_hat, batch):
        losses = self.loss(x_hat, batch.target, reduction="none")
        return (losses if batch.observed is None else losses * batch.observed).mean(1)

    def draws(self, batch):
        return [None]

    def reference(self, batches, group):
        """Loss of predicting the mean sample, or 1 where that is zero."""
        # Sum on the host: not every device supports float64.
        sums = group.gather(_totals(_target_sums(batch) for batch in batches))
        total, weight = _totals(part for part in sums if part is not None)
        # A feature that is never observed has no weight.
        mean = torch.from_numpy((total / np.where(weight > 0, weight, 1)).astype(np.float32))

        def sums_of(batch):
            y = batch.target
            return float(self._mean(mean.to(y).expand_as(y), batch)) * len(y), len(y)

        sums = group.gather(_totals(map(sums_of, batches)))
        loss, number = _totals(part for part in sums if part is not None)
        return loss / number or 1.0

    def score(self, loss, reference):
        """Score 1 - loss / reference, which is R² for the squared error."""
        return 1.0 - loss / reference

    def max_losses(self, start, reference):
        """Losses at the start of training, or that of the sufficient score where it is higher."""
        return np.maximum(start, (1 - self.sufficient_score) * reference)


class NegativeELBO(nn.Module):
    r"""Negative evidence lower bound (ELBO), in nats and in the units of X.

    .. math:: -\mathrm{E}_{q(z|x)} \log p(x|z) + \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))

    The expectation is estimated by the mean over the Monte Carlo samples in the module's output.

    Parameters
    ----------
    beta : float
        Weight of the Kullback-Leibler divergence.
    noise : Tensor of shape (n_draws, n_components)
        Standard normal noise for validation, which all samples share; see `matched_draws`.
    log_volume : float
        Logarithm of the volume that a unit volume of the network's units has in the units of X.
    contamination : float, default=0.0
        Fraction of the samples of a batch, those with the highest loss, that are left out.
    """

    def __init__(self, beta, noise, log_volume, contamination=0.0):
        super().__init__()
        self.beta = beta
        self.noise = noise
        self.log_volume = log_volume
        self.contamination = contamination
        self._n_due = 0.0  # samples still to be left out, a fraction of a sample included

    def forward(self, output, batch):
        losses = self.per_sample(output, batch)
        weighted = losses if batch.weight is None else losses * batch.weight
        if not self.contamination:
            return weighted.mean()
        # A fraction of a sample, as small batches have it, carries over to the next batches.
        self._n_due += self.contamination * len(losses)
        n_left_out = min(int(self._n_due), len(losses) - 1)
        self._n_due -= n_left_out
        if not n_left_out:
            return weighted.mean()
        excess = losses.detach()
        if output.mask is not None:  # a short prefix has a high loss for any sample
            excess = excess - _group_means(
                excess, output.mask.length[:, 0], self.noise.shape[1] + 1
            )
        return weighted[excess.topk(len(losses) - n_left_out, largest=False).indices].mean()

    def per_sample(self, output, batch):
        kl = output.posterior.kl(output.mask).sum(1)
        return (
            self.log_volume
            + self.beta * kl
            - output.likelihood.log_prob(batch.target, batch.observed).mean(0)
        )

    def draws(self, batch):
        return grouped(self.noise, batch.target)

    def reference(self, batches, group):
        """Return None: the score is the ELBO, which is not relative to anything."""
        return None

    def score(self, loss, reference):
        """Score of a mean loss: the ELBO."""
        return -loss

    def max_losses(self, start, reference):
        """Losses at the start of training."""
        return start


def _totals(parts):
    """Sums of pairs by entry, None where there is no pair."""
    parts = list(parts)
    return tuple(map(sum, zip(*parts, strict=True))) if parts else None


def _target_sums(batch):
    """Sum of the targets of a batch, by weight, in float64, and the sum of their weights."""
    target = batch.target.numpy(force=True)
    if batch.weight is None and batch.observed is None:
        return target.sum(axis=0, dtype=np.float64), len(target)
    weight = np.ones((len(target), 1))
    if batch.weight is not None:
        weight = batch.weight.numpy(force=True).astype(np.float64)[:, None]
    if batch.observed is not None:
        weight = weight * batch.observed.numpy(force=True)
    return (weight * target).sum(axis=0), weight.sum(axis=0)


def expected_losses(module, objective, batch, mask=None):
    """Loss of each sample (n,), from fixed Monte Carlo samples of the latent codes.

    Parameters
    ----------
    module : Autoencoder
        Module in evaluation mode.
    objective : Reconstruction or NegativeELBO
        Objective.
    batch : object
        Batch with attributes `input` and `target`.
    mask : PrefixMask, default=None
        Mask of the codes. With None, all components are used.
    """
    return _expected_losses(module, module.inference(batch.input), objective, batch, mask)


def validation_losses(module, objective, batch):
    """Losses of each sample for each prefix with which an epoch is validated (n, n_prefixes)."""
    latent = module.inference(batch.input)
    masks = module.latent.validation_masks
    return torch.stack(
        [_expected_losses(module, latent, objective, batch, mask) for mask in masks], dim=1
    )


def _expected_losses(module, latent, objective, batch, mask):
    groups = objective.draws(batch)
    weights = [1 if noise is None else len(noise) for noise in groups]
    losses = 0.0
    for noise, weight in zip(groups, weights, strict=True):
        output = module.generative(latent, mask, noise)
        losses = losses + objective.per_sample(output, batch) * (weight / sum(weights))
    return losses


def importance_weighted_bound(module, batch, noise):
    r"""Importance-weighted lower bound of the log density of each sample (n,) [1]_.

    .. math::
        \log \frac{1}{K} \sum_{k=1}^K \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)},
        \qquad z_k \sim q(z|x)

    It is in nats and in the network's units.

    Parameters
    ----------
    module : VariationalAutoencoder
        Module in evaluation mode.
    batch : object
        Batch with attributes `input` and `target`.
    noise : Tensor of shape (K, n_components)
        Standard normal noise of the Monte Carlo samples, which all samples share.

    References
    ----------
    .. [1] Burda, Y., Grosse, R. and Salakhutdinov, R. "Importance Weighted Autoencoders". ICLR,
       2016. :arxiv:`1509.00519`
    """
    posterior = module.inference(batch.input)
    bound = torch.full(
        (len(batch.target),), -torch.inf, dtype=batch.target.dtype, device=batch.target.device
    )
    for group in grouped(noise, batch.target):
        z = posterior.rsample(group)
        log_ratio = (group.square() - z.square()).sum(-1) / 2 + posterior.log_std.sum(-1)
        likelihood = module.generative(posterior, None, group).likelihood
        log_weights = likelihood.log_prob(batch.target, batch.observed) + log_ratio
        bound = torch.logaddexp(bound, log_weights.logsumexp(0))
    return bound - math.log(len(noise))


def matched_draws(n_pairs, n_components, seed):
    """Standard normal noise with exact mean and variance (2 n_pairs, n_components).

    It contains the negative of each vector, and each component has unit variance. The mean log
    density of a linear Gaussian decoder over such Monte Carlo samples equals its expectation, if
    the columns of the decoder are orthogonal, as they are at the start. With at least as many pairs
    as components, the components are also uncorrelated, and the columns may be arbitrary.

    Parameters
    ----------
    n_pairs, n_components : int
        Number of pairs of opposite vectors, and their length.
    seed : int
        Seed of the random numbers.
    """
    rng = torch.Generator("cpu").manual_seed(seed)
    draws = torch.randn(n_pairs, n_components, generator=rng, dtype=torch.float64, device="cpu")
    if n_pairs >= n_components:
        draws = torch.linalg.qr(draws).Q * math.sqrt(n_pairs)
    else:
        draws = draws / draws.square().mean(0).sqrt()
    return torch.cat([draws, -draws])


def grouped(noise, target):
    """Split noise into groups (n_draws, 1, k), which limit the number of values decoded at once.

    The groups have the dtype and device of the samples `target`.
    """
    return noise.to(target)[:, None].split(max(1, _MAX_DECODED_VALUES // target.numel()))


def _group_means(values, groups, n_groups):
    """For each value, the mean of all values of its group."""
    sums, counts = (
        values.new_zeros(n_groups).index_add(0, groups, v)
        for v in (values, torch.ones_like(values))
    )
    return (sums / counts)[groups]
