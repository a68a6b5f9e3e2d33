"""Helpers of the displays: names of estimators, colors, axes."""

from collections import Counter

from sklearn.utils.validation import check_is_fitted

from skae._compat import validate_style_kwargs

# Ten colors for readers with color vision deficiency: Petroff, M. A. "Accessible Color Sequences
# for Data Visualization". 2021. arXiv:2107.02270
COLORS = (
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
MARKERS = "os^DvPXp<>"  # as many, so that curves and classes do not differ in color alone


def style(i):
    """Color and marker of the i-th curve or class: a hundred different combinations."""
    return {"color": COLORS[i % 10], "marker": MARKERS[(i + i // 10) % 10]}


def n_styles_used(ax):
    """Count the colors of the lines on the axes, so that a second display uses others."""
    return len({line.get_color() for line in ax.lines} & set(COLORS))


def merged(default, given):
    """Merge keyword arguments for matplotlib: those of the user replace defaults, by alias, too."""
    return validate_style_kwargs(default, given or {})


def new_axes(ax, n_columns=1, **figure_kw):
    """Axes to draw on: those given, or `n_columns` new ones on a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(1, n_columns, layout="constrained", **figure_kw)[1]


def last_step(estimator):
    """Estimator itself, or the last step of a Pipeline."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def by_name(estimators):
    """Name fitted estimators: by the keys of a dict, or by their class, numbered if it repeats."""
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
        raise ValueError(f"estimator={estimators!r} is empty: give at least one fitted estimator.")
    for name, estimator in named.items():
        check_is_fitted(estimator)
        if not hasattr(estimator, "inverse_transform"):
            raise ValueError(
                f"{name} has no inverse_transform: give a fitted transformer that has it, or a"
                " Pipeline of such transformers."
            )
    return named
