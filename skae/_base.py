"""The face that all estimators share: fit, transform and its inverse, scores."""

from abc import abstractmethod

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae import _parameters
from skae._compat import CallbackSupportMixin, check_sample_weight, fit_context
from skae._data.sources import measure
from skae._data.standardizer import check_unit_interval
from skae._files import FileMixin, shallow_copy, unchanged_on_failure
from skae._fitting import FLOATS, FitMixin
from skae._frames import as_array, check_order, in_container
from skae._linear.pca import needs_scatter, pca
from skae._nn.autoencoder import AutoencoderSpec
from skae._nn.modes import without_ambient_state
from skae._preparation import Samples
from skae._summary import summarize

# R² that a prefix of ordered codes may fall back to where PCA has more: others gain by it.
_SUFFICIENT_SCORE = 0.99


def hook(method):
    """Declare a method that a subclass may implement; it overrides nothing else of :class:`BaseAutoencoder`."""
    method.is_hook = True
    return method


class BaseAutoencoder(
    CallbackSupportMixin,
    FitMixin,
    FileMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Everything but what a subclass implements by the methods that are declared as hooks."""

    _parameter_constraints: dict = {**_parameters.COMMON, **_parameters.RECONSTRUCTION}

    # Where notebooks link parameters and attributes to their documentation.
    _doc_link_module = "skae"
    _doc_link_template = (
        "https://skae.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"
    )

    _per_component = (
        "explained_variance_ratio_",
    )  # fitted attributes with a value for each component, where these are ordered

    # Hooks, in the order in which `fit` calls them.

    @hook
    def _to_samples(self, X, *, fitting=False):
        """Flat samples of what the user gives, before any validation."""
        return as_array(X)

    @hook
    def _check_parameters(self):
        """Refuse parameters that cannot hold together, beyond those that all estimators have."""
        _parameters.check_pca_start(self)

    @hook
    @abstractmethod
    def _make_network(self):
        """The network of the parameters; see :mod:`skae._nn.networks`."""

    @hook
    def _uses_scatter(self, n_samples, n_features, n_outputs):
        """Whether the start is computed from a scatter matrix."""
        return self.init == "pca" and needs_scatter(n_samples, n_features)

    @hook
    def _make_standardizers(self, samples, moments):
        """Standardizers of the samples and of their targets."""
        standardizer = self._make_standardizer(moments, "X")
        if samples.target is None:
            return standardizer, standardizer
        target_moments, _ = measure(samples.target, cross=False)
        return standardizer, self._make_standardizer(target_moments, "X_target")

    @hook
    def _check_samples(self, moments, name, standardizer):
        """Refuse samples of a validation set that the standardizer or the loss cannot take."""
        if self._is_sigmoid:
            check_unit_interval(moments.low.min(), moments.high.max(), name)
        standardizer.check_range(moments, name)

    @hook
    def _max_components(self, n_samples):
        """Number of components beyond which no fraction of the variance is left to explain."""
        return min(self.n_features_in_, n_samples)

    @hook
    def _make_spec(self, **common):
        """What the module is built from; see :class:`skae._nn.autoencoder.Spec`."""
        return AutoencoderSpec(
            **common,
            latent_activation=self.code_activation,
            loss=self.loss,
            sufficient_score=float(self.n_components)
            if self._wants_fraction
            else _SUFFICIENT_SCORE,
        )

    @hook
    def _make_corruption(self, moments, target_standardizer):
        """The corruption of the inputs in training; see :mod:`skae._data.corruptions`."""
        return None

    @hook
    def _start(self, module, data):
        """Make a module the linear model that training starts at."""
        module.start_at(pca(data.linear, self.n_components_))

    @hook
    def _describe(self, data):
        """Set fitted attributes that need the data."""

    @hook
    def _derive(self):
        """Set fitted attributes that follow from the model and from others; `truncate` sets them again."""

    # Fit

    @hook
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, X_val=None):
        """Train on the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two.
        y : None
            Ignored; here for scikit-learn's conventions.
        X_val : array-like of shape (n_validation_samples, n_features), default=None
            Rows that choose the epoch to keep, instead of a `validation_fraction` of X. In a
            Pipeline they have to be transformed as X is: see its `transform_input`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a combination of them cannot hold, or X or X_val is not a finite
            numeric table of the right width. The estimator is then as it was before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the loss is no longer finite; the best epoch until then is kept.
        """
        with unchanged_on_failure(self), without_ambient_state():
            device, samples = self._validate(X)
            samples = Samples.of(samples, None, self._validate_validation_set(X_val, samples), None)
            self._fit(samples, device, {"estimator": self, "X": X, "y": X if y is None else y})
        return self

    @hook
    def _truncated_model(self, n_components):
        """The model of the first components."""
        return self._model.truncated(n_components)

    # Apply

    @property
    def history_(self):
        """History of the skorch net: a list with a dict an epoch."""
        check_is_fitted(self)
        return self.net_.history

    @property
    def _n_features_out(self):
        return self.n_components_

    @hook
    def transform(self, X):
        """Codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to code.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), of the dtype of X
            In the unit of the data, as PCA's: before training they equal
            ``PCA(n_components).fit_transform(X)``.
        """
        X = self._validate_samples(X)
        return self._model.encode(X)

    def inverse_transform(self, X):
        """Rows from codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` gives them; of ordered codes also the first columns alone. Columns
            that are set to zero instead are values, as others are.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), of the dtype of X
            Reconstructed rows. With `set_output` a frame with the columns that `fit` saw and the
            index of X.

        Raises
        ------
        ValueError
            If X has more columns than there are codes, or fewer where they are not ordered; or the
            names of the codes in another order.
        """
        check_is_fitted(self)
        check_order(X, self.get_feature_names_out())
        codes = check_array(as_array(X), dtype=FLOATS)
        n_left = self.n_components_ - codes.shape[1]
        if n_left < 0 or (n_left and not self._model.spec.is_ordered):
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the codes of this {type(self).__name__} have {self.n_components_}:"
                " give inverse_transform what transform returns."
            )
        return self._in_container(self._model.decode(codes), X)

    def reconstruct(self, X):
        """``inverse_transform(transform(X))`` in one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), of the dtype of X
            Reconstructed rows. With `set_output` a frame, as of `inverse_transform`.
        """
        samples = self._validate_samples(X)
        return self._in_container(self._model.reconstruct(samples), X)

    @hook
    def score(self, X, y=None, sample_weight=None):
        r"""R² of the reconstruction, all features together.

        .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat x_{ij})^2 / \sum_{ij} (x_{ij} - \bar x_j)^2

        Comparable across scales and with :func:`skae.reconstruction_score` of PCA. It rises with
        `n_components`: a search over that needs a step behind the codes, or it picks the largest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
            At most 1, without unit.
        """
        X = self._validate_samples(X)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        return float(self._model.r2(X, X, sample_weight=sample_weight)[0])

    @hook
    def score_samples(self, X):
        """Minus the mean squared error of each row; low means unusual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            In the squared unit of the data, at most 0.
        """
        X = self._validate_samples(X)
        return -self._model.mean_squared_errors(X)

    @hook
    def explained_variance_curve(self, X):
        """R² of the reconstruction from the first 1, 2, … components; ordered codes only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct. They are coded once and decoded once for each depth: a thousand of
            them tell enough.

        Returns
        -------
        curve : ndarray of shape (n_components,)
            R² at each depth, all features together; `explained_variance_ratio_` are its steps on
            training rows.

        Raises
        ------
        ValueError
            If the codes are not ordered.
        """
        X = self._validate_samples(X)
        self._check_ordered()
        return self._model.r2(X, X, range(1, self.n_components_ + 1))

    def truncate(self, n_components):
        """The estimator with the first components alone, fitted, without any training; ordered codes only.

        Parameters
        ----------
        n_components : int
            From 1 to `n_components_`.

        Returns
        -------
        estimator : object
            Of the same class. Its codes are the first columns of this one's; it is smaller by the
            weights of the others. Where a variational autoencoder has kept its start, the truncated
            one is probabilistic PCA with that number of components, which has a noise variance of
            its own: the columns are scaled by another factor.

        Raises
        ------
        ValueError
            If the codes are not ordered, or there are not that many.
        """
        check_is_fitted(self)
        self._check_ordered()
        _parameters.check_count("n_components", n_components, most=self.n_components_)
        truncated = shallow_copy(self)
        truncated._set_model(self._truncated_model(int(n_components)), self.net_.history)
        for name in self._per_component:
            setattr(truncated, name, getattr(self, name)[:n_components])
        truncated._derive()
        return truncated.set_params(n_components=int(n_components), ordered=True)

    def _check_ordered(self):
        if not self._model.spec.is_ordered:
            raise ValueError(
                "The codes are not ordered: fit with ordered=True or n_components as a share, such as 0.95."
            )

    def summary(self):
        """Parameters of the network.

        Returns
        -------
        summary : Summary
            A named tuple of `rows` (name, shape and count of each parameter) and the totals
            `encoder`, `decoder` and `total`; ``print`` shows it as a table.
        """
        check_is_fitted(self)
        return summarize(self._model.module)

    def _validate_samples(self, X):
        check_is_fitted(self)
        return validate_data(self, self._to_samples(X), dtype=FLOATS, reset=False)

    def _in_container(self, X_hat, X):
        """Reconstructed samples in the form and container that the user gets for X."""
        return in_container(self._from_samples(X_hat), X, self, self._names_out)

    @hook
    def _from_samples(self, X_hat):
        """What the user gets for flat reconstructed samples."""
        return X_hat

    @property
    @hook
    def _names_out(self):
        """Names of the columns of reconstructed samples."""
        return getattr(self, "feature_names_in_", None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
