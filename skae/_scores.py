"""Scores of a reconstruction."""

import numpy as np
from sklearn.metrics import r2_score


def reconstruction_score(estimator, X, y=None):
    r"""R² of the reconstruction by any fitted transformer that has `inverse_transform`.

    .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat x_{ij})^2 / \sum_{ij} (x_{ij} - \bar x_j)^2

    The share of the total variance that the codes keep: 1 is perfect, 0 is no better than the mean of each feature. It is
    what :meth:`AutoencoderTransformer.score` gives, for PCA and Pipelines too, so that they can be compared.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `inverse_transform`: a transformer or a Pipeline of them.
    X : array-like of shape (n_samples, n_features)
        Rows to reconstruct.
    y : None
        Ignored; scikit-learn's `scoring` passes it.

    Returns
    -------
    score : float
        At most 1, without unit.

    See Also
    --------
    sklearn.metrics.r2_score : The same with ``multioutput="variance_weighted"``.

    Notes
    -----
    As in scikit-learn's score, a feature that does not vary in X is left out.

    It rises with the number of components, so a search over `n_components` that maximises it picks the largest. Search
    with a step behind the codes instead, a classifier say.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import reconstruction_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> round(reconstruction_score(PCA(10).fit(X), X), 2)
    0.74
    """
    return explained_variance(X, estimator.inverse_transform(estimator.transform(X)))


def explained_variance(X, X_hat, sample_weight=None):
    """R² over all features together, computed in float64."""
    X, X_hat = (np.asarray(rows, dtype=np.float64).reshape(len(rows), -1) for rows in (X, X_hat))
    return float(r2_score(X, X_hat, multioutput="variance_weighted", sample_weight=sample_weight))
