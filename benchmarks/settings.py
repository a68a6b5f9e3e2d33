"""What do other settings than the defaults give? Error, and accuracy of classifiers on the codes, at one depth.

python benchmarks/settings.py                                   # the digits of scikit-learn
python benchmarks/settings.py --dataset mnist --data-dir DIR    # DIR/mnist.npz; without DIR from OpenML

Most differ from the dense autoencoder's defaults in one thing. They are there to choose by: of MNIST no test images are
read, unless `--evaluate test` asks for them.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from sklearn.decomposition import PCA

from benchmarks import cells, datasets, report
from benchmarks.measures import accuracies, reconstruct, reconstruction
from benchmarks.options import about, parse, parser, sources
from skae import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer

EPOCHS = 20  # of the setting that fixes them
SETTINGS = {
    "PCA": (PCA, {}),
    "defaults": (AutoencoderTransformer, {}),
    f"{EPOCHS} epochs": (AutoencoderTransformer, {"max_iter": EPOCHS}),
    "gelu": (AutoencoderTransformer, {"activation": "gelu"}),
    "hidden layers 512, 256": (AutoencoderTransformer, {"hidden_layer_sizes": (512, 256)}),
    "one hidden layer": (AutoencoderTransformer, {"hidden_layer_sizes": (256,)}),
    "rate 1e-3": (AutoencoderTransformer, {"learning_rate_init": 1e-3}),
    "alpha 1e-2": (AutoencoderTransformer, {"alpha": 1e-2}),
    "ordered": (AutoencoderTransformer, {"ordered": True}),
    "a quarter of the values masked": (
        DenoisingAutoencoder,
        {"corruption": "masking", "noise_level": 0.25},
    ),
    "variational": (VAETransformer, {}),
}
COLUMNS = {
    "depth": "",
    "setting": "",
    "mse": ".5f",
    "logistic_regression": ".4f",
    "nearest_neighbors": ".4f",
}


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    rows = compare(options)
    report.print_table(rows, COLUMNS)
    path = options.out / f"settings_{options.dataset}_{options.suffix}.csv"
    report.write_csv(path, [row | about(options) for row in rows])


def compare(options):
    """Measure each setting at each depth.

    Returns
    -------
    rows : list of dict
        One for each depth and setting.
    """
    (source,) = sources(options)
    jobs = [
        (setting, depth, source, options.epochs)
        for depth in options.depths
        for setting in options.settings
    ]
    return cells.run(_measure, jobs, cache=options.cache, n_jobs=options.jobs)


def _measure(setting, depth, source, epochs):
    split = datasets.load(source)
    cls, given = SETTINGS[setting]
    parameters = given if cls is PCA else {"max_iter": epochs} | given
    estimator = cls(depth, random_state=source.seed, **parameters).fit(split.train.X)
    X = split.held_out.X
    codes = [part._replace(X=estimator.transform(part.X)) for part in (split.train, split.held_out)]
    return (
        {"depth": depth, "setting": setting}
        | reconstruction(X, reconstruct(estimator, X))
        | accuracies(*codes)
    )


def _parse(argv):
    made = parser(__doc__)
    made.add_argument("--depths", type=int, nargs="+", default=(32,), help="default: 32")
    made.set_defaults(settings=tuple(SETTINGS))
    return parse(
        made,
        argv,
        quick={"depths": [4], "epochs": 1, "settings": ("PCA", "defaults", "ordered")},
        mnist={"epochs": 6},
    )


if __name__ == "__main__":
    main()
