"""What is compared: methods that make an unfitted estimator from a depth and a random state, and their fits."""

from sklearn.decomposition import PCA

from benchmarks import datasets
from benchmarks.cache import remembered
from skae import AutoencoderTransformer, ConvAutoencoderTransformer, VAETransformer

ORDERED = "skae ordered"


def methods(epochs="auto", *, image_shape=None):
    """Give the methods by name.

    Parameters
    ----------
    epochs : int or "auto", default="auto"
        Of the methods that are trained.
    image_shape : tuple of int, default=None
        Of rows that are flat images; None leaves out the convolutional autoencoder.

    Returns
    -------
    methods : dict of str to callable
        Each is ``(depth, random_state) -> estimator``.
    """

    def pca(depth, random_state=None):
        return PCA(depth, random_state=random_state)

    def autoencoder(depth, random_state=None):
        return AutoencoderTransformer(depth, max_iter=epochs, random_state=random_state)

    def convolutional(depth, random_state=None):
        return ConvAutoencoderTransformer(
            depth, image_shape=image_shape, max_iter=epochs, random_state=random_state
        )

    def ordered(depth, random_state=None):
        return AutoencoderTransformer(
            depth, ordered=True, max_iter=epochs, random_state=random_state
        )

    def variational(depth, random_state=None):
        return VAETransformer(depth, max_iter=epochs, random_state=random_state)

    dense = {"PCA": pca, "skae": autoencoder, ORDERED: ordered, "skae VAE": variational}
    return dense | ({"skae conv": convolutional} if image_shape else {})


def fitted(method, depths, data, epochs, seed, cache=None):
    """Fit a method at each depth; ordered codes once, at the largest.

    Parameters
    ----------
    method : str
        A key of :func:`methods`.
    depths : sequence of int
    data : benchmarks.datasets.Source
    epochs : int or "auto"
    seed : int
    cache : path-like, default=None
        Folder in which the fits are kept, for this command and others.

    Returns
    -------
    estimators : dict of int to object
        By depth.
    """
    fit = remembered(_fit, cache)
    if method == ORDERED:
        widest = fit(method, max(depths), data, epochs, seed)
        return {depth: widest.truncate(depth) for depth in depths}
    return {depth: fit(method, depth, data, epochs, seed) for depth in depths}


def fits(names, depths):
    """Pairs of a method and depths that are fitted apart from one another: the arguments of :func:`fitted`.

    Parameters
    ----------
    names : sequence of str
    depths : sequence of int

    Returns
    -------
    pairs : list of (str, tuple of int)
    """
    return [
        pair
        for name in names
        for pair in ([(name, tuple(depths))] if name == ORDERED else [(name, (d,)) for d in depths])
    ]


def _fit(method, depth, data, epochs, seed):
    split = datasets.load(data)
    return methods(epochs, image_shape=split.image_shape)[method](depth, seed).fit(split.train.X)
