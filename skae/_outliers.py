"""Outlier detection: the threshold below which a score makes a sample an outlier."""

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._linear.inliers import threshold


def _has_contamination(estimator):
    """Whether outliers are expected; the error says what to set."""
    if not estimator.contamination:
        raise AttributeError(
            f"This {type(estimator).__name__} expects no outliers: set contamination, for instance"
            " to 0.1, before fit, or compare score_samples with a threshold of your own."
        )
    return True


class OutlierDetectionMixin:
    """Mixin for estimators with `score_samples` and `contamination`, low for outliers.

    With a `contamination` of 0, the methods do not exist.
    """

    @available_if(_has_contamination)
    def decision_function(self, X):
        """Score of each sample minus the threshold: ``score_samples(X) - offset_``.

        It is available if `contamination` is greater than 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples to score.

        Returns
        -------
        decision : ndarray of shape (n_samples,), of the dtype of X
            Differences in nats, negative for outliers.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or `truncate` has made this estimator, which has no threshold.
        """
        check_is_fitted(self)
        if not hasattr(self, "offset_"):
            raise ValueError(
                "truncate has made this estimator, but the threshold offset_ is one of scores with"
                " all components: compare score_samples with a threshold of your own, or fit with"
                f" n_components={self.n_components_}."
            )
        return self.score_samples(X) - self.offset_

    @available_if(_has_contamination)
    def predict(self, X):
        """Classify samples as outliers or inliers.

        It is available if `contamination` is greater than 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for inliers.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or `truncate` has made this estimator, which has no threshold.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    @available_if(_has_contamination)
    def fit_predict(self, X, y=None, **fit_params):
        """Fit to X, and classify its samples as outliers or inliers.

        It is available if `contamination` is greater than 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Training data.
        y : None
            Ignored.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, which are a fraction `contamination` of X, and 1 for inliers.

        Raises
        ------
        ValueError
            If a parameter or X is invalid; see `fit`.
        """
        return self.fit(X, **fit_params).predict(X)

    def _set_offset(self, scores, X):
        """Set the threshold from the scores of the training samples, those of a source."""
        self.offset_ = threshold(scores, self.contamination, X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.contamination:
            tags.estimator_type = "outlier_detector"
        return tags
