"""What the displays share: names of estimators, colors, axes."""

from collections import Counter

from sklearn.utils.validation import check_is_fitted

from skae._compat import validate_style_kwargs

# Ten colors that the color-blind can tell apart: M. A. Petroff, "Accessible Color Sequences for
# Data Visualization", 2021.
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MARKERS = "os^DvPXp<>"  # as many, so that color is never all that tells two things apart


def style(i):
    """Colour and marker of the i-th thing; a hundred things have different ones."""
    return {"color": COLOURS[i % 10], "marker": MARKERS[(i + i // 10) % 10]}


def n_styles_used(ax):
    """Number of the colors that the lines of an axes have taken, for a second display on it to go on."""
    return len({line.get_color() for line in ax.lines} & set(COLOURS))


def merged(default, given):
    """Keyword arguments for matplotlib: the user's before the default ones, aliases included."""
    return validate_style_kwargs(default, given or {})


def new_axes(ax, n_columns=1, **figure_kw):
    """Axes to draw on: those given, or as many on a figure of their own."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(1, n_columns, layout="constrained", **figure_kw)[1]


def last_step(estimator):
    """The estimator, or the last one of a Pipeline."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def by_name(estimators):
    """Fitted estimators by name: a dict as it is, one or a list of them by their classes, numbered where one comes again."""
    if isinstance(estimators, dict):
        named = dict(estimators)
    else:
        listed = list(estimators) if isinstance(estimators, list | tuple) else [estimators]
        names = [type(last_step(estimator)).__name__ for estimator in listed]
        several, seen = {name for name, count in Counter(names).items() if count > 1}, Counter()
        named = {}
        for name, estimator in zip(names, listed, strict=True):
            seen[name] += 1
            named[f"{name} {seen[name]}" if name in several else name] = estimator
    if not named:
        raise ValueError(f"estimators={estimators!r} is empty: give at least one fitted estimator.")
    for name, estimator in named.items():
        check_is_fitted(estimator)
        if not hasattr(estimator, "inverse_transform"):
            raise ValueError(
                f"{name} has no inverse_transform: give a transformer that reconstructs, or a Pipeline of such."
            )
    return named
