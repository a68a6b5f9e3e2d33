"""Dynamically binarised images: the bound that papers report of MNIST, by the 784-500-500-50 network of one of them.

python benchmarks/binarized.py                                  # the digits of scikit-learn
python benchmarks/binarized.py --dataset mnist --data-dir DIR   # DIR/mnist.npz; without DIR from OpenML

Each pixel is 1 with its brightness as probability, drawn anew in each epoch. Burda, Grosse and Salakhutdinov ("Importance
Weighted Autoencoders", ICLR 2016) report -86.76 nats for a variational autoencoder with one stochastic layer, by 5,000
importance samples, after 3,280 epochs.
"""

import sys
from pathlib import Path
from time import perf_counter

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from skorch.callbacks import Callback

from benchmarks import cells, datasets, report
from benchmarks.options import about, parse, parser, sources
from skae import VAETransformer

N_COMPONENTS, HIDDEN = 50, (500, 500)
VALIDATION_SHARE = 0.02
COLUMNS = {
    "epochs": "",
    "best_iter": "",
    "elbo": ".2f",
    "importance_weighted": ".2f",
    "fit_seconds": ".0f",
}


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
            self.X[rows] = (
                self.rng.random(self.images[rows].shape, dtype=np.float32) < self.images[rows]
            )

    def on_epoch_begin(self, net, **kwargs):
        self.draw()


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    (source,) = sources(options)
    job = (source, options.epochs, options.rows, options.samples, options.verbose)
    (row,) = cells.run(_measure, [job], cache=options.cache, n_jobs=options.jobs)
    report.print_table([row], COLUMNS)
    path = options.out / f"binarized_{source.title}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options)])


def _measure(source, epochs, n_rows, n_samples, verbose):
    split = datasets.load(source)
    train = Binarized(split.train.X, source.seed)
    held_out = Binarized(split.held_out.X[:n_rows], source.seed + 1).X
    vae = VAETransformer(
        N_COMPONENTS,
        likelihood="bernoulli",
        hidden_layer_sizes=HIDDEN,
        max_iter=epochs,
        validation_fraction=VALIDATION_SHARE,
        skorch_callbacks=[train],
        random_state=source.seed,
        verbose=verbose,
    )
    start = perf_counter()
    vae.fit(train.X)
    row = {"epochs": epochs, "best_iter": vae.best_iter_, "fit_seconds": perf_counter() - start}
    row |= {
        "elbo": vae.score(held_out),
        "importance_weighted": vae.score(held_out, n_importance_samples=n_samples),
    }
    row |= {"samples": n_samples, "images": len(held_out), "train_images": len(train.X)}
    return row | {"elbo_of_start": vae.baseline_score_, "active": vae.n_active_components_}


def _parse(argv):
    made = parser(__doc__)
    made.set_defaults(epochs=60)
    add = made.add_argument
    add("--rows", type=int, default=1000, help="held-out images (default: 1000)")
    add("--samples", type=int, default=500, help="importance samples (default: 500)")
    add("--verbose", action="store_true", help="print a line an epoch")
    return parse(
        made, argv, quick={"epochs": 2, "rows": 50, "samples": 5}, mnist={"train_size": 50_000}
    )


if __name__ == "__main__":
    main()
