"""Missing cells of tables filled in: skae beside PCA at its best depth and the mean of each column.

python benchmarks/masked_cells.py --data-dir DIR    # DIR/tabular/*.npz
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.measures import reconstruct
from benchmarks.seeds import over_seeds
from skae import DenoisingAutoencoder

SHARE = 0.2  # of the cells that are masked
N_SEEDS = 3
COLUMNS = {"table": "", "features": "", "mse_mean": ".4f", "mse_pca": ".4f", "mse_skae": ".4f", "ratio": ".3f"}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    paths = datasets.table_paths(options.data_dir)
    seeds = range(options.seed, options.seed + N_SEEDS)
    found = over_seeds(_errors, paths, seeds, options.jobs, options.evaluate, options.epochs)
    rows = [_summarize(path.stem, errors) for path, errors in found.items()]
    report.print_table(rows, COLUMNS)
    n_ahead = sum(row["mse_skae"] < min(row["mse_mean"], row["mse_pca"]) for row in rows)
    print(f"skae is ahead of both on {n_ahead} of {len(rows)} tables.")
    about = {"evaluate": options.evaluate, "epochs": options.epochs} | report.provenance(options.seed, threads=1)
    report.write_csv(options.out / f"masked_cells_{options.evaluate}.csv", [row | about for row in rows])


def _errors(path, seed, evaluate, epochs):
    """Mean squared error on the masked cells of the held-out rows, by method."""
    split = datasets.table(path, evaluate=evaluate, seed=seed)
    X, clean = split.train.X, split.held_out.X
    masked = np.random.default_rng(seed).random(clean.shape) < SHARE
    damaged = np.where(masked, 0, clean)  # the mean, as columns are standardised
    depths = range(1, min(X.shape[1], 32))
    filled = [reconstruct(PCA(depth, random_state=seed).fit(X), damaged) for depth in depths]
    denoiser = DenoisingAutoencoder(corruption="masking", noise_level=SHARE, max_iter=epochs, random_state=seed)
    errors = {"mean": damaged, "skae": denoiser.fit(X).denoise(damaged)}
    mse = {name: float(np.square(found - clean)[masked].mean()) for name, found in errors.items()}
    mse["pca"] = min(float(np.square(found - clean)[masked].mean()) for found in filled)
    return X.shape[1], mse


def _summarize(name, found):
    mse = {f"mse_{method}": float(np.mean([mse[method] for _, mse in found])) for method in ("mean", "pca", "skae")}
    return {"table": name, "features": found[0][0], **mse, "ratio": mse["mse_skae"] / min(mse["mse_mean"], mse["mse_pca"])}


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, help="folder with tabular/*.npz")
    add("--epochs", type=report.epochs, default="auto")
    add("--seed", type=int, default=0, help="the first of three (default: 0)")
    add("--evaluate", choices=["validation", "test"], default="test")
    add("--jobs", type=int, default=1, help="processes, with one thread each (default: 1)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
