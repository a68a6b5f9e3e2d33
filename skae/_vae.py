"""The variational autoencoder."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import logsigmoid

from skae import _parameters
from skae._base import BaseAutoencoder
from skae._compat import Interval, StrOptions, check_sample_weight
from skae._data.datasets import Batch
from skae._images import OptionalImageInput
from skae._likelihoods import LIKELIHOODS
from skae._likelihoods.gaussian import MIN_NOISE_VARIANCE
from skae._nn.objectives import expected_losses, importance_weighted_bound
from skae._nn.vae import VAESpec
from skae._parameters import check_count
from skae._warnings import warn_caller

_N_SCORE_PAIRS = 32  # of draws of the code, which all samples share
_MIN_ACTIVE_KL = 0.01  # nats of information about a sample, from which a component is in use


class VAETransformer(OptionalImageInput, BaseAutoencoder):
    r"""Variational autoencoder that starts as probabilistic PCA and only gets better.

    A density of rows x with codes z of k components [1]_:

    .. math::
        p(z) = \mathcal N(0, I), \qquad p(x|z) = \mathcal N(\mu + s\,(D z + g(z)),\, \sigma^2 I),
        \qquad q(z|x) = \mathcal N(V u + f(u),\, \mathrm{diag}(v(u)))

    with the training mean :math:`\mu`, one scale s and :math:`u = (x - \mu) / s`. Training
    maximises the mean over rows of the evidence lower bound, by one draw of z or a few,

    .. math:: \mathrm{E}_{q(z|x)} \log p(x|z) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))

    V, D, v and the noise variance :math:`\sigma^2` start at probabilistic PCA [2]_ and the residual
    networks f and g at zero: the bound of epoch 0 equals ``PCA(k).score``, since a linear model
    with the optimal encoder leaves no gap [3]_. All are trained together, but for V where the
    likelihood is Gaussian, and the best epoch is kept, as
    :class:`AutoencoderTransformer` does.

    Parameters
    ----------
    n_components : int, float or "auto", default="auto"
        Length of the code, at least 1; more than the number of features is allowed. "auto" is
        ``min(32, max(1, n_features // 2))``. A float in (0, 1) trains ordered codes of up to 128
        components, or half as many as features, and keeps as many as reach that R² of the
        reconstruction on the validation rows.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a row given its code. "gaussian" has one noise variance, which is learnt.
        "bernoulli" needs data in [0, 1], of which it takes the values between as probabilities; it
        starts as logistic regression on the codes of probabilistic PCA, with the noise variance, of
        a few, that gives the highest bound.
    beta : float, default=1.0
        Weight of the divergence from the prior in training [4]_, above 0. `score` is the bound
        itself for any.
    n_draws : int, default=1
        Draws of the code of each row in a gradient step.
    contamination : float, default=0.0
        Share of the rows, at most one half, that are not to be learnt: in each gradient step those
        with the lowest bound are left out [6]_. To find unusual rows among those that `fit` is
        given, leave out more than there may be, 0.1 say: a flexible density learns them too,
        otherwise.
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
    output_activation : {"auto", "clip", "identity"}, default="identity"
        Of the mean of a Gaussian, as in :class:`AutoencoderTransformer`. On images, "auto" makes a
        better density than "identity", but one that does not start at ``PCA.score``. Unused with
        "bernoulli".
    ordered : bool, default=False
        Whether every prefix of the code is a code, as of PCA: component i matters more than
        component i + 1, `truncate` gives the density of a smaller depth, and
        `explained_variance_ratio_` is there. In training, codes are cut after 1, 2, 4, …
        components, each depth with a noise variance of its own: a bound for each depth [5]_. The
        mean over the middle of these depths and the full one judges an epoch, which is kept only
        where neither has lost. Where `n_components` is a share, the depth at which the start
        reaches it is judged, too. The bound at full depth pays for the order.
    init : {"pca", "random"}, default="pca"
        Where training starts. "random" has no linear path: the textbook network, with torch's
        default weights.
    optimizer : "adam" or torch.optim.Optimizer class, default="adam"
        A class gets `learning_rate_init` as ``lr``.
    learning_rate_init : float, default=0.003
        Peak of the one-cycle learning rate, which rises for a tenth of the steps and then falls to
        zero.
    alpha : float, default=0.001
        Weight decay, less than 1, of the decoder's residual network, and of those layers of the
        encoder's that have more than 256 inputs: at each step their weights and biases shrink by
        `alpha` times the learning rate over its peak, apart from what the optimizer does [7]_.
        Nothing else shrinks. The steps of the optimizer have to outweigh it: with a much smaller
        `learning_rate_init`, lower both.
    batch_size : int, default=128
        Rows in a gradient step; at most the number of training rows.
    max_iter : int or "auto", default="auto"
        Number of epochs, which is the length of the learning-rate schedule. 0 is probabilistic PCA
        itself; "auto" is as many as make 3000 gradient steps, but 5 to 300.
    validation_fraction : float, "auto" or None, default="auto"
        Share of the rows, drawn at random, that choose the epoch and are withheld from the gradient
        steps (the PCA is of all rows). "auto" is a tenth, but no more than 2000 rows. None chooses
        on the training rows. Unused where `fit` is given `X_val`.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the validation rows, the batches and the draws.
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
    noise_variance_ : float
        Variance of a feature given the code, in the squared unit of X; with the Gaussian likelihood
        only.
    kl_per_component_ : ndarray of shape (`n_components_`,)
        Mean over the rows of X of the divergence from the prior of each component, in nats: what it
        tells of a row.
    n_active_components_ : int
        Number of components that tell more than 0.01 nats.
    n_iter_ : int
        Epochs run.
    best_iter_ : int
        Epoch kept; 0 is the start.
    loss_curve_ : list of float
        Training loss of each epoch: minus the bound, with `beta`, in nats a row, by the draws of
        training, over the rows that have a part in it.
    validation_scores_ : list of float
        Bound of the validation rows after each epoch, with `beta`, in nats a row; from draws that
        all rows and epochs share.
    baseline_score_ : float
        The same of epoch 0.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list
        History of the net.

    See Also
    --------
    sklearn.decomposition.PCA : What training starts from; its `score` is the same quantity.
    sklearn.mixture.GaussianMixture : Another density, whose `score` is the same quantity too.

    Notes
    -----
    The scale of a row's density is that of the data: `score` in nats is comparable between
    densities of the same rows. Where the rows fill fewer dimensions than they have features and
    codes have components, the density is degenerate: the noise variance ends at 1e-9 of the mean
    feature variance, and the score says more of that limit than of the rows. A warning says so.

    A Gaussian density that starts as PCA is a mixture: ``1 / (n + 1)`` of it, for n training rows,
    is the probabilistic PCA of the start, of which V holds the components, and so stays; v has no
    linear part then. This costs other rows next to nothing, and no row scores more than ``log(n +
    1)`` below PCA: without it, a row far from all that training has seen costs the more, the
    smaller the noise variance has become.

    The variance v stays below 1, the prior's: ``sigmoid`` of what the encoder gives.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014. :arxiv:`1312.6114`
    .. [2] M. E. Tipping and C. M. Bishop, "Probabilistic Principal Component Analysis", Journal of the Royal Statistical
       Society B 61, 611-622, 1999. :doi:`10.1111/1467-9868.00196`
    .. [3] J. Lucas, G. Tucker, R. Grosse and M. Norouzi, "Don't Blame the ELBO! A Linear VAE Perspective on Posterior
       Collapse", NeurIPS 2019. :arxiv:`1911.02469`
    .. [4] I. Higgins, L. Matthey, A. Pal, C. Burgess, X. Glorot, M. Botvinick, S. Mohamed and A. Lerchner, "beta-VAE:
       Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR 2017.
    .. [5] O. Rippel, M. Gelbart and R. Adams, "Learning Ordered Representations with Nested Dropout", ICML 2014.
       :arxiv:`1402.0915`
    .. [6] Y. Shen and S. Sanghavi, "Learning with Bad Training Data via Iterative Trimmed Loss Minimization", ICML 2019.
       :arxiv:`1810.11874`
    .. [7] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. :arxiv:`1711.05101`

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
        "contamination": [Interval(Real, 0, 0.5, closed="both")],
        "image_shape": ["array-like", StrOptions({"auto"}), None],
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
        hidden_layer_sizes=(256, 256),
        image_shape=None,
        channels=(32, 64),
        decoder_channels=None,
        kernel_size=3,
        downsampling="stride",
        upsampling="transpose",
        activation="silu",
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.image_shape = image_shape
        self.channels = channels
        self.decoder_channels = decoder_channels
        self.kernel_size = kernel_size
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.activation = activation
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
        """Every likelihood has a start, and every output goes with it."""

    def _make_standardizers(self, samples, moments):
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
        # Near the number of features the density degenerates.
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
        """Say what carries information, and warn of a density or a code that does not."""
        X, module, likelihood = (
            data.linear.source.to_array(),
            self._model.module,
            self._model.spec.likelihood,
        )
        kl = self._model.apply(lambda module, u: module.inference(u).kl(), X)
        self.kl_per_component_ = kl.mean(axis=0, dtype=np.float64)
        n_active = _count_active(self.kl_per_component_)
        if likelihood.is_degenerate(module):
            warn_caller(
                f"The noise variance is held at its least, {MIN_NOISE_VARIANCE:g} of the mean feature variance, and"
                " score depends on that: the density is degenerate. Either codes determine the rows: take a smaller"
                f" n_components than {self.n_components_}, or leave out columns that others determine. Or the columns"
                " differ widely in scale: standardise them, for instance with sklearn.preprocessing.StandardScaler.",
            )
            return
        if self._model.spec.is_anchored:
            # Each by its divergence.
            n_started = _count_active(-logsigmoid(module.latent.logit) / 2)
        else:
            n_started = min(self.n_components_, self.n_features_in_, len(X) - 1)
        if n_active < n_started / 2:
            warn_caller(
                f"{n_active} of {self.n_components_} components are in use, of {n_started} that could be:"
                " the posterior of the others has collapsed to the prior. Try a beta smaller than"
                f" {self.beta:g}, a smaller n_components or, where init is 'random', init='pca'.",
            )

    def _derive(self):
        self.n_active_components_ = _count_active(self.kl_per_component_)
        scale = self._model.standardizer.scale
        vars(self).update(self._model.spec.likelihood.attributes(self._model.module, scale))

    # Apply

    def encode_distribution(self, X):
        """Mean and standard deviation of the code of each row: of the posterior q(z|x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows to code.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components), of the dtype of X
            In units of the prior's standard deviation; the mean is what `transform` gives.
        """

        def encode(module, u):
            posterior = module.inference(u)
            return torch.cat([posterior.mean, posterior.log_std.exp()], dim=1)

        X = self._validate_samples(X)
        mean, std = np.split(self._model.apply(encode, X), 2, axis=1)
        return mean, std

    def transform(self, X):
        """Mean of the code of each row: of the posterior q(z|x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows to code.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), of the dtype of X
            In units of the prior's standard deviation.
        """
        return super().transform(X)

    def score(self, X, y=None, sample_weight=None, *, n_importance_samples=None):
        """Mean over the rows of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        n_importance_samples : int, default=None
            As for `score_samples`.

        Returns
        -------
        score : float
            In nats a row; with the Gaussian likelihood comparable with the `score` of
            scikit-learn's PCA and GaussianMixture, with "bernoulli" with other probabilities of
            binary rows.
        """
        scores = self.score_samples(X, n_importance_samples=n_importance_samples).astype(np.float64)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, scores)
        return float(np.average(scores, weights=sample_weight))

    def score_samples(self, X, *, n_importance_samples=None):
        """Lower bound of the log density of each row; low means unusual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows.
        n_importance_samples : int, default=None
            None gives the evidence lower bound, its expectation by 64 draws of the code that are
            the same for all rows and at each call, with exact moments, so that the start is exact.
            A number gives the importance-weighted bound [1]_ of that many draws, which comes near
            the log density itself as they become many.

        Returns
        -------
        scores : ndarray of shape (n_samples,), of the dtype of X
            In nats. With the Gaussian likelihood of a density over rows in the unit of X; with
            "bernoulli" of a probability, where values between 0 and 1 count in part as both.

        References
        ----------
        .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016.
           :arxiv:`1509.00519`
        """
        X = self._validate_samples(X)
        if n_importance_samples is not None:
            check_count("n_importance_samples", n_importance_samples)
        self._model.spec.likelihood.check(
            X.min(), X.max(), "X", "an estimator with likelihood='gaussian'"
        )
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
            batch = Batch(*parts.chunk(2, dim=1)) if has_own_targets else Batch(parts, parts)
            return module.log_density(batch.input, bound(module, batch)) - objective.log_volume

        standardizers = self._model.standardizer, self._model.target_standardizer
        has_own_targets = standardizers[0] is not standardizers[1]
        needed = standardizers if has_own_targets else standardizers[:1]
        return self._model.apply(
            log_density, X, prepare=lambda X: np.hstack([part.transform(X) for part in needed])
        )

    def sample(self, n_samples=1, random_state=None):
        """Rows from codes that are drawn from the prior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        random_state : int, RandomState instance or None, default=None
            Of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or images
            Mean of a row given its code, without the noise of `noise_variance_`: with "bernoulli",
            probabilities.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        return self.inverse_transform(
            check_random_state(random_state).normal(size=(n_samples, self.n_components_))
        )

    def interpolate(self, a, b, n_steps=10):
        """Rows on the way from one row to another: of codes at even steps between the means of theirs.

        Parameters
        ----------
        a : array-like of shape (n_features,) or (1, n_features), or image
            The row to go from.
        b : array-like of shape (n_features,) or (1, n_features), or image
            The row to go to.
        n_steps : int, default=10
            Number of rows that are given back, the reconstructions of both ends among them; at
            least 2.

        Returns
        -------
        X : ndarray of shape (n_steps, n_features) or images
            Mean of a row given its code.
        """
        check_is_fitted(self)
        check_count("n_steps", n_steps, least=2)
        ends = np.vstack([self._validate_sample("a", a), self._validate_sample("b", b)])
        mean = self._model.apply(lambda module, u: module.encode(u), ends)
        return self.inverse_transform(np.linspace(*mean, n_steps))

    def _validate_sample(self, name, X):
        """One sample, given as `transform` takes samples or without their first axis."""
        # A pandas Series.
        X = X.to_frame().T if hasattr(X, "to_frame") and hasattr(X, "index") else X
        X = X if len(getattr(X, "shape", ())) > 1 else np.asarray(X)
        X = X[None] if len(X.shape) == 1 or tuple(X.shape) == self.image_shape_ else X
        if X.shape[0] != 1:
            raise ValueError(
                f"{name} has shape {X.shape}: give one row of {self.n_features_in_} values, or one image."
            )
        return self._validate_samples(X)


def _count_active(kl):
    """Number of components in use, by their divergence from the prior."""
    return int((kl > _MIN_ACTIVE_KL).sum())
