"""The denoising autoencoder."""

import math
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._compat import Interval, StrOptions, check_sample_weight, fit_context, get_feature_names
from skae._data.corruptions import CORRUPTIONS, FORMULAS, FRACTIONAL, Function, Ranges
from skae._files import unchanged_on_failure
from skae._images import OptionalImageInput, flatten
from skae._linear import reduced_rank
from skae._linear.pca import MAX_FEATURES_OF_SCATTER, pca
from skae._nn.modes import without_ambient_state
from skae._preparation import Samples


class DenoisingAutoencoder(OptionalImageInput, BaseAutoencoder):
    r"""Autoencoder that gives back clean rows from damaged ones, starts as the best linear map and only gets better.

    .. math::
        z = V \tilde u + f(\tilde u), \qquad \hat x = \mathrm{clip}(\mu + s\,(D z + g(z))), \qquad
        \tilde u = (\tilde x - \tilde \mu) / s

    where :math:`\tilde x` is the damaged row, V and D start as the reduced-rank regression of clean
    rows on damaged ones [1]_, and the residual networks f and g at zero. Training minimises the
    mean of :math:`((\hat x
    - x) / s)^2` against the clean row x [2]_, with a new damage in each batch, and keeps the best
    epoch, as
    :class:`AutoencoderTransformer` does.

    The damage is either drawn here, by `corruption`, or was measured: ``fit(X_damaged,
    X_target=X_clean)``.

    Parameters
    ----------
    n_components : int, float, "auto" or "spatial", default="auto"
        Length of the code, at least 1. "auto" is ``min(32, max(1, n_features // 2))``. "spatial",
        for images only, makes the last feature maps the code. A float in (0, 1) trains ordered
        codes of up to 128 components and keeps as many as reach that R² on the validation rows.
    corruption : str, callable or None, default="masking"
        How the rows of X are damaged in training. Unused where `fit` is given `X_target`:

        - "gaussian" adds noise, and clips to the bounds that the data show (see
          `output_activation`);
        - "masking" sets a share of the features of each row to 0, or to their mean where 0 is
          outside their range;
        - "salt_and_pepper" sets a share of the features to the lowest or highest value of the
          training rows;
        - "erase" does as "masking" with a rectangle of an image;
        - a callable ``(X, random_state) -> X_damaged`` takes an array in the form and unit of X,
          with a batch of rows, and a RandomState;
        - None damages nothing.
    noise_level : float, default=0.5
        Standard deviation of "gaussian" in the unit of X; the others' share of features or of the
        image's area, in [0, 1].
    hidden_layer_sizes : array-like of int or int, default=(256, 256)
        Widths of the encoder's hidden layers; the decoder mirrors them. Unused for images.
    image_shape : tuple of int or "auto", default=None
        Height, width and, where there is more than one, channels, of flat rows that are images;
        "auto" takes flat rows as square images where they can be, else as images one pixel high.
        With it, or with n-D images, the networks are convolutional; with None and flat rows they
        are dense.
    channels : array-like of int, default=(32, 64)
        Channels after each convolutional layer of the encoder.
    decoder_channels : array-like of int, default=None
        Channels after each layer of the decoder but the last, as
        :class:`ConvAutoencoderTransformer` has them.
    kernel_size : int, default=3
        Height and width of all kernels, odd.
    downsampling : {"stride", "max_pool"}, default="stride"
        How a convolutional layer halves the sides.
    upsampling : {"transpose", "nearest", "bilinear", "zeros"}, default="transpose"
        How a convolutional layer doubles the sides.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Of the hidden layers.
    code_activation : {"identity", "relu"}, default="identity"
        Of the code. "relu" needs ``init="random"``.
    output_activation : {"auto", "clip", "identity", "sigmoid"}, default="auto"
        Of the output, as in :class:`AutoencoderTransformer`; "sigmoid" needs clean data in [0, 1]
        and ``init="random"``.
    ordered : bool, default=False
        Whether every prefix of the code is a code, as of PCA: component i matters more than
        component i + 1, `truncate` gives the estimator of a smaller depth, and
        `explained_variance_ratio_` is there. In training, codes are cut after 1, 2, 4, …
        components, which costs some error at full depth; an epoch is judged by the mean over the
        middle of these depths and the full one, and kept only where neither has lost, except what
        lies above an R² of 0.99. Where `n_components` is a share, it takes the place of 0.99, and
        the depth at which the start reaches it is judged, too: with squared error, training adds no
        component.
    init : {"pca", "random"}, default="pca"
        Where training starts. "random" has no linear path: the textbook network, with torch's
        default weights.
    loss : {"squared_error", "absolute_error", "log_loss"}, default="squared_error"
        Of the reconstruction. "log_loss" needs clean data in [0, 1] and ``init="random"``.
    optimizer : "adam" or torch.optim.Optimizer class, default="adam"
        A class gets `learning_rate_init` as ``lr``.
    learning_rate_init : float, default=0.003
        Peak of the one-cycle learning rate, which rises for a tenth of the steps and then falls to
        zero.
    alpha : float, default=0.001
        Weight decay, less than 1, of the decoder's residual network, and of those layers of the
        encoder's that have more than 256 inputs: at each step their weights and biases shrink by
        `alpha` times the learning rate over its peak, apart from what the optimizer does [3]_.
        Nothing else shrinks. The steps of the optimizer have to outweigh it: with a much smaller
        `learning_rate_init`, lower both.
    batch_size : int, default=128
        Rows in a gradient step; at most the number of training rows.
    max_iter : int or "auto", default="auto"
        Number of epochs, which is the length of the learning-rate schedule. 0 is the linear map
        itself; "auto" is as many as make 3000 gradient steps, but 5 to 300.
    validation_fraction : float, "auto" or None, default="auto"
        Share of the rows, drawn at random, that choose the epoch and are withheld from training.
        "auto" is a tenth, but no more than 2000 rows. None chooses on the training rows. Unused
        where `fit` is given `X_val`. Their damage is the same in each epoch.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the validation rows, the batches and the damage.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where it is there, else the CPU.
    skorch_callbacks : list, default=None
        Callbacks of the skorch net, as its `callbacks`.
    verbose : int, default=0
        Whether to print a line an epoch.

    Attributes
    ----------
    image_shape_ : tuple of int or None
        Height, width and, where the images have a third axis, channels; None where rows are no
        images.
    n_components_ : int
        Length of the code.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen in `fit`; only where they are all strings.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of each feature of X.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        R² that each component adds on training rows (on up to ``12500 / n_components_`` of them);
        only where the codes are ordered.
    n_iter_ : int
        Epochs run.
    best_iter_ : int
        Epoch kept; 0 is the start.
    loss_curve_ : list of float
        Training loss of each epoch, in units of the mean feature variance.
    validation_scores_ : list of float
        Validation score after each epoch: 1 minus the loss over that of the mean validation row.
    baseline_score_ : float
        Validation score of epoch 0: of the linear map, its output clipped.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list
        History of the net.

    See Also
    --------
    AutoencoderTransformer : Gives back what it is given.
    sklearn.decomposition.KernelPCA : Denoises by projection.

    References
    ----------
    .. [1] A. J. Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate Analysis 5,
       248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    .. [2] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and Composing Robust Features with Denoising
       Autoencoders", ICML 2008. :doi:`10.1145/1390156.1390294`
    .. [3] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. :arxiv:`1711.05101`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> denoiser = DenoisingAutoencoder(corruption="gaussian", noise_level=0.3, max_iter=20, random_state=0)
    >>> denoiser = denoiser.fit(X[:1500])
    >>> clean = X[1500:]
    >>> noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.3, clean.shape), 0, 1)
    >>> bool(np.mean((denoiser.denoise(noisy) - clean) ** 2) < np.mean((noisy - clean) ** 2) / 2)
    True
    """

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **_parameters.DENSE,
        **_parameters.CONV,
        **_parameters.SPATIAL,
        "corruption": [StrOptions(CORRUPTIONS.keys()), callable, None],
        "noise_level": [Interval(Real, 0, None, closed="left")],
        "image_shape": ["array-like", StrOptions({"auto"}), None],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        corruption="masking",
        noise_level=0.5,
        hidden_layer_sizes=(256, 256),
        image_shape=None,
        channels=(32, 64),
        decoder_channels=None,
        kernel_size=3,
        downsampling="stride",
        upsampling="transpose",
        activation="silu",
        code_activation="identity",
        output_activation="auto",
        ordered=False,
        init="pca",
        loss="squared_error",
        optimizer="adam",
        learning_rate_init=3e-3,
        alpha=1e-3,
        batch_size=128,
        max_iter="auto",
        validation_fraction="auto",
        random_state=None,
        device="auto",
        skorch_callbacks=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.corruption = corruption
        self.noise_level = noise_level
        self.hidden_layer_sizes = hidden_layer_sizes
        self.image_shape = image_shape
        self.channels = channels
        self.decoder_channels = decoder_channels
        self.kernel_size = kernel_size
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.ordered = ordered
        self.init = init
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.skorch_callbacks = skorch_callbacks
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        if self.image_shape_ is None:
            for name, value in {"corruption": "erase", "n_components": "spatial"}.items():
                if getattr(self, name) == value:
                    raise ValueError(
                        f"{name}={value!r} is for images: give X as (n, height, width) or (n, height, width, channels), or"
                        f" image_shape, or choose another {name}."
                    )
        if (
            isinstance(self.corruption, str)
            and self.corruption in FRACTIONAL
            and self.noise_level > 1
        ):
            raise ValueError(
                f"noise_level={self.noise_level!r} is no share, as corruption={self.corruption!r} takes it: give a number"
                " from 0 to 1."
            )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, X_target=None, X_val=None, X_val_target=None):
        """Train on the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Clean rows, which `corruption` damages; damaged ones where `X_target` is given. At least
            two.
        y : None
            Ignored; here for scikit-learn's conventions.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            The clean rows of a damaged X, of any width. Images have the height and width of those
            of X. In a Pipeline it comes by metadata routing: ``set_fit_request(X_target=True)``.
        X_val : array-like of shape (n_validation_samples, n_features) or images, default=None
            Rows that choose the epoch to keep, instead of a `validation_fraction` of X.
        X_val_target : array-like of shape (n_validation_samples, n_outputs) or images, default=None
            The clean rows of X_val, to be given if and only if `X_target` and `X_val` are.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a combination of them cannot hold, the rows are no finite numeric
            tables that suit each other, or a callable `corruption` changes the shape or returns
            NaN. The estimator is then as it was before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the loss is no longer finite; the best epoch until then is kept.
        """
        with unchanged_on_failure(self), without_ambient_state():
            self._is_paired = X_target is not None
            device, given = self._validate(X)
            X_val = self._validate_validation_set(X_val, given)
            target, target_val = self._validate_targets(given, X_target, X_val, X_val_target)
            clean, metadata = (X_target, {"X_target": X_target}) if self._is_paired else (X, None)
            callback_kwargs = {
                "estimator": self,
                "X": X,
                "y": clean if y is None else y,
                "metadata": metadata,
            }
            self._fit(Samples.of(given, target, X_val, target_val), device, callback_kwargs)
        return self

    def _validate_targets(self, X, X_target, X_val, X_val_target):
        if not self._is_paired:
            if X_val_target is not None:
                raise ValueError(
                    "X_val_target is given, but X_target is not: give both, or neither."
                )
            return None, None
        if (X_val is None) != (X_val_target is None):
            raise ValueError(
                "X_val and X_val_target belong together where X_target is given: give both, or neither."
            )
        target, self._output_shape = self._validate_target("X_target", X_target, X)
        self._target_names = get_feature_names(X_target)
        if X_val is None:
            return target, None
        target_val, _ = self._validate_target("X_val_target", X_val_target, X_val)
        if target_val.shape[1] != target.shape[1]:
            raise ValueError(
                f"X_val_target has {target_val.shape[1]} features, but X_target has {target.shape[1]}: give both the same."
            )
        return target, target_val

    def _validate_target(self, name, X_target, X):
        """Flat targets of the samples of X, and the shape of their images."""
        target, shape = flatten(X_target, name)
        target = check_array(target, dtype=X.dtype, input_name=name)
        if len(target) != len(X):
            raise ValueError(
                f"{name} has {len(target)} rows, but the damaged ones are {len(X)}: give each its clean row."
            )
        if self.image_shape_ is not None:
            sides = self.image_shape_[:2]
            if target.shape[1] % math.prod(sides) or (shape is not None and shape[:2] != sides):
                raise ValueError(
                    f"{name} has images of shape {shape or target.shape[1:]}, but those of X are {sides[0]} x {sides[1]}:"
                    " give the same height and width; channels may differ."
                )
        return target, shape

    # Parts

    def _uses_scatter(self, n_samples, n_features, n_outputs):
        if self._is_paired:
            return False
        if self.corruption is None:
            return super()._uses_scatter(n_samples, n_features, n_outputs)
        has_formula = isinstance(self.corruption, str) and self.corruption in FORMULAS
        return self.init == "pca" and has_formula and n_features <= MAX_FEATURES_OF_SCATTER

    def _make_corruption(self, moments, target_standardizer):
        self._corruption = None
        if self._is_paired or self.corruption is None:
            return None
        if callable(self.corruption):
            self._corruption = Function(self.corruption, self._output_shape)
        else:
            lower, upper = target_standardizer.lower, target_standardizer.upper
            if self._is_sigmoid:
                lower, upper = np.zeros_like(lower), np.ones_like(upper)
            shape = None if self.image_shape_ is None else (*self.image_shape_, 1)[:3]
            ranges = Ranges.of(moments, lower, upper, shape)
            self._corruption = CORRUPTIONS[self.corruption](float(self.noise_level), ranges)
        return self._corruption

    def _start(self, module, data):
        if data.joint is None:  # nothing is to be undone
            super()._start(module, data)
        elif data.joint.scatter is None:
            encoder = pca(data.linear, self.n_components_).encoder
            module.start_at(reduced_rank.regression_on_codes(encoder, data.pairs(data.train)))
        else:
            validation = partial(data.pairs, data.validation)
            module.start_at(
                reduced_rank.reduced_rank(
                    *data.joint_in_network_units, validation, self.n_components_
                )
            )

    # Apply

    @property
    def _names_out(self):
        return self._target_names if self._is_paired else super()._names_out

    def denoise(self, X):
        """Clean rows of damaged ones; nothing is drawn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Damaged rows.

        Returns
        -------
        X_clean : ndarray of shape (n_samples, n_outputs) or images, of the dtype of X
            In the form of the clean rows that `fit` was given. With `set_output` a frame, as of
            `inverse_transform`.
        """
        return self.reconstruct(X)

    def score(self, X, y=None, sample_weight=None, *, X_target=None):
        """R² of the denoised rows against the clean ones, all features together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Clean rows, which are damaged by `corruption` as in training, the same at each call;
            damaged rows where `X_target` is given.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            The clean rows of X. In a search it comes by metadata routing:
            ``set_score_request(X_target=True)``.

        Returns
        -------
        score : float
            At most 1, without unit; see :meth:`AutoencoderTransformer.score`.

        Raises
        ------
        ValueError
            If `fit` was given `X_target`, and here it is missing.
        """
        X, target, corrupt = self._validate_for_score(X, X_target)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        return float(self._model.r2(X, target, sample_weight=sample_weight, corrupt=corrupt)[0])

    def score_samples(self, X):
        """Minus the mean squared error of each row against itself, undamaged; low means unusual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows to reconstruct.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            In the squared unit of the data, at most 0.

        Raises
        ------
        ValueError
            If `fit` was given `X_target`: then denoised rows are not to be like X.
        """
        check_is_fitted(self)
        if self._is_paired:
            raise ValueError(
                "fit was given X_target, so X is not what comes back: compare denoise(X) with clean rows."
            )
        return super().score_samples(X)

    def explained_variance_curve(self, X, *, X_target=None):
        """R² of the denoised rows from the first 1, 2, … components; ordered codes only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Clean rows, which are damaged by `corruption` as in training, the same at each call;
            damaged rows where `X_target` is given.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            The clean rows of X.

        Returns
        -------
        curve : ndarray of shape (n_components,)
            R² at each depth, all features together; `explained_variance_ratio_` are its steps on
            training rows.

        Raises
        ------
        ValueError
            If the codes are not ordered, or `fit` was given `X_target`, and here it is missing.
        """
        X, target, corrupt = self._validate_for_score(X, X_target)
        self._check_ordered()
        return self._model.r2(X, target, range(1, self.n_components_ + 1), corrupt=corrupt)

    def _validate_for_score(self, X, X_target):
        """Samples, what they are to be reconstructed as, and how they are corrupted before: the same at each call."""
        X = self._validate_samples(X)
        if X_target is not None:
            return X, self._validate_target("X_target", X_target, X)[0], None
        self._check_unpaired()
        return (
            X,
            X,
            None
            if self._corruption is None
            else partial(_corrupt, self._corruption, self._seeds.corruption),
        )

    def _check_unpaired(self):
        check_is_fitted(self)
        if self._is_paired:
            raise ValueError(
                "fit was given X_target, so score needs it too: score(X, X_target=...); in a search, enable metadata"
                " routing and set_score_request(X_target=True)."
            )


def _corrupt(corruption, seed, X, position):
    """Samples with the corruption that the one at that position and those after it always get."""
    return corruption(X, np.random.default_rng([seed, 4, position]))
