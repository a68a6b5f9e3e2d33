"""The network of Hinton and Salakhutdinov, 784-1000-500-250-30, on all of MNIST: squared error per image.

python benchmarks/reference.py --quick            # the digits of scikit-learn, two epochs
python benchmarks/reference.py --data-dir DIR     # DIR/mnist.npz; without DIR from OpenML

They report 3.00 on the test images, and 13.87 of PCA with 30 components ("Reducing the Dimensionality of Data with Neural
Networks", Science 313, 2006). Here the network has skae's linear paths beside its layers, and starts as PCA.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from benchmarks import datasets, report
from benchmarks.measures import reconstruct
from skae import AutoencoderTransformer

DEPTH, HIDDEN = 30, (1000, 500, 250)
REPORTED = {"PCA, as reported": 13.87, "Hinton and Salakhutdinov, as reported": 3.00}
COLUMNS = {
    "method": "",
    "error_per_image": ".3f",
    "epochs": "",
    "best_iter": "",
    "fit_seconds": ".0f",
    "settings": "",
}


class Progress(Callback):
    """Say after each epoch how far a fit is."""

    def __init__(self, advance):
        self.advance = advance

    def on_epoch_end(self, net, **kwargs):
        self.advance(f"validation R² {net.history[-1, 'valid_score']:.4f}")


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    given = {"evaluate": options.evaluate, "seed": options.seed, "train_size": options.train_size}
    split = datasets.images(options.dataset, options.data_dir, **given)
    rows = (
        []
        if options.dataset == "digits"
        else [{"method": name, "error_per_image": e} for name, e in REPORTED.items()]
    )
    with report.progress(1 + options.epochs) as advance:
        rows.append(_measure("PCA", PCA(DEPTH, random_state=options.seed), split))
        advance("PCA")
        rows.append(_measure("skae", _autoencoder(options, advance), split))
    rows[-1] |= {"epochs": options.epochs, "settings": _text(options.settings)}
    report.print_table(rows, COLUMNS)
    about = {
        "dataset": split.name,
        "evaluate": options.evaluate,
        "train_images": len(split.train.X),
    }
    about |= {"images": len(split.held_out.X), **report.provenance(options.seed)}
    name = "_".join(
        ["reference", split.name, options.evaluate, *([options.label] if options.label else [])]
    )
    report.write_csv(options.out / f"{name}.csv", [row | about for row in rows])


def _autoencoder(options, advance):
    return AutoencoderTransformer(
        DEPTH,
        hidden_layer_sizes=HIDDEN,
        max_iter=options.epochs,
        random_state=options.seed,
        skorch_callbacks=[Progress(advance)],
        **options.settings,
    )


def _measure(name, estimator, split):
    """A row of the table: the summed squared error of an image, on average over the held-out ones."""
    start = perf_counter()
    estimator.fit(split.train.X)
    row = {
        "method": name,
        "fit_seconds": perf_counter() - start,
        "best_iter": getattr(estimator, "best_iter_", None),
    }
    X = split.held_out.X
    errors = np.square(X - reconstruct(estimator, X)).sum(axis=1, dtype=np.float64)
    return row | {"error_per_image": float(errors.mean())}


def _text(settings):
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", choices=["digits", "mnist"], default="mnist")
    add("--data-dir", type=Path, help="folder with mnist.npz; without it MNIST comes from OpenML")
    add("--epochs", type=int, default=20, help="default: 20")
    varied = [
        add(
            "--activation",
            help="of the estimator, as the next ones; what is not given is its default",
        ),
        add("--alpha", type=float),
        add("--batch-size", type=int),
        add("--learning-rate-init", type=float),
        add("--validation-fraction", type=float),
    ]
    add(
        "--evaluate",
        choices=["validation", "test"],
        default="validation",
        help="held-out part (default: validation)",
    )
    add("--label", help="ends the name of the file, to tell settings apart")
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="threads of torch (default: torch's own)")
    add("--quick", action="store_true", help="digits, two epochs")
    add(
        "--out",
        type=Path,
        default=report.RESULTS,
        help="folder to write to (default: results/ of the repository)",
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.dataset, options.epochs = "digits", 2
    # All that are not held out.
    options.train_size = 60_000 if options.evaluate == "test" else 50_000
    names = [action.dest for action in varied]
    options.settings = {
        name: getattr(options, name) for name in names if getattr(options, name) is not None
    }
    return options


if __name__ == "__main__":
    main()
