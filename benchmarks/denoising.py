"""Damaged images made clean: skae beside PCA, kernel PCA and a Wiener filter.

python benchmarks/denoising.py                                   # noisy digits of scikit-learn
python benchmarks/denoising.py --dataset mnist --data-dir DIR    # DIR/mnist.npz, its validation images
python benchmarks/denoising.py --dataset mnist --data-dir DIR --damage masking --evaluate test
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from scipy.signal import wiener
from sklearn.decomposition import PCA, KernelPCA

from benchmarks import datasets, report
from benchmarks.measures import reconstruct
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
    """Give (method, setting, function from training images and a seed to one that cleans images)."""

    def skae(**parameters):
        def fit(X, seed):
            options = {"corruption": kind, "noise_level": DAMAGES[kind], "max_iter": epochs, "random_state": seed}
            return DenoisingAutoencoder(**options | parameters).fit(X).denoise

        return fit

    yield "damaged images", "", lambda X, seed: lambda damaged: damaged
    for depth in PCA_DEPTHS:
        if depth <= min(split.train.X.shape):
            yield "PCA", f"depth {depth}", lambda X, seed, depth=depth: _projection(PCA(depth, random_state=seed), X)
    for gamma in (1e-3, 1e-2):
        yield "kernel PCA", f"gamma {gamma:g}", lambda X, seed, gamma=gamma: _kernel_pca(X, kind, seed, gamma)
    for size in (3, 5):
        yield "Wiener filter", f"{size} x {size}", lambda X, seed, size=size: _wiener(split.image_shape, size)
    yield "skae", "defaults", skae()
    yield "skae", "64 components, (512,)", skae(n_components=64, hidden_layer_sizes=(512,))
    yield "skae conv", "64 components", skae(n_components=64, image_shape=split.image_shape)


def _projection(pca, X):
    pca.fit(X)
    return lambda damaged: reconstruct(pca, damaged)


def _kernel_pca(X, kind, seed, gamma):
    """Fitted to damaged images and their pre-images, as in scikit-learn's example on image denoising."""
    rows = np.random.default_rng(seed).permutation(len(X))[:KERNEL_PCA_ROWS]
    options = {"kernel": "rbf", "gamma": gamma, "alpha": 5e-3, "fit_inverse_transform": True, "random_state": seed}
    return _projection(KernelPCA(min(400, len(rows)), **options), damage(X[rows], kind, seed))


def _wiener(image_shape, size):
    def clean(damaged):
        with np.errstate(divide="ignore", invalid="ignore"):  # where a window is constant
            images = [wiener(image.reshape(image_shape), size) for image in damaged.astype(float)]
        return np.nan_to_num(np.stack(images)).reshape(len(damaged), -1)

    return clean


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    split = datasets.images(options.dataset, options.data_dir, evaluate=options.evaluate, seed=options.seed)
    clean, kind = split.held_out.X, options.damage
    damaged = damage(clean, kind, options.seed + 1)
    shown = np.unique(split.held_out.y, return_index=True)[1][:N_DRAWN]
    rows, pictures = [], [("held-out\nimages", clean[shown])]
    methods = list(denoisers(split, kind, options.epochs))
    with report.progress(len(methods)) as advance:
        for method, setting, fit in methods:
            start = perf_counter()
            denoise = fit(split.train.X, options.seed)
            seconds = perf_counter() - start
            cleaned = denoise(damaged)
            mse = float(np.square(cleaned - clean, dtype=np.float64).mean())
            row = {"method": method, "setting": setting, "mse": mse, "r2": 1 - mse / float(clean.var(axis=0).mean())}
            rows.append(row | {"fit_seconds": seconds})
            pictures.append((f"{method}\n{setting}", cleaned[shown]))
            advance(f"{method} {setting}: error {mse:.4f} after {seconds:.2f} s")
    report.print_table(rows, COLUMNS)
    _print_verdict(rows)
    about = {"dataset": split.name, "damage": kind, "evaluate": options.evaluate, "epochs": options.epochs}
    out = options.out / f"denoising_{split.name}_{kind}_{options.evaluate}"
    report.write_csv(out.with_suffix(".csv"), [row | about | report.provenance(options.seed) for row in rows])
    best = {method: _best(rows, method) for method in dict.fromkeys(row["method"] for row in rows)}
    kept = [pictures[0], *(pictures[1 + rows.index(row)] for row in best.values())]
    report.draw_images(out.with_suffix(".png"), kept, split.image_shape)


def _best(rows, method):
    return min((row for row in rows if row["method"] == method), key=lambda row: row["mse"])


def _print_verdict(rows):
    others = min(row["mse"] for row in rows if not row["method"].startswith("skae"))
    n_ahead = sum(row["mse"] < others for row in rows if row["method"].startswith("skae"))
    n_skae = sum(row["method"].startswith("skae") for row in rows)
    print(f"{n_ahead} of {n_skae} settings of skae are ahead of the best of the others, {others:.4f}.")


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", choices=["digits", "mnist"], default="digits")
    add("--data-dir", type=Path, help="folder with mnist.npz; without it MNIST comes from OpenML")
    add("--damage", choices=list(DAMAGES), default="gaussian")
    add("--epochs", type=report.epochs, help="default: auto; mnist: 10")
    add("--seed", type=int, default=0)
    add("--evaluate", choices=["validation", "test"], help="held-out part (default: test; mnist: validation)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    options = parser.parse_args(argv)
    is_mnist = options.dataset == "mnist"
    options.epochs = options.epochs or (10 if is_mnist else "auto")
    options.evaluate = options.evaluate or ("validation" if is_mnist else "test")
    return options


if __name__ == "__main__":
    main()
