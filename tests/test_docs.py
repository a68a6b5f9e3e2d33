"""What the documentation shows runs, and says what is so."""

import csv
import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

import skae

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide.md"
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("plot_*.py"))
MODULES = ["skae", *(module.name for module in pkgutil.walk_packages(skae.__path__, "skae."))]
PUBLIC = [getattr(skae, name) for name in skae.__all__]
ESTIMATORS = [thing for thing in PUBLIC if inspect.isclass(thing) and issubclass(thing, BaseEstimator)]
DISPLAYS = [thing for thing in PUBLIC if thing.__name__.endswith("Display")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    matplotlib.use("Agg")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    plt.close("all")
    assert result.failed == 0


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_public_names_have_an_example(thing):
    assert doctest.DocTestFinder(recurse=False).find(thing)[0].examples


@pytest.mark.parametrize("block", ["python"])
def test_readme_examples(block, capsys):
    blocks = re.findall(rf"^```{block}\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {}
    for code in blocks:
        exec(compile(code, str(README), "exec"), namespace)  # later blocks use the names of earlier ones
    pca, autoencoder = map(float, capsys.readouterr().out.split()[:2])
    assert autoencoder > pca


def test_guide_runs(monkeypatch):
    guide = ModuleType("guide")  # of which its functions are, as the cache of a Pipeline pickles them by name
    monkeypatch.setitem(sys.modules, "guide", guide)
    namespace = vars(guide)
    for code in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        exec(compile(code, str(GUIDE), "exec"), namespace)
    assert namespace["small"].n_components_ == 4
    assert namespace["search"].best_score_ > 0.8


def test_figures_of_the_guide_are_those_that_the_examples_wrote():
    text = GUIDE.read_text(encoding="utf-8")
    with (ROOT / "docs" / "pictures" / "figures.csv").open(encoding="utf-8", newline="") as file:
        written = {f"{row['example']}: {row['method']}": row["value"] for row in csv.DictReader(file)}
    shown = dict(re.findall(r"<!-- (.*?) -->([\d.]+\d)", text))
    assert shown
    assert shown.items() <= written.items()
    for link in re.findall(r"\]\((?!http)(.*?)\)", text):
        assert (GUIDE.parent / link).exists(), link


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_draw_their_picture_and_show_what_they_say(path, tmp_path):
    matplotlib.use("Agg")
    try:
        namespace = runpy.run_path(str(path))
        namespace["figure"].savefig(tmp_path / "picture.png")
    finally:
        plt.close("all")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    measured = namespace.get("errors") or {name: -score for name, score in namespace["scores"].items()}
    assert measured["skae"] == min(value for name, value in measured.items() if name != "clean")


def _sections(docstring):
    """The text of each numpydoc section by its name."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _entries(section):
    """``name : type`` entries of a section, as a dict."""
    return dict(re.findall(r"^(\w[\w, ]*) : (.*)$", section, flags=re.MULTILINE))


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_parameters_are_documented_in_their_order_with_their_defaults(thing):
    documented = _entries(_sections(thing.__doc__)["Parameters"])
    parameters = inspect.signature(thing).parameters
    assert list(documented) == list(parameters)
    for name, parameter in parameters.items():
        if "default=" in documented[name]:
            shown = documented[name].partition("default=")[2]
            assert eval(shown) == parameter.default, name
        else:
            assert parameter.default in (inspect.Parameter.empty, None), name


@pytest.mark.parametrize("thing", ESTIMATORS, ids=lambda thing: thing.__name__)
def test_fitted_attributes_are_documented(thing):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "b", "c"])
    estimator = thing(2, max_iter=1).fit(X)
    fitted = {name for name in dir(estimator) if re.fullmatch(r"[a-z]\w*_", name)}
    if "ordered" in estimator.get_params():
        fitted.add("explained_variance_ratio_")
    assert fitted == set(_entries(_sections(estimator.__doc__)["Attributes"]))


@pytest.mark.parametrize("thing", DISPLAYS, ids=lambda thing: thing.__name__)
def test_drawn_attributes_are_documented(thing):
    matplotlib.use("Agg")
    X = np.random.default_rng(0).normal(size=(20, 4))
    estimator = skae.AutoencoderTransformer(2, ordered=True, max_iter=1).fit(X)
    display = thing.from_estimator(estimator, *([] if thing is skae.LossCurveDisplay else [X]))
    plt.close("all")
    drawn = {name for name in vars(display) if name.endswith("_")}
    assert drawn == set(_entries(_sections(thing.__doc__)["Attributes"]))
    assert set(vars(display)) - drawn == set(inspect.signature(thing).parameters)


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_public_methods_are_documented(thing):
    methods = [thing] if inspect.isfunction(thing) else _own_methods(thing)
    for method in methods:
        documented = _entries(_sections(method.__doc__).get("Parameters", ""))
        assert list(documented) == [name for name in inspect.signature(method).parameters if name != "self"], method.__name__
        assert _sections(method.__doc__).keys() & {"Returns", "Yields"}, method.__name__


def _own_methods(cls):
    methods = inspect.getmembers(cls, inspect.isroutine)
    return [m for name, m in methods if not name.startswith("_") and (m.__module__ or "").startswith("skae")]
