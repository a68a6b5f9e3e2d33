"""Anchors: the linear maps at which training starts."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

# Up to this many features a covariance matrix is cheap, and it is summed chunk by chunk: no centred copy of the data.
MAX_COVARIANCE = 2000
# Noise variances that a logistic start tries, relative to the largest eigenvalue; rows it looks at, and steps.
_NOISE_LEVELS = (4e-3, 1.6e-2, 6.4e-2, 0.25, 1.0)
_SAMPLE, _NEWTON_STEPS = 4096, 20
# Ridge penalties that a regression tries, relative to the variance of each feature.
_PENALTIES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)


@dataclass
class Anchor:
    """Linear encoder and decoder in the network's units.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    decoder : ndarray of shape (n_features, n_components)
    """

    encoder: np.ndarray
    decoder: np.ndarray


def pca(X, border, n_components, *, random_state, chunk_size=1024):
    """The principal components of all rows, zero-padded past their number.

    scikit-learn's PCA centres a copy of X, or subtracts the mean from ``X.T @ X`` afterwards, which loses all digits where
    the offset is large. So where there are more rows than features, the covariance of the centred rows is summed here
    chunk by chunk; elsewhere scikit-learn's PCA decides how.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    border : Border
    n_components : int
    random_state : int
        Of the randomised solver, which large data take.
    chunk_size : int, default=1024
        Rows standardised together.

    Returns
    -------
    anchor : Anchor
    """
    components, _, _ = _principal_components(X, border, n_components, random_state, chunk_size)
    V = np.zeros((n_components, X.shape[1]))
    V[: len(components)] = components
    return Anchor(encoder=V, decoder=V.T)


@dataclass
class ProbabilisticPCA:
    """Linear Gaussian model with the noise variance that scikit-learn's PCA has, and its posterior [1]_.

    With components ``V``, eigenvalues ``l`` and noise variance ``s``, a code has the mean ``sqrt(l - s) / l V u`` and the
    variance ``s / l``, and a row the mean ``V' sqrt(l - s) z``. Components of no more variance than the noise weigh nothing.

    Parameters
    ----------
    components : ndarray of shape (rank, n_features)
    eigenvalues : ndarray of shape (rank,)
        At least the noise variance.
    noise_variance : float
        Of a feature given the code.
    n_left : int
        Number of directions that the noise variance is the mean of; 0 where all are components.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic Principal Component Analysis", Journal of the Royal Statistical
       Society B 61, 611-622, 1999. :doi:`10.1111/1467-9868.00196`
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    noise_variance: float
    n_left: int

    def padded(self, n_components):
        """Encoder, decoder and variance of the code of so many components: those past the rank have no weight."""
        n_past = n_components - len(self.eigenvalues)
        decoder = np.pad(self.components.T * np.sqrt(self.eigenvalues - self.noise_variance), ((0, 0), (0, n_past)))
        eigenvalues = np.pad(self.eigenvalues, (0, n_past), constant_values=self.noise_variance)
        return (decoder / eigenvalues).T, decoder, self.noise_variance / eigenvalues

    def noise_variances(self, n_components):
        """Noise variance of the model of the first 1, 2, ... components, up to so many."""
        rank = len(self.eigenvalues)
        past = np.append(self.eigenvalues[::-1].cumsum()[-2::-1], 0.0)  # variance of the components past each
        n_left = self.n_left + np.arange(rank)[::-1]
        means = (past + self.n_left * self.noise_variance) / np.maximum(n_left, 1)
        return np.pad(np.where(n_left > 0, means, self.noise_variance), (0, n_components - rank), mode="edge")


class PCADensity(nn.Module):
    """Mixture of a log density with that of probabilistic PCA. Of its buffers a prefix is the model of the first components.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        self.register_buffer("eigenvalues", torch.zeros(n_components, dtype=torch.float32, device="cpu"))
        self.register_buffer("noise_variances", torch.ones(n_components, dtype=torch.float32, device="cpu"))  # at each depth
        self.register_buffer("share", torch.zeros((), dtype=torch.float32, device="cpu"))  # of the mixture

    def start_at(self, model, share):
        """Take a :class:`ProbabilisticPCA` and its share of the mixture."""
        self.eigenvalues[: len(model.eigenvalues)] = torch.from_numpy(model.eigenvalues)
        self.noise_variances.copy_(torch.from_numpy(model.noise_variances(len(self.eigenvalues))))
        self.share.fill_(share)

    def model(self, components, n_components):
        """The :class:`ProbabilisticPCA` of the first components (k, n_features)."""
        noise_variance = self.noise_variances[n_components - 1].item()
        V = components[:n_components].numpy(force=True).astype(np.float64)
        return _probabilistic(V, self.eigenvalues[:n_components].numpy(force=True).astype(np.float64), noise_variance, 0)

    def forward(self, u, components, log_density):
        """Log density of each row (n,) by the mixture with the model of components (k, n_features), in nats.

        Rows and densities are in the network's units. A component of no more variance than the noise may be zero.
        """
        share = self.share.item()
        return torch.logaddexp(log_density + math.log1p(-share), self.of_start(u, components) + math.log(share))

    def of_start(self, u, components):
        """Log density of each row (n,) by probabilistic PCA: the bound itself, as it has no gap."""
        noise = self.noise_variances[-1].item()
        eigenvalues = self.eigenvalues.cpu().double().clamp(min=noise)
        variance = noise / eigenvalues  # of the code given a row
        decoder = components.T.to(u) * (eigenvalues - noise).sqrt().to(u)
        mean = u @ decoder / eigenvalues.to(u)
        residual = (u - mean @ decoder.T).square().sum(1)
        spread = (variance @ decoder.square().sum(0).cpu().double()).item()
        constant = u.shape[1] * math.log(2 * math.pi * noise) + (variance - 1 - variance.log()).sum().item()
        return -((residual + spread) / noise + mean.square().sum(1) + constant) / 2


def ppca(X, border, n_components, *, random_state, least_noise_variance):
    """Probabilistic PCA, with a noise variance of at least the given one.

    Where no variance is left for the noise, any of at most the smallest eigenvalue gives the same density: half of it is
    taken.

    Parameters
    ----------
    X, border, n_components, random_state
        As for :func:`pca`.
    least_noise_variance : float
        In the network's units.

    Returns
    -------
    model : ProbabilisticPCA
    """
    components, values, noise_variance = _principal_components(X, border, n_components, random_state)
    n_left = min(X.shape) - len(values)
    if not n_left:
        noise_variance = values[-1] / 2 if len(values) else 1.0
    return _probabilistic(components, values, max(noise_variance, least_noise_variance), n_left)


@dataclass
class LogisticAnchor(Anchor):
    """Linear model of logits.

    Parameters
    ----------
    variance : ndarray of shape (n_components,)
        Of the code given a row, at most 1.
    offset : ndarray of shape (n_features,)
        Logits where the code is zero.
    """

    variance: np.ndarray
    offset: np.ndarray


def logistic_ppca(X, border, n_components, *, random_state):
    """Codes of probabilistic PCA, and logistic regression of values in [0, 1] on draws of them.

    A Gaussian model has no noise variance that suits such values, so several are tried, up to where no component is left
    and each feature keeps its mean. The one with the highest evidence lower bound on a sample of the rows is taken.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Values in [0, 1].
    border, n_components, random_state
        As for :func:`pca`.

    Returns
    -------
    anchor : LogisticAnchor
    """
    components, values, _ = _principal_components(X, border, n_components, random_state)
    rng = np.random.default_rng(random_state)
    rows = X[rng.permutation(len(X))[:_SAMPLE]]
    u, x = torch.from_numpy(border.standardize(rows)).float(), torch.from_numpy(rows).float()
    noise = torch.from_numpy(rng.standard_normal((len(rows), n_components))).float()
    tiny = np.finfo(np.float32).tiny
    models = [_probabilistic(components, values, max(level * values[0], tiny), 0) for level in _NOISE_LEVELS]
    return max((_logistic(model.padded(n_components), u, x, noise) for model in models), key=lambda found: found[1])[0]


def _logistic(start, u, x, noise):
    """The anchor with logistic regression for its decoder, and the evidence lower bound of the rows."""
    encoder, variance = (torch.from_numpy(start[i]).to(u) for i in (0, 2))
    mean = u @ encoder.T
    z = torch.nn.functional.pad(mean + variance.sqrt() * noise, (1, 0), value=1.0)
    z[:, 1:][:, variance == 1] = 0
    # Newton's method with a bound of the Hessian that holds everywhere, so that each step goes up (Böhning 1992), and
    # Nesterov's momentum. A ridge keeps the weights of features that are all zero or one finite.
    inverse = torch.linalg.inv(z.T @ z / 4 + torch.eye(z.shape[1], dtype=z.dtype, device="cpu"))
    p = x.mean(0).clamp(1e-4, 1 - 1e-4)
    W = torch.zeros(z.shape[1], x.shape[1], dtype=z.dtype, device="cpu")
    W[0] = p.logit()
    before = W
    for step in range(_NEWTON_STEPS):
        ahead = W + step / (step + 3) * (W - before)
        before, W = W, ahead + inverse @ (z.T @ (x - (z @ ahead).sigmoid()) - ahead)
    kl = (mean.square() + variance - 1 - variance.log()).sum(1) / 2
    likelihood = -binary_cross_entropy_with_logits(z @ W, x, reduction="none").sum(1)
    W = W.numpy()
    encoder, _, variance = start
    return LogisticAnchor(encoder, W[1:].T, variance, W[0]), float((likelihood - kl).mean())


def _probabilistic(components, values, noise_variance, n_left):
    """Probabilistic PCA of that noise variance."""
    return ProbabilisticPCA(components, np.maximum(values, noise_variance), float(noise_variance), n_left)


def row_lengths(vectors):
    """Euclidean length of each row, 1 where it is zero."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.where(lengths > 0, lengths, 1.0)


def _principal_components(X, border, n_components, random_state, chunk_size=1024):
    """Components, their variances and the mean variance of the directions that are left, as PCA has them."""
    n_samples, n_features = X.shape
    rank = min(n_components, n_samples, n_features)
    if n_features > min(n_samples, MAX_COVARIANCE):
        U = border.standardize(X)
        if not U.any():  # which scikit-learn divides by
            return np.zeros((rank, n_features)), np.zeros(rank), 0.0
        pca = PCA(rank, random_state=random_state).fit(U)
        return pca.components_, pca.explained_variance_, pca.noise_variance_
    covariance = _covariance(X, border, chunk_size) * (n_samples / (n_samples - 1))
    components, values = _leading_eigenvectors(covariance, rank)
    rest = float(covariance.trace()) - values.sum()
    return components, values, max(rest, 0.0) / max(1, min(n_samples, n_features) - rank)


def reduced_rank(chunks, validation, n_components):
    """The best linear maps of that rank from damaged rows to clean ones: reduced-rank regression with a ridge penalty.

    With ``C`` and ``S`` the covariances of the damaged rows and of the clean with the damaged ones, the regression is
    ``B = S (C + a diag(C))^{-1}``, which does not depend on the units of the damaged rows, and the decoder are the leading
    eigenvectors of ``B C B'`` [1]_. The penalty is the one whose
    maps have the smallest squared error on the validation rows.

    Parameters
    ----------
    chunks : iterable of pair of Tensor
        Damaged and clean training rows, in the network's units.
    validation : iterable of pair of Tensor
        Damaged and clean rows that choose the penalty; iterated over several times.
    n_components : int

    Returns
    -------
    anchor : Anchor

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis 5,
       248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    """
    C, S = _cross_covariances(chunks)
    deviations = C.diagonal().clamp(min=0).sqrt()
    deviations = torch.where(deviations > 0, deviations, 1.0)
    values, vectors = torch.linalg.eigh(C / torch.outer(deviations, deviations))
    parts = S / deviations, deviations, values.clamp(min=0), vectors
    anchors = [_regression(*parts, penalty, n_components) for penalty in _PENALTIES]
    return min(anchors, key=lambda anchor: _squared_error(anchor, validation))


def regression_on_codes(encoder, chunks):
    """The anchor of that encoder whose decoder is the least-squares regression of the clean rows on the codes.

    Parameters
    ----------
    encoder : ndarray of shape (n_components, n_features)
    chunks : iterable of pair of Tensor
        Damaged and clean training rows, in the network's units.

    Returns
    -------
    anchor : Anchor
    """
    V = torch.from_numpy(encoder)
    C, S = _cross_covariances((u.cpu().double() @ V.T, target) for u, target in chunks)
    return Anchor(encoder, (S @ torch.linalg.pinv(C, hermitian=True)).numpy())


def _regression(S, deviations, values, vectors, penalty, n_components):
    """Anchor of the ridge regression of columns divided by their deviations, with that penalty."""
    n_outputs, n_features = S.shape
    rank = min(n_components, n_outputs, n_features)
    B = (S @ vectors / (values + penalty)) @ vectors.T
    D = torch.from_numpy(_leading_eigenvectors((B @ vectors * values) @ (B @ vectors).T, rank)[0].copy())
    encoder, decoder = np.zeros((n_components, n_features)), np.zeros((n_outputs, n_components))
    encoder[:rank], decoder[:, :rank] = (D @ B / deviations).numpy(), D.T.numpy()
    return Anchor(encoder, decoder)


def _squared_error(anchor, rows):
    encoder, decoder = torch.from_numpy(anchor.encoder), torch.from_numpy(anchor.decoder)
    return sum((u.cpu().double() @ encoder.T @ decoder.T - target.cpu().double()).square().sum() for u, target in rows)


def _cross_covariances(chunks):
    """Covariance of the damaged rows, and of the clean rows with the damaged ones."""
    n, sums = 0, [0.0] * 4
    for u, target in chunks:
        u, target = u.cpu().double(), target.cpu().double()
        n += len(u)
        sums = [s + new for s, new in zip(sums, (u.sum(0), target.sum(0), u.T @ u, target.T @ u), strict=True)]
    u_mean, target_mean, uu, tu = (s / n for s in sums)
    return uu - torch.outer(u_mean, u_mean), tu - torch.outer(target_mean, u_mean)


def _covariance(X, border, chunk_size):
    # In torch, since numpy's threads would go on to spin for a while and slow down the first batches of training.
    covariance = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64, device="cpu")
    for chunk in gen_batches(len(X), chunk_size):
        # In float64 whatever X is: noise far below the leading factors is lost in float32.
        U = torch.from_numpy(border.standardize(X[chunk].astype(np.float64)))
        for columns in gen_batches(X.shape[1], 128):  # from the diagonal down, which spares nearly half of the products
            covariance[columns.start :, columns] += U[:, columns.start :].T @ U[:, columns]
    return (covariance.tril() + covariance.tril(-1).T) / len(X)


def _leading_eigenvectors(covariance, rank):
    values, vectors = torch.linalg.eigh(covariance)
    vectors[covariance.diagonal() == 0] = 0  # constant features, where rounding leaves subnormal numbers, which are slow
    components = vectors.numpy().T[: -rank - 1 : -1]
    return svd_flip(None, components, u_based_decision=False)[1], values.numpy()[: -rank - 1 : -1].clip(min=0)
