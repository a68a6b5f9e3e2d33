"""The convolutional autoencoder."""

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._images import ImageInput


class ConvAutoencoderTransformer(ImageInput, BaseAutoencoder):
    r"""Convolutional autoencoder that starts as PCA and only gets better.

    As :class:`AutoencoderTransformer`, with convolutional residual networks f and g:

    .. math::
        z = V u + f(u), \qquad \hat x = \mathrm{clip}(\mu + s\,(D z + g(z))), \qquad u = (x - \mu) /
        s

    where V starts at the principal components of the flattened training images, D at their
    transpose, and f and g at zero. Each layer of f halves the sides of the image, rounding up, and
    each of the first layers of g doubles them again; a side of 1 stays 1.

    Images come as (n, height, width), as (n, height, width, channels), channels last as in
    scikit-image, or as flat rows.

    Parameters
    ----------
    n_components : int, float, "auto" or "spatial", default="auto"
        Length of the code, at least 1. "auto" is ``min(32, max(1, n_features // 2))``. "spatial"
        makes the last feature maps the code, which is then as long as they have values. A float in
        (0, 1) trains ordered codes of up to 128 components and keeps as many as reach that R² on
        the validation rows.
    image_shape : tuple of int, default=None
        Height, width and, where there is more than one, channels. None takes the shape of n-D
        images; flat rows are then square images where they can be, else images one pixel high.
    channels : array-like of int, default=(32, 64)
        Channels after each layer of the encoder.
    decoder_channels : array-like of int, default=None
        Channels after each layer of the decoder but the last, whose channels are the image's. None
        mirrors `channels`. The first ``len(channels)`` layers double the sides, any further one
        leaves them.
    kernel_size : int, default=3
        Height and width of all kernels, odd.
    downsampling : {"stride", "max_pool"}, default="stride"
        How a layer halves the sides: a convolution with stride 2, or the maximum of 2 x 2 values
        behind the convolution.
    upsampling : {"transpose", "nearest", "bilinear", "zeros"}, default="transpose"
        How a layer doubles the sides: a transposed convolution, or a convolution of the image that
        is enlarged by its nearest values, by interpolation, or by zeros among which each value is
        set.
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
    learning_rate_init : float, default=0.005
        Peak of the one-cycle learning rate, which rises for a tenth of the steps and then falls to
        zero.
    alpha : float, default=0.001
        Weight decay, less than 1, of the decoder's residual network, and of those layers of the
        encoder's that have more than 256 inputs (channels times kernel): at each step their weights
        and biases shrink by `alpha` times the learning rate over its peak, apart from what the
        optimizer does [3]_. Nothing else shrinks. The steps of the optimizer have to outweigh it:
        with a much smaller `learning_rate_init`, lower both.
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
    image_shape_ : tuple of int
        Height, width and, where the images have a third axis, channels.
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
    AutoencoderTransformer : The same with fully connected layers.
    sklearn.decomposition.PCA : What training starts from.

    Notes
    -----
    `inverse_transform` and `reconstruct` return images in the form that `fit` was given: n-D, or
    flat rows.

    The linear paths have ``2 * n_features * n_components`` weights, which :meth:`summary` shows.
    Above 2000 features, PCA is left to scikit-learn's choice of solver, randomised for large data.
    ``init="random"`` has no linear path.

    References
    ----------
    .. [1] J. Masci, U. Meier, D. Ciresan and J. Schmidhuber, "Stacked Convolutional Auto-Encoders for Hierarchical Feature
       Extraction", ICANN 2011. :doi:`10.1007/978-3-642-21735-7_7`
    .. [2] V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016. :arxiv:`1603.07285`
    .. [3] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. :arxiv:`1711.05101`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skae import ConvAutoencoderTransformer
    >>> images, y = load_digits().images, load_digits().target
    >>> autoencoder = ConvAutoencoderTransformer(16, max_iter=2, random_state=0)
    >>> pipeline = make_pipeline(autoencoder, LogisticRegression(max_iter=1000)).fit(images, y)
    >>> pipeline.score(images, y) > 0.9
    True
    >>> autoencoder.fit(images).reconstruct(images).shape
    (1797, 8, 8)

    Networks known from textbooks, on images of 28 x 28 pixels. One with 721 parameters, whose code
    is 7 x 7 x 8:

    >>> import numpy as np
    >>> images = np.random.default_rng(0).random((20, 28, 28))
    >>> textbook = {"init": "random", "activation": "relu", "code_activation": "relu", "output_activation": "sigmoid"}
    >>> small = ConvAutoencoderTransformer(
    ...     "spatial", channels=(4, 8), decoder_channels=(4, 2), downsampling="max_pool", upsampling="nearest",
    ...     max_iter=0, **textbook
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

    And one whose code of 4 x 4 x 8 = 128 values is a sixth of the image (28, 14, 7, 4 pixels a
    side):

    >>> deep = ConvAutoencoderTransformer("spatial", channels=(16, 8, 8), downsampling="max_pool", max_iter=0, **textbook)
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
