"""Dynamically binarised images: the bound that papers report of MNIST, by the 784-500-500-50 network of one of them.

python benchmarks/binarized.py                                  # the digits of scikit-learn
python benchmarks/binarized.py --dataset mnist --data-dir DIR   # DIR/mnist.npz; without DIR from OpenML

Each pixel is 1 with its brightness as probability, drawn anew in each epoch. Burda, Grosse and Salakhutdinov ("Importance
Weighted Autoencoders", ICLR 2016) report -86.76 nats for a variational autoencoder with one stochastic layer, by 5,000
importance samples, after 3,280 epochs.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from skorch.callbacks import Callback

from benchmarks import datasets, report
from skae import VAETransformer

N_COMPONENTS, HIDDEN = 50, (500, 500)
VALIDATION_SHARE = 0.02
COLUMNS = {"epochs": "", "best_iter": "", "elbo": ".2f", "importance_weighted": ".2f", "fit_seconds": ".0f"}


class Binarized(Callback):
    """Images of zeros and ones, drawn anew at the start of each epoch of a fit to them.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_pixels)
        Probabilities.
    seed : int

    Attributes
    ----------
    X : ndarray of shape (n_images, n_pixels)
        The binary images, always the same array.
    """

    def __init__(self, images, seed):
        self.images = images
        self.rng = np.random.default_rng(seed)
        self.X = np.empty_like(images)
        self.draw()

    def draw(self):
        """Draw all pixels, some rows at a time."""
        for start in range(0, len(self.images), 1000):
            rows = slice(start, start + 1000)
            self.X[rows] = self.rng.random(self.images[rows].shape, dtype=np.float32) < self.images[rows]

    def on_epoch_begin(self, net, **kwargs):
        self.draw()


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    given = {"evaluate": options.evaluate, "seed": options.seed, "train_size": options.train_size}
    split = datasets.images(options.dataset, options.data_dir, **given)
    train = Binarized(split.train.X, options.seed)
    held_out = Binarized(split.held_out.X[: options.rows], options.seed + 1).X
    vae = VAETransformer(
        N_COMPONENTS,
        likelihood="bernoulli",
        hidden_layer_sizes=HIDDEN,
        max_iter=options.epochs,
        validation_fraction=VALIDATION_SHARE,
        skorch_callbacks=[train],
        random_state=options.seed,
        verbose=options.verbose,
    )
    start = perf_counter()
    vae.fit(train.X)
    row = {"epochs": options.epochs, "best_iter": vae.best_iter_, "fit_seconds": perf_counter() - start}
    row |= {"elbo": vae.score(held_out)}
    row |= {"importance_weighted": vae.score(held_out, n_importance_samples=options.samples)}
    row |= {"samples": options.samples, "images": len(held_out), "train_images": len(train.X), "evaluate": options.evaluate}
    row |= {"elbo_of_start": vae.baseline_score_, "active": vae.n_active_components_}
    report.print_table([row], COLUMNS)
    out = options.out / f"binarized_{split.name}_{options.evaluate}.csv"
    report.write_csv(out, [row | report.provenance(options.seed)])


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", choices=["digits", "mnist"], default="digits")
    add("--data-dir", type=Path, help="folder with mnist.npz; without it MNIST comes from OpenML")
    add("--epochs", type=int, default=60)
    add("--train-size", type=int, help="number of training images of mnist (default: all that are not held out)")
    add("--rows", type=int, default=1000, help="held-out images (default: 1000)")
    add("--samples", type=int, default=500, help="importance samples (default: 500)")
    add("--seed", type=int, default=0)
    add("--evaluate", choices=["validation", "test"], help="held-out part (default: test; mnist: validation)")
    add("--verbose", action="store_true", help="print a line an epoch")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    options = parser.parse_args(argv)
    options.evaluate = options.evaluate or ("validation" if options.dataset == "mnist" else "test")
    options.train_size = options.train_size or (60_000 if options.evaluate == "test" else 50_000)
    return options


if __name__ == "__main__":
    main()
