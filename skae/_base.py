"""Base class of all estimators: fit, transform and its inverse, scores."""

from abc import abstractmethod

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skae import _parameters
from skae._cluster import on_workers
from skae._compat import CallbackSupportMixin, check_sample_weight, fit_context
from skae._data.group import joined
from skae._data.sources import FLOATS
from skae._data.standardizer import check_unit_interval
from skae._data.streams import is_dask, opened, source_of
from skae._export import ExportMixin
from skae._files import FileMixin, unchanged_on_failure
from skae._fitting import FitMixin
from skae._frames import as_array, check_order, in_container
from skae._imputation import ImputationMixin
from skae._lazy import lazy, score_of_blocks
from skae._linear.pca import needs_scatter, pca
from skae._nn.autoencoder import AutoencoderSpec
from skae._nn.modes import without_ambient_state
from skae._ordered import OrderedMixin
from skae._preparation import Samples
from skae._summary import summarize

# R² that a prefix of ordered codes may fall to if PCA has more: other prefixes gain by it.
_SUFFICIENT_SCORE = 0.99


def hook(method):
    """Declare a method of :class:`BaseAutoencoder` that subclasses may override, and no other."""
    method.is_hook = True
    return method


class BaseAutoencoder(
    CallbackSupportMixin,
    FitMixin,
    ExportMixin,
    FileMixin,
    ImputationMixin,
    OrderedMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base class of all estimators; subclasses override hooks only."""

    _parameter_constraints: dict = {**_parameters.COMMON, **_parameters.RECONSTRUCTION}

    # Address that notebooks link parameters and attributes to.
    _doc_link_module = "skae"
    _doc_link_template = (
        "https://skae.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"
    )

    # Fitted attributes with a value for each component of ordered codes.
    _per_component = ("explained_variance_ratio_",)

    # Hooks, in the order in which `fit` calls them.

    @hook
    def _to_samples(self, X, *, fitting=False):
        """Flatten the samples that the user gives, or open a stream, before any validation."""
        return opened(as_array(X))

    @hook
    def _check_parameters(self):
        """Refuse invalid combinations of the parameters that not all estimators have."""
        _parameters.check_pca_start(self)

    @hook
    @abstractmethod
    def _make_network(self):
        """Network that the parameters describe; see :mod:`skae._nn.networks`."""

    @hook
    def _uses_scatter(self, n_samples, n_features, n_outputs):
        """Whether the initialization is computed from a scatter matrix."""
        return self.init == "pca" and needs_scatter(n_samples, n_features)

    @hook
    def _make_standardizers(self, moments, target_moments):
        """Standardizers of the samples and of their reconstructions."""
        standardizer = self._make_standardizer(moments, "X")
        if target_moments is moments:
            return standardizer, standardizer
        return standardizer, self._make_standardizer(target_moments, "X_target")

    @hook
    def _find_inliers(self, X):
        """Positions of the samples of a source that the start is limited to; None for all."""
        return None

    @hook
    def _check_samples(self, moments, name, standardizer):
        """Refuse a validation set with values that the standardizer or the loss cannot take."""
        if self._is_sigmoid:
            check_unit_interval(moments.low.min(), moments.high.max(), name)
        standardizer.check_range(moments, name)

    @hook
    def _max_components(self, n_samples):
        """Number of components that explain all of the variance."""
        return min(self.n_features_in_, n_samples)

    @hook
    def _make_spec(self, **common):
        """Sizes and choices of the module; see :class:`skae._nn.autoencoder.Spec`."""
        return AutoencoderSpec(
            **common,
            latent_activation=self.code_activation,
            loss=self.loss,
            sufficient_score=float(self.n_components)
            if self._wants_fraction
            else _SUFFICIENT_SCORE,
        )

    @hook
    def _make_corruption(self, measured):
        """Corruption of the inputs in training; see :mod:`skae._data.corruptions`."""
        return None

    @hook
    def _start(self, module, data):
        """Set the weights of a module to the linear model that training starts from."""
        module.start_at(pca(data.linear, self.n_components_))

    @hook
    def _describe(self, data):
        """Set fitted attributes that depend on the data."""

    @hook
    def _derive(self):
        """Set fitted attributes that follow from the model; `truncate` sets them again."""

    # Fit

    @hook
    @fit_context(prefer_skip_nested_validation=True)
    @on_workers
    def fit(self, X, y=None, *, sample_weight=None, X_val=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, at least two samples. Some estimators take images, too. NaN stands for
            a missing value. A memory map, a dataset of h5py, an array of zarr or of dask, or a
            `pyarrow.parquet.ParquetFile` may be larger than memory; all methods take them.
        y : None
            Ignored. It is part of the signature by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, at least 0, in the PCA, the loss and the validation score. An
            integer weight counts as that many copies of the sample, and a weight of 0 as its
            absence. Weights with a mean below 1 are first scaled to a mean of 1.
        X_val : array-like of shape (n_validation_samples, n_features), default=None
            Validation set that selects the epoch, instead of a `validation_fraction` of X. In a
            Pipeline, enable metadata routing, call ``set_fit_request(X_val=True)`` and pass
            ``transform_input=["X_val"]`` to the Pipeline, so that it is transformed as X is.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, a combination of them, or the dtype, the shape or a value of X, X_val or
            `sample_weight` is invalid. The estimator is then as it was before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the loss is no longer finite: the best epoch so far is kept. If epoch 0 is kept after
            20 epochs or 1000 gradient steps.
        UserWarning
            If a fraction as `n_components` is not reached, a VAE is degenerate or collapsed, or a
            feature has no value.
        """
        with unchanged_on_failure(self), without_ambient_state(), joined() as group:
            device, samples, weights = self._validate(X, sample_weight)
            X_val = self._validate_validation_set(X_val, samples)
            samples = Samples.of(samples, X_val=X_val, sample_weight=weights, group=group)
            self._fit(samples, device, X, X if y is None else y, sample_weight=sample_weight)
        return self

    @hook
    def _check_reconstructs_its_input(self, method):
        """Refuse a method that compares X with its reconstruction, if that is of other samples."""

    @hook
    def _truncated_model(self, n_components):
        """Model of the first components."""
        return self._model.truncated(n_components)

    # Apply

    @property
    def history_(self):
        """History of the skorch net: a list with a dict for each epoch."""
        check_is_fitted(self)
        return self.net_.history

    @property
    def _n_features_out(self):
        return self.n_components_

    @hook
    @lazy
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), of the dtype of X
            Latent codes, for an array of dask an array of dask. If epoch 0 of a model that starts
            as PCA is kept, they equal ``PCA.transform(X)``, in the units of X. Training changes the
            scale of each component: standardize the codes if a later step depends on their scale.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        X = self._validate_samples(X)
        return self._model.encode(X)

    @lazy
    def inverse_transform(self, X):
        """Decode latent codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latent codes, as `transform` returns them. If they are ordered, pass the first k columns
            to reconstruct from k components. Do not pad with zeros: the decoder is conditioned on
            the number of components, and zero is an ordinary value of a component.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), of the dtype of X
            Reconstructed samples. After `set_output`, a DataFrame with the columns seen in `fit`
            and the index of X.

        Raises
        ------
        ValueError
            If the columns of X are not the components in order or, for ordered codes, the first of
            them; or if X is not numeric and finite.
        """
        check_is_fitted(self)
        check_order(X, self.get_feature_names_out())
        codes = check_array(as_array(X), dtype=FLOATS)
        n_left = self.n_components_ - codes.shape[1]
        if n_left < 0 or (n_left and not self._model.spec.is_ordered):
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the latent codes of this"
                f" {type(self).__name__} have {self.n_components_} components: give the columns"
                " that transform returns, or, with ordered=True, the first of them."
            )
        return self._in_container(self._model.decode(codes), X)

    @lazy
    def reconstruct(self, X):
        """Encode and decode X: ``inverse_transform(transform(X))`` in one pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to reconstruct.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), of the dtype of X
            Reconstructed samples, in the container that `inverse_transform` returns.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        samples = self._validate_samples(X)
        return self._in_container(self._model.reconstruct(samples), X)

    @hook
    def score(self, X, y=None, sample_weight=None):
        r"""R² of the reconstruction, over all features.

        .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat{x}_{ij})^2 / \sum_{ij} (x_{ij} - \bar{x}_j)^2

        It is comparable with :func:`skae.reconstruction_score` of PCA. It increases with
        `n_components`, so maximizing it selects the largest value: tune `n_components` through a
        downstream estimator, or use ordered codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to reconstruct.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.

        Returns
        -------
        score : float
            R², at most 1: 0 for predicting the mean of X, negative for a worse reconstruction.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        if is_dask(X):
            return score_of_blocks(self, X, sample_weight)
        X = self._validate_samples(X)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return float(self._model.r2(X, X, sample_weight=sample_weight)[0])

    @hook
    @lazy
    def score_samples(self, X):
        """Negative mean squared error of the reconstruction of each sample.

        It is a weak anomaly score: a flexible autoencoder reconstructs anomalies, too. Their latent
        codes are far from the others, however: put a detector such as
        :class:`sklearn.covariance.EllipticEnvelope` behind the autoencoder in a Pipeline, or use
        :class:`VAETransformer`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to reconstruct.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            Scores, at most 0, in the squared units of X. Low values mean a large error.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        X = self._validate_samples(X)
        return -self._model.mean_squared_errors(X)

    @hook
    def explained_variance_curve(self, X):
        """R² of the reconstruction from the first 1, 2, … components of ordered codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, each reconstructed from every number of components: a thousand are enough.

        Returns
        -------
        curve : ndarray of shape (n_components,)
            R² for each number of components, at most 1; see `score`. The differences between
            successive values on some of the training samples are `explained_variance_ratio_`.

        Raises
        ------
        ValueError
            If the codes are not ordered, or X is not as in `fit`.
        """
        X = self._validate_samples(X)
        self._check_ordered()
        return self._model.r2(X, X, range(1, self.n_components_ + 1))

    def summary(self):
        """List the parameters of the network, with their shapes and counts.

        Returns
        -------
        summary : Summary
            Named tuple of `rows` (name, shape and count of each parameter tensor) and the totals
            `encoder`, `decoder` and `total`. ``print`` shows it as a table.
        """
        check_is_fitted(self)
        return summarize(self._model.module)

    def _validate_samples(self, X):
        check_is_fitted(self)
        return source_of(self._validated(self._to_samples(X), reset=False))

    def _in_container(self, X_hat, X):
        """Convert reconstructed samples to the form and container of X."""
        return in_container(self._from_samples(X_hat), X, self, self._names_out)

    @hook
    def _from_samples(self, X_hat):
        """Convert flat reconstructed samples to the form that `fit` was given."""
        return X_hat

    @property
    @hook
    def _names_out(self):
        """Column names of reconstructed samples."""
        return getattr(self, "feature_names_in_", None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
