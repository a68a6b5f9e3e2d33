"""
The latent space of a variational autoencoder
=============================================

A latent space of two components can be drawn: each sample is a point of it,
and each of its points decodes to an image.
"""

# %%
# The prior of a variational autoencoder draws the latent codes towards a
# standard normal distribution, so that the latent space has few holes. The
# left side shows where the digits lie in it, the right side the images that a
# grid of points decodes to.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skae import CodeMapDisplay, VAETransformer

X, y = load_digits(return_X_y=True)
vae = VAETransformer(2, max_iter=50, n_draws=4, random_state=0).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
display = CodeMapDisplay.from_estimator(
    vae, X, y, n_decoded=12, ax=axes, scatter_kw={"s": 8}
)
