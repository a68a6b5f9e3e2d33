"""The dense autoencoder."""

from skae import _parameters
from skae._base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    r"""Dense autoencoder that starts as PCA and only gets better.

    It is used as :class:`sklearn.decomposition.PCA`, with an encoder and a decoder that are
    nonlinear [7]_. Let :math:`\mu` be the mean of X and :math:`s` one scale for all features,
    the root of the mean feature variance. A sample :math:`x` is standardized to
    :math:`u = (x - \mu) / s`, encoded and reconstructed by

    .. math::
        z = V u + f(u), \qquad \hat{x} = \mathrm{clip}(\mu + s\,(D z + g(z)))

    The residual networks f and g are multilayer perceptrons, and `transform` returns
    :math:`s z`. The matrix V starts at the principal components of X, D at their transpose, and
    the last layers of f and g at zero: epoch 0 is PCA of all samples of X, also of those held
    out for validation, with the output clipped to the bounds found in X (see
    `output_activation`). V, D, f and g are then trained together to minimize, by default, the
    mean over samples and features of

    .. math:: (\hat{x} - x)^2 / s^2

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

    Parameters
    ----------
    n_components : int, float or "auto", default="auto"
        Number of components of the latent code, at least 1; it may exceed the number of
        features. "auto" is ``min(32, max(1, n_features // 2))``. A float in (0, 1) is the
        fraction of the variance to explain: it trains ordered codes (see `ordered`) of up to 128
        components and keeps the smallest number that reaches that R² on the validation set,
        found by bisection. If none does, all are kept, with a warning.
    hidden_layer_sizes : array-like of int or int, default=(256, 256)
        Widths of the hidden layers of a dense encoder; the decoder mirrors them. ``()`` makes
        both a single layer, an int gives one hidden layer.
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
    sklearn.decomposition.PCA : The model that training starts from.
    ConvAutoencoderTransformer : The same with convolutional networks, for images.
    reconstruction_score : The score of this estimator, for any transformer.

    Notes
    -----
    As in PCA, features are centered but not scaled one by one, so those with a large variance
    dominate. If features have different units, put a :class:`sklearn.preprocessing.StandardScaler`
    before the autoencoder in a Pipeline.

    Training uses float32. X is centered before it is converted, so a large mean costs no
    precision. The methods of the fitted estimator compute in the dtype of X if
    it is float32 or float64, else in float64.

    NaN stands for a missing value. The mean and the covariance of a normal distribution are
    fitted to incomplete samples by the EM algorithm [8]_, and PCA of that covariance is the
    start. Before a sample is encoded, its missing values are replaced by their conditional mean
    given the observed ones. The loss and all scores count observed values only. With more than
    256 features the covariance has rank 32, and with more than 2000 the mean is used instead.
    :meth:`impute` fills missing values by the reconstruction; a :class:`DenoisingAutoencoder`
    is trained for it.

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
    .. [7] Hinton, G. E. and Salakhutdinov, R. R. "Reducing the Dimensionality of Data with
       Neural Networks". Science 313, 504-507, 2006. :doi:`10.1126/science.1127647`
    .. [8] Little, R. J. A. and Rubin, D. B. "Statistical Analysis with Missing Data". Third
       edition. Wiley, 2019. :doi:`10.1002/9781119482260`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import AutoencoderTransformer, reconstruction_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> X_train, X_test = train_test_split(X, random_state=0)
    >>> round(reconstruction_score(PCA(8).fit(X_train), X_test), 2)
    0.66
    >>> autoencoder = AutoencoderTransformer(8, max_iter=30, random_state=0)
    >>> autoencoder.fit(X_train).transform(X_test).shape
    (450, 8)
    >>> autoencoder.score(X_test) > 0.8
    True

    A textbook network without PCA, and the number of its parameters:

    >>> textbook = AutoencoderTransformer(
    ...     2, hidden_layer_sizes=(), init="random", max_iter=0
    ... )
    >>> print(textbook.fit(X_train).summary())
    parameter                  shape   count
    ----------------------------------------
    encoder.residual.0.weight  2 x 64    128
    encoder.residual.0.bias    2           2
    decoder.residual.0.weight  64 x 2    128
    decoder.residual.0.bias    64         64
    ----------------------------------------
    encoder                              130
    decoder                              192
    total                                322
    """

    _parameter_constraints: dict = {**BaseAutoencoder._parameter_constraints, **_parameters.DENSE}

    def __init__(
        self,
        n_components="auto",
        *,
        hidden_layer_sizes=(256, 256),
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
        self.hidden_layer_sizes = hidden_layer_sizes
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

    def _make_network(self):
        return _parameters.dense_network(self)
