"""Losses of a reconstruction, and the objectives that training minimizes.

A loss is called as torch's are: ``loss(x_hat, x, reduction="mean")`` gives the mean over all
values, "none" each value's.

An objective is a function of what the module returns and of a batch, and never reaches into the
module:

- ``per_sample(output, batch)`` is its value for each sample (n,),
- called with both, it gives the scalar that a gradient step descends,
- ``draws(batch)`` are the fixed draws of the latent codes, a group after the other, by which it is
  computed without chance; ``[None]`` where nothing is drawn,
- ``score(loss, reference)`` makes of a mean what `validation_scores_` holds, relative to
  ``reference(batches)``,
- ``max_losses(start, reference)`` is what the loss at each length of prefixes may become by
  training.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

_MAX_DECODED_VALUES = 4_000_000  # that are decoded together, at least one draw of each sample


def log_loss(x_hat, x, reduction="mean"):
    """Cross-entropy, whose logarithms are bounded as torch's are; at NaN torch's raises, which the training loop handles."""
    values = -(x * x_hat.log().clamp(min=-100) + (1 - x) * (-x_hat).log1p().clamp(min=-100))
    return values.mean() if reduction == "mean" else values


LOSSES = {"absolute_error": l1_loss, "log_loss": log_loss, "squared_error": mse_loss}


class Reconstruction(nn.Module):
    """Mean over the features of a loss of the reconstruction.

    Parameters
    ----------
    loss : str
        A key of `LOSSES`.
    sufficient_score : float
        Score that a prefix of ordered codes may fall back to where it starts beyond it.
    """

    def __init__(self, loss, sufficient_score):
        super().__init__()
        self.loss = LOSSES[loss]
        self.sufficient_score = sufficient_score

    def forward(self, output, batch):
        # One kernel, where sample by sample there would be several.
        return self.loss(output.reconstruction, batch.target)

    def per_sample(self, output, batch):
        return self.loss(output.reconstruction, batch.target, reduction="none").mean(1)

    def draws(self, batch):
        return [None]

    def reference(self, batches):
        """Loss of predicting the mean sample; 1 where there is but one sample."""
        # Summed on the host: not every device has float64.
        sums = [
            (batch.target.numpy(force=True).sum(axis=0, dtype=np.float64), len(batch.target))
            for batch in batches
        ]
        n_samples = sum(n for _, n in sums)
        mean = torch.from_numpy((sum(part for part, _ in sums) / n_samples).astype(np.float32))
        losses = (float(self.loss(mean.to(y).expand_as(y), y)) * len(y) for _, y in batches)
        return sum(losses) / n_samples or 1.0

    def score(self, loss, reference):
        """1 minus the loss over the reference: R² for squared error."""
        return 1.0 - loss / reference

    def max_losses(self, start, reference):
        """Those of the start, or what suffices."""
        return np.maximum(start, (1 - self.sufficient_score) * reference)


class NegativeELBO(nn.Module):
    r"""Evidence lower bound with its sign turned, in nats.

    .. math:: -\mathrm{E}_{q(z|x)} \log p(x|z) + \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))

    The expectation is the mean over the draws that the module's output is of.

    Parameters
    ----------
    beta : float
    noise : Tensor of shape (n_draws, n_components)
        Standard normal draws that all samples share; see `matched_draws`.
    log_volume : float
        Logarithm of the volume by which the units of X are larger than those of the network.
    contamination : float, default=0.0
        Fraction of the samples of a batch, those with the highest loss, that have no part in
        training.
    """

    def __init__(self, beta, noise, log_volume, contamination=0.0):
        super().__init__()
        self.beta = beta
        self.noise = noise
        self.log_volume = log_volume
        self.contamination = contamination
        self._n_due = 0.0  # samples of earlier batches that are still to be left out

    def forward(self, output, batch):
        losses = self.per_sample(output, batch)
        if not self.contamination:
            return losses.mean()
        # What a small batch has no whole sample for carries over to the next ones.
        self._n_due += self.contamination * len(losses)
        n_left_out = min(int(self._n_due), len(losses) - 1)
        self._n_due -= n_left_out
        if not n_left_out:
            return losses.mean()
        excess = losses.detach()
        if output.mask is not None:  # a short prefix has a high loss whatever its sample
            excess = excess - _group_means(
                excess, output.mask.length[:, 0], self.noise.shape[1] + 1
            )
        return losses[excess.topk(len(losses) - n_left_out, largest=False).indices].mean()

    def per_sample(self, output, batch):
        kl = output.posterior.kl(output.mask).sum(1)
        return self.log_volume + self.beta * kl - output.likelihood.log_prob(batch.target).mean(0)

    def draws(self, batch):
        return grouped(self.noise, batch.target)

    def reference(self, batches):
        """Nothing: the ELBO has units of its own."""
        return None

    def score(self, loss, reference):
        """The ELBO itself."""
        return -loss

    def max_losses(self, start, reference):
        """Those of the start."""
        return start


def expected_losses(module, objective, batch, mask=None):
    """Objective of each sample (n,) by fixed draws of its latent code, of which a prefix is left.

    Parameters
    ----------
    module : Autoencoder
    objective : Reconstruction or NegativeELBO
    batch : object
        With `input` and `target`.
    mask : PrefixMask, default=None
        None leaves all components.
    """
    return _expected_losses(module, module.inference(batch.input), objective, batch, mask)


def validation_losses(module, objective, batch):
    """`expected_losses` at each prefix that an epoch is validated at (n, n_prefixes)."""
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
    r"""Importance-weighted bound of the log density of each sample (n,), in nats and the network's units [1]_.

    .. math:: \log \frac{1}{K} \sum_{k=1}^K \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}, \qquad z_k \sim q(z|x)

    Parameters
    ----------
    module : VariationalAutoencoder
    batch : object
        With `input` and `target`.
    noise : Tensor of shape (K, n_components)
        Standard normal draws, for all samples the same.

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016. :arxiv:`1509.00519`
    """
    posterior = module.inference(batch.input)
    bound = torch.full(
        (len(batch.target),), -torch.inf, dtype=batch.target.dtype, device=batch.target.device
    )
    for group in grouped(noise, batch.target):
        z = posterior.rsample(group)
        log_ratio = (group.square() - z.square()).sum(-1) / 2 + posterior.log_std.sum(-1)
        log_weights = (
            module.generative(posterior, None, group).likelihood.log_prob(batch.target) + log_ratio
        )
        bound = torch.logaddexp(bound, log_weights.logsumexp(0))
    return bound - math.log(len(noise))


def matched_draws(n_pairs, n_components, seed):
    """Standard normal draws (2 n_pairs, n_components) with exact moments: each next to its negative, and of unit variance.

    So the log density of a linear Gaussian decoder has its exact expectation where the decoder's
    columns are orthogonal, as they start. Where there are as many pairs as components, the draws
    are uncorrelated too, and any columns will do.

    Parameters
    ----------
    n_pairs, n_components : int
    seed : int
    """
    rng = torch.Generator("cpu").manual_seed(seed)
    draws = torch.randn(n_pairs, n_components, generator=rng, dtype=torch.float64, device="cpu")
    if n_pairs >= n_components:
        draws = torch.linalg.qr(draws).Q * math.sqrt(n_pairs)
    else:
        draws = draws / draws.square().mean(0).sqrt()
    return torch.cat([draws, -draws])


def grouped(noise, target):
    """Draws (n_draws, 1, k) in the dtype of the samples, in groups that give a bounded number of decoded values."""
    return noise.to(target)[:, None].split(max(1, _MAX_DECODED_VALUES // target.numel()))


def _group_means(values, groups, n_groups):
    """Mean of the values of its group, for each value."""
    sums, counts = (
        values.new_zeros(n_groups).index_add(0, groups, v)
        for v in (values, torch.ones_like(values))
    )
    return (sums / counts)[groups]
