"""Losses of a reconstruction and the objectives that training minimises.

A loss is called as torch's are: ``loss(x_hat, x, reduction="mean")`` gives the mean over all values, "none" each value's.

An objective is called with the module, a batch and its target, and gives a scalar; ``of_rows`` gives that of each row at
each depth that counts (n, n_depths), without chance. ``score`` makes of their mean what `validation_scores_` holds, relative
to what ``reference`` computes; ``tolerated`` says what the loss at each depth may become by training.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss


def log_loss(x_hat, x, reduction="mean"):
    """Cross-entropy, whose logarithms are bounded as torch's are; at NaN torch's raises, which the training loop handles."""
    values = -(x * x_hat.log().clamp(min=-100) + (1 - x) * (-x_hat).log1p().clamp(min=-100))
    return values.mean() if reduction == "mean" else values


_VALUES_OF_DRAWS = 4_000_000  # that are decoded together, at least one draw of each row

LOSSES = {"absolute_error": l1_loss, "log_loss": log_loss, "squared_error": mse_loss}


class Reconstruction(nn.Module):
    """``mean_i loss(x_hat_i, x_i)`` over the rows i of a batch.

    Parameters
    ----------
    loss : callable
        A value of `LOSSES`.
    enough : float
        Score at which a depth of ordered codes may stop: one that starts beyond it may fall back to it.
    """

    def __init__(self, loss, enough):
        super().__init__()
        self.loss = loss
        self.enough = enough

    def forward(self, module, u, target, rng=None):
        x_hat, _ = module(u, rng)
        return self.loss(x_hat, target, reduction="mean")  # one kernel, where row by row there would be several

    def of_rows(self, module, u, target):
        """Loss of each row at each depth that counts (n, n_depths)."""
        z = module.encode(u)
        reconstructions = (module.decode(z, cut) for cut in module.code.judged)
        return torch.stack([self.loss(x_hat, target, reduction="none").mean(1) for x_hat in reconstructions], dim=1)

    def reference(self, batches, n_rows):
        """Loss of predicting the mean row; 1 where there is but one row."""
        # Summed on the host: not every device has float64.
        mean = sum(target.numpy(force=True).sum(axis=0, dtype=np.float64) for _, target in batches) / n_rows
        mean = torch.from_numpy(mean.astype(np.float32))
        losses = (float(self.loss(mean.to(y).expand_as(y), y)) * len(y) for _, y in batches)
        return sum(losses) / n_rows or 1.0

    def score(self, loss, reference):
        """1 minus the loss over the reference: R² for squared error."""
        return 1.0 - loss / reference

    def tolerated(self, start, reference):
        """Losses at each depth (n_depths,) as at the start, or enough."""
        return np.maximum(start, (1 - self.enough) * reference)


class NegativeELBO(nn.Module):
    r"""Evidence lower bound with its sign turned, in nats.

    .. math:: -\mathrm{E}_{q(z|x)} \log p(x|z) + \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))

    In training, the expectation is the mean over draws that are made afresh. In `of_rows` all rows share fixed draws.

    Parameters
    ----------
    beta : float
    n_draws : int
        Draws of each row in training.
    noise : Tensor of shape (n_fixed_draws, n_components)
        Standard normal draws of `of_rows`; see `matched_draws`.
    offset : float
        Logarithm of the volume by which the unit of the data is larger than that of the network.
    contamination : float, default=0.0
        Share of the rows of a batch, those with the highest loss, that have no part in training.
    """

    def __init__(self, beta, n_draws, noise, offset, contamination=0.0):
        super().__init__()
        self.beta = beta
        self.n_draws = n_draws
        self.noise = noise
        self.offset = offset
        self.contamination = contamination
        self._due = 0.0  # samples of earlier batches that are still to be left out

    def forward(self, module, u, target, rng=None):
        h = module.encoder(u)
        noise = h.new_empty(self.n_draws, len(h), self.noise.shape[1]).normal_(generator=rng)
        cut = module.code.next_cut(len(h))
        losses = self._losses(module, h, [noise], target, cut)
        if not self.contamination:
            return losses.mean()
        # What a small batch has no whole sample for carries over to the next ones.
        self._due += self.contamination * len(losses)
        n_left_out = min(int(self._due), len(losses) - 1)
        self._due -= n_left_out
        if not n_left_out:
            return losses.mean()
        excess = losses.detach()
        if cut is not None:  # a code that is cut early has a high loss whatever its row
            excess = excess - _group_means(excess, cut.depth[:, 0], noise.shape[-1] + 1)
        return losses[excess.topk(len(losses) - n_left_out, largest=False).indices].mean()

    def of_rows(self, module, u, target):
        """Objective of each row at each depth that counts (n, n_depths)."""
        h, groups = module.encoder(u), _groups(self.noise, target)
        return torch.stack([self._losses(module, h, groups, target, cut) for cut in module.code.judged], dim=1)

    def at_full_depth(self, module, u, target):
        """Objective of each row (n,) with all of its components."""
        return self._losses(module, module.encoder(u), _groups(self.noise, target), target, None)

    def _losses(self, module, h, groups, target, cut):
        losses, n_draws = 0.0, sum(len(noise) for noise in groups)
        for noise in groups:
            losses = losses - _log_densities(module, module.code.draw(h, noise), target, cut).sum(0) / n_draws
        return self.offset + self.beta * module.code.kl(h, cut).sum(1) + losses

    def reference(self, batches, n_rows):
        """Nothing: the bound has a unit of its own."""
        return None

    def score(self, loss, reference):
        """The bound itself."""
        return -loss

    def tolerated(self, start, reference):
        """Losses at each depth (n_depths,) as at the start."""
        return start


def matched_draws(n_pairs, n_components, seed):
    """Standard normal draws (2 n_pairs, n_components) with exact moments: each beside its negative, and of unit variance.

    So the log density of a linear Gaussian decoder has its exact expectation where the decoder's columns are orthogonal, as
    they start. Where there are as many pairs as components, the draws are uncorrelated too, and any columns will do.

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


def importance_weighted_bound(module, u, target, noise):
    r"""Importance-weighted bound of each row (n,), in nats and the network's units [1]_.

    .. math:: \log \frac{1}{K} \sum_{k=1}^K \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}, \qquad z_k \sim q(z|x)

    Parameters
    ----------
    module : Autoencoder
    u, target : Tensor
        Rows, and what they shall become.
    noise : Tensor of shape (K, n_components)
        Standard normal draws, for all rows the same.

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016. :arxiv:`1509.00519`
    """
    h = module.encoder(u)
    log_deviation = module.code.log_deviation(h).sum(-1)
    bound = torch.full((len(u),), -torch.inf, dtype=u.dtype, device=u.device)
    for group in _groups(noise, target):
        z = module.code.draw(h, group)
        log_ratio = (group.square() - z.square()).sum(-1) / 2 + log_deviation
        log_weights = _log_densities(module, z, target) + log_ratio
        bound = torch.logaddexp(bound, log_weights.logsumexp(0))
    return bound - math.log(len(noise))


def _group_means(values, groups, n_groups):
    """Mean of the values of its group, for each value."""
    sums, counts = (values.new_zeros(n_groups).index_add(0, groups, v) for v in (values, torch.ones_like(values)))
    return (sums / counts)[groups]


def _log_densities(module, z, target, cut=None):
    """Log densities (n_draws, n) of rows given codes (n_draws, n, k), which are cut."""
    raw = module.raw(z.flatten(0, 1), cut and cut.for_draws(len(z))).unflatten(0, z.shape[:2])
    return module.output.log_density(raw, target, cut and cut.depth)


def _groups(noise, target):
    """Draws (n_draws, 1, k) in the dtype of the rows, so many together as give a bounded number of values."""
    return noise.to(target)[:, None].split(max(1, _VALUES_OF_DRAWS // target.numel()))
