"""What the documentation shows runs, and says what is so."""

import doctest
import importlib.util
import inspect
import pickle
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
from skae._data.corruptions import CORRUPTIONS
from skae._likelihoods import LIKELIHOODS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FIGURES = runpy.run_path(str(ROOT / "docs" / "figures.py"))
PAGES, FIGURE, TABLE, fill = (FIGURES[name] for name in ("PAGES", "FIGURE", "TABLE", "fill"))
WHAT_PAGES_SAY = {  # by page, of the names that its code leaves
    "architecture": lambda names: all(
        fit.best_iter_ > 0 and _is_whole(fit, names.X)
        for fit in (names.denoiser, names.vae, names.gated)
    ),
    "autoencoder": lambda names: names.autoencoder.best_iter_ > 0,
    "coming_from": lambda names: names.codes.shape == (450, 8) and 0 < names.labels.mean() < 0.5,
    "denoising": lambda names: (
        np.mean((names.denoised - names.clean[names.test]) ** 2)
        < np.mean((names.noisy[names.test] - names.clean[names.test]) ** 2) / 2
    ),
    "depth": lambda names: names.small.n_components_ == 4 and names.search.best_score_ > 0.8,
    "convolutional": lambda names: (
        names.classifier.score(names.images[1200:], names.y[1200:]) > 0.8
    ),
    "faq": lambda names: names.codes.shape == (1797, 8) and names.autoencoder.n_features_in_ == 64,
    "practice": lambda names: list(names.labels) == list(names.pipeline.predict(names.samples)),
    "networks": lambda names: (
        names.reconstruction_score(names.PCA(8).fit(names.X_train), names.X_test)
        < min(names.autoencoder.score(names.X_test), names.convolutional.score(names.test)) - 0.1
    ),
    "variational": lambda names: (
        names.vae.score(names.held_out) > names.PCA(8).fit(names.X).score(names.held_out)
    ),
}
REGISTRIES = (CORRUPTIONS, LIKELIHOODS)  # which recipes add to
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("plot_*.py"))
MODULES = ["skae", *(module.name for module in pkgutil.walk_packages(skae.__path__, "skae."))]
PUBLIC = [getattr(skae, name) for name in skae.__all__]
NEED_SKL2ONNX = ("skae.onnx", "skae._onnx_graph")
if importlib.util.find_spec("skl2onnx"):
    PUBLIC.append(importlib.import_module("skae.onnx").reconstruction_to_onnx)
ESTIMATORS = [
    thing for thing in PUBLIC if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
]
DISPLAYS = [thing for thing in PUBLIC if thing.__name__.endswith("Display")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    if name in NEED_SKL2ONNX:
        pytest.importorskip("skl2onnx")
    matplotlib.use("Agg")
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    plt.close("all")
    assert result.failed == 0


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_public_names_have_an_example(thing):
    assert doctest.DocTestFinder(recurse=False).find(thing)[0].examples


def test_readme_prints_what_it_shows(capsys):
    readme = README.read_text(encoding="utf-8")
    code, shown = re.search(
        r"^```python\n(.*?)^```.*?^```\n(.*?)^```", readme, re.M | re.S
    ).groups()
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == shown
    assert readme.count("```python") == 1


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 120


def _is_whole(estimator, X):
    """Whether its score is finite and a file has all of it."""
    score = estimator.score(X)
    return np.isfinite(score) and pickle.loads(pickle.dumps(estimator)).score(X) == score


def _by_need(paths):
    """Parameters of a test that are marked if they use callbacks of scikit-learn."""
    needs_callbacks = [pytest.mark.requires("scikit-learn>=1.9")]
    uses_callbacks = ["sklearn.callback" in path.read_text(encoding="utf-8") for path in paths]
    return [
        pytest.param(path, marks=needs_callbacks if uses else [], id=path.stem)
        for path, uses in zip(paths, uses_callbacks, strict=True)
    ]


@pytest.fixture
def _registries():
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.mark.usefixtures("_registries")
@pytest.mark.parametrize("page", _by_need(PAGES))
def test_pages_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where what is saved goes
    # Of which its functions are, as the cache of a Pipeline pickles them by name.
    module = ModuleType(page.stem)
    monkeypatch.setitem(sys.modules, page.stem, module)
    for code in re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    ):
        exec(compile(code, str(page), "exec"), vars(module))
    assert WHAT_PAGES_SAY.get(page.stem, lambda names: True)(module)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_figures_of_pages_are_those_of_the_files(page):
    text = page.read_text(encoding="utf-8")
    assert fill(text) == text
    said = re.sub(
        r"```.*?```|`.*?`|\$\$.*?\$\$", "", FIGURE.sub("", TABLE.sub("", text)), flags=re.DOTALL
    )
    assert not re.findall(r"\d\.\d+|\d+ ?%", said), (
        "figures without a comment that says what they are"
    )
    assert not re.findall(r"^<!-- .* -->.", text, flags=re.MULTILINE), (
        "a comment that begins a line ends the paragraph"
    )


def test_changed_figures_are_seen():
    text = 'R² is <!-- {of(depth_mnist_test, method="PCA", depth=8).r2:.2f} -->0.45.\n'
    assert fill(text) == text.replace("0.45", "0.44")
    what = (
        'depth_mnist_test.query("depth == 8").pivot(index="method", columns="depth", values="r2")'
    )
    table = f"<!-- {{{what}:.2f}} -->\n| gone |\n"
    assert fill(table).splitlines()[1:4] == ["| depth | 8 |", "| --- | ---: |", "| PCA | 0.44 |"]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_links_of_pages_lead_to_files(page):
    for link in re.findall(r"\]\((?!http)([^#)]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("path", _by_need(EXAMPLES))
def test_examples_draw_their_picture_and_show_what_they_say(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    try:
        namespace = runpy.run_path(str(path))
        pictures = [plt.figure(number) for number in plt.get_fignums()]
        for picture in pictures:
            picture.savefig(tmp_path / "picture.png")
    finally:
        plt.close("all")
    assert namespace["figure"] in pictures
    measured = namespace.get("errors") or {
        name: -score for name, score in namespace.get("scores", {}).items()
    }
    if measured:
        assert measured["skae"] == min(measured.values())


def _sections(docstring):
    """The text of each numpydoc section by its name."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _entries(section):
    """``name : type`` entries of a section, as a dict."""
    return dict(re.findall(r"^(?:\*\*)?(\w[\w, ]*) : (.*)$", section, flags=re.MULTILINE))


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
    if "prior" in estimator.get_params():
        fitted |= {"prior_", "offset_"}
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
        assert list(documented) == [
            name for name in inspect.signature(method).parameters if name != "self"
        ], method.__name__
        assert _sections(method.__doc__).keys() & {"Returns", "Yields"}, method.__name__


def _own_methods(cls):
    methods = inspect.getmembers(cls, inspect.isroutine)
    return [
        m
        for name, m in methods
        if not name.startswith("_") and (m.__module__ or "").startswith("skae")
    ]
