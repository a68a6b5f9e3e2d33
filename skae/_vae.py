"""The variational autoencoder."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import logsigmoid

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._compat import Interval, Options, StrOptions, check_sample_weight
from skae._data.datasets import Batch
from skae._images import OptionalImageInput
from skae._lazy import lazy
from skae._likelihoods import LIKELIHOODS
from skae._likelihoods.gaussian import MIN_NOISE_VARIANCE
from skae._linear.inliers import find_inliers
from skae._nn.objectives import expected_losses, importance_weighted_bound
from skae._nn.vae import VAESpec
from skae._outliers import OutlierDetectionMixin
from skae._parameters import check_count
from skae._prior import check_prior, draw_codes, fitted_prior
from skae._warnings import warn_caller

_N_SCORE_PAIRS = 32  # pairs of Monte Carlo samples of the code, the same for all samples
_MIN_ACTIVE_KL = 0.01  # divergence in nats above which a component is active


class VAETransformer(OptionalImageInput, OutlierDetectionMixin, BaseAutoencoder):
    r"""Variational autoencoder that starts as probabilistic PCA and only gets better.

    It models the density of a sample :math:`x` by a latent code :math:`z` of k components [7]_.
    Let :math:`\mu` be the mean of X, :math:`s` one scale for all features, the root of the mean
    feature variance, and :math:`u = (x - \mu) / s`. Prior, likelihood and approximate posterior
    are

    .. math::
        p(z) = \mathcal{N}(0, I), \qquad
        p(x|z) = \mathcal{N}(\mu + s\,(D z + g(z)),\, \sigma^2 I), \qquad
        q(z|x) = \mathcal{N}(V u + f(u),\, \mathrm{diag}(v(u)))

    Training maximizes the mean over samples of the evidence lower bound (ELBO), estimated by
    `n_draws` Monte Carlo samples of z and with the weight `beta` of the divergence,

    .. math:: \mathrm{E}_{q(z|x)} \log p(x|z) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))

    The residual networks f and g are multilayer perceptrons, for images convolutional networks
    as in :class:`ConvAutoencoderTransformer`; the posterior variances v are further outputs of
    the encoder. V, D, v and the noise variance :math:`\sigma^2` start at probabilistic PCA [8]_,
    and the last layers of f and g at zero. With the default Gaussian likelihood and output, the
    ELBO of epoch 0 equals ``PCA(k).score``, since the ELBO of a linear model with the optimal
    encoder has no gap to the log-likelihood [9]_. All are then trained together, except V with
    the Gaussian likelihood (see Notes).

    Training uses Adam by default, with a one-cycle learning rate [1]_. An epoch is scored and
    kept with an exponential moving average of the weights, whose time constant is 3 % of all
    steps [2]_. If the output is clipped, gradients pass through the clipping unchanged
    (straight-through estimator [3]_).

    The epoch with the highest score on a validation set is kept, epoch 0 included. A later epoch
    is eligible only if its improvement over epoch 0 is significant (sign test): of m validation
    samples, more than :math:`m / 2 + \sqrt{m}` have to improve, two standard deviations above
    one half. With the default settings, 40 samples or fewer are too few for that, and
    probabilistic PCA is kept. "Only gets better" refers to the ELBO of held-out data. It does
    not extend to downstream tasks: a classifier may do better on the codes of PCA.

    Parameters
    ----------
    n_components : int, float or "auto", default="auto"
        Number of components of the latent code, at least 1; it may exceed the number of
        features. "auto" is ``min(32, max(1, n_features // 2))``. A float in (0, 1) is the
        fraction of the variance to explain: it trains ordered codes (see `ordered`) of up to 128
        components, at most half as many as features, and keeps the smallest number that reaches
        that R² of the reconstruction on the validation set, found by bisection. If none does,
        all are kept, with a warning.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a sample given its latent code. "gaussian" has one noise variance for all
        features, which is learned. "bernoulli" requires data in [0, 1], takes values between 0
        and 1 as probabilities, and replaces the normal distribution p(x|z) by probabilities that
        are the sigmoid of D z + g(z) plus a trained offset. It starts at logistic regression on
        the codes of probabilistic PCA, whose noise variance is the one of a few with the highest
        ELBO.
    beta : float, default=1.0
        Weight, above 0, of the Kullback-Leibler divergence from the prior in training and model
        selection [10]_. Raise it for codes closer to the prior with fewer active components,
        lower it for a better reconstruction. `score` is the ELBO itself, with a weight of 1, in
        any case.
    n_draws : int, default=1
        Number of Monte Carlo samples of the latent code of each sample in a gradient step. More
        of them make the gradient less noisy and a step slower.
    contamination : float, default=0.0
        Fraction of outliers among the samples that `fit` is given, at most 0.5. If it is greater
        than 0, the estimator is an outlier detector as well: `fit` sets the threshold `offset_`,
        below which that fraction of the training samples scores, and `predict`, `fit_predict` and
        `decision_function` are available. Training is then robust. The initialization is
        probabilistic PCA of the samples that are the most likely ones for it [13]_, the validation
        set has no others, and each gradient step leaves out the samples of its batch with the
        lowest ELBO [11]_: a flexible density fits outliers, too, otherwise.

        Set it to 0.1, for example, if you expect outliers. Keep 0 if the samples are clean: rare
        but regular samples would be left out as well, and held-out samples of their kind would
        score lower.
    prior : object, default=None
        Density of scikit-learn that `sample` draws latent codes from, such as
        ``GaussianMixture(50)`` or ``KernelDensity(bandwidth=0.3)``, or a Pipeline that ends in
        one. After training, a clone of it is fitted to one draw from the posterior q(z|x) of
        each sample of X [12]_. None draws from the standard normal distribution, which the codes
        of real samples follow only roughly: samples then look less real. Training, `score` and
        `score_samples` use the standard normal distribution in any case.
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
    output_activation : {"auto", "clip", "identity"}, default="identity"
        How the mean of the Gaussian likelihood is bounded. Ignored with "bernoulli":

        - "auto" clips it to the bounds found in X, by the rule of
          :class:`AutoencoderTransformer`. On images the ELBO is higher than with "identity", but
          that of epoch 0 is not ``PCA.score``;
        - "clip" clips every feature to its range in X;
        - "identity" does not bound it.
    ordered : bool, default=False
        Whether to order the components by nested dropout [5]_, so that every prefix of the
        latent code is a good code of its own (a Matryoshka representation [6]_). One fit then
        serves every number of components: `truncate` returns the estimator of the first k
        components, and `explained_variance_ratio_` is the R² that each further component adds,
        which need not decrease from component to component. Set it to True to choose the number
        of components after training, or to use several. Keep False if the number is known: with
        all components, ordered codes usually have a lower ELBO than codes that are not ordered.

        In training, each code is truncated to its first 1, 2, 4, … or all components. Model
        selection averages the validation scores of the full code of k components and of a prefix
        of about √k. An epoch is eligible only if each of these scores is at least that of epoch
        0. If `n_components` is a fraction, the shortest prefix that reaches it at epoch 0 is
        validated, too. With the Gaussian likelihood, each number of components has a noise
        variance of its own.
    init : {"pca", "random"}, default="pca"
        Initialization. "pca" starts at the linear model described above. "random" leaves the
        matrices V and D out: it is the textbook network, with f as the encoder, g as the decoder
        and the default initial weights of PyTorch.
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
        the first epochs of a long fit differ from a short fit. 0 keeps the initialization:
        probabilistic PCA, if ``init="pca"``. "auto" is the number of epochs that makes about 3000
        gradient steps, but at least 5 and at most 300. It ends early, once the highest validation
        score is 10 epochs and 15 % of this number ago.
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
        Monte Carlo samples. Pass an int for reproducible results: the global random states of
        NumPy and PyTorch are then neither used nor changed.
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
    noise_variance_ : float
        Variance of a feature given the latent code, in the squared units of X. Defined only for
        the Gaussian likelihood.
    kl_per_component_ : ndarray of shape (`n_components_`,)
        Kullback-Leibler divergence of the posterior of each component from the prior, averaged
        over the samples of X, in nats: the information that the component carries about a
        sample.
    prior_ : object
        Density that is fitted to latent codes. Defined only if `prior` is not None. After
        `truncate`, it is still that of all components.
    offset_ : float
        Threshold of `score_samples`, in nats: samples that score lower are outliers for `predict`.
        A fraction `contamination` of the samples of X scores lower. Defined only if `contamination`
        is greater than 0, and not after `truncate`.
    n_active_components_ : int
        Number of components with a divergence above 0.01 nats.
    n_iter_ : int
        Number of epochs run.
    best_iter_ : int
        Epoch whose weights are kept. 0 is the initialization.
    loss_curve_ : list of float
        Mean training loss of each epoch: the negative ELBO with the weight `beta`, in nats per
        sample, over the samples that are not left out (see `contamination`).
    validation_scores_ : list of float
        Validation score after each epoch: the ELBO with the weight `beta`, in nats per sample,
        from Monte Carlo samples that all samples and epochs have in common. For ordered codes it
        is the mean over the validated prefixes.
    baseline_score_ : float
        Validation score of epoch 0.
    net_ : skorch.NeuralNet
        Fitted skorch net; ``net_.module_`` is the PyTorch module.
    history_ : list
        History of the skorch net: a dict for each epoch.

    See Also
    --------
    sklearn.decomposition.PCA : The model that training starts from; `score` is comparable.
    sklearn.mixture.GaussianMixture : Another density; `score` is comparable, too.
    sklearn.ensemble.IsolationForest : A fast detector of outliers.

    Notes
    -----
    The value of a density depends on the units of X: compare `score` between densities of the
    same data. Features are not scaled one by one, and all have the same noise variance: if they
    have different units, put a :class:`sklearn.preprocessing.StandardScaler` before the
    estimator in a Pipeline. If the samples lie in a subspace that the latent code can span, the
    density is degenerate: the noise variance ends at its minimum, 1e-9 of the mean feature
    variance, and the score says more about that minimum than about the data. A warning is
    issued.

    With the Gaussian likelihood and ``init="pca"`` the density is a mixture: probabilistic PCA,
    as of epoch 0, has the weight ``1 / (n + 1)`` in it, for n samples of X. It keeps the
    principal components as V, which is not trained, and v has no linear part. The mixture hardly
    changes the score of other samples, and no sample scores more than ``log(n + 1)`` below PCA.
    Without it, a sample far from the training data would cost the more, the smaller the noise
    variance is.

    NaN stands for a missing value; see :class:`AutoencoderTransformer`. The likelihood is that of
    the observed values, so the ELBO of an incomplete sample is a bound of their density.

    The variance v of the posterior stays below 1, that of the prior: it is a sigmoid of the
    output of the encoder.

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
    .. [7] Kingma, D. P. and Welling, M. "Auto-Encoding Variational Bayes". ICLR, 2014.
       :arxiv:`1312.6114`
    .. [8] Tipping, M. E. and Bishop, C. M. "Probabilistic Principal Component Analysis". Journal
       of the Royal Statistical Society B 61, 611-622, 1999. :doi:`10.1111/1467-9868.00196`
    .. [9] Lucas, J., Tucker, G., Grosse, R. and Norouzi, M. "Don't Blame the ELBO! A Linear VAE
       Perspective on Posterior Collapse". NeurIPS, 2019. :arxiv:`1911.02469`
    .. [10] Higgins, I., Matthey, L., Pal, A., Burgess, C., Glorot, X., Botvinick, M., Mohamed,
       S. and Lerchner, A. "beta-VAE: Learning Basic Visual Concepts with a Constrained
       Variational Framework". ICLR, 2017.
    .. [11] Shen, Y. and Sanghavi, S. "Learning with Bad Training Data via Iterative Trimmed Loss
       Minimization". ICML, 2019. :arxiv:`1810.11874`
    .. [12] Ghosh, P., Sajjadi, M. S. M., Vergari, A., Black, M. and Schölkopf, B. "From
       Variational to Deterministic Autoencoders". ICLR, 2020. :arxiv:`1903.12436`
    .. [13] Rousseeuw, P. J. and Van Driessen, K. "A Fast Algorithm for the Minimum Covariance
       Determinant Estimator". Technometrics 41, 212-223, 1999.
       :doi:`10.1080/00401706.1999.10485670`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VAETransformer
    >>> X = load_digits().data
    >>> X, held_out = X[:1400], X[1400:]
    >>> start = VAETransformer(8, max_iter=0).fit(X)
    >>> round(start.score(held_out), 1) == round(PCA(8).fit(X).score(held_out), 1)
    True
    >>> vae = VAETransformer(8, max_iter=30, random_state=0).fit(X)
    >>> vae.score(held_out) > start.score(held_out) + 5
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints: dict = {
        **_parameters.COMMON,
        **_parameters.DENSE,
        **_parameters.CONV,
        "likelihood": [StrOptions(LIKELIHOODS.keys())],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "contamination": [Interval(Real, 0, 0.5, closed="right"), Options(Real, {0})],
        "image_shape": ["array-like", StrOptions({"auto"}), None],
        "prior": "no_validation",  # check_prior says what it has to be
        "output_activation": [StrOptions({"auto", "clip", "identity"})],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        likelihood="gaussian",
        beta=1.0,
        n_draws=1,
        contamination=0.0,
        prior=None,
        hidden_layer_sizes=(256, 256),
        image_shape=None,
        channels=(32, 64),
        decoder_channels=None,
        kernel_size=3,
        downsampling="stride",
        upsampling="transpose",
        activation="silu",
        network=None,
        output_activation="identity",
        ordered=False,
        init="pca",
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
        self.likelihood = likelihood
        self.beta = beta
        self.n_draws = n_draws
        self.contamination = contamination
        self.prior = prior
        self.hidden_layer_sizes = hidden_layer_sizes
        self.image_shape = image_shape
        self.channels = channels
        self.decoder_channels = decoder_channels
        self.kernel_size = kernel_size
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.activation = activation
        self.network = network
        self.output_activation = output_activation
        self.ordered = ordered
        self.init = init
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

    # Fit

    _per_component = (*BaseAutoencoder._per_component, "kl_per_component_")

    def _check_parameters(self):
        """Refuse a prior that is no density; every likelihood and output can start at PCA."""
        check_prior(self.prior)

    def _find_inliers(self, X):
        if not self.contamination:
            return None
        return find_inliers(X, self.contamination, self.n_components_, self._seeds.solver)

    def _make_standardizers(self, moments, target_moments):
        self._check_likelihood(moments, "X")
        return self._likelihood.standardizers(
            moments, lambda moments: self._make_standardizer(moments, "X")
        )

    def _check_samples(self, moments, name, standardizer):
        self._check_likelihood(moments, name)
        super()._check_samples(moments, name, standardizer)

    def _check_likelihood(self, moments, name):
        self._likelihood.check(moments.low.min(), moments.high.max(), name, "likelihood='gaussian'")

    def _max_components(self, n_samples):
        # The density degenerates if there are nearly as many components as features.
        return max(1, min(self.n_features_in_ // 2, n_samples - 1))

    def _make_spec(self, **common):
        return VAESpec(
            **common,
            likelihood=self._likelihood,
            beta=float(self.beta),
            n_draws=int(self.n_draws),
            contamination=float(self.contamination),
        )

    @property
    def _likelihood(self):
        return LIKELIHOODS[self.likelihood]

    def _start(self, module, data):
        self._likelihood.start(module, data.linear, self.n_components_)

    def _truncated_model(self, n_components):
        model = super()._truncated_model(n_components)
        if self._model.spec.is_anchored and self.best_iter_ == 0:
            self._model.spec.likelihood.start_prefix(self._model.module, model.module, n_components)
        return model

    def _describe(self, data):
        """Count active components, and warn of a degenerate density or a collapsed posterior."""
        X, module, likelihood = (
            data.linear.source,
            self._model.module,
            self._model.spec.likelihood,
        )
        kl = self._model.apply(lambda module, u: module.inference(u).kl(), X)
        weight = np.ones(len(X)) if X.sample_weight is None else X.sample_weight
        self.kl_per_component_ = X.group.sum(weight @ kl) / X.group.sum(weight.sum())
        n_active = _count_active(self.kl_per_component_)
        if self.prior is not None:
            self._fit_prior(X, data.seeds.prior)
        if self.contamination:
            every = data.train.source
            self._set_offset(self._score(every.with_fill(None)), every)
        if likelihood.is_degenerate(module):
            warn_caller(
                f"The noise variance is at its minimum, {MIN_NOISE_VARIANCE:g} of the mean feature"
                " variance, and score depends on that minimum: the density is degenerate. Either"
                " the latent codes determine the samples: choose a smaller n_components than"
                f" {self.n_components_}, or drop columns that are functions of others. Or the"
                " columns differ widely in scale: standardize them, for instance with"
                " sklearn.preprocessing.StandardScaler.",
            )
            return
        if self._model.spec.is_anchored:
            # Divergence of each component at the initialization.
            n_started = _count_active(-logsigmoid(module.latent.logit) / 2)
        else:
            n_started = min(self.n_components_, self.n_features_in_, X.n_samples - 1)
        if n_active < n_started / 2:
            warn_caller(
                f"{n_active} of {self.n_components_} components are in use, although {n_started}"
                " could be: the posterior of the others has collapsed to the prior. Try a beta"
                f" smaller than {self.beta:g}, a smaller n_components or, if init is 'random',"
                " init='pca'.",
            )

    def _fit_prior(self, X, seed):
        """Fit the prior to a draw from the posterior of each sample of all processes.

        With weights, the samples are drawn in proportion to them, as not every density takes
        weights.
        """
        rng = np.random.default_rng(seed)
        codes = self._model.apply(_posterior_parameters, X)
        mean, std = np.split(codes.astype(np.float64), 2, axis=1)
        codes, weights = mean + std * rng.standard_normal(mean.shape), X.sample_weight
        if weights is not None:
            codes = codes[rng.choice(len(codes), len(codes), p=weights / weights.sum())]
        codes = np.concatenate(X.group.gather(codes))
        self.prior_ = fitted_prior(self.prior, codes, self._seeds.prior)

    def _derive(self):
        self.n_active_components_ = _count_active(self.kl_per_component_)
        scale = self._model.standardizer.scale
        vars(self).update(self._model.spec.likelihood.attributes(self._model.module, scale))

    # Apply

    def encode_distribution(self, X):
        """Mean and standard deviation of the posterior q(z|x) of the latent code.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples to encode.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), of the dtype of X
            Means, in units of the standard deviation of the prior. `transform` returns them.
        std : ndarray of shape (n_samples, n_components), of the dtype of X
            Standard deviations, in the same units. They are below 1.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        X = self._validate_samples(X)
        mean, std = np.split(self._model.apply(_posterior_parameters, X), 2, axis=1)
        return mean, std

    def transform(self, X):
        """Encode X: mean of the posterior q(z|x) of the latent code.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), of the dtype of X
            Latent codes, in units of the standard deviation of the prior.

        Raises
        ------
        ValueError
            If X is not numeric, has infinite values, or has other features than in `fit`.
        """
        return super().transform(X)

    def score(self, X, y=None, sample_weight=None, *, n_importance_samples=None):
        """Mean of `score_samples` over the samples of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples to score.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.
        n_importance_samples : int, default=None
            Number of importance samples; None is for the ELBO. See `score_samples`.

        Returns
        -------
        score : float
            Score in nats per sample. With the Gaussian likelihood it is comparable with the `score`
            of PCA and GaussianMixture, with "bernoulli" with log-probabilities of binary samples.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or with "bernoulli" not in [0, 1].
        """
        scores = self.score_samples(X, n_importance_samples=n_importance_samples).astype(np.float64)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, scores, ensure_non_negative=True)
        return float(np.average(scores, weights=sample_weight))

    @lazy
    def score_samples(self, X, *, n_importance_samples=None):
        r"""Evidence lower bound (ELBO) of each sample; low values mean anomalous samples.

        By default it is the ELBO (left); with K importance samples it is the importance-weighted
        bound (right) [1]_:

        .. math::
            \mathrm{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \,\|\, p(z)) \qquad
            \log \frac{1}{K} \sum_{k=1}^K \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}, \quad z_k \sim q(z|x)

        To find anomalies among the samples that `fit` is given, set `contamination`; `predict` then
        compares the scores with a threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
            Samples to score.
        n_importance_samples : int, default=None
            Number K of importance samples. The more there are, the closer the score is to the
            log-likelihood. None is for the ELBO, whose expectation is computed from 64 Monte Carlo
            samples of the code. Their noise is the same for all samples and at each call, and has
            mean 0 and variance 1 exactly, so the ELBO of epoch 0 is exact.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            Scores in nats. With the Gaussian likelihood they are log-densities in the units of X,
            with "bernoulli" log-probabilities, for which a value between 0 and 1 is a probability.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or with "bernoulli" not in [0, 1].

        References
        ----------
        .. [1] Burda, Y., Grosse, R. and Salakhutdinov, R. "Importance Weighted Autoencoders".
           ICLR, 2016. :arxiv:`1509.00519`
        """
        X = self._validate_samples(X)
        if n_importance_samples is not None:
            check_count("n_importance_samples", n_importance_samples)
        self._model.spec.likelihood.check(
            *X.range(), "X", "an estimator with likelihood='gaussian'"
        )
        return self._score(X, n_importance_samples)

    def _score(self, X, n_importance_samples=None):
        """Score of each sample of a source; see `score_samples`."""
        scale, seeds = self._model.target_standardizer.scale, self._seeds
        objective = self._model.spec.build_negative_elbo(scale, seeds.draws, 1.0, _N_SCORE_PAIRS)
        if n_importance_samples is None:

            def bound(module, batch):
                return -expected_losses(module, objective, batch) + objective.log_volume
        else:
            shape = (n_importance_samples, self.n_components_)
            noise = torch.from_numpy(np.random.default_rng(seeds.draws).standard_normal(shape))

            def bound(module, batch):
                return importance_weighted_bound(module, batch, noise)

        def log_density(module, parts):
            u, *others = parts.split(self.n_features_in_, dim=1)
            target = others.pop(0) if has_own_targets else u
            batch = Batch(u, target, observed=others[0] if others else None)
            log_density = module.log_density(u, batch.observed, bound(module, batch))
            return log_density - objective.log_volume

        standardizers = self._model.standardizer, self._model.target_standardizer
        has_own_targets = standardizers[0] is not standardizers[1]
        needed = standardizers if has_own_targets else standardizers[:1]

        def prepare(X):
            filled, observed = self._model.fill(X), ~np.isnan(X)
            parts = [standardizer.transform(filled) for standardizer in needed]
            return np.hstack(parts if observed.all() else [*parts, observed.astype(X.dtype)])

        return self._model.apply(log_density, X, prepare=prepare)

    def sample(self, n_samples=1, random_state=None, *, add_noise=False):
        """Decode latent codes that are sampled from the prior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples, at least 1.
        random_state : int, RandomState instance or None, default=None
            Determines the latent codes and the noise. Pass an int for reproducible results.
        add_noise : bool, default=False
            Whether to sample from the likelihood p(x|z). By default the samples are its means,
            which look better and vary less than the data.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or images
            Samples. Without noise, they are probabilities if the likelihood is "bernoulli"; with
            noise they are then 0 or 1.

        Raises
        ------
        ValueError
            If `n_samples` is not an int of at least 1.

        Notes
        -----
        To sample from one class only, fit a density to the codes of its samples, and pass what it
        samples to `inverse_transform`.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        rng = check_random_state(random_state)
        if self.prior is None:
            codes = rng.normal(size=(n_samples, self.n_components_))
        else:  # that of the first components is the margin of the prior
            codes = draw_codes(self.prior_, n_samples, rng)[:, : self.n_components_]
        X = self._model.decode(codes)
        if add_noise:
            variance = getattr(self, "noise_variance_", None)
            X = self._model.spec.likelihood.draw(X, variance, rng)
        return self._in_container(X, codes)

    def interpolate(self, a, b, n_steps=10):
        """Decode latent codes at equal steps between those of two samples.

        Parameters
        ----------
        a : array-like of shape (n_features,) or (1, n_features), or image
            First sample.
        b : array-like of shape (n_features,) or (1, n_features), or image
            Last sample.
        n_steps : int, default=10
            Number of samples to return, at least 2: the first and the last are the reconstructions
            of `a` and `b`.

        Returns
        -------
        X : ndarray of shape (n_steps, n_features) or images
            Means of the likelihood p(x|z).

        Raises
        ------
        ValueError
            If `a` or `b` is not one sample of the form of those in `fit`, or `n_steps` is not an
            int of at least 2.
        """
        check_is_fitted(self)
        check_count("n_steps", n_steps, least=2)
        ends = np.vstack([self._validate_sample("a", a), self._validate_sample("b", b)])
        mean = self._model.apply(lambda module, u: module.encode(u), ends)
        return self.inverse_transform(np.linspace(*mean, n_steps))

    def _validate_sample(self, name, X):
        """Validate one sample, which may lack the first axis."""
        # A pandas Series.
        X = X.to_frame().T if hasattr(X, "to_frame") and hasattr(X, "index") else X
        X = X if len(getattr(X, "shape", ())) > 1 else np.asarray(X)
        X = X[None] if len(X.shape) == 1 or tuple(X.shape) == self.image_shape_ else X
        if X.shape[0] != 1:
            raise ValueError(
                f"The argument {name} has shape {X.shape}: give one sample of"
                f" {self.n_features_in_} features, or one image."
            )
        return self._validate_samples(X).to_array()


def _posterior_parameters(module, u):
    """Means and standard deviations of the posteriors, side by side."""
    posterior = module.inference(u)
    return torch.cat([posterior.mean, posterior.log_std.exp()], dim=1)


def _count_active(kl):
    """Count active components by their divergence from the prior."""
    return int((kl > _MIN_ACTIVE_KL).sum())
