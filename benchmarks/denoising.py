"""Corrupted images: how well they are restored."""

from functools import partial
from time import perf_counter

import numpy as np
from scipy.signal import wiener
from sklearn.decomposition import PCA, KernelPCA

from benchmarks import datasets, report
from benchmarks.datasets import pack_examples
from benchmarks.methods import reconstruct, reconstruction
from benchmarks.questions import option, question, run, sources
from skae import DenoisingAutoencoder

NOISE_LEVELS = {"gaussian": 0.5, "masking": 0.5}
NOISE_HELP = "noise of standard deviation 0.5, or half of the pixels set to 0"
PCA_SIZES = (4, 8, 16, 32, 64, 128)
N_KERNEL_PCA = 1000  # samples that kernel PCA is fitted to
CORRUPTED = "damaged images"  # as the CSV has it


def corrupt(X, kind, seed):
    """Corrupt images in [0, 1]: Gaussian noise, clipped to [0, 1], or half of the pixels at 0."""
    rng, level = np.random.default_rng(seed), NOISE_LEVELS[kind]
    if kind == "gaussian":
        return np.clip(X + level * rng.standard_normal(X.shape, dtype=np.float32), 0, 1)
    return np.where(rng.random(X.shape, dtype=np.float32) < level, np.float32(0), X)


def _denoisers(split, kind, epochs):
    """By (method, setting) ``fit(X, seed)``, which returns a function that denoises images."""

    def skae(**parameters):
        given = {"corruption": kind, "noise_level": NOISE_LEVELS[kind], "max_iter": epochs}
        given |= parameters
        return lambda X, seed: DenoisingAutoencoder(random_state=seed, **given).fit(X).denoise

    def pca(k):
        return lambda X, seed: partial(reconstruct, PCA(k, random_state=seed).fit(X))

    def kernel_pca(gamma):  # of noisy images, as in scikit-learn's example on denoising
        def fit(X, seed):
            chosen = np.random.default_rng(seed).permutation(len(X))[:N_KERNEL_PCA]
            given = {"gamma": gamma, "alpha": 5e-3, "random_state": seed, "kernel": "rbf"}
            pca = KernelPCA(min(400, len(chosen)), fit_inverse_transform=True, **given)
            return partial(reconstruct, pca.fit(corrupt(X[chosen], kind, seed)))

        return fit

    def wiener_filter(size):
        return lambda X, seed: partial(_wiener, image_shape=split.image_shape, size=size)

    sizes = [k for k in PCA_SIZES if k <= min(split.train.X.shape)]
    return {
        (CORRUPTED, ""): lambda X, seed: lambda noisy: noisy,
        **{("PCA", f"depth {k}"): pca(k) for k in sizes},
        **{("kernel PCA", f"gamma {gamma:g}"): kernel_pca(gamma) for gamma in (1e-3, 1e-2)},
        **{("Wiener filter", f"{size} x {size}"): wiener_filter(size) for size in (3, 5)},
        ("skae", "defaults"): skae(),
        ("skae", "64 components, (512,)"): skae(n_components=64, hidden_layer_sizes=(512,)),
        ("skae conv", "64 components"): skae(n_components=64, image_shape=split.image_shape),
    }


def _wiener(noisy, image_shape, size):
    with np.errstate(divide="ignore", invalid="ignore"):  # where a window is constant
        filtered = [wiener(image.reshape(image_shape), size) for image in noisy.astype(float)]
    return np.nan_to_num(np.stack(filtered)).reshape(len(noisy), -1)


def draw(path):
    """Draw some images as the best setting of each method denoises them."""
    images = []
    for method, own in report.by(report.read_csv(path), "method").items():
        best = min(own, key=lambda row: row["mse"] or 0)
        setting = (best["setting"] or "").replace("depth 64", "64 components")
        label = "corrupted images" if method == CORRUPTED else method
        images.append((f"{label}\n{setting}", best["images"]))
    report.draw_images(path.with_suffix(".png"), images)


@question(
    "denoising",
    "method setting mse:.4f r2:.4f fit_seconds:.2f",
    file="denoising_{dataset}_{corruption}{label}_{evaluate}",
    options=(option("--corruption", NOISE_HELP, choices=NOISE_LEVELS, default="gaussian"),),
    mnist={"epochs": 10},
    draw=draw,
)
def denoising(options):
    """Whether skae denoises images better than PCA, kernel PCA and a Wiener filter."""
    (source,) = sources(options)
    split = datasets.load(source)
    settings = _denoisers(split, options.corruption, options.epochs)
    jobs = [(*setting, source, options.corruption, options.epochs) for setting in settings]
    rows = run(_denoise, jobs, options)
    originals = {
        "method": "held-out images",
        "setting": "",
        "images": pack_examples(split.held_out.X, split),
    }
    about = {"dataset": source.title, "damage": options.corruption}
    return [row | about for row in (originals, *rows)]


def _denoise(method, setting, source, kind, epochs):
    split = datasets.load(source)
    clean = split.held_out.X
    noisy = corrupt(clean, kind, source.seed + 1)
    start = perf_counter()
    denoise = _denoisers(split, kind, epochs)[method, setting](split.train.X, source.seed)
    seconds = perf_counter() - start
    denoised = denoise(noisy)
    row = {"method": method, "setting": setting} | reconstruction(clean, denoised)
    return row | {"fit_seconds": seconds, "images": pack_examples(denoised, split)}
