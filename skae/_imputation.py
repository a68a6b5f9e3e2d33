"""Imputation: samples with their missing values replaced by the reconstruction."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._frames import with_missing_filled


class ImputationMixin:
    """Mixin that fills missing values."""

    def impute(self, X):
        """Replace the missing values of X by their reconstruction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, in which NaN or `pandas.NA` stands for missing values. Some estimators take
            images, too.

        Returns
        -------
        X_filled : object
            Copy of X in the container that came in, such as an array or a DataFrame. Observed
            values are as they were. A column of integers that had missing values becomes one of
            floats.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`; or if the
            estimator reconstructs other samples than X, as a denoiser of pairs does.
        """
        check_is_fitted(self)
        self._check_reconstructs_its_input("impute")
        samples = self._validate_samples(X)
        reconstructed = self._from_samples(self._model.reconstruct(samples))
        return with_missing_filled(X, np.asarray(reconstructed))
