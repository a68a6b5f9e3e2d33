"""What densities make up: the share of their samples that a classifier of real images recognises with certainty.

python benchmarks/samples.py                                  # the digits of scikit-learn
python benchmarks/samples.py --dataset mnist --data-dir DIR   # DIR/mnist.npz; without DIR from OpenML
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier

from benchmarks import cells, datasets, images, report
from benchmarks.cache import remembered
from benchmarks.options import about, parse, parser, sources
from skae import VAETransformer

N_SAMPLES, CERTAIN, N_DRAWN = 1000, 0.9, 12
REAL = "held-out images"
COLUMNS = {"method": "", "certain": ".3f"}


def samplers(depth, epochs, image_shape, seed):
    """Give the functions from training images to samples, by method."""
    rng = np.random.default_rng(seed)

    def gaussian(X):
        pca = PCA(depth, random_state=seed).fit(X)
        codes = rng.normal(size=(N_SAMPLES, depth)) * np.sqrt(pca.explained_variance_)
        return pca.inverse_transform(codes)

    def mixture(X, n_components):
        pca = PCA(depth, random_state=seed).fit(X)
        density = GaussianMixture(n_components, random_state=seed).fit(
            pca.transform(X).astype(float)
        )
        return pca.inverse_transform(density.sample(N_SAMPLES)[0])

    def vae(X, **parameters):
        options = {"max_iter": epochs, "random_state": seed} | parameters
        return VAETransformer(depth, **options).fit(X).sample(N_SAMPLES, random_state=seed)

    return {
        "PCA, Gaussian": gaussian,
        "PCA, mixture of 10": lambda X: mixture(X, 10),
        "PCA, mixture of 50": lambda X: mixture(X, 50),
        "skae": vae,
        "skae, clipped": lambda X: vae(X, output_activation="auto"),
        "skae, bernoulli": lambda X: vae(X, likelihood="bernoulli"),
        "skae conv, clipped": lambda X: vae(X, output_activation="auto", image_shape=image_shape),
    }


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    (source,) = sources(options)
    image_shape = datasets.load(source).image_shape
    classifier = remembered(_classifier, options.cache)(source)
    print(
        f"Accuracy of the classifier on held-out images: {classifier.score(*datasets.load(source).held_out):.3f}"
    )
    jobs = [
        (name, options.depth, source, options.epochs)
        for name in (REAL, *samplers(options.depth, 1, None, 0))
    ]
    samples = cells.run(_sample, jobs, cache=options.cache, n_jobs=options.jobs)
    rows = [
        {
            "method": name,
            "certain": float((classifier.predict_proba(X).max(axis=1) > CERTAIN).mean()),
        }
        | {"images": images.pack(X[:N_DRAWN], image_shape)}
        for (name, *_), X in zip(jobs, samples, strict=True)
    ]
    report.print_table(rows, COLUMNS)
    path = options.out / f"samples_{source.title}_{options.suffix}.csv"
    report.write_csv(
        path,
        [{"dataset": source.title, "depth": options.depth} | row | about(options) for row in rows],
    )
    draw(path)


def _classifier(source):
    return MLPClassifier((256,), max_iter=50, random_state=source.seed).fit(
        *datasets.load(source).train
    )


def _sample(method, depth, source, epochs):
    split = datasets.load(source)
    if method == REAL:
        return split.held_out.X[:N_SAMPLES]
    sample = samplers(depth, epochs, split.image_shape, source.seed)[method]
    return np.clip(sample(split.train.X), 0, 1)


def draw(path):
    """Draw the picture of a CSV beside it: some samples of each method."""
    rows = report.read_csv(path)
    pictures = [(f"{row['method']}\n{row['certain']:.3f}", row["images"]) for row in rows]
    report.draw_images(path.with_suffix(".png"), pictures)


def _parse(argv):
    made = parser(__doc__)
    made.add_argument("--depth", type=int, default=16)
    return parse(made, argv, quick={"depth": 4, "epochs": 1}, mnist={"epochs": 20})


if __name__ == "__main__":
    main()
