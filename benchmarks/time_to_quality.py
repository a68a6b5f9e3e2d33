"""Error against seconds: skae, PCA and the autoencoders of other libraries, in one run."""

from statistics import median

from sklearn.decomposition import PCA

from benchmarks import datasets, report
from benchmarks.methods import reconstruct
from benchmarks.peers import PEERS, Curve, pause
from benchmarks.questions import option, question, sources
from skae import AutoencoderTransformer

PCA_NAME, SKAE, OWN_LAYERS, TEXTBOOK = "PCA", "skae", "skae, own layers", "textbook loop"
# The ratios are made of these, which are fitted several times.
REPEATED = {PCA_NAME, SKAE, OWN_LAYERS, TEXTBOOK}
N_WARM_UP = 500  # samples of the fit that goes before
# What the ratios should be at most, and what is aimed for.
LOOP_LIMITS, PCA_LIMITS = {"most": 0.1, "aim": 0.05}, {"most": 6, "aim": 3}


def draw(path):
    """Draw the curves of a CSV, that of PCA as a level."""
    rows = [row for row in report.read_csv(path) if row["mse"]]
    lines = report.lines(rows, "seconds", "mse")
    (seconds,), (error,) = lines[PCA_NAME]
    lines[PCA_NAME] = [seconds, max(row["seconds"] for row in rows)], [error, error]
    title = f"{rows[0]['dataset']}, {rows[0]['depth']} components, threads: {rows[0]['threads']}"
    labels = {"xlabel": "seconds of the fit", "ylabel": report.ERROR, "title": title}
    labels |= {"xscale": "log", "yscale": "log"}
    report.draw_lines(path.with_suffix(".png"), [report.Panel(lines, labels)], size=(8, 5.2))


@question(
    "time_to_quality",
    "method epochs seconds:.2f mse:.3e fits note question reference:.2f ratio:.3f most aim",
    options=(
        option("--hidden", "widths of the hidden layers", type=int, nargs="+"),
        option("--skae-epochs", "epochs of the fits of skae", type=int, nargs="+"),
    ),
    defaults={"n_components": [32], "hidden": [256], "epochs": 20, "repeats": 3}
    | {"skae_epochs": [1, 2, 3, 5, 10, 20]},
    quick={"n_components": [16], "epochs": 2, "skae_epochs": [1, 2], "repeats": 1},
    draw=draw,
    timed=True,
)
def time_to_quality(options):
    """How many seconds a given error takes, compared with other libraries."""
    split = datasets.load(*sources(options))
    rows = _medians(*_measure(split, options))
    hidden = " ".join(map(str, options.hidden))
    about = {"dataset": split.name, "depth": options.n_components[0], "hidden": hidden}
    tables = {"": rows, "_ratios": compare(rows)}
    return {ending: [row | about for row in rows] for ending, rows in tables.items()}


def _measure(split, options):
    """Curves of the fits by method, all in turns, and what is not installed by method."""
    curves, missing = {name: [] for name in (PCA_NAME, SKAE, OWN_LAYERS, *PEERS)}, {}
    (X, _), (held_out, _) = split.train, split.held_out
    for name in list(curves):  # a first small fit, at which libraries load
        try:
            _fit(name, X[:N_WARM_UP], held_out[:N_WARM_UP], options.seed, options, epochs=1)
        except ImportError as error:
            missing[name] = f"not installed: {error}"
            del curves[name]
    turns = [
        (i, name) for i in range(options.repeats) for name in curves if not i or name in REPEATED
    ]
    advance = report.progress(len(turns))
    for i, name in turns:
        pause()
        points = _fit(name, X, held_out, options.seed + i, options)
        curves[name].append(points)
        advance(f"{name}: {points[-1].mse:.3e} after {points[-1].seconds:.2f} s")
    return curves, missing


def _fit(name, X, held_out, seed, options, epochs=None):
    """Points of the curve of a method, of PCA and skae a whole fit each."""
    (k,) = options.n_components
    if name in PEERS:
        curve = Curve(held_out)
        PEERS[name](X, options.hidden, k, epochs or options.epochs, seed, curve)
        return curve.points
    given = {} if name == OWN_LAYERS else {"hidden_layer_sizes": options.hidden}
    lengths = [epochs] if epochs else options.skae_epochs
    fits = {n: AutoencoderTransformer(k, max_iter=n, random_state=seed, **given) for n in lengths}
    if name == PCA_NAME:
        fits = {0: PCA(k, random_state=seed)}
    return [_point(estimator, X, held_out, n) for n, estimator in fits.items()]


def _point(estimator, X, held_out, epochs):
    """Seconds and error of a whole fit."""
    curve = Curve(held_out)
    estimator.fit(X)
    curve.mark(lambda samples: reconstruct(estimator, samples))
    return curve.points[0]._replace(epochs=epochs)


def _medians(curves, missing):
    """A row per point, medians over the fits; and one for what is not installed."""
    rows = [
        {"method": name, "epochs": fits[0].epochs, "seconds": median(fit.seconds for fit in fits)}
        | {"mse": median(fit.mse for fit in fits), "fits": len(fits)}
        for name, found in curves.items()
        for fits in zip(*found, strict=True)
    ]
    return rows + [{"method": name, "note": note} for name, note in missing.items()]


def compare(rows):
    """Seconds of skae to the error of the textbook loop and to half of that of PCA, over theirs.

    `seconds` and `ratio` are nan where the error is not reached.
    """
    by_method = report.by(rows, "method")
    loop, (pca,) = by_method[TEXTBOOK][-1], by_method[PCA_NAME]
    to_loop = f"to the error of {loop['epochs']} epochs of the textbook loop"
    targets = [
        (to_loop, loop["mse"], loop["seconds"], LOOP_LIMITS),
        ("to half of PCA's error", pca["mse"] / 2, pca["seconds"], PCA_LIMITS),
    ]
    ratios = []
    for method in (SKAE, OWN_LAYERS):
        for target, mse, reference, limits in targets:
            reached = [row["seconds"] for row in by_method[method] if row["mse"] <= mse]
            seconds = min(reached, default=float("nan"))
            row = {"question": f"{method} {target}", "mse": mse, "seconds": seconds}
            ratios.append(row | {"reference": reference, "ratio": seconds / reference} | limits)
    return ratios
