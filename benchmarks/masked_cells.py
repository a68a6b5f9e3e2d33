"""Missing cells of tables filled in: skae beside PCA at its best depth and the mean of each column.

python benchmarks/masked_cells.py --data-dir DIR --jobs 2    # DIR/tabular/*.npz; without DIR tables of scikit-learn
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.measures import reconstruct
from benchmarks.options import about, parse, parser
from benchmarks.seeds import over_seeds
from skae import DenoisingAutoencoder

SHARE = 0.2  # of the cells that are masked
N_SEEDS = 3
COLUMNS = {
    "table": "",
    "features": "",
    "mse_mean": ".4f",
    "mse_pca": ".4f",
    "mse_skae": ".4f",
    "ratio": ".3f",
}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = parse(parser(__doc__, datasets=("tabular",)), argv, quick={"epochs": 1}, mnist={})
    paths = datasets.table_paths(options.data_dir)
    seeds = range(options.seed, options.seed + N_SEEDS)
    found = over_seeds(
        _errors, paths, seeds, options.jobs, options.evaluate, options.epochs, cache=options.cache
    )
    rows = [_summarize(path.stem, errors) for path, errors in found.items()]
    report.print_table(rows, COLUMNS)
    n_ahead = sum(row["mse_skae"] < min(row["mse_mean"], row["mse_pca"]) for row in rows)
    print(f"skae is ahead of both on {n_ahead} of {len(rows)} tables.")
    report.write_csv(
        options.out / f"masked_cells_{options.suffix}.csv", [row | about(options) for row in rows]
    )


def _errors(path, seed, evaluate, epochs):
    """Mean squared error on the masked cells of the held-out rows, by method."""
    split = datasets.table(path, evaluate=evaluate, seed=seed)
    X, clean = split.train.X, split.held_out.X
    masked = np.random.default_rng(seed).random(clean.shape) < SHARE
    damaged = np.where(masked, 0, clean)  # the mean, as columns are standardised
    depths = range(1, min(X.shape[1], 32))
    filled = [reconstruct(PCA(depth, random_state=seed).fit(X), damaged) for depth in depths]
    denoiser = DenoisingAutoencoder(
        corruption="masking", noise_level=SHARE, max_iter=epochs, random_state=seed
    )
    errors = {"mean": damaged, "skae": denoiser.fit(X).denoise(damaged)}
    mse = {name: float(np.square(found - clean)[masked].mean()) for name, found in errors.items()}
    mse["pca"] = min(float(np.square(found - clean)[masked].mean()) for found in filled)
    return X.shape[1], mse


def _summarize(name, found):
    mse = {
        f"mse_{method}": float(np.mean([mse[method] for _, mse in found]))
        for method in ("mean", "pca", "skae")
    }
    return {
        "table": name,
        "features": found[0][0],
        **mse,
        "ratio": mse["mse_skae"] / min(mse["mse_mean"], mse["mse_pca"]),
    }


if __name__ == "__main__":
    main()
