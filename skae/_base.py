"""What all estimators share: fit, transform and back, scores."""

import math
import warnings
from abc import abstractmethod
from contextlib import contextmanager
from copy import copy
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_feature_names, _check_sample_weight, check_is_fitted, validate_data

from skae._data.datasets import SampleDataset
from skae._data.moments import Moments, chunks_of
from skae._data.splitting import hash_samples, split
from skae._data.standardizer import Standardizer
from skae._files import FileMixin, weights_of
from skae._frames import as_array, check_order, in_container
from skae._kinds import KINDS, spatial_width
from skae._linear.pca import StandardizedSamples, pca, takes_scatter
from skae._nn import corruptions
from skae._nn.autoencoder import Autoencoder
from skae._nn.latents import Depths, Plain
from skae._nn.networks import ACTIVATIONS
from skae._nn.objectives import LOSSES, Reconstruction
from skae._nn.outputs import OUTPUTS
from skae._scores import ErrorSums
from skae._summary import summarize
from skae._training import Epochs, ambient_state_set, count_epochs, find_device, fit_net, make_net, training_settings
from skae._warnings import warn_caller

_FLOATS = [np.float64, np.float32]
_CHUNK = 1024  # rows that go through the network together, where no gradient is needed
_CAP = 128  # components that a share of the variance is looked for among
_ENOUGH = 0.99  # R² that a depth of ordered codes may fall back to where PCA has more: others gain by it
_MOST_VALIDATION_ROWS = 2000  # that "auto" withholds: beyond them, a row lowers the error further by being trained on
_DECODED = 12_500  # codes that `explained_variance_ratio_` has decoded


class _Data(NamedTuple):
    """What a fit works on.

    Samples to train on, the validation set, and some training samples to describe the code by; what linear models are fitted
    to; and the seed of all that is drawn.
    """

    train: SampleDataset
    validation: SampleDataset
    described: SampleDataset
    linear: StandardizedSamples
    seed: int


class _Measured(NamedTuple):
    """What one pass over the samples finds out: their moments, the hashes that a split needs, and both standardizers."""

    moments: Moments
    hashes: np.ndarray | None
    standardizer: Standardizer
    target_standardizer: Standardizer


class BaseAutoencoder(CallbackSupportMixin, FileMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Everything but the parts that a subclass names by its hooks: body, code, corruption and loss."""

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
        "ordered": ["boolean"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "code_activation": [StrOptions({"identity", "relu"})],
        "output_activation": [StrOptions({"auto", "clip", "identity", "sigmoid"})],
        "init": [StrOptions({"pca", "random"})],
        "loss": [StrOptions(set(LOSSES))],
        "optimizer": [StrOptions({"adam"}), type],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"}), None],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "skorch_callbacks": [list, None],
        "verbose": ["verbose"],
    }

    # Where notebooks link parameters and attributes to their documentation.
    _doc_link_module = "skae"
    _doc_link_template = "https://skae.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _one_a_component = ("explained_variance_ratio_",)  # fitted attributes of ordered codes that `truncate` cuts

    # Hooks: the parts that an estimator is made of. `architecture` is a dict of plain values, fixed by `fit`.

    @property
    @abstractmethod
    def _kind(self):
        """Which body: a key of `KINDS`; known once the rows are."""

    def _describe_parts(self):
        """Plain values from which the hooks below make their parts, beside those of body and sizes."""
        return {
            "code_activation": self.code_activation,
            "ordered": self.ordered or self._wants_share,
            "output": "sigmoid" if self._is_sigmoid else self._clip_or_identity,
            "loss": self.loss,
        }

    def _code(self, architecture):
        """The code; see :mod:`skae._nn.latents`."""
        return Plain(ACTIVATIONS[architecture["code_activation"]](), self._depths(architecture))

    @staticmethod
    def _depths(architecture):
        """Where codes are cut in training; None where they have no order."""
        return Depths(architecture["n_components"]) if architecture["ordered"] else None

    def _corruption(self, architecture):
        """The corruption; see :mod:`skae._nn.corruptions`."""
        return corruptions.none

    def _output(self, architecture):
        """What the decoder's output goes through."""
        return OUTPUTS[architecture["output"]](architecture["n_outputs"])

    def _damage(self, module, data):
        """Tell the module's corruption of the data, and damage the validation rows of the :class:`_Data` given back."""
        return data

    def _anchor(self, module, data):
        """Where training starts."""
        return pca(data.linear, module.code_width)

    def _start_at_anchor(self, module, data):
        """Make the module's linear paths the anchor's."""
        module.start_at(self._anchor(module, data))

    def _objective(self):
        """What training minimises; see :mod:`skae._nn.objectives`."""
        return Reconstruction(LOSSES[self._architecture["loss"]], self.n_components if self._wants_share else _ENOUGH)

    def _to_rows(self, X, *, fitting=False):
        """Rows of what the user gives, before any validation."""
        return as_array(X)

    def _from_rows(self, X):
        """What the user gets for reconstructed rows."""
        return X

    # Fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, X_val=None):
        """Train on the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two.
        y : None
            Ignored; here for scikit-learn's conventions.
        X_val : array-like of shape (n_validation_samples, n_features), default=None
            Rows that choose the epoch to keep, instead of a `validation_fraction` of X. In a Pipeline they have to be
            transformed as X is: see its `transform_input`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a combination of them cannot hold, or X or X_val is not a finite numeric table of the
            right width. The estimator is then as it was before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the loss is no longer finite; the best epoch until then is kept.
        """
        with unchanged_on_failure(self), ambient_state_set():
            device, rows = self._validate(X)
            X_val = self._validate_validation_rows(X_val, rows)
            told = {"estimator": self, "X": X, "y": X if y is None else y}
            self._fit(rows, self._own_target(rows), X_val, self._own_target(X_val), device, told)
        return self

    def _validate(self, X):
        """The device and the rows of X; nothing is computed before the parameters have been looked at."""
        X = self._to_rows(X, fitting=True)
        self._check_combinations()
        device = find_device(self.device)
        return device, validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)

    def _check_combinations(self):
        """Refuse parameters that cannot hold, alone or together."""
        KINDS[self._kind].check(self)
        if self.n_components == "spatial" and self.ordered:
            raise ValueError("n_components='spatial' has no order: give an int, or set ordered=False.")
        for name in ("n_components", "n_draws", "batch_size", "max_iter"):
            if isinstance(getattr(self, name, None), bool):  # an Integral for Python
                raise ValueError(f"{name}={getattr(self, name)!r} is no number: give an int.")
        self._check_start()
        if isinstance(self.optimizer, type) and torch.optim.Optimizer not in self.optimizer.__mro__[1:]:
            raise ValueError(
                f"optimizer={self.optimizer!r} is no torch.optim.Optimizer: give 'adam' or a class such as torch.optim.SGD."
            )

    def _check_start(self):
        """Refuse a loss, code or output that cannot start as PCA, or that do not suit each other."""
        needs_random = {"code_activation": "relu", "output_activation": "sigmoid", "loss": "log_loss"}
        for name, value in needs_random.items():
            if self.init == "pca" and getattr(self, name) == value:
                raise ValueError(
                    f"{name}={value!r} cannot start as PCA, whose codes and output are linear: set init='random' or"
                    f" choose another {name}."
                )
        if self.loss == "log_loss" and self.output_activation not in ("auto", "sigmoid"):
            raise ValueError(
                f"loss='log_loss' needs output in (0, 1): set output_activation='sigmoid' instead of"
                f" {self.output_activation!r}, or choose another loss."
            )

    def _validate_validation_rows(self, X_val, X):
        """Validation rows, which have the columns of X."""
        if X_val is None:
            return None
        X_val = self._to_rows(X_val)
        _check_feature_names(self, X_val, reset=False)
        X_val = check_array(X_val, dtype=X.dtype, input_name="X_val", ensure_min_samples=0)
        if not len(X_val):
            raise ValueError("X_val has no rows: give at least one, or None to take a validation_fraction of X.")
        if X_val.shape[1] != X.shape[1]:
            raise ValueError(f"X_val has {X_val.shape[1]} features, but X has {X.shape[1]}: give both the same columns.")
        return X_val

    @with_callbacks  # here, where a failure has not been undone yet
    def _fit(self, X, target, X_val, target_val, device, told):
        """Train on validated rows; a target of None are the rows themselves.

        `told` is what scikit-learn's callbacks are told, with rows as the user gave them, which the methods take. Their `y`
        is the target: a ScoringMonitor gives no score without.
        """
        self._seed = seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        measured = self._measure(X, target, X_val, target_val)
        self._standardizer, self._target_standardizer = measured.standardizer, measured.target_standardizer
        self.mean_ = measured.moments.mean
        self.n_components_ = self._resolve_n_components(len(X))
        self._architecture = {
            **KINDS[self._kind].describe(self),
            **self._describe_parts(),
            "n_features": self.n_features_in_,
            "n_components": self.n_components_,
            "n_outputs": self.n_features_in_ if target is None else target.shape[1],
            "activation": self.activation,
            "anchored": self.init == "pca",
        }
        rng = np.random.default_rng(seed)
        data = self._split(X, target, X_val, target_val, measured, device, rng, seed)
        n_epochs = count_epochs(self.max_iter, self.batch_size, len(data.train))
        context = self._init_callback_context(max_subtasks=n_epochs).call_on_fit_task_begin(**told)
        module, data = self._start(data)
        net = self._make_net(module, device, len(data.train), rng)
        epochs = Epochs(context, told, partial(self._fitted_by, data))
        curves = fit_net(net, data.train, data.validation, rng=torch.Generator(device).manual_seed(seed), epochs=epochs)
        self._publish(data, net, curves)
        context.call_on_fit_task_end(**told, reconstruction_attributes={})

    def _fitted_by(self, data, net, curves):
        """Attributes of the estimator as it is fitted by an epoch after which training goes on."""
        fitted = copy(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there is to say is said at the end
            fitted._publish(data, net, curves)
        return vars(fitted)

    def _publish(self, data, net, curves):
        self.net_ = net = self._restore_net(weights_of(net.module_), net.history)  # without what training needs
        self.loss_curve_, self.validation_scores_, self.baseline_score_, self.best_iter_ = curves
        self.n_iter_ = len(self.loss_curve_)
        if self._architecture["ordered"]:
            self._describe_order(data)
        self._describe(data)
        self.net_.forget_copies()

    def _own_target(self, X):
        """What rows shall become where no target is given; None are the rows themselves."""
        return None

    def _describe(self, data):
        """Say of a fit what the training loop does not."""

    def _describe_order(self, data):
        """Keep as many ordered components as are wanted, and say what each adds."""
        if self._wants_share:
            self._keep_depth_of_share(data)
        curve = self._explained(self.net_.module_, data.described, range(1, self.n_components_ + 1))
        self.explained_variance_ratio_ = np.diff(curve, prepend=0)

    @property
    def _wants_share(self):
        return isinstance(self.n_components, Real) and not isinstance(self.n_components, Integral)

    def _keep_depth_of_share(self, data):
        """Keep as many components as the share of the variance takes."""
        module = self.net_.module_
        name, rows = _that_vary(data)
        for most in (module.code.depths.wanted, self.n_components_):  # the first was judged, those between may be worse
            reached = self._explained(module, rows, [most])[0]
            if reached >= self.n_components:
                self._keep_components(self._depth_of_share(module, rows, most))
                return
        warn_caller(
            f"n_components={self.n_components!r} is not reached: R² of the {name} rows is {reached:.4f} with all"
            f" {most} components, which are kept."
        )

    def _depth_of_share(self, module, rows, most):
        """The smallest depth at which the R² of rows reaches `n_components`, by bisection; else `most`."""
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) // 2
            if self._explained(module, rows, [middle])[0] < self.n_components:
                low = middle
            else:
                high = middle
        return high

    def _explained(self, module, rows, depths):
        """R² of the reconstruction of a dataset from the first components, for each depth."""
        sums = ErrorSums(len(depths))
        with ambient_state_set(), torch.inference_mode():
            for batch in gen_batches(len(rows), _CHUNK):
                u, target = rows[np.arange(batch.start, batch.stop)]
                z = module.encode(u)
                decoded = (module.decode(z, module.code.cut_at(depth)).numpy(force=True) for depth in depths)
                sums.add(target.numpy(force=True), decoded)
        return sums.scores()

    @property
    def _is_sigmoid(self):
        return self.output_activation == "sigmoid" or self.loss == "log_loss"

    @property
    def _clip_or_identity(self):
        return "clip" if self._target_standardizer.is_bounded else "identity"

    def _measure(self, X, target, X_val, target_val):
        """The :class:`_Measured` of validated samples, which those of the validation set have to suit."""
        hashes = [] if X_val is None and self.validation_fraction is not None else None

        def chunks():
            for chunk in chunks_of(X):
                if hashes is not None:
                    hashes.append(hash_samples(chunk))
                yield chunk

        moments = Moments.of(chunks(), cross=self._takes_scatter and takes_scatter(*X.shape))
        standardizers = self._make_standardizers(X, moments, target, X_val, target_val)
        return _Measured(moments, None if hashes is None else np.concatenate(hashes), *standardizers)

    @property
    def _takes_scatter(self):
        """Whether the start is computed from the scatter matrix of X."""
        return self.init == "pca"

    def _make_standardizers(self, X, moments, target, X_val, target_val):
        """Standardizers of the samples and of their target."""
        standardizer = self._make_standardizer(moments, X_val, "X", "X_val")
        if target is None or (target is X and target_val is X_val):
            return standardizer, standardizer
        target_moments = Moments.of(chunks_of(target), cross=False)
        return standardizer, self._make_standardizer(target_moments, target_val, "X_target", "X_val_target")

    def _make_standardizer(self, moments, X_val, name, name_val):
        """Standardizer of samples of those moments, which the validation set has to suit."""
        if self._is_sigmoid:
            check_unit_interval(moments.low.min(), moments.high.max(), name)
        standardizer = Standardizer.of(
            moments,
            centered=not self._is_sigmoid,  # the textbook network sees the values that it has to reconstruct
            bounded=self.output_activation in ("auto", "clip") and not self._is_sigmoid,
            everywhere=self.output_activation == "clip",
        )
        if X_val is not None:
            validation_moments = Moments.of(chunks_of(X_val), cross=False)
            if self._is_sigmoid:
                check_unit_interval(validation_moments.low.min(), validation_moments.high.max(), name_val)
            standardizer.check_range(validation_moments, name_val)
        return standardizer

    def _resolve_n_components(self, n_rows):
        if self.n_components == "auto":
            return min(32, max(1, self.n_features_in_ // 2))
        if self.n_components == "spatial":
            return spatial_width(self.image_shape_, self.channels)
        if self._wants_share:
            return min(_CAP, self._most_components(n_rows))
        return int(self.n_components)

    def _most_components(self, n_rows):
        """Depth at which no share of the variance is left to wish for."""
        return min(self.n_features_in_, n_rows)

    def _start(self, data):
        """The module before the first epoch, and the data that it is trained on."""
        module = self._build(data.seed).to(data.train.device)
        data = self._damage(module, data)
        if self._architecture["anchored"]:
            self._start_at_anchor(module, data)
            if self._wants_share:  # so that it is reached there after training, too
                wanted = self._depth_of_share(module.eval(), _that_vary(data)[1], self.n_components_)
                module.code.depths = Depths(self.n_components_, wanted).to(data.train.device)
        return module, data

    def _build(self, seed=None):
        """The module of the fitted architecture, with initial weights where there is a seed for them."""
        architecture = self._architecture
        code = self._code(architecture)
        module = Autoencoder(
            KINDS[architecture["kind"]].body(architecture, code),
            code,
            self._output(architecture),
            self._corruption(architecture),
            n_features=architecture["n_features"],
            n_components=architecture["n_components"],
            n_outputs=architecture["n_outputs"],
            anchored=architecture["anchored"],
        )
        if seed is not None:
            module.initialize(torch.Generator("cpu").manual_seed(seed))
        if self._target_standardizer.is_bounded:
            module.output.set_bounds(*self._target_standardizer.standardized_bounds)
        return module

    def _split(self, X, target, X_val, target_val, measured, device, rng, seed):
        """Rows to train on and rows to choose the epoch by."""

        def rows(X, target, positions=None):
            return SampleDataset(
                X, measured.standardizer, device, positions, target=target, target_standardizer=measured.target_standardizer
            )

        linear = StandardizedSamples(X, measured.moments, measured.standardizer, seed)

        n_described = max(2, min(len(X), _DECODED // self.n_components_))
        described = rows(X, target, np.linspace(0, len(X) - 1, n_described).astype(int))
        if X_val is not None:
            return _Data(rows(X, target), rows(X_val, target_val), described, linear, seed)
        if self.validation_fraction is None:
            return _Data(rows(X, target), rows(X, target), described, linear, seed)
        is_auto = self.validation_fraction == "auto"
        fraction, most = (0.1, _MOST_VALIDATION_ROWS) if is_auto else (self.validation_fraction, len(X) - 1)
        n_validation = min(most, math.ceil(fraction * len(X)))
        held_out, trained_on = split(measured.hashes, n_validation, rng)
        return _Data(rows(X, target, trained_on), rows(X, target, held_out), described, linear, seed)

    def _make_net(self, module, device, n_rows, rng):
        settings = training_settings(
            optimizer=self.optimizer,
            learning_rate_init=self.learning_rate_init,
            alpha=self.alpha,
            batch_size=self.batch_size,
            max_iter=self.max_iter,
            n_rows=n_rows,
            skorch_callbacks=self.skorch_callbacks,
            verbose=self.verbose,
            rng=rng,
        )
        return make_net(module, self._objective(), device, **settings)

    # Apply

    @property
    def history_(self):
        """History of the skorch net: a list with a dict an epoch."""
        check_is_fitted(self)
        return self.net_.history

    @property
    def _n_features_out(self):
        return self.n_components_

    @property
    def _code_unit(self):
        """What a code of the network is multiplied by on its way out."""
        return self._target_standardizer.scale if self.net_.module_.code.in_unit_of_data else 1.0

    def transform(self, X):
        """Codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to code.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), of the dtype of X
            In the unit of the data, as PCA's: before training they equal ``PCA(n_components).fit_transform(X)``.
        """
        X = self._validate_rows(X)
        codes = self._apply(Autoencoder.encode, X, self._standardizer.transform)
        codes *= X.dtype.type(self._code_unit)
        return codes

    def inverse_transform(self, X):
        """Rows from codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` gives them; of ordered codes also the first columns alone. Columns that are set to zero
            instead are values, as others are.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), of the dtype of X
            Reconstructed rows. With `set_output` a frame with the columns that `fit` saw and the index of X.

        Raises
        ------
        ValueError
            If X has more columns than there are codes, or fewer where they are not ordered; or the names of the codes in
            another order.
        """
        check_is_fitted(self)
        check_order(X, self.get_feature_names_out())
        codes = check_array(as_array(X), dtype=_FLOATS)
        depth, n_left = codes.shape[1], self.n_components_ - codes.shape[1]
        if n_left < 0 or (n_left and not self._architecture["ordered"]):
            raise ValueError(
                f"X has {depth} columns, but the codes of this {type(self).__name__} have {self.n_components_}:"
                " give inverse_transform what transform returns."
            )
        unit = codes.dtype.type(self._code_unit)
        decoded = self._apply(
            partial(_decode_at, depth),
            codes,
            lambda Z: np.pad(Z / unit, ((0, 0), (0, n_left))),
        )
        return self._give_back(self._target_standardizer.inverse_transform(decoded), X)

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
        return self._give_back(self._reconstruct(self._validate_rows(X)), X)

    def score(self, X, y=None, sample_weight=None):
        r"""R² of the reconstruction, all features together.

        .. math:: R^2 = 1 - \sum_{ij} (x_{ij} - \hat x_{ij})^2 / \sum_{ij} (x_{ij} - \bar x_j)^2

        Comparable across scales and with :func:`skae.reconstruction_score` of PCA. It rises with `n_components`: a search
        over that needs a step behind the codes, or it picks the largest.

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
        X = self._validate_rows(X)
        return float(self._scores_at([self.n_components_], X, X, sample_weight)[0])

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
        X = self._validate_rows(X)
        parts = [np.square(X[rows] - self._reconstruct(X[rows])).mean(axis=1) for rows in gen_batches(len(X), _CHUNK)]
        return -np.concatenate(parts)

    def explained_variance_curve(self, X):
        """R² of the reconstruction from the first 1, 2, … components; ordered codes only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct. They are coded once and decoded once for each depth: a thousand of them tell enough.

        Returns
        -------
        curve : ndarray of shape (n_components,)
            R² at each depth, all features together; `explained_variance_ratio_` are its steps on training rows.

        Raises
        ------
        ValueError
            If the codes are not ordered.
        """
        X = self._validate_rows(X)
        self._check_ordered()
        return self._scores_at(range(1, self.n_components_ + 1), X, X)

    def _scores_at(self, depths, X, target, sample_weight=None, corrupt=None):
        """R² of the reconstruction of targets from the first components of the codes of X, for each number of them.

        `corrupt` is called with the module, standardized samples and the position of the first.
        """
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        sums = ErrorSums(len(depths))
        for rows in gen_batches(len(X), _CHUNK):
            weight = None if sample_weight is None else sample_weight[rows]
            sums.add(target[rows], self._reconstructions(X[rows], depths, corrupt, rows.start), weight)
        return sums.scores()

    def _reconstructions(self, X, depths, corrupt, start):
        """Reconstructions of some samples from the first components, a number of them after the other."""

        def encode(module, u):
            return module.encode(u if corrupt is None else corrupt(module, u, start))

        codes = self._apply(encode, X, self._standardizer.transform)
        for depth in depths:
            decoded = self._apply(partial(_decode_at, depth), codes, np.array)
            yield self._target_standardizer.inverse_transform(decoded)

    def truncate(self, n_components):
        """The estimator with the first components alone, fitted, without any training; ordered codes only.

        Parameters
        ----------
        n_components : int
            From 1 to `n_components_`.

        Returns
        -------
        estimator : object
            Of the same class. Its codes are the first columns of this one's; it is smaller by the weights of the others.

        Raises
        ------
        ValueError
            If the codes are not ordered, or there are not so many.
        """
        check_is_fitted(self)
        self._check_ordered()
        check_count("n_components", n_components, most=self.n_components_)
        truncated = copy(self)
        for name in self._one_a_component:
            setattr(truncated, name, getattr(self, name)[:n_components])
        truncated._keep_components(int(n_components))
        return truncated.set_params(n_components=int(n_components), ordered=True)

    def _check_ordered(self):
        if not self._architecture["ordered"]:
            raise ValueError("The codes are not ordered: fit with ordered=True or n_components as a share, such as 0.95.")

    def _keep_components(self, n_components):
        """Make the net that of the first components: of each weight the part that the smaller one has."""
        self.n_components_ = n_components
        self._architecture = self._architecture | {"n_components": n_components}
        shapes = {name: weight.shape for name, weight in self._build().state_dict().items()}
        weights = weights_of(self.net_.module_)
        smaller = {name: weights[name][tuple(map(slice, shape))] for name, shape in shapes.items()}
        self.net_ = self._restore_net(smaller, self.net_.history)

    def summary(self):
        """Parameters of the network.

        Returns
        -------
        summary : Summary
            A named tuple of `rows` (name, shape and count of each parameter) and the totals `encoder`, `decoder` and
            `total`; ``print`` shows it as a table.
        """
        check_is_fitted(self)
        return summarize(self.net_.module_)

    def _validate_rows(self, X):
        check_is_fitted(self)
        return validate_data(self, self._to_rows(X), dtype=_FLOATS, reset=False)

    def _give_back(self, rows, given):
        """Reconstructed rows in the form and container that the user gets them in."""
        return in_container(self._from_rows(rows), given, self, self._names_out)

    @property
    def _names_out(self):
        """Names of the columns of reconstructed rows."""
        return getattr(self, "feature_names_in_", None)

    def _reconstruct(self, X):
        return self._target_standardizer.inverse_transform(
            self._apply(lambda module, u: module(u)[0], X, self._standardizer.transform)
        )

    def _apply(self, function, X, prepare):
        """``function(module, rows)`` of the prepared rows of X, a chunk of them at a time, in the dtype of X."""
        device = self._device_of(X.dtype)
        with ambient_state_set(), torch.inference_mode():
            module = self.net_.module_in(torch.float64 if X.dtype == np.float64 else torch.float32, device)
            parts = [function(module, torch.from_numpy(prepare(X[rows])).to(device)) for rows in gen_batches(len(X), _CHUNK)]
            return torch.cat(parts).numpy(force=True)

    def _device_of(self, dtype):
        """Where to apply the network to rows of that dtype: Apple's GPUs have no float64."""
        device = torch.device(self.net_.device)
        return torch.device("cpu") if device.type == "mps" and dtype == np.float64 else device

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _decode_at(depth, module, Z):
    """Reconstructions from the first components of codes."""
    return module.decode(Z, module.code.cut_at(depth))


def _that_vary(data):
    """The rows that a share of the variance is measured on, and their name: R² of rows without variance is undefined."""
    first = data.validation[np.arange(1)][1]
    for batch in gen_batches(len(data.validation), _CHUNK):
        if (data.validation[np.arange(batch.start, batch.stop)][1] != first).any():
            return "validation", data.validation
    return "training", data.described


def check_count(name, value, least=1, most=None):
    """Refuse what is no int, or none within the limits."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r}: give an int {limits}.")


def check_unit_interval(low, high, name, other="another output_activation and loss"):
    """Refuse samples whose lowest and highest value are not in [0, 1]; `other` is what would take them."""
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must lie in [0, 1] where the output is a probability, but it reaches from {low:.6g} to {high:.6g}:"
            f" scale it with sklearn.preprocessing.MinMaxScaler(clip=True), or choose {other}."
        )


@contextmanager
def unchanged_on_failure(estimator):
    """Forget an earlier fit; put all attributes back if the block fails or is interrupted."""
    before = dict(vars(estimator))
    for name in before:
        if name.endswith("_") and not name.startswith("_"):
            delattr(estimator, name)
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
