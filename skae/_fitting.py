"""Steps of a fit: measure, prepare, start, train and publish, in terms of the hooks."""

import warnings
import zlib
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import validate_data

from skae import _parameters
from skae._compat import check_feature_names, check_sample_weight, with_callbacks
from skae._data.missing import ConstantFill, complete, fill_of, filled
from skae._data.sources import measure
from skae._data.standardizer import Standardizer, check_unit_interval
from skae._data.streams import is_stream
from skae._files import shallow_copy
from skae._frames import ACCEPTED, check_samples, check_sparse, check_stream, string_columns
from skae._model import Model, build_module, prefix_scores, smallest_prefix, weights_of
from skae._nn.nested_dropout import NestedDropout
from skae._preparation import Measured, Seeds, prepare
from skae._training.fit import count_epochs, count_no_change, fit_net, training_settings
from skae._training.net import find_device, make_net
from skae._training.processor import products_per_sample, suitable_dtype, suitable_threads
from skae._training.progress import Epochs
from skae._warnings import warn_caller

_MAX_SEARCHED_COMPONENTS = 128  # trained if n_components is a fraction of the variance


class FitMixin:
    """Mixin with the steps of a fit.

    Estimators differ in the hooks that :class:`skae._base.BaseAutoencoder` declares.
    """

    def _validate(self, X, sample_weight):
        """Validate the parameters first, then X and the weights.

        Returns
        -------
        device : torch.device
            Device to compute on.
        samples : ndarray or sparse matrix of shape (n_samples, n_features)
            Samples of X.
        weights : ndarray of shape (n_samples,), or None
            Their weights.
        """
        X = self._to_samples(X, fitting=True)
        if self.network is None:
            self._make_network()
        _parameters.check_together(self)
        self._check_parameters()
        device = find_device(self.device)
        samples = self._validated(X, reset=True, ensure_min_samples=2)
        if sample_weight is None:
            return device, samples, None
        weights = check_sample_weight(
            sample_weight, samples, dtype=np.float64, ensure_non_negative=True
        )
        if np.count_nonzero(weights) < 2:
            raise ValueError(
                "sample_weight is positive for one sample only: give at least two samples a"
                " positive weight."
            )
        return device, samples, weights

    def _validated(self, X, **options):
        """X as an array, in CSR format or as a stream; it is not converted to another dtype."""
        if is_stream(X):
            check_stream(X, options.pop("ensure_min_samples", 1))
            header = np.empty((0, X.shape[1])) if X.header is None else X.header
            validate_data(self, header, skip_check_array=True, **options)
            return X
        try:
            samples = validate_data(self, X, **ACCEPTED, **options)
            # scikit-learn leaves columns of pandas that are categorical as they are.
            samples = check_array(samples, **ACCEPTED) if samples.dtype.kind == "O" else samples
            check_sparse(samples, "X")
            return samples
        except ValueError as error:
            strings = string_columns(X)
            if not strings:
                raise
            raise ValueError(
                f"X has strings in {strings}: encode them first, for instance with"
                " sklearn.preprocessing.OneHotEncoder in a ColumnTransformer."
            ) from error

    def _validate_validation_set(self, X_val, X):
        """Validate a validation set, which has the features of X."""
        if X_val is None:
            return None
        X_val = self._to_samples(X_val)
        check_feature_names(self, X_val, reset=False)
        X_val = check_samples(X_val, "X_val", ensure_min_samples=0)
        if not X_val.shape[0]:
            raise ValueError(
                "X_val has no samples: give at least one, or None to hold out a validation_fraction"
                " of X."
            )
        if X_val.shape[1] != X.shape[1]:
            raise ValueError(
                f"X_val has {X_val.shape[1]} features, but X has {X.shape[1]}: give both the same"
                " features."
            )
        return X_val

    @with_callbacks  # here, so that callbacks see a failure before it is undone
    def _fit(self, samples, device, X, y, **metadata):
        """Train on validated samples.

        `X`, `y` and the metadata that are not None are passed to scikit-learn's callbacks, in the
        form that the methods take. `y` is the target, which a ScoringMonitor needs for its scores.
        """
        metadata = {name: value for name, value in metadata.items() if value is not None}
        callback_kwargs = {"estimator": self, "X": X, "y": y, "metadata": metadata or None}
        group = samples.X.group
        self._seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._match(group)
        self.n_components_ = self._resolve_n_components(samples.X.n_samples)
        if self.network is not None:  # refuse modules that do not fit before any work is done
            self._complete_spec(samples, is_bounded=False).build()
        measured = self._measure(samples)
        self.mean_ = measured.moments.mean.copy()
        data = prepare(
            measured,
            self._make_corruption(measured),
            validation_fraction=self.validation_fraction,
            n_components=self.n_components_,
            is_anchored=self.init == "pca",
            seeds=self._seeds.of_process(group.rank),
            device=device,
        )
        n_epochs = count_epochs(self.max_iter, self.batch_size, data.train.n_samples)
        context = self._init_callback_context(max_subtasks=n_epochs).call_on_fit_task_begin(
            **callback_kwargs
        )
        spec = self._complete_spec(samples, measured.target_standardizer.is_bounded)
        net = self._make_net(self._started_module(spec, data, device), spec, data, device)
        epochs = Epochs(context, callback_kwargs, partial(self._fitted_by, spec, data))
        rng = torch.Generator(device).manual_seed(data.seeds.noise)
        n_products = products_per_sample(net.module_, spec.n_features) * min(
            self.batch_size, data.train.n_samples
        )
        if self.network is None:  # modules of the user may need another dtype
            net.module_.train_in(suitable_dtype(device, spec.n_features, n_products))
        with suitable_threads(device, n_products):
            curves = fit_net(
                net,
                data.train.resident(),
                data.validation,
                rng=rng,
                epochs=epochs,
                n_iter_no_change=count_no_change(self.max_iter, n_epochs),
            )
        _check_equal(net.module_, group)
        self._publish(spec, data, net, curves)
        context.call_on_fit_task_end(**callback_kwargs, reconstruction_attributes={})

    def _match(self, group):
        """Refuse parameters that differ between the processes of a group; share the first's seed.

        Parameters that are objects, such as callbacks, are not compared.
        """
        own = {"random_state", "device", "skorch_callbacks", "verbose"}
        parameters = {
            name: repr(value)
            for name, value in self.get_params(deep=False).items()
            if name not in own and not hasattr(value, "__dict__")
        }
        seeds, others = zip(*group.gather((self._seed, parameters)), strict=True)
        self._seed = seeds[0]
        for rank, other in enumerate(others):
            if other != others[0]:
                names = [name for name in other if other[name] != others[0].get(name)]
                raise ValueError(
                    f"The parameters {', '.join(names)} of process {rank} differ from those of"
                    " process 0: give all processes the same."
                )

    def _measure(self, samples):
        """Measure samples in a :class:`Measured`, and check a validation set against it."""
        n_outputs = samples.X.shape[1] if samples.target is None else samples.target.shape[1]
        cross = self._uses_scatter(samples.X.n_samples, samples.X.shape[1], n_outputs)
        moments, hashes = measure(
            samples.X,
            cross=cross,
            hashed=samples.X_val is None and self.validation_fraction is not None,
        )
        # First of all, refuse values that are too large to compute with.
        self._make_standardizers(moments, moments)
        if not moments.is_complete:
            names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))
            _warn_of_empty_features(moments, names)
        all_moments, is_complete = moments, moments.is_complete
        fill, moments = _completed(samples.X, moments)
        X = samples.X if is_complete else samples.X.with_fill(fill)
        inliers = self._find_inliers(X)
        if inliers is not None:
            kept = samples.X.subset(inliers)
            moments, _ = measure(kept, cross=cross)
            fill, moments = _completed(kept, moments)
            X = samples.X if is_complete else samples.X.with_fill(fill)
        samples = samples._replace(X=X)
        target_moments, target_fill = moments, fill
        if samples.target is not None:
            target_moments, _ = measure(samples.target, cross=False)
            _warn_of_empty_features(target_moments, np.arange(n_outputs), " in X_target")
            target_fill = ConstantFill(target_moments.mean)
            samples = samples._replace(target=filled(samples.target, target_moments, target_fill))
        standardizers = self._make_standardizers(moments, target_moments)
        if inliers is not None:
            self._check_samples(all_moments, "X", standardizers[0])
        given = {
            "X_val": ("X_val", fill, standardizers[0]),
            "target_val": ("X_val_target", target_fill, standardizers[1]),
        }
        for field, (name, its_fill, standardizer) in given.items():
            source = getattr(samples, field)
            if source is not None:
                its_moments, _ = measure(source, cross=False)
                self._check_samples(its_moments, name, standardizer)
                source = filled(source, its_moments, its_fill)
                samples = samples._replace(**{field: source})
        return Measured(samples, moments, fill, hashes, *standardizers, inliers)

    def _make_standardizer(self, moments, name):
        """Standardizer for samples of these moments, as the parameters require."""
        if self._is_sigmoid:
            check_unit_interval(moments.low.min(), moments.high.max(), name)
        return Standardizer.of(
            moments,
            # The inputs of a network with a sigmoid output are the values to reconstruct.
            centered=not self._is_sigmoid,
            bounded=self.output_activation in ("auto", "clip") and not self._is_sigmoid,
            everywhere=self.output_activation == "clip",
            name=name,
        )

    @property
    def _is_sigmoid(self):
        return self.output_activation == "sigmoid" or getattr(self, "loss", None) == "log_loss"

    @property
    def _wants_fraction(self):
        """Whether `n_components` is a fraction of the variance."""
        return isinstance(self.n_components, Real) and not isinstance(self.n_components, Integral)

    @property
    def _seeds(self):
        return Seeds.spawn(self._seed)

    def _resolve_n_components(self, n_samples):
        if self.n_components == "auto":
            return min(32, max(1, self.n_features_in_ // 2))
        if self.n_components == "spatial":
            return self._make_network().spatial_width
        if self._wants_fraction:
            return min(_MAX_SEARCHED_COMPONENTS, self._max_components(n_samples))
        return int(self.n_components)

    def _complete_spec(self, samples, is_bounded):
        clip_or_identity = "clip" if is_bounded else "identity"
        return self._make_spec(
            n_features=self.n_features_in_,
            n_components=self.n_components_,
            n_outputs=self.n_features_in_ if samples.target is None else samples.target.shape[1],
            network=self._make_network()
            if self.network is None
            else _parameters.custom_network(self, self._seeds.weights),
            is_anchored=self.init == "pca",
            is_ordered=bool(self.ordered or self._wants_fraction),
            output="sigmoid" if self._is_sigmoid else clip_or_identity,
        )

    def _started_module(self, spec, data, device):
        """Module before the first epoch."""
        module = build_module(spec, data.target_standardizer)
        module.initialize(torch.Generator("cpu").manual_seed(data.seeds.weights))
        module.to(device)
        if spec.is_anchored:
            self._start(module, data)
            if self._wants_fraction:  # so that this prefix reaches it after training, too
                length = smallest_prefix(
                    module.eval(), data.samples_that_vary[1], self.n_components, self.n_components_
                )
                module.latent.nested_dropout = NestedDropout(self.n_components_, length).to(device)
        data.train.group.broadcast(list(module.state_dict().values()))
        return module

    def _make_net(self, module, spec, data, device):
        settings = training_settings(
            module=module,
            optimizer=self.optimizer,
            learning_rate_init=self.learning_rate_init,
            alpha=self.alpha,
            batch_size=self.batch_size,
            max_iter=self.max_iter,
            n_samples=data.train.n_samples,
            skorch_callbacks=self.skorch_callbacks,
            verbose=0 if data.train.group.rank else self.verbose,
            rng=np.random.default_rng(data.seeds.batches),
            group=data.train.group,
        )
        return make_net(
            module,
            spec.build_objective(data.target_standardizer.scale, data.seeds.draws),
            device,
            **settings,
        )

    def _fitted_by(self, spec, data, net, curves):
        """Attributes of the estimator as fitted so far, while training goes on."""
        fitted = shallow_copy(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit warns at its end
            fitted._publish(spec, data, net, curves)
        return vars(fitted)

    def _publish(self, spec, data, net, curves):
        """Set all fitted attributes."""
        net.module_.complete()
        weights = weights_of(net.module_)
        model = Model(
            spec,
            data.standardizer,
            data.target_standardizer,
            data.fill,
            weights,
            torch.device(net.device),
        )
        self._set_model(model, net.history)
        self.loss_curve_, self.validation_scores_, self.baseline_score_, self.best_iter_ = curves
        self.n_iter_ = len(self.loss_curve_)
        if spec.is_ordered:
            if self._wants_fraction:
                self._keep_fraction(data, net.module_.latent.nested_dropout.emphasized)
            curve = prefix_scores(
                self._model.module, data.described, range(1, self.n_components_ + 1)
            )
            self.explained_variance_ratio_ = np.diff(curve, prepend=0)
        self._describe(data)
        self._derive()
        self._model.forget_conversions()

    def _set_model(self, model, history):
        self._model = model
        self.n_components_ = model.spec.n_components
        objective = model.spec.build_objective(model.target_standardizer.scale, self._seeds.draws)
        self.net_ = make_net(model.module, objective, model.device)  # without an optimizer
        self.net_.history.extend(history)

    def _keep_fraction(self, data, emphasized):
        """Keep as many components as the fraction of the variance requires."""
        name, dataset = data.samples_that_vary
        module = self._model.module
        # The emphasized prefix was validated; longer ones may be worse.
        for longest in (emphasized, self.n_components_):
            reached = prefix_scores(module, dataset, [longest])[0]
            if reached >= self.n_components:
                length = smallest_prefix(module, dataset, self.n_components, longest)
                self._set_model(self._truncated_model(length), self.net_.history)
                return
        warn_caller(
            f"n_components={self.n_components!r} is not reached: the R² on the {name} set is"
            f" {reached:.4f} with all {longest} components, which are kept. Give a smaller"
            " fraction, or an int."
        )


def _check_equal(module, group):
    """Raise an error if the processes of a group do not have the same weights."""
    sums = group.gather([zlib.crc32(weight) for weight in weights_of(module).values()])
    different = [rank for rank, its_sums in enumerate(sums) if its_sums != sums[0]]
    if different:
        raise RuntimeError(
            f"The weights of the processes {different} differ from those of process 0: choose an"
            " optimizer and skorch_callbacks that depend on nothing but the gradients."
        )


def _completed(X, moments):
    """Fill of missing values, and the moments of the samples with it."""
    return (fill_of(moments), moments) if moments.is_complete else complete(X, moments)


def _warn_of_empty_features(moments, names, where=""):
    """Warn of features that have no value, as SimpleImputer does."""
    empty = np.asarray(names)[np.broadcast_to(moments.weight == 0, len(names))]
    if len(empty):
        warn_caller(
            f"Features without any observed values{where}: {empty.tolist()}. They carry no"
            " information and are filled with 0. Drop them, or give at least one value of each.",
        )
