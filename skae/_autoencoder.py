"""The dense autoencoder."""

from skae import _parameters
from skae._base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    r"""Dense autoencoder that starts as PCA and only gets better.

    With training mean :math:`\mu`, one scale :math:`s` for all features (the root of the mean
    feature variance) and the principal components :math:`V_0` of the training rows, a row :math:`x`
    and its centred form
    :math:`u = (x - \mu) / s` are coded and reconstructed by

    .. math::
        z = V u + f(u), \qquad \hat x = \mathrm{clip}(\mu + s\,(D z + g(z)))

    where V starts at :math:`V_0`, D at :math:`V_0^T`, and the residual networks f and g at zero:
    epoch 0 is PCA of all the rows. All four are trained together to minimise the mean over rows and
    features of

    .. math:: (\hat u - u)^2, \qquad \hat u = (\hat x - \mu) / s

    by Adam with a one-cycle learning rate [1]_. An epoch's weights are an exponential moving
    average over the last 3 % of all steps [2]_. The epoch with the best score on rows withheld from
    the gradient steps is kept, epoch 0 included; another one only where more than half of those
    rows gain, by two standard deviations of that count, so that a small sample does not choose by
    luck. The output is clipped to the bounds that the data show (see `output_activation`), with the
    gradient passed straight through [3]_.

    Parameters
    ----------
    n_components : int, float or "auto", default="auto"
        Length of the code, at least 1; more than the number of features is allowed. "auto" is
        ``min(32, max(1, n_features // 2))``.
        A float in (0, 1) trains ordered codes of up to 128 components and keeps as many as reach
        that R² on the validation rows.
    hidden_layer_sizes : array-like of int or int, default=(256, 256)
        Widths of the encoder's hidden layers; the decoder's mirror them. ``()`` is a single layer,
        an int one hidden layer.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Of the hidden layers.
    code_activation : {"identity", "relu"}, default="identity"
        Of the code. "relu" needs ``init="random"``.
    output_activation : {"auto", "clip", "identity", "sigmoid"}, default="auto"
        Of the output:

        - "auto" clips the sides of features where the training data show a bound: at least 5 % of
          the rows, and at least 5 of them, sit exactly on the extreme; or half of the features that
          vary share it, which then bounds all;
        - "clip" clips every feature to its range in the training data;
        - "identity" clips nothing;
        - "sigmoid" needs data in [0, 1], which are then neither centred nor scaled, and
          ``init="random"``.
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
        Of the reconstruction. "log_loss" is binary cross-entropy: it needs data in [0, 1] and
        ``init="random"``, and makes the output a sigmoid.
    optimizer : "adam" or torch.optim.Optimizer class, default="adam"
        A class gets `learning_rate_init` as ``lr``.
    learning_rate_init : float, default=0.003
        Peak of the one-cycle learning rate, which rises for a tenth of the steps and then falls to
        zero.
    alpha : float, default=0.001
        Weight decay, less than 1, of the decoder's residual network, and of those layers of the
        encoder's that have more than 256 inputs: at each step their weights and biases shrink by
        `alpha` times the learning rate over its peak, apart from what the optimizer does [5]_.
        Nothing else shrinks. The steps of the optimizer have to outweigh it: with a much smaller
        `learning_rate_init`, lower both.
    batch_size : int, default=128
        Rows in a gradient step; at most the number of training rows.
    max_iter : int or "auto", default="auto"
        Number of epochs, which is the length of the learning-rate schedule. 0 is PCA itself; "auto"
        is as many as make 3000 gradient steps, but 5 to 300.
    validation_fraction : float, "auto" or None, default="auto"
        Share of the rows, drawn at random, that choose the epoch and are withheld from the gradient
        steps (the PCA is of all rows). "auto" is a tenth, but no more than 2000 rows. None chooses
        on the training rows. Unused where `fit` is given `X_val`.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the validation rows and the batches. The global states of numpy and
        torch do not change what an int gives, and stay as they are.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where it is there, else the CPU.
    skorch_callbacks : list, default=None
        Callbacks of the skorch net, as its `callbacks`. The history holds `train_loss`,
        `valid_loss`, `valid_score` and `valid_loss_best` of each epoch.
    verbose : int, default=0
        Whether to print a line an epoch.

    Attributes
    ----------
    n_components_ : int
        Length of the code.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen in `fit`; only where they are all strings.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of each feature of the training rows.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        R² that each component adds on training rows (on up to ``12500 / n_components_`` of them);
        only where the codes are ordered.
    n_iter_ : int
        Epochs run.
    best_iter_ : int
        Epoch kept; 0 is the start.
    loss_curve_ : list of float
        Training loss of each epoch, in units of the mean feature variance (data in [0, 1] with a
        sigmoid: as they are).
    validation_scores_ : list of float
        Validation score after each epoch: 1 minus the loss over that of the mean validation row. R²
        for squared error.
    baseline_score_ : float
        Validation score of epoch 0: of PCA, its output clipped.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list
        History of the net.

    See Also
    --------
    sklearn.decomposition.PCA : What training starts from.
    reconstruction_score : The score of this estimator, for any transformer.

    Notes
    -----
    The weights are trained in float32, on rows centred before the cast, and applied in the dtype of
    the data.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
       Rates", 2018. :arxiv:`1708.07120`
    .. [2] P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov and A. G. Wilson, "Averaging Weights Leads to Wider Optima and
       Better Generalization", UAI 2018. :arxiv:`1803.05407`
    .. [3] Y. Bengio, N. Léonard and A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
       Conditional Computation", 2013. :arxiv:`1308.3432`
    .. [4] G. E. Hinton and R. R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313,
       504-507, 2006. :doi:`10.1126/science.1127647`
    .. [5] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. :arxiv:`1711.05101`

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
    >>> autoencoder = AutoencoderTransformer(8, max_iter=30, random_state=0).fit(X_train)
    >>> autoencoder.transform(X_test).shape
    (450, 8)
    >>> autoencoder.score(X_test) > 0.8
    True

    The numbers of parameters of a textbook network:

    >>> textbook = AutoencoderTransformer(2, hidden_layer_sizes=(), init="random", max_iter=0).fit(X_train)
    >>> print(textbook.summary())
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
