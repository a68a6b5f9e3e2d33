"""PCA against skae's autoencoders: held-out reconstruction, what the codes are worth, and seconds.

python benchmarks/run.py                                      # the digits of scikit-learn
python benchmarks/run.py --dataset patches --depths 4 16 64   # colour patches of its sample photographs
python benchmarks/run.py --dataset mnist --data-dir DIR       # DIR/mnist.npz; without DIR from OpenML
python benchmarks/run.py --dataset tabular --data-dir DIR     # DIR/tabular/*.npz
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # started as a file: import from the root of the repository, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import datasets, images, report, tables

EPOCHS = {"digits": "auto", "mnist": 6, "patches": "auto", "tabular": "auto"}
EVALUATE = {
    "digits": "test",
    "mnist": "validation",
    "patches": "test",
    "tabular": "test",
}  # MNIST's test images: for the last look only


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    about = {"evaluate": options.evaluate, "epochs": options.epochs}
    out = options.out / f"{options.dataset}_{options.evaluate}"
    common = {"depths": options.depths, "epochs": options.epochs, "seed": options.seed, "out": out}
    if options.dataset == "tabular":
        about |= report.provenance(options.seed, threads=1)
        paths = datasets.table_paths(options.data_dir)
        tables.compare(paths, evaluate=options.evaluate, n_jobs=options.jobs, about=about, **common)
    else:
        given = {"evaluate": options.evaluate, "seed": options.seed, "train_size": options.train_size}
        split = datasets.images(options.dataset, options.data_dir, **given)
        images.compare(split, about=about | report.provenance(options.seed), **common)


def _parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", choices=list(EPOCHS), default="digits")
    add("--data-dir", type=Path, help="folder with mnist.npz and tabular/*.npz")
    add("--depths", type=int, nargs="+", help="default: 2 4 8 16 32; tabular: 2, p/4 and p/2 of p features")
    add("--epochs", type=report.epochs, help="of skae: a number or auto (default: auto; mnist: 6)")
    add("--train-size", type=int, default=20_000, help="number of training images of mnist (default: 20000)")
    add("--seed", type=int, default=0, help="tabular: the first of five (default: 0)")
    add("--evaluate", choices=["validation", "test"], help="held-out part (default: test; mnist: validation)")
    add("--jobs", type=int, default=1, help="processes for tabular, with one thread each (default: 1)")
    add("--out", type=Path, default=report.RESULTS, help="folder to write to (default: results/ of the repository)")
    options = parser.parse_args(argv)
    if options.dataset == "tabular":
        if options.data_dir is None:
            parser.error("--dataset tabular needs --data-dir")
    else:
        options.depths = options.depths or images.DEPTHS
    options.epochs = EPOCHS[options.dataset] if options.epochs is None else options.epochs
    options.evaluate = options.evaluate or EVALUATE[options.dataset]
    return options


if __name__ == "__main__":
    main()
