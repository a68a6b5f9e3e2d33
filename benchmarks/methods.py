"""What is compared: methods that make an unfitted estimator from a depth and a random state."""

from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, ConvAutoencoderTransformer


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
        return ConvAutoencoderTransformer(depth, image_shape=image_shape, max_iter=epochs, random_state=random_state)

    return {"PCA": pca, "skae": autoencoder} | ({"skae conv": convolutional} if image_shape else {})
