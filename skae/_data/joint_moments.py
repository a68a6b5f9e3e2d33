"""Joint moments of corrupted and clean samples, from which a regression is computed."""

from dataclasses import dataclass

import numpy as np

from skae._data.moments import add_products, mirrored
from skae._threads import one_blas_thread


@dataclass(frozen=True)
class JointMoments:
    """Means and cross products of corrupted and clean samples, or of given pairs of them.

    Parameters
    ----------
    mean, target_mean : ndarray of shape (n_features,) and (n_outputs,)
        Means of the corrupted and of the clean samples.
    scatter : ndarray of shape (n_features, n_features), or None
        Scatter matrix of the corrupted samples; see :class:`skae._data.moments.Moments`.
    cross : ndarray of shape (n_outputs, n_features), or None
        Sums of products of deviations of the clean and of the corrupted samples.
    weight : float
        Sum of the weights of the samples.
    """

    mean: np.ndarray
    target_mean: np.ndarray
    scatter: np.ndarray | None
    cross: np.ndarray | None
    weight: float

    @classmethod
    def of(cls, pairs, *, cross):
        """Joint moments of corrupted and clean samples, in one pass; None if there are no pairs.

        Sums of products are computed only where `cross` is true.

        Parameters
        ----------
        pairs : iterable of tuple of ndarray
            Corrupted and clean samples, and their weights; None stands for weights of 1.
        """
        n, sums, scatter, products, references = 0, [0.0, 0.0], None, 0.0, None
        for *pair, weights in pairs:
            # Subtract the means of the first pair, which are close to those of all samples: so the
            # sums lose no digits to cancellation.
            references = references or [np.mean(part, axis=0, dtype=np.float64) for part in pair]
            inputs, outputs = (
                part - reference for part, reference in zip(pair, references, strict=True)
            )
            if weights is None:
                n += len(inputs)
                new = inputs.sum(axis=0), outputs.sum(axis=0)
            else:
                n += weights.sum()
                new = weights @ inputs, weights @ outputs
                inputs, outputs = (np.sqrt(weights)[:, None] * part for part in (inputs, outputs))
            sums = [total + part for total, part in zip(sums, new, strict=True)]
            if cross:
                with one_blas_thread():
                    scatter = add_products(scatter, inputs)
                    products = products + outputs.T @ inputs
        if references is None:
            return None
        means = [part / n for part in sums]
        mean, target_mean = (
            reference + part for reference, part in zip(references, means, strict=True)
        )
        if not cross:
            return cls(mean, target_mean, None, None, n)
        scatter = mirrored(scatter) - n * np.outer(means[0], means[0])
        return cls(mean, target_mean, scatter, products - n * np.outer(means[1], means[0]), n)

    def standardized(self, standardizer, target_standardizer):
        """Joint moments of the samples in the network's units."""
        scale, target_scale = standardizer.scale, target_standardizer.scale
        return JointMoments(
            mean=(self.mean - standardizer.mean) / scale,
            target_mean=(self.target_mean - target_standardizer.mean) / target_scale,
            scatter=self.scatter / scale**2,
            cross=self.cross / (scale * target_scale),
            weight=self.weight,
        )


def merged(joint, group):
    """Joint moments of the samples of all processes of a group.

    Parameters
    ----------
    joint : JointMoments or None
        Joint moments of the samples of this process; None if it has no sample.
    group : object
        Group of processes; see :mod:`skae._data.group`.
    """
    if group.size == 1:
        return joint
    summary = None
    if joint is not None:
        has_products = joint.scatter is not None
        summary = joint.weight, joint.mean, joint.target_mean, has_products
    summaries = [part for part in group.gather(summary) if part is not None]
    weights, means, target_means = (
        np.array(part, dtype=np.float64) for part in list(zip(*summaries, strict=True))[:3]
    )
    weight = weights.sum()
    mean, target_mean = weights @ means / weight, weights @ target_means / weight
    if not summaries[0][3]:
        return JointMoments(mean, target_mean, None, None, weight)
    p, n_outputs = len(mean), len(target_mean)
    scatter = group.sum(np.zeros((p, p)) if joint is None else joint.scatter)
    cross = group.sum(np.zeros((n_outputs, p)) if joint is None else joint.cross)
    # Deviations are from the mean of all processes.
    apart, target_apart = means - mean, target_means - target_mean
    scatter += (weights[:, None] * apart).T @ apart
    cross += (weights[:, None] * target_apart).T @ apart
    return JointMoments(mean, target_mean, scatter, cross, weight)
