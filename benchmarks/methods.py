"""What is compared: methods that make an unfitted estimator from a depth and a random state."""

from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


def methods(epochs="auto"):
    """Give the methods by name.

    Parameters
    ----------
    epochs : int or "auto", default="auto"
        Of the methods that are trained.

    Returns
    -------
    methods : dict of str to callable
        Each is ``(depth, random_state) -> estimator``.
    """

    def pca(depth, random_state=None):
        return PCA(depth, random_state=random_state)

    def autoencoder(depth, random_state=None):
        return AutoencoderTransformer(depth, max_iter=epochs, random_state=random_state)

    return {"PCA": pca, "skae": autoencoder}
