"""Inliers: the samples that a robust fit of probabilistic PCA keeps."""

import numpy as np

from skae._data.sources import measure
from skae._data.standardizer import Standardizer
from skae._linear.pca import StandardizedSamples, needs_scatter
from skae._linear.ppca import ppca

_MEDIAN_STEPS, _MAX_STEPS = 10, 10
# Of the standardized samples: only for samples that have no variance at all.
_LEAST_NOISE_VARIANCE = 1e-9
_SAME_SCORE = 1e-6  # relative difference of scores that is rounding


def find_inliers(source, contamination, n_components, seed):
    """Find the samples that are the most likely ones for probabilistic PCA of themselves.

    It is what the fast minimum covariance determinant [1]_ does, with probabilistic PCA in the
    place of a covariance matrix, so that samples may have many features: the samples that are most
    likely for probabilistic PCA of those that are kept are kept next. It starts from the half of
    the samples that is nearest to their spatial median. Outliers cannot hide each other there, as
    they can if the first model is fitted to all samples.

    Parameters
    ----------
    source : skae._data.sources.ArraySource
        Samples.
    contamination : float
        Fraction of the samples to leave out, by weight.
    n_components : int
        Number of components of the model.
    seed : int
        Seed of the solver, where there are many features.

    Returns
    -------
    kept : ndarray of int
        Positions in the source of the samples that are kept, in ascending order. Where several
        processes fit together, they are those of this process.

    References
    ----------
    .. [1] Rousseeuw, P. J. and Van Driessen, K. "A Fast Algorithm for the Minimum Covariance
       Determinant Estimator". Technometrics 41, 212-223, 1999.
       :doi:`10.1080/00401706.1999.10485670`
    """
    kept = _closest(_distances_to_median(source), 0.5, source)
    for _ in range(_MAX_STEPS):
        before, kept = (
            kept,
            _closest(_distances_to_model(source, kept, n_components, seed), contamination, source),
        )
        if all(source.group.gather(np.array_equal(before, kept))):
            break
    return kept


def threshold(scores, fraction, source):
    """Value below which a fraction of the samples of all processes scores.

    A sample of which only a part of its weight is in that fraction scores above it, as do all
    samples with the same score: weights count as copies do.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Score of each sample of the source.
    fraction : float
        Fraction of the samples, by weight, below 1.
    source : skae._data.sources.ArraySource
        Samples.

    Returns
    -------
    threshold : float
        Mean of the lowest score above it and the highest one below it, or the lowest score of all.
    """
    scores = np.concatenate(source.group.gather(scores)).astype(np.float64)
    weights = np.concatenate(source.group.gather(_weights(source)))
    order = scores.argsort(kind="stable")
    # The last bits of a sum must not decide about a sample.
    is_below = weights[order].cumsum() <= fraction * weights.sum() * (1 + 1e-9)
    lowest = scores[order][is_below.sum()]
    # Nor may those of a score: samples that determine a subspace are all equally far from its mean.
    below = scores[(scores < lowest) & ~np.isclose(scores, lowest, rtol=_SAME_SCORE, atol=0)]
    return float((lowest + below.max()) / 2 if len(below) else lowest)


def _closest(distances, fraction, source):
    """Positions of all but a fraction of the samples, those with the largest distances."""
    return np.flatnonzero(-distances >= threshold(-distances, fraction, source))


def _weights(source):
    return np.ones(len(source)) if source.sample_weight is None else source.sample_weight


def _distances_to_median(source):
    """Distance of each sample to the spatial median, by the algorithm of Weiszfeld."""
    weights = _weights(source)
    # The first step is the mean.
    distances = np.ones(len(source))
    for _ in range(_MEDIAN_STEPS):
        # A sample at the median itself must not get an infinite weight.
        least = 1e-6 * source.group.sum(distances.sum()) / source.n_samples
        pulls = weights / np.maximum(distances, least or 1.0)
        total, start = np.zeros(source.shape[1]), 0
        for chunk, _ in source.chunks():
            total += pulls[start : start + len(chunk)] @ chunk.astype(np.float64)
            start += len(chunk)
        median = source.group.sum(total) / source.group.sum(pulls.sum())
        distances = np.concatenate(
            [np.linalg.norm(chunk - median, axis=1) for chunk, _ in source.chunks()] or [[]]
        )
    return distances


def _distances_to_model(source, kept, n_components, seed):
    """Squared Mahalanobis distance of each sample, for probabilistic PCA of those that are kept."""
    samples = source.subset(kept)
    moments, _ = measure(samples, cross=needs_scatter(samples.n_samples, samples.shape[1]))
    standardizer = Standardizer.of(moments, centered=True, bounded=False)
    model = ppca(
        StandardizedSamples(samples, moments, standardizer, seed),
        n_components,
        least_noise_variance=_LEAST_NOISE_VARIANCE,
    )
    return np.concatenate(
        [
            model.squared_distances(standardizer.transform(chunk.astype(np.float64)))
            for chunk, _ in source.chunks()
        ]
        or [[]]
    )
