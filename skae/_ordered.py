"""Ordered latent codes, of which any number of first components is a code."""

from sklearn.utils.validation import check_is_fitted

from skae._files import shallow_copy
from skae._parameters import check_count


class OrderedMixin:
    """Mixin that truncates ordered codes."""

    def truncate(self, n_components):
        """Fitted estimator of the first components of ordered codes; nothing is trained.

        Parameters
        ----------
        n_components : int
            Number of components to keep, from 1 to `n_components_`.

        Returns
        -------
        estimator : object
            Estimator of the same class whose codes are the first columns of these. A VAETransformer
            that has kept epoch 0 becomes probabilistic PCA with another noise variance and scale.

        Raises
        ------
        ValueError
            If the codes are not ordered, or `n_components` is out of range.
        """
        check_is_fitted(self)
        self._check_ordered()
        check_count("n_components", n_components, most=self.n_components_)
        truncated = shallow_copy(self)
        truncated._set_model(self._truncated_model(int(n_components)), self.net_.history)
        for name in self._per_component:
            setattr(truncated, name, getattr(self, name)[:n_components])
        truncated._derive()
        vars(truncated).pop("offset_", None)  # the threshold of scores with all components
        return truncated.set_params(n_components=int(n_components), ordered=True)

    def _check_ordered(self):
        if not self._model.spec.is_ordered:
            raise ValueError(
                "The latent codes are not ordered: fit with ordered=True, or with n_components as a"
                " fraction of the variance, such as 0.95."
            )
