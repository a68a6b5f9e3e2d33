"""Damaged images made clean: skae beside PCA, kernel PCA and a Wiener filter.

python benchmarks/denoising.py                                   # noisy digits of scikit-learn
python benchmarks/denoising.py --dataset mnist --data-dir DIR    # DIR/mnist.npz, its validation images
python benchmarks/denoising.py --dataset mnist --data-dir DIR --damage masking --evaluate test
"""

import sys
from pathlib import Path
from time import perf_counter

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from scipy.signal import wiener
from sklearn.decomposition import PCA, KernelPCA

from benchmarks import cells, datasets, images, report
from benchmarks.measures import reconstruct, reconstruction
from benchmarks.options import about, parse, parser, sources
from skae import DenoisingAutoencoder

DAMAGES = {"gaussian": 0.5, "masking": 0.5}  # and the noise level
PCA_DEPTHS = (4, 8, 16, 32, 64, 128)
KERNEL_PCA_ROWS = 1000
N_DRAWN = 10
COLUMNS = {"method": "", "setting": "", "mse": ".4f", "r2": ".4f", "fit_seconds": ".2f"}


def damage(X, kind, seed):
    """Damage images in [0, 1]: Gaussian noise of deviation 0.5, clipped, or half of the pixels set to 0.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_pixels)
    kind : {"gaussian", "masking"}
    seed : int

    Returns
    -------
    damaged : ndarray of shape (n_images, n_pixels), of the dtype of X
    """
    rng, level = np.random.default_rng(seed), DAMAGES[kind]
    if kind == "gaussian":
        return np.clip(X + level * rng.standard_normal(X.shape, dtype=np.float32), 0, 1)
    return np.where(rng.random(X.shape, dtype=np.float32) < level, np.float32(0), X)


def denoisers(split, kind, epochs):
    """Give functions from training images and a seed to one that cleans images, by (method, setting)."""

    def skae(**parameters):
        def fit(X, seed):
            options = {
                "corruption": kind,
                "noise_level": DAMAGES[kind],
                "max_iter": epochs,
                "random_state": seed,
            }
            return DenoisingAutoencoder(**options | parameters).fit(X).denoise

        return fit

    found = {("damaged images", ""): lambda X, seed: lambda damaged: damaged}
    for depth in PCA_DEPTHS:
        if depth <= min(split.train.X.shape):
            found["PCA", f"depth {depth}"] = lambda X, seed, depth=depth: _projection(
                PCA(depth, random_state=seed), X
            )
    for gamma in (1e-3, 1e-2):
        found["kernel PCA", f"gamma {gamma:g}"] = lambda X, seed, gamma=gamma: _kernel_pca(
            X, kind, seed, gamma
        )
    for size in (3, 5):
        found["Wiener filter", f"{size} x {size}"] = lambda X, seed, size=size: _wiener(
            split.image_shape, size
        )
    found["skae", "defaults"] = skae()
    found["skae", "64 components, (512,)"] = skae(n_components=64, hidden_layer_sizes=(512,))
    found["skae conv", "64 components"] = skae(n_components=64, image_shape=split.image_shape)
    return found


def _projection(pca, X):
    pca.fit(X)
    return lambda damaged: reconstruct(pca, damaged)


def _kernel_pca(X, kind, seed, gamma):
    """Fitted to damaged images and their pre-images, as in scikit-learn's example on image denoising."""
    rows = np.random.default_rng(seed).permutation(len(X))[:KERNEL_PCA_ROWS]
    options = {
        "kernel": "rbf",
        "gamma": gamma,
        "alpha": 5e-3,
        "fit_inverse_transform": True,
        "random_state": seed,
    }
    return _projection(KernelPCA(min(400, len(rows)), **options), damage(X[rows], kind, seed))


def _wiener(image_shape, size):
    def clean(damaged):
        with np.errstate(divide="ignore", invalid="ignore"):  # where a window is constant
            filtered = [wiener(image.reshape(image_shape), size) for image in damaged.astype(float)]
        return np.nan_to_num(np.stack(filtered)).reshape(len(damaged), -1)

    return clean


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    (source,) = sources(options)
    split = datasets.load(source)
    jobs = [
        (*kind, source, options.damage, options.epochs)
        for kind in denoisers(split, options.damage, options.epochs)
    ]
    rows = cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    originals = {
        "method": "held-out images",
        "setting": "",
        "images": _pack(split, split.held_out.X),
    }
    path = options.out / f"denoising_{source.title}_{options.damage}_{options.suffix}.csv"
    given = {"dataset": source.title, "damage": options.damage} | about(options)
    report.write_csv(path, [row | given for row in (originals, *rows)])
    draw(path)


def _measure(method, setting, source, kind, epochs):
    split = datasets.load(source)
    clean = split.held_out.X
    damaged = damage(clean, kind, source.seed + 1)
    start = perf_counter()
    denoise = denoisers(split, kind, epochs)[method, setting](split.train.X, source.seed)
    seconds = perf_counter() - start
    cleaned = denoise(damaged)
    row = {"method": method, "setting": setting} | reconstruction(clean, cleaned)
    return row | {"fit_seconds": seconds, "images": _pack(split, cleaned)}


def _pack(split, X):
    """One image of each class, as text."""
    return images.pack(
        X[np.unique(split.held_out.y, return_index=True)[1][:N_DRAWN]], split.image_shape
    )


def draw(path):
    """Draw the picture of a CSV beside it: some images as each method's best setting cleans them."""
    rows = report.read_csv(path)
    best = [_best(rows, method) for method in dict.fromkeys(row["method"] for row in rows)]
    pictures = [(f"{row['method']}\n{row['setting'] or ''}", row["images"]) for row in best]
    report.draw_images(path.with_suffix(".png"), pictures)


def _best(rows, method):
    return min((row for row in rows if row["method"] == method), key=lambda row: row["mse"])


def _print_verdict(rows):
    others = min(row["mse"] for row in rows if not row["method"].startswith("skae"))
    n_ahead = sum(row["mse"] < others for row in rows if row["method"].startswith("skae"))
    n_skae = sum(row["method"].startswith("skae") for row in rows)
    print(
        f"{n_ahead} of {n_skae} settings of skae are ahead of the best of the others, {others:.4f}."
    )


def _parse(argv):
    made = parser(__doc__)
    made.add_argument("--damage", choices=list(DAMAGES), default="gaussian")
    return parse(made, argv, quick={"epochs": 1}, mnist={"epochs": 10})


if __name__ == "__main__":
    main()
