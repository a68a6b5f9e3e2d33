"""
The latent space of a variational autoencoder
=============================================

The latent code of a sample is what `transform` returns. If it has two
components, the latent space can be drawn: each sample is a point, and each
point decodes to an image.
"""

# %%
# The training of a variational autoencoder pulls the latent codes toward its
# prior, a standard normal distribution. The latent space then has few gaps.
# The left side shows the latent codes of the digits, one color per class, and
# the right side the images that a grid of points decodes to. The classes are
# not used in training. ``n_draws=4`` averages each gradient over four Monte
# Carlo samples of the code, which makes it less noisy.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skae import CodeMapDisplay, VAETransformer

X, y = load_digits(return_X_y=True)
vae = VAETransformer(2, max_iter=50, n_draws=4, random_state=0).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
display = CodeMapDisplay.from_estimator(
    vae, X, y, n_decoded=12, ax=axes, scatter_kw={"s": 8}
)
