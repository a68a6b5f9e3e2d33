"""The convolutional autoencoder."""

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._images import ImageInput


class ConvAutoencoderTransformer(ImageInput, BaseAutoencoder):
    r"""Convolutional autoencoder that starts as PCA and only gets better.

    It is an :class:`AutoencoderTransformer` for images: the residual networks f and g are
    convolutional [7]_. Let :math:`\mu` be the mean of the flattened images, :math:`s` the root
    of the mean feature variance and :math:`u = (x - \mu) / s`. An image :math:`x` is encoded and
    reconstructed by

    .. math::
        z = V u + f(u), \qquad \hat{x} = \mathrm{clip}(\mu + s\,(D z + g(z)))

    `transform` returns :math:`s z`. The matrix V starts at the principal components of the
    flattened images, D at their transpose, and the last layers of f and g at zero: epoch 0 is
    PCA of all samples of X, also of those held out for validation, with the output clipped to
    the bounds found in X (see `output_activation`). V, D, f and g are then trained together to
    minimize, by default, the mean over images and features of :math:`(\hat{x} - x)^2 / s^2`.

    Each convolutional layer of f halves the sides of the image, rounding up; a side of 1 stays
    1. Layers of g double them again [8]_. Between the last feature maps and the latent code
    there is a fully connected layer in f and another in g, except with
    ``n_components="spatial"``.

    Training uses Adam by default, with a one-cycle learning rate [1]_. An epoch is scored and
    kept with an exponential moving average of the weights, whose time constant is 3 % of all
    steps [2]_. Gradients pass through the clipping of the output unchanged (straight-through
    estimator [3]_).

    The epoch with the highest score on a validation set is kept, epoch 0 included. A later epoch
    is eligible only if its improvement over epoch 0 is significant (sign test): of m validation
    samples, more than :math:`m / 2 + \sqrt{m}` have to improve, two standard deviations above
    one half. With the default settings, 40 samples or fewer are too few for that, and PCA is
    kept. "Only gets better" refers to the reconstruction of held-out data. It does not extend to
    downstream tasks: a classifier may do better on the codes of PCA.

    Images have the shape (n_samples, height, width) or (n_samples, height, width, channels),
    with channels last as in scikit-image, or are flat samples of shape (n_samples, n_features).

    Parameters
    ----------
    n_components : int, float, "auto" or "spatial", default="auto"
        Number of components of the latent code, at least 1; it may exceed the number of
        features. "auto" is ``min(32, max(1, n_features // 2))``. "spatial" takes all values of
        the last feature maps of the encoder as the code. A float in (0, 1) is the fraction of
        the variance to explain: it trains ordered codes (see `ordered`) of up to 128 components
        and keeps the smallest number that reaches that R² on the validation set, found by
        bisection. If none does, all are kept, with a warning.
    image_shape : tuple of int, default=None
        Height, width and, if there is more than one, channels of the images. None takes the
        shape of N-dimensional images; flat samples are then square images if possible, else
        images one pixel high.
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

        - "auto" clips it to the bounds found in X, such as the values of black and white pixels.
          The lowest or highest value of a feature is a bound if at least 5 % of the samples, and
          at least 5 samples, have exactly that value. If at least half of the features that vary
          have the same lowest value, it also bounds every other feature that does not go below
          it; likewise the highest value;
        - "clip" clips every feature to its range in X;
        - "identity" does not bound it;
        - "sigmoid" applies a sigmoid. It requires data in [0, 1], which is then neither centered
          nor scaled, and ``init="random"``.
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
    learning_rate_init : float, default=0.005
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
        the first epochs of a long fit differ from a short fit. 0 keeps the initialization: PCA, if
        ``init="pca"``. "auto" is the number of epochs that makes about 3000 gradient steps, but at
        least 5 and at most 300. It ends early, once the highest validation score is 10 epochs and
        15 % of this number ago.
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
        Determines the initial weights, the validation set and the order of the samples. Pass an
        int for reproducible results: the global random states of NumPy and PyTorch are then
        neither used nor changed.
    device : str or torch.device, default="auto"
        Device to compute on. "auto" is CUDA if it is available, else the CPU.
    skorch_callbacks : list, default=None
        Callbacks of the skorch net, passed as its `callbacks`. Its history records `train_loss`,
        `valid_loss`, `valid_score` and `valid_loss_best` for each epoch.
    verbose : int, default=0
        Verbosity level. If positive, a line is printed for each epoch.

    Attributes
    ----------
    image_shape_ : tuple of int
        Height and width of the images and, if they have a third axis, the number of channels.
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
        Validation score of epoch 0: with ``init="pca"``, of PCA with its output clipped.
    net_ : skorch.NeuralNet
        Fitted skorch net; ``net_.module_`` is the PyTorch module.
    history_ : list
        History of the skorch net: a dict for each epoch.

    See Also
    --------
    AutoencoderTransformer : The same with dense networks, for samples that are not images.
    sklearn.decomposition.PCA : The model that training starts from.

    Notes
    -----
    NaN stands for a missing value; see :class:`AutoencoderTransformer`.

    `inverse_transform` and `reconstruct` return images in the form that `fit` was given:
    N-dimensional or flat.

    V and D have ``2 * n_features * n_components`` weights together, which :meth:`summary` shows.
    Above 2000 features, PCA uses the solver that scikit-learn chooses, which is randomized for
    large data.

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
    .. [7] Masci, J., Meier, U., Ciresan, D. and Schmidhuber, J. "Stacked Convolutional
       Auto-Encoders for Hierarchical Feature Extraction". ICANN, 2011.
       :doi:`10.1007/978-3-642-21735-7_7`
    .. [8] Dumoulin, V. and Visin, F. "A guide to convolution arithmetic for deep learning".
       2016. :arxiv:`1603.07285`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skae import ConvAutoencoderTransformer
    >>> images, y = load_digits().images, load_digits().target
    >>> autoencoder = ConvAutoencoderTransformer(16, max_iter=2, random_state=0)
    >>> classifier = LogisticRegression(max_iter=1000)
    >>> pipeline = make_pipeline(autoencoder, classifier).fit(images, y)
    >>> pipeline.score(images, y) > 0.9
    True
    >>> autoencoder.fit(images).reconstruct(images).shape
    (1797, 8, 8)

    Two networks known from textbooks, for images of 28 x 28 pixels. The first has 721 parameters
    and a code of 7 x 7 x 8 values:

    >>> import numpy as np
    >>> images = np.random.default_rng(0).random((20, 28, 28))
    >>> textbook = dict(
    ...     init="random",
    ...     activation="relu",
    ...     code_activation="relu",
    ...     output_activation="sigmoid",
    ...     downsampling="max_pool",
    ...     max_iter=0,
    ... )
    >>> small = ConvAutoencoderTransformer(
    ...     "spatial",
    ...     channels=(4, 8),
    ...     decoder_channels=(4, 2),
    ...     upsampling="nearest",
    ...     **textbook,
    ... )
    >>> print(small.fit(images).summary())
    parameter                  shape          count
    -----------------------------------------------
    encoder.residual.1.weight  4 x 1 x 3 x 3     36
    encoder.residual.1.bias    4                  4
    encoder.residual.4.weight  8 x 4 x 3 x 3    288
    encoder.residual.4.bias    8                  8
    decoder.residual.2.weight  4 x 8 x 3 x 3    288
    decoder.residual.2.bias    4                  4
    decoder.residual.5.weight  2 x 4 x 3 x 3     72
    decoder.residual.5.bias    2                  2
    decoder.residual.7.weight  1 x 2 x 3 x 3     18
    decoder.residual.7.bias    1                  1
    -----------------------------------------------
    encoder                                     336
    decoder                                     385
    total                                       721

    The code of the second has 4 x 4 x 8 = 128 values, a sixth of the image; its sides are 28, 14,
    7 and 4 pixels:

    >>> deep = ConvAutoencoderTransformer("spatial", channels=(16, 8, 8), **textbook)
    >>> deep.fit_transform(images).shape
    (20, 128)
    """

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **_parameters.CONV,
        **_parameters.SPATIAL,
        "image_shape": ["array-like", None],
    }

    def __init__(
        self,
        n_components="auto",
        *,
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
        learning_rate_init=5e-3,
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
