"""Export of a fitted estimator as a PyTorch module."""

import numpy as np
from sklearn.utils.validation import check_is_fitted


class ExportMixin:
    """Mixin that exports the fitted networks."""

    def to_module(self):
        """PyTorch module that encodes and decodes samples in the units of X.

        It computes what `transform` and `reconstruct` do, without the estimator. Standardization
        and clipping are a part of it, so it can be exported with `torch.export`, or trained further
        in a larger network.

        Returns
        -------
        module : torch.nn.Module
            Module in evaluation mode, on the device of the estimator. Called with a float32 tensor
            of samples, in the form that `transform` takes (flat of shape (n, n_features), or images
            with channels last), it returns two float32 tensors: the latent codes of shape
            (n, n_components), and the reconstructions in the form that `reconstruct` returns. Its
            submodules `encoder`, from samples to codes, and `decoder`, from codes to
            reconstructions, can be used and exported alone. The module is a copy: to train it does
            not change the estimator.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Notes
        -----
        The code of a VAETransformer is the mean of the posterior. To decode the first k components
        of ordered codes, export ``truncate(k)``. Nothing is validated, and missing values are not
        filled: a sample with NaN has a code of NaN.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> X = load_digits().data.astype("float32")
        >>> autoencoder = AutoencoderTransformer(8, max_iter=1, random_state=0)
        >>> module = autoencoder.fit(X).to_module()
        >>> codes, reconstructions = module(torch.from_numpy(X))
        >>> codes.shape, reconstructions.shape
        (torch.Size([1797, 8]), torch.Size([1797, 64]))
        """
        check_is_fitted(self)
        one_sample = self._from_samples(np.empty((1, self._model.spec.n_outputs)))
        return self._model.in_units_of_x(one_sample.shape[1:])
