"""The denoising autoencoder."""

import math
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._cluster import on_workers
from skae._compat import Interval, StrOptions, check_sample_weight, fit_context, get_feature_names
from skae._data.corruptions import CORRUPTIONS, FORMULAS, FRACTIONAL, Function, Hiding, Ranges
from skae._data.group import joined
from skae._data.streams import source_of
from skae._files import unchanged_on_failure
from skae._frames import check_samples
from skae._images import OptionalImageInput, flatten
from skae._linear import reduced_rank
from skae._linear.pca import MAX_FEATURES_OF_SCATTER, pca
from skae._nn.modes import without_ambient_state
from skae._preparation import Samples


class DenoisingAutoencoder(OptionalImageInput, BaseAutoencoder):
    r"""Denoising autoencoder that starts as a linear regression and only gets better.

    It reconstructs clean samples from corrupted ones [8]_. Let :math:`x` be a clean sample and
    :math:`\tilde{x}` the corrupted one, :math:`\mu` and :math:`\tilde{\mu}` their means,
    :math:`s` the root of the mean feature variance of the clean samples, and :math:`\tilde{s}`
    that of the corrupted ones if `fit` is given pairs, otherwise :math:`s`. The corrupted sample
    is standardized to :math:`\tilde{u} = (\tilde{x} - \tilde{\mu}) / \tilde{s}`, encoded and
    denoised by

    .. math::
        z = V \tilde{u} + f(\tilde{u}), \qquad \hat{x} = \mathrm{clip}(\mu + s\,(D z + g(z)))

    The residual networks f and g are multilayer perceptrons, for images convolutional networks
    as in :class:`ConvAutoencoderTransformer`. `transform` returns :math:`s z`. The matrices V
    and D start at the reduced-rank regression of clean on corrupted training samples [7]_, with
    a ridge penalty that is chosen on the validation set, and the last layers of f and g at zero.
    Epoch 0 is this linear map, with the output clipped to the bounds found in the clean samples
    (see `output_activation`). V, D, f and g are then trained together to minimize, by default,
    the mean over samples and features of :math:`(\hat{x} - x)^2 / s^2`.

    There are two ways to fit it. ``fit(X_clean)`` corrupts the samples itself, as `corruption`
    says: at random and again in each batch of training, always in the same way in the validation
    set. ``fit(X_corrupted, X_target=X_clean)`` is given pairs.

    Training uses Adam by default, with a one-cycle learning rate [1]_. An epoch is scored and
    kept with an exponential moving average of the weights, whose time constant is 3 % of all
    steps [2]_. Gradients pass through the clipping of the output unchanged (straight-through
    estimator [3]_).

    The epoch with the highest score on a validation set is kept, epoch 0 included. A later epoch
    is eligible only if its improvement over epoch 0 is significant (sign test): of m validation
    samples, more than :math:`m / 2 + \sqrt{m}` have to improve, two standard deviations above
    one half. With the default settings, 40 samples or fewer are too few for that, and the linear
    map is kept. "Only gets better" refers to the reconstruction of held-out data. It does not
    extend to downstream tasks: a classifier may do better on the codes of PCA.

    Parameters
    ----------
    n_components : int, float, "auto" or "spatial", default="auto"
        Number of components of the latent code, at least 1; it may exceed the number of
        features. "auto" is ``min(32, max(1, n_features // 2))``. "spatial", for images only,
        takes all values of the last feature maps of the encoder as the code. A float in (0, 1)
        is the fraction of the variance to explain: it trains ordered codes (see `ordered`) of up
        to 128 components and keeps the smallest number that reaches that R² on the validation
        set, found by bisection. If none does, all are kept, with a warning.
    corruption : str, callable or None, default="masking"
        How samples are corrupted in training. Ignored if `fit` is given `X_target`:

        - "gaussian" adds normal noise, and clips to the bounds of the output (see
          `output_activation`);
        - "masking" sets each feature with probability `noise_level` to 0, or to its mean if 0 is
          outside of its range. If X has missing values, it hides features instead, as if they
          were missing, too (see Notes);
        - "salt_and_pepper" sets each feature with probability `noise_level` to its lower or
          upper bound (see `output_activation`) or, if it has none, to its lowest or highest
          value in the training data;
        - "erase" masks a random rectangle of an image;
        - a callable ``(X, random_state) -> X_corrupted`` is called with some of the samples, in
          the form and the units of X, and with a RandomState;
        - None does not corrupt: the model is then that of :class:`AutoencoderTransformer`.
    noise_level : float, default=0.5
        Amount of corruption: for "gaussian" the standard deviation of the noise, in the units of
        X; for "masking" and "salt_and_pepper" the expected fraction of the features, for "erase"
        the fraction of the area of the image, both from 0 to 1. Ignored if `corruption` is a
        callable or None.
    hidden_layer_sizes : array-like of int or int, default=(256, 256)
        Widths of the hidden layers of a dense encoder; the decoder mirrors them. ``()`` makes
        both a single layer, an int gives one hidden layer.
    image_shape : tuple of int or "auto", default=None
        Height, width and, if there is more than one, channels of the images. None takes the
        shape of N-dimensional images, and flat samples are not images then; with "auto", flat
        samples are square images if possible, else images one pixel high. The networks of images
        are convolutional (`hidden_layer_sizes` is ignored), those of other samples are dense
        (the parameters of convolutions are ignored).
    channels : array-like of int, default=(32, 64)
        Channels after each layer of a convolutional encoder. Each layer halves the sides of the
        image.
    decoder_channels : array-like of int, default=None
        Channels after each layer of a convolutional decoder except the last, which has those of
        the output. None mirrors `channels`. The first ``len(channels)`` layers double the sides
        of the image, further layers keep them.
    kernel_size : int, default=3
        Height and width of all convolution kernels, an odd number.
    downsampling : {"stride", "max_pool"}, default="stride"
        How a layer halves the sides of the image: "stride" is a convolution with stride 2,
        "max_pool" a convolution followed by the maximum of 2 x 2 values.
    upsampling : {"transpose", "nearest", "bilinear", "zeros"}, default="transpose"
        How a layer doubles the sides of the image: "transpose" is a transposed convolution. The
        others enlarge the image and then convolve it: "nearest" repeats the nearest value,
        "bilinear" interpolates, "zeros" inserts zeros.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Activation function of the hidden layers.
    network : callable, default=None
        Function that makes the residual networks f and g, as modules of PyTorch. It is called
        with one argument, `sizes`, and returns a pair of ``torch.nn.Module``, the encoder and
        the decoder, for n samples:

        - the encoder maps a tensor of shape ``(n, *sizes.input_shape)`` to
          ``(n, sizes.n_encoder_outputs)``;
        - the decoder maps ``(n, sizes.n_decoder_inputs)`` to ``(n, *sizes.output_shape)``.

        The two shapes are (channels, height, width) for images, (n_features,) and (n_outputs,)
        for other samples. ``sizes.n_features`` and ``sizes.n_outputs`` are their numbers of
        values. A trained factor that starts at zero follows each module, so epoch 0 is the same
        as without `network`; with ``init="random"`` the modules are used as they are. Random
        functions of PyTorch are seeded by `random_state`. With None, the parameters
        `activation`, `hidden_layer_sizes`, `channels`, `decoder_channels`, `kernel_size`,
        `downsampling` and `upsampling`, as far as the estimator has them, describe the
        networks; otherwise they are ignored.
    code_activation : {"identity", "relu"}, default="identity"
        Activation function of the latent code. "relu" requires ``init="random"``.
    output_activation : {"auto", "clip", "identity", "sigmoid"}, default="auto"
        How the output is bounded:

        - "auto" clips it to the bounds found in the clean samples, such as the values of black
          and white pixels. The lowest or highest value of a feature is a bound if at least 5 %
          of the samples, and at least 5 samples, have exactly that value. If at least half of
          the features that vary have the same lowest value, it also bounds every other feature
          that does not go below it; likewise the highest value;
        - "clip" clips every feature to its range in the clean samples;
        - "identity" does not bound it;
        - "sigmoid" applies a sigmoid. It requires clean data in [0, 1], which is then neither
          centered nor scaled, and ``init="random"``.
    ordered : bool, default=False
        Whether to order the components by nested dropout [5]_, so that every prefix of the
        latent code is a good code of its own (a Matryoshka representation [6]_). One fit then
        serves every number of components: `truncate` returns the estimator of the first k
        components, and `explained_variance_ratio_` is the R² that each further component adds,
        which need not decrease from component to component. Set it to True to choose the number
        of components after training, or to use several. Keep False if the number is known: with
        all components, ordered codes usually reconstruct less well than codes that are not
        ordered.

        In training, each code is truncated to its first 1, 2, 4, … or all components. Model
        selection averages the validation scores of the full code of k components and of a prefix
        of about √k. An epoch is eligible only if each of these scores is at least that of epoch
        0, or at least 0.99. If `n_components` is a fraction, the fraction replaces 0.99, and the
        shortest prefix that reaches it at epoch 0 is validated, too. With squared error,
        training then never increases the number of components.
    init : {"pca", "random"}, default="pca"
        Initialization. "pca" starts at the linear model described above. "random" leaves the
        matrices V and D out: it is the textbook network, with f as the encoder, g as the decoder
        and the default initial weights of PyTorch.
    loss : {"squared_error", "absolute_error", "log_loss"}, default="squared_error"
        Loss of the reconstruction. "log_loss" is the binary cross-entropy. It requires
        ``init="random"`` and values in [0, 1] to reconstruct, and applies a sigmoid to the
        output.
    optimizer : "adam" or torch.optim.Optimizer class, default="adam"
        Optimizer. A class is used with the default values of its arguments, except for the
        learning rate, which has the same schedule for every optimizer.
    learning_rate_init : float, default=0.003
        Peak of the one-cycle learning rate [1]_, which rises for the first tenth of the steps
        and then falls to zero. Lower it if training diverges or the validation score fluctuates.
        With the optimizer "adam", the weights of a layer with more than 3136 inputs have a lower
        rate, in inverse proportion to their number (:arxiv:`2203.03466`).
    alpha : float, default=0.001
        Weight decay, at least 0 and less than 1, decoupled from the optimizer [4]_. It applies
        to the network g, and to those layers of f that have a fan-in above 256: at each step
        their weights and biases are multiplied by ``1 - alpha * lr / learning_rate_init``, where
        ``lr`` is the current learning rate.

        Raise it, to 0.01 for example, if the network overfits: if the validation score stays far
        below the training score, as happens with few samples (see :class:`LossCurveDisplay`).
        Lower it, to 0 if need be, if the network does not overfit, as with few features and very
        many samples. Too large a value keeps the network from learning, and so does the default
        with a much smaller `learning_rate_init`: lower both together.
    batch_size : int, default=128
        Number of samples in a gradient step. It is limited to the number of training samples.
    max_iter : int or "auto", default="auto"
        Number of epochs. A given number is run to its end unless a callback or a diverging loss
        ends the training. The best epoch is kept. The learning-rate schedule has this length, so
        the first epochs of a long fit differ from a short fit. 0 keeps the initialization: the
        linear map, if ``init="pca"``. "auto" is the number of epochs that makes about 3000 gradient
        steps, but at least 5 and at most 300. It ends early, once the highest validation score is
        10 epochs and 15 % of this number ago.
    validation_fraction : float, "auto" or None, default="auto"
        Fraction of the samples that is held out, at random, as the validation set, which selects
        the epoch and takes no part in gradient steps. "auto" is a tenth of the samples, but at
        most 2000 samples.

        Raise it, to 0.2 for example, if there are only a few hundred samples or fewer: training
        then has a better chance to pass the sign test, but fewer samples to learn from. Lower it
        if there are very many samples: a few thousand are enough to compare epochs, and the
        others are worth more in training. None selects the epoch on up to 2000 of the training
        samples: all samples are trained on, but overfitting goes unnoticed. Ignored if `fit` is
        given `X_val`.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the validation set, the order of the samples and the
        corruption. Pass an int for reproducible results: the global random states of NumPy and
        PyTorch are then neither used nor changed.
    device : str or torch.device, default="auto"
        Device to compute on. "auto" is CUDA if it is available, else the CPU.
    skorch_callbacks : list, default=None
        Callbacks of the skorch net, passed as its `callbacks`. Its history records `train_loss`,
        `valid_loss`, `valid_score` and `valid_loss_best` for each epoch.
    verbose : int, default=0
        Verbosity level. If positive, a line is printed for each epoch.

    Attributes
    ----------
    image_shape_ : tuple of int or None
        Height and width of the images and, if they have a third axis, the number of channels.
        None if the samples are not images.
    n_components_ : int
        Number of components of the latent code.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen in `fit`. Defined only if all of them are strings.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of each feature of X, in the units of X. Where values are missing, it is that of the
        normal distribution that is fitted to X.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        R² that each further component adds to the reconstruction from those before it, measured
        on up to ``12500 / n_components_`` samples of X. It need not decrease from component to
        component. Defined only if the codes are ordered.
    n_iter_ : int
        Number of epochs run.
    best_iter_ : int
        Epoch whose weights are kept. 0 is the initialization.
    loss_curve_ : list of float
        Mean training loss of each epoch. It is computed in standardized units, in which the
        squared error is that of X divided by s². With a sigmoid output it is computed in the
        units of X.
    validation_scores_ : list of float
        Validation score after each epoch: 1 minus the ratio of the loss to that of predicting
        the mean of the validation set. This is R² for squared error. For ordered codes it is the
        mean over the validated prefixes.
    baseline_score_ : float
        Validation score of epoch 0: with ``init="pca"``, of the linear map with its output
        clipped.
    net_ : skorch.NeuralNet
        Fitted skorch net; ``net_.module_`` is the PyTorch module.
    history_ : list
        History of the skorch net: a dict for each epoch.

    See Also
    --------
    AutoencoderTransformer : Reconstructs the samples that it is given.
    sklearn.decomposition.KernelPCA : Denoises by projection.

    Notes
    -----
    The corruption has to resemble the noise to be removed. An autoencoder that is trained on
    noisy samples alone reconstructs noisy samples.

    Features are centered but not scaled one by one, so those with a large variance dominate. If
    features have different units, put a :class:`sklearn.preprocessing.StandardScaler` before the
    autoencoder in a Pipeline.

    NaN stands for a missing value; see :class:`AutoencoderTransformer`. If X has missing values,
    "masking" trains the network to impute: hidden values are filled by their conditional mean,
    as missing ones are, and the loss, the validation score and `score` are those of hidden
    values only. V and D then start at PCA, so with as many components as features, epoch 0 of
    :meth:`impute` is the conditional mean. A `noise_level` of about 0.25 suits imputation.

    If X or the clean samples have more than 2000 features, V starts at the principal components
    of X, and D at the regression of the clean samples on these codes. Without corruption, V and
    D start at PCA.

    References
    ----------
    .. [1] Smith, L. N. and Topin, N. "Super-Convergence: Very Fast Training of Neural Networks
       Using Large Learning Rates". 2018. :arxiv:`1708.07120`
    .. [2] Izmailov, P., Podoprikhin, D., Garipov, T., Vetrov, D. and Wilson, A. G. "Averaging
       Weights Leads to Wider Optima and Better Generalization". UAI, 2018. :arxiv:`1803.05407`
    .. [3] Bengio, Y., Léonard, N. and Courville, A. "Estimating or Propagating Gradients Through
       Stochastic Neurons for Conditional Computation". 2013. :arxiv:`1308.3432`
    .. [4] Loshchilov, I. and Hutter, F. "Decoupled Weight Decay Regularization". ICLR, 2019.
       :arxiv:`1711.05101`
    .. [5] Rippel, O., Gelbart, M. and Adams, R. "Learning Ordered Representations with Nested
       Dropout". ICML, 2014. :arxiv:`1402.0915`
    .. [6] Kusupati, A. et al. "Matryoshka Representation Learning". NeurIPS, 2022.
       :arxiv:`2205.13147`
    .. [7] Izenman, A. J. "Reduced-rank regression for the multivariate linear model". Journal of
       Multivariate Analysis 5, 248-264, 1975. :doi:`10.1016/0047-259X(75)90042-1`
    .. [8] Vincent, P., Larochelle, H., Bengio, Y. and Manzagol, P.-A. "Extracting and Composing
       Robust Features with Denoising Autoencoders". ICML, 2008. :doi:`10.1145/1390156.1390294`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> X_train, clean = X[:1500], X[1500:]
    >>> noise = np.random.default_rng(0).normal(0, 0.3, clean.shape)
    >>> noisy = np.clip(clean + noise, 0, 1)
    >>> denoiser = DenoisingAutoencoder(
    ...     corruption="gaussian", noise_level=0.3, max_iter=20, random_state=0
    ... )
    >>> denoised = denoiser.fit(X_train).denoise(noisy)
    >>> bool(np.mean((denoised - clean) ** 2) < np.mean((noisy - clean) ** 2) / 2)
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
        network=None,
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
        self.network = network
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
                        f"{name}={value!r} is for images: give X in the shape (n_samples, height,"
                        " width) or (n_samples, height, width, channels), set image_shape, or"
                        f" choose another {name}."
                    )
        if (
            isinstance(self.corruption, str)
            and self.corruption in FRACTIONAL
            and self.noise_level > 1
        ):
            raise ValueError(
                f"noise_level={self.noise_level!r} is not a fraction, as"
                f" corruption={self.corruption!r} requires: give a number from 0 to 1."
            )

    @fit_context(prefer_skip_nested_validation=True)
    @on_workers
    def fit(
        self,
        X,
        y=None,
        *,
        sample_weight=None,
        X_target=None,
        X_val=None,
        X_val_target=None,
    ):
        """Fit the autoencoder to clean samples, or to pairs of corrupted and clean samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Clean samples, at least two, which `corruption` corrupts. If `X_target` is given, the
            corrupted samples of pairs. NaN stands for a missing value.
        y : None
            Ignored. It is part of the signature by convention; pass clean samples as `X_target`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, at least 0, in the PCA, the loss and the validation score. An
            integer weight counts as that many copies of the sample, and a weight of 0 as its
            absence. Weights with a mean below 1 are first scaled to a mean of 1.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            Clean samples of the pairs, in the order of X. They may have another number of features,
            and images another number of channels. In a Pipeline, enable metadata routing and call
            ``set_fit_request(X_target=True)``.
        X_val : array-like of shape (n_validation_samples, n_features) or images, default=None
            Validation set that selects the epoch, instead of a `validation_fraction` of X. In a
            Pipeline, enable metadata routing, call ``set_fit_request(X_val=True)`` and pass
            ``transform_input=["X_val"]`` to the Pipeline, so that it is transformed as X is.
        X_val_target : array-like of shape (n_validation_samples, n_outputs), default=None
            Clean samples of the validation set, or images. Give it if, and only if, `X_target` and
            `X_val` are given.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a combination of them is invalid; if data are not numeric, have
            infinite values, or do not match each other; or if a callable `corruption` changes the
            shape or returns NaN. The estimator is then as it was before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the loss is no longer finite: the best epoch so far is kept. If epoch 0 is kept after
            20 epochs or 1000 gradient steps.
        UserWarning
            If a fraction given as `n_components` is not reached, or a feature has no value.
        """
        with unchanged_on_failure(self), without_ambient_state(), joined() as group:
            self._is_paired = X_target is not None
            device, given, weights = self._validate(X, sample_weight)
            X_val = self._validate_validation_set(X_val, given)
            target, target_val = self._validate_targets(given, X_target, X_val, X_val_target)
            samples = Samples.of(given, target, X_val, target_val, weights, group)
            if y is None:
                y = X_target if self._is_paired else X
            self._fit(samples, device, X, y, sample_weight=sample_weight, X_target=X_target)
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
                "X_val and X_val_target belong together if X_target is given: give both, or"
                " neither."
            )
        target, self._output_shape = self._validate_target("X_target", X_target, X)
        self._target_names = get_feature_names(X_target)
        if X_val is None:
            return target, None
        target_val, _ = self._validate_target("X_val_target", X_val_target, X_val)
        if target_val.shape[1] != target.shape[1]:
            raise ValueError(
                f"X_val_target has {target_val.shape[1]} features, but X_target has"
                f" {target.shape[1]}: give both the same features."
            )
        return target, target_val

    def _validate_target(self, name, X_target, X):
        """Flat targets of the samples of X, and the shape of their images."""
        target, shape = flatten(X_target, name)
        target = check_samples(target, name)
        if target.shape[0] != X.shape[0]:
            raise ValueError(
                f"{name} has {target.shape[0]} samples, but there are {X.shape[0]} corrupted"
                " samples: give one clean sample for each of them."
            )
        if self.image_shape_ is not None:
            sides = self.image_shape_[:2]
            if target.shape[1] % math.prod(sides) or (shape is not None and shape[:2] != sides):
                raise ValueError(
                    f"{name} has samples of shape {shape or target.shape[1:]}, but the images of X"
                    f" are {sides[0]} x {sides[1]}: give images of the same height and width. The"
                    " number of channels may differ."
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

    def _make_corruption(self, measured):
        self._corruption = None
        if self._is_paired or self.corruption is None:
            return None
        if self.corruption == "masking" and not measured.is_complete:
            self._corruption = Hiding(float(self.noise_level), measured.fill)
        elif callable(self.corruption):
            self._corruption = Function(self.corruption, self._output_shape)
        else:
            standardizer = measured.target_standardizer
            lower, upper = standardizer.lower, standardizer.upper
            if self._is_sigmoid:
                lower, upper = np.zeros_like(lower), np.ones_like(upper)
            shape = None if self.image_shape_ is None else (*self.image_shape_, 1)[:3]
            ranges = Ranges.of(measured.moments, lower, upper, shape)
            self._corruption = CORRUPTIONS[self.corruption](float(self.noise_level), ranges)
        return self._corruption

    def _start(self, module, data):
        if data.joint is None:  # there is no corruption, or hidden values are filled
            super()._start(module, data)
        elif data.joint[0].scatter is None:
            encoder = pca(data.linear, self.n_components_).encoder
            pairs, group = data.pairs(data.train), data.train.source.group
            module.start_at(reduced_rank.regression_on_codes(encoder, pairs, group))
        else:
            standardizers = data.standardizer, data.target_standardizer
            joint = (part.standardized(*standardizers) for part in data.joint)
            module.start_at(reduced_rank.reduced_rank(*joint, self.n_components_))

    def _check_reconstructs_its_input(self, method):
        if self._is_paired:
            raise ValueError(
                f"{method} compares X with its reconstruction, but fit was given X_target, which is"
                " reconstructed instead of X: compare denoise(X) with the clean samples."
            )

    # Apply

    @property
    def _names_out(self):
        return self._target_names if self._is_paired else super()._names_out

    def denoise(self, X):
        """Denoise samples, without corrupting them first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Corrupted samples.

        Returns
        -------
        X_clean : ndarray of shape (n_samples, n_outputs) or images, of the dtype of X
            Denoised samples, in the form of the clean samples that `fit` was given and in the
            container that `inverse_transform` returns.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        return self.reconstruct(X)

    def score(self, X, y=None, sample_weight=None, *, X_target=None):
        """R² of the denoised samples with respect to the clean ones, over all features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Clean samples, which `corruption` corrupts in the same way at each call. If `X_target`
            is given, the corrupted samples of pairs.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            Clean samples of the pairs. In a search, enable metadata routing and call
            ``set_score_request(X_target=True)``. The search of a Pipeline passes them on since
            scikit-learn 1.8.

        Returns
        -------
        score : float
            R², at most 1; see :meth:`AutoencoderTransformer.score`.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or `fit` was given `X_target` and this method is not.
        """
        X, target, corrupt = self._validate_for_score(X, X_target)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return float(self._model.r2(X, target, sample_weight=sample_weight, corrupt=corrupt)[0])

    def score_samples(self, X):
        """Negative mean squared error of the reconstruction of each sample, without corruption.

        It is a weak anomaly score; see :meth:`AutoencoderTransformer.score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Clean samples to reconstruct.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            Scores, at most 0, in the squared units of X. Low values mean a large error.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or if `fit` was given `X_target`, since X is then not what is
            reconstructed.
        """
        check_is_fitted(self)
        self._check_reconstructs_its_input("score_samples")
        return super().score_samples(X)

    def explained_variance_curve(self, X, *, X_target=None):
        """R² of the denoised samples from the first 1, 2, … components of ordered codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Clean samples, which `corruption` corrupts in the same way at each call. If `X_target`
            is given, the corrupted samples of pairs. A thousand samples are enough.
        X_target : array-like of shape (n_samples, n_outputs) or images, default=None
            Clean samples of the pairs.

        Returns
        -------
        curve : ndarray of shape (n_components,)
            R² for each number of components, at most 1; see `score`. The differences between
            successive values on some of the training samples are `explained_variance_ratio_`.

        Raises
        ------
        ValueError
            If the codes are not ordered, X is not as in `fit`, or `fit` was given `X_target` and
            this method is not.
        """
        X, target, corrupt = self._validate_for_score(X, X_target)
        self._check_ordered()
        return self._model.r2(X, target, range(1, self.n_components_ + 1), corrupt=corrupt)

    def _validate_for_score(self, X, X_target):
        """Samples, their targets, and the corruption, which is the same at each call."""
        X = self._validate_samples(X)
        if X_target is not None:
            target, _ = self._validate_target("X_target", X_target, X)
            return X, source_of(target, X.dtype, "X_target"), None
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
                "fit was given X_target, so this method needs it, too: pass the clean samples of X"
                " as X_target. In a search, enable metadata routing and call"
                " set_score_request(X_target=True)."
            )


def _corrupt(corruption, seed, X, observed, position):
    """Corrupt samples; the corruption depends on the position of the first one only."""
    return corruption.apply(X, observed, np.random.default_rng([seed, 4, position]))
