"""
A map of codes
==============

A code of two components is a map. Beside it stands the image that each of its places decodes to.
"""

# %%
# The density draws the codes towards a standard normal distribution, so that the map has few holes.
from sklearn.datasets import load_digits

from skae import CodeMapDisplay, VAETransformer

X, y = load_digits(return_X_y=True)
vae = VAETransformer(2, max_iter=50, n_draws=4, random_state=0).fit(X)
display = CodeMapDisplay.from_estimator(vae, X, y, n_decoded=14)
figure = display.figure_
