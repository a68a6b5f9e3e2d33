"""Error against seconds: skae, PCA and the autoencoders of other libraries, in one run on the same cores.

python benchmarks/time_to_quality.py                    # the digits of scikit-learn
python benchmarks/time_to_quality.py --data-dir DIR     # 20,000 images of DIR/mnist.npz

All have the same depth and hidden layers; "skae, own layers" has the hidden layers of its defaults. A point of skae's curve
is a whole fit, since its learning rate follows the number of epochs; the others are measured after each epoch of one fit,
with the clock stopped. A peer whose library is not installed is a row that says so.
"""

import argparse
import csv
import sys
from pathlib import Path
from statistics import median

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from benchmarks import datasets, report
from benchmarks.measures import pause, reconstruct
from benchmarks.peers import PEERS, Curve, Point
from skae import AutoencoderTransformer

PCA_NAME, SKAE, OWN_LAYERS, TEXTBOOK = "PCA", "skae", "skae, own layers", "textbook loop"
# What the ratios are made of is fitted several times.
CHEAP = {PCA_NAME, SKAE, OWN_LAYERS, TEXTBOOK}
N_WARM_UP = 500  # rows of the fit that goes before
COLUMNS = {"method": "", "epochs": "", "seconds": ".2f", "mse": ".3e", "fits": "", "note": ""}
RATIO_COLUMNS = {
    "question": "",
    "seconds": ".2f",
    "reference": ".2f",
    "ratio": ".3f",
    "most": "",
    "aim": "",
}
# Okabe and Ito's colours, which the colour-blind can tell apart, with a marker for each line and dashes the second time.
EMPHASISED = {PCA_NAME: "black", SKAE: "#d55e00", OWN_LAYERS: "#e69f00"}
COLOURS = ["#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#777777"]
MARKERS = "o^sDv<>P*X"


def main(argv=None):
    """Run the comparison that the arguments ask for."""
    options = _parse(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        split = _split(options)
        rows = _rows(*measure(split, options))
        ratios = compare(rows)
        about = {
            "dataset": split.name,
            "depth": options.depth,
            "hidden": " ".join(map(str, options.hidden)),
        }
        about |= {"evaluate": options.evaluate, **report.provenance(options.seed)}
    report.print_table(_last_of_each(rows), COLUMNS)
    report.print_table(ratios, RATIO_COLUMNS)
    out = options.out / f"time_to_quality_{split.name}_{options.evaluate}.csv"
    report.write_csv(out, [row | about for row in rows])
    report.write_csv(out.with_stem(f"{out.stem}_ratios"), [row | about for row in ratios])
    draw(out)


def measure(split, options):
    """Fit all methods in turns, each after a small fit that does not count.

    Parameters
    ----------
    split : benchmarks.datasets.Split
    options : argparse.Namespace

    Returns
    -------
    curves : dict of str to list of list of Point
        Of each method, those of its fits.
    missing : dict of str to str
        What is not installed, by method.
    """
    methods = _methods(options)
    missing = _warm_up(methods, split, options.seed)
    turns = [
        (name, i)
        for i in range(options.repeats)
        for name in methods
        if name not in missing and (i == 0 or name in CHEAP)
    ]
    curves = {}
    with report.progress(len(turns)) as advance:
        for name, i in turns:
            pause()
            points = methods[name](split.train.X, split.held_out.X, None, options.seed + i)
            curves.setdefault(name, []).append(points)
            advance(f"{name}: {points[-1].mse:.3e} after {points[-1].seconds:.2f} s")
    return curves, missing


def _warm_up(methods, split, seed):
    """Let libraries load what they load at a first fit; give what is not installed, and why, by name."""
    missing = {}
    with report.progress(len(methods)) as advance:
        for name, fit in methods.items():
            advance(f"{name}, warm-up")
            try:
                fit(split.train.X[:N_WARM_UP], split.held_out.X[:N_WARM_UP], 1, seed)
            except ImportError as error:
                missing[name] = f"not installed: {error}"
    return missing


def _methods(options):
    """By name ``(X, X_held_out, epochs, seed) -> points``; epochs None are those of the options."""
    layers = {"hidden_layer_sizes": options.hidden}
    return {
        PCA_NAME: lambda X, held_out, epochs, seed: [
            _point(PCA(options.depth, random_state=seed), X, held_out, 0)
        ],
        SKAE: lambda *given: _skae(*given, options, **layers),
        OWN_LAYERS: lambda *given: _skae(*given, options),
        **{name: _peer(fit, options) for name, fit in PEERS.items()},
    }


def _skae(X, held_out, epochs, seed, options, **settings):
    estimators = {
        n_epochs: AutoencoderTransformer(
            options.depth, max_iter=n_epochs, random_state=seed, **settings
        )
        for n_epochs in ([epochs] if epochs else options.skae_epochs)
    }
    return [_point(estimator, X, held_out, n_epochs) for n_epochs, estimator in estimators.items()]


def _point(estimator, X, held_out, epochs):
    """Seconds and error of a whole fit."""
    curve = Curve(held_out)
    estimator.fit(X)
    curve.mark(lambda rows: reconstruct(estimator, rows))
    return curve.points[0]._replace(epochs=epochs)


def _peer(fit, options):
    def points(X, held_out, epochs, seed):
        curve = Curve(held_out)
        fit(X, options.hidden, options.depth, epochs or options.epochs, seed, curve)
        return curve.points

    return points


def _rows(curves, missing):
    """A row a point, medians over the fits; and one for what is not installed."""
    rows = [
        {"method": name, "epochs": fits[0].epochs, "seconds": median(fit.seconds for fit in fits)}
        | {"mse": median(fit.mse for fit in fits), "fits": len(fits)}
        for name, found in curves.items()
        for fits in zip(*found, strict=True)
    ]
    return rows + [{"method": name, "note": note} for name, note in missing.items()]


def compare(rows):
    """Seconds of skae up to the error of the textbook loop's last epoch, and to half of PCA's, over the seconds of each.

    Parameters
    ----------
    rows : list of dict
        `method`, `epochs`, `seconds` and `mse`.

    Returns
    -------
    ratios : list of dict
        `seconds` and `ratio` are nan where the error is not reached.
    """
    loop = [row for row in rows if row["method"] == TEXTBOOK][-1]
    (pca,) = (row for row in rows if row["method"] == PCA_NAME)
    targets = [
        (
            f"to the error of {loop['epochs']} epochs of the textbook loop",
            loop["mse"],
            loop["seconds"],
            0.1,
            0.05,
        ),
        ("to half of PCA's error", pca["mse"] / 2, pca["seconds"], 6, 3),
    ]
    ratios = []
    for method in (SKAE, OWN_LAYERS):
        for what, mse, reference, most, aim in targets:
            seconds = _seconds_to(mse, [row for row in rows if row["method"] == method])
            row = {
                "question": f"{method} {what}",
                "mse": mse,
                "seconds": seconds,
                "reference": reference,
            }
            ratios.append(row | {"ratio": seconds / reference, "most": most, "aim": aim})
    return ratios


def _seconds_to(mse, rows):
    return min((row["seconds"] for row in rows if row["mse"] <= mse), default=float("nan"))


def _last_of_each(rows):
    """The rows to print: of a peer its last epoch, of skae all."""
    last = {row["method"]: row for row in rows}
    return [
        row for row in rows if row is last[row["method"]] or row["method"] in (SKAE, OWN_LAYERS)
    ]


def draw(path):
    """Draw the curves of a CSV beside it; without matplotlib, say that there is no picture.

    Parameters
    ----------
    path : pathlib.Path
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    except ImportError:
        print("No picture: matplotlib is not installed.")
        return
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    ax = figure.subplots()
    curves = _curves_of(rows)
    for method, points in curves.items():
        seconds, errors = (
            [point.seconds for point in points],
            [1000 * point.mse for point in points],
        )
        ax.plot(seconds, errors, label=method, **_style(method, list(curves)))
    ax.axhline(1000 * curves[PCA_NAME][0].mse, color="black", linestyle=":", linewidth=1)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="seconds of fit",
        ylabel="held-out error per value × 1000",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_title(
        f"{rows[0]['dataset']}, depth {rows[0]['depth']}, threads: {rows[0]['threads']}; dotted: PCA's error"
    )
    ax.grid(alpha=0.3)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    print(f"Wrote {path.with_suffix('.png')}")


def _style(method, methods):
    others = [name for name in methods if name not in EMPHASISED]
    if method in EMPHASISED:
        return {
            "color": EMPHASISED[method],
            "marker": MARKERS[methods.index(method)],
            "linewidth": 2.4,
            "zorder": 3,
        }
    turn, colour = divmod(others.index(method), len(COLOURS))
    dashes = {
        "linestyle": ["-", "--", "-."][turn],
        "marker": MARKERS[methods.index(method) % len(MARKERS)],
    }
    return {"color": COLOURS[colour], "linewidth": 1.3, "markersize": 5, **dashes}


def _curves_of(rows):
    """Points by method, of the rows of a CSV; those without an error have none."""
    curves = {}
    for row in rows:
        if row["mse"]:
            point = Point(int(row["epochs"]), float(row["seconds"]), float(row["mse"]))
            curves.setdefault(row["method"], []).append(point)
    return curves


def _split(options):
    name = "digits" if options.data_dir is None else "mnist"
    return datasets.images(
        name,
        options.data_dir,
        evaluate=options.evaluate,
        seed=options.seed,
        train_size=options.train_size,
    )


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with mnist.npz (default: digits)")
    add("--depth", type=int, default=32)
    add(
        "--hidden",
        type=int,
        nargs="+",
        default=[256],
        help="widths of the encoder's hidden layers (default: 256)",
    )
    add("--epochs", type=int, default=20, help="of the peers (default: 20)")
    add(
        "--skae-epochs",
        type=int,
        nargs="+",
        default=[1, 2, 3, 5, 10, 20],
        help="one fit each (default: 1 2 3 5 10 20)",
    )
    add(
        "--repeats",
        type=int,
        default=3,
        help="fits of PCA, skae and the textbook loop, whose medians count (default: 3)",
    )
    add(
        "--train-size",
        type=int,
        default=20_000,
        help="number of training images of mnist (default: 20000)",
    )
    add(
        "--evaluate",
        choices=["validation", "test"],
        help="held-out part (default: test; mnist: validation)",
    )
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="of torch and numpy (default: their own)")
    add("--quick", action="store_true", help="digits, two epochs, one fit of each")
    add(
        "--out",
        type=Path,
        default=report.RESULTS,
        help="folder to write to (default: results/ of the repository)",
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.data_dir, options.depth, options.epochs, options.skae_epochs, options.repeats = (
            None,
            16,
            2,
            [1, 2],
            1,
        )
    options.evaluate = options.evaluate or ("test" if options.data_dir is None else "validation")
    return options


if __name__ == "__main__":
    main()
