"""Rare rows of tables told from the others, without labels: area under the ROC curve of each method's scores.

python benchmarks/outliers.py --data-dir DIR --jobs 2    # DIR/tabular/*.npz

PyOD's two autoencoders stand beside the others where PyOD is installed.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks import datasets, report
from benchmarks.options import about, parse, parser
from benchmarks.seeds import over_seeds
from skae import AutoencoderTransformer, VAETransformer

N_SEEDS = 3
CONTAMINATION = 0.1  # what PyOD takes by default; the shares of rare rows are not looked at


def _densities(epochs, seed):
    """Estimators of scikit-learn's kind by name: `score_samples` is low where a row is unusual."""
    return {
        # The depth of skae's default.
        "PCA": lambda X: PCA(min(32, max(1, X.shape[1] // 2)), random_state=seed),
        "isolation_forest": lambda X: IsolationForest(random_state=seed),
        "skae_vae": lambda X: VAETransformer(max_iter=epochs, random_state=seed),
        "skae_vae_robust": lambda X: VAETransformer(
            contamination=CONTAMINATION, max_iter=epochs, random_state=seed
        ),
        "skae_autoencoder": lambda X: AutoencoderTransformer(max_iter=epochs, random_state=seed),
    }


def _pyod(seed):
    """PyOD's autoencoders by name, with their defaults; none where PyOD is not installed."""
    try:
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.vae import VAE
    except ImportError:
        return {}
    return {
        "pyod_autoencoder": AutoEncoder(random_state=seed, verbose=0),
        "pyod_vae": VAE(random_state=seed, verbose=0),
    }


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    made = parser(__doc__, datasets=("tabular",))
    made.add_argument("--seeds", type=int, default=N_SEEDS, help="number of them (default: 3)")
    options = parse(made, argv, quick={"epochs": 1, "seeds": 1}, mnist={})
    paths = datasets.table_paths(options.data_dir)
    seeds = range(options.seed, options.seed + options.seeds)
    found = over_seeds(_areas, paths, seeds, options.jobs, options.epochs, cache=options.cache)
    names = list(next(iter(found.values()))[0])
    rows = [
        {"table": path.stem}
        | {name: float(np.mean([area[name] for area in areas])) for name in names}
        for path, areas in found.items()
    ]
    rows.append(
        {"table": "mean"} | {name: float(np.mean([row[name] for row in rows])) for name in names}
    )
    report.print_table(rows, {"table": ""} | dict.fromkeys(names, ".3f"))
    if "pyod_vae" not in names:
        print("PyOD is not installed: its autoencoders are left out.")
    path = options.out / ("outliers_quick.csv" if options.quick else "outliers.csv")
    report.write_csv(path, [row | about(options) for row in rows])


def _areas(path, seed, epochs):
    X, y = datasets.read_table(path)
    X, is_rare = StandardScaler().fit_transform(X), y == y.max()
    scores = {
        name: -make(X).fit(X).score_samples(X) for name, make in _densities(epochs, seed).items()
    }
    for name, detector in _pyod(seed).items():
        scores[name] = detector.fit(X).decision_scores_
    return {name: float(roc_auc_score(is_rare, score)) for name, score in scores.items()}


if __name__ == "__main__":
    main()
