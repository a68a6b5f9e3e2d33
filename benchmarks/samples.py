"""What densities make up: the share of their samples that a classifier of real images recognises with certainty.

python benchmarks/samples.py                                  # the digits of scikit-learn
python benchmarks/samples.py --dataset mnist --data-dir DIR   # DIR/mnist.npz; without DIR from OpenML
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier

from benchmarks import datasets, report
from skae import VAETransformer

N_SAMPLES, CERTAIN, N_DRAWN = 1000, 0.9, 12
COLUMNS = {"method": "", "certain": ".3f"}


def samplers(depth, epochs, image_shape, seed):
    """Give (method, function from training images to samples)."""
    rng = np.random.default_rng(seed)

    def gaussian(X):
        pca = PCA(depth, random_state=seed).fit(X)
        codes = rng.normal(size=(N_SAMPLES, depth)) * np.sqrt(pca.explained_variance_)
        return pca.inverse_transform(codes)

    def mixture(X, n_components):
        pca = PCA(depth, random_state=seed).fit(X)
        density = GaussianMixture(n_components, random_state=seed).fit(pca.transform(X).astype(float))
        return pca.inverse_transform(density.sample(N_SAMPLES)[0])

    def vae(X, **parameters):
        options = {"max_iter": epochs, "random_state": seed} | parameters
        return VAETransformer(depth, **options).fit(X).sample(N_SAMPLES, random_state=seed)

    yield "PCA, Gaussian", gaussian
    yield "PCA, mixture of 10", lambda X: mixture(X, 10)
    yield "PCA, mixture of 50", lambda X: mixture(X, 50)
    yield "skae", vae
    yield "skae, clipped", lambda X: vae(X, output_activation="auto")
    yield "skae, bernoulli", lambda X: vae(X, likelihood="bernoulli")
    yield "skae conv, clipped", lambda X: vae(X, output_activation="auto", image_shape=image_shape)


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    split = datasets.images(options.dataset, options.data_dir, evaluate=options.evaluate, seed=options.seed)
    classifier = MLPClassifier((256,), max_iter=50, random_state=options.seed).fit(*split.train)
    print(f"Accuracy of the classifier on held-out images: {classifier.score(*split.held_out):.3f}")
    rows, pictures = [], []
    methods = list(samplers(options.depth, options.epochs, split.image_shape, options.seed))
    with report.progress(1 + len(methods)) as advance:
        for method, sample in [("held-out images", lambda X: split.held_out.X[:N_SAMPLES]), *methods]:
            X = np.clip(sample(split.train.X), 0, 1)
            certain = float((classifier.predict_proba(X).max(axis=1) > CERTAIN).mean())
            rows.append({"method": method, "certain": certain})
            pictures.append((method, X[:N_DRAWN]))
            advance(f"{method}: {certain:.3f}")
    report.print_table(rows, COLUMNS)
    about = {"dataset": split.name, "depth": options.depth, "epochs": options.epochs, "evaluate": options.evaluate}
    out = options.out / f"samples_{split.name}_{options.evaluate}"
    report.write_csv(out.with_suffix(".csv"), [row | about | report.provenance(options.seed) for row in rows])
    report.draw_images(out.with_suffix(".png"), pictures, split.image_shape)


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", choices=["digits", "mnist"], default="digits")
    add("--data-dir", type=Path, help="folder with mnist.npz; without it MNIST comes from OpenML")
    add("--depth", type=int, default=16)
    add("--epochs", type=report.epochs, help="default: auto; mnist: 20")
    add("--seed", type=int, default=0)
    add("--evaluate", choices=["validation", "test"], help="held-out part (default: test; mnist: validation)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    options = parser.parse_args(argv)
    is_mnist = options.dataset == "mnist"
    options.epochs = (20 if is_mnist else "auto") if options.epochs is None else options.epochs
    options.evaluate = options.evaluate or ("validation" if is_mnist else "test")
    return options


if __name__ == "__main__":
    main()
