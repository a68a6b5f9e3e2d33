"""The public prose uses the words of scikit-learn, of PyTorch and of the papers."""

import ast
import inspect
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils._testing import assert_docstring_consistency

import skae

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docs" / "guide").glob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
SOURCES = sorted((ROOT / "skae").rglob("*.py"))
PUBLIC = [getattr(skae, name) for name in skae.__all__]
if find_spec("skl2onnx"):
    PUBLIC.append(import_module("skae.onnx").reconstruction_to_onnx)
ESTIMATORS = [thing for thing in PUBLIC if hasattr(thing, "fit")]
WARNERS = {"warn", "warn_caller"}

# A pattern of what is not written, and what is written in its place.
INSTEAD = {
    r"\brows?\b(?!\s(groups?|(and|or) columns?))"
    r"(?! of (an? )?(array|DataFrame|matrix|images|figures))": "sample",
    r"\bdamag\w*": "corruption, corrupted, noisy; of a file: corrupt",
    r"\b(a|the|same|this|that|what|each|whose) share\b|\bshares? of\b": "fraction, proportion",
    r"\b(is|are|be|been|was|were) judged\b|\bjudges\b": "is validated on, selects",
    r"\btold\b|\btells\b": "carries information, is conditioned on",
    r"\bg[ai]ves?n? back\b|\b(comes?|gets?|puts?) back\b": "returns, reconstructs, restores",
    r"\bstrange(st)?\b": "anomalous, outlier, most anomalous",
    r"\bsame bits\b|\bbit for bit\b": "bitwise reproducible",
    r"(?<![Dd]ata )\bframes?\b": "DataFrame",
    r"\b[Dd]ata frames?\b": "DataFrame",
    r"\bwithheld\b": "validation set, held out",
    r"\bunits? of the data\b": "in the units of X",
    r"(?<!evidence )(?<!weighted )\blower bound (of|on) (the )?(log|density|likelihood)": "evidence"
    " lower bound (ELBO)",
    r"\b(its|this|validation) bound\b(?! of a (side|feature))": "ELBO",
    r"\b(\d+|more|fewer|many|these|those|by|no|of|the|training|all|set of) draws\b": "Monte Carlo"
    " samples",
    r"\bpictures?\b": "figure, image",
    r"(?<!notebook )(?<!code )\bcells?\b": "entries, missing values",
    r"\bby heart\b": "overfit",
    r"\b(by|to|than|from|of) luck\b": "not significant",
    r"\bso many\b": "that many",
    r"\banew\b": "again",
    r"\bbeside\b": "next to, besides, and",
    r"\bshall\b": "should",
    r"\bn-D\b": "N-dimensional",
    r"\bcut codes?\b": "nested dropout, Matryoshka representation",
    r"\b(is|are) coded\b|\bto code\b": "encode",
    r"\bbehind the codes?\b": "downstream estimator",
    r"(?<![Tt]here )\b(is|are) no (?!longer|more|fewer|less|different)\w": "is not a, must be",
    r"\b(?<!encoding )depths?\b(?! of (a|the|their|its) (network|layer|tree)s?)": "number of"
    " components",
    r"\b(\w*colour\w*|grey|learnt|behaviour\w*|neighbour\w*|modell\w+|centred?)\b": "American",
    r"\b\w*(al|olor|ctor|im|ter|nal|dard|oth|gn|ri|an|iti)is(es?|ed|ing|ation)\b": "American",
}


def _prose(page):
    """A page of Markdown without code, formulas, comments and addresses."""
    return re.sub(
        r"^(`{3,}|:{3,}).*?^\1|\$\$.*?\$\$|<!--.*?-->|`[^`]*`|\$[^$]*\$|\]\([^)]*\)",
        " ",
        page,
        flags=re.MULTILINE | re.DOTALL,
    )


def _docstring_prose(docstring):
    """A docstring without its examples, literals, formulas, directives and headings."""
    text = re.sub(
        r"^\s*(>>>|\.\.\. ).*?(?=^\s*$|\Z)", "", docstring, flags=re.MULTILINE | re.DOTALL
    )
    text = re.sub(
        r"^References\n-+\n.*?(?=^\w+\n-+\n|\Z)", "", text, flags=re.MULTILINE | re.DOTALL
    )
    text = re.sub(r"^\w[\w, ]* : .*$", "", text, flags=re.MULTILINE)  # names are code
    return re.sub(
        r"``.*?``|:\w+:`[^`]*`|`[^`]*`|\.\. math::.*?(?=\n\s*\n|\Z)", " ", text, flags=re.DOTALL
    )


def _example_prose(path):
    """The title and the comments of an example."""
    source = path.read_text(encoding="utf-8")
    comments = "\n".join(re.findall(r"#\s(.*)", source))
    return _docstring_prose(ast.get_docstring(ast.parse(source)) or "") + "\n" + comments


@cache
def _messages():
    """The text of each error and warning of the package, by file and line."""
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else node
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if isinstance(node, ast.Raise) or name in WARNERS:
                texts = [
                    part.value
                    for argument in call.args
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                if texts:
                    found[f"{path.relative_to(ROOT)}:{node.lineno}"] = " ".join(texts)
    return found


def _public_docstrings():
    for thing in PUBLIC:
        yield thing.__name__, inspect.getdoc(thing)
        if inspect.isclass(thing):
            for name, member in inspect.getmembers(thing):
                source = inspect.unwrap(member.fget if isinstance(member, property) else member)
                module = getattr(source, "__module__", None) or ""
                if not name.startswith("_") and module.startswith("skae") and member.__doc__:
                    yield f"{thing.__name__}.{name}", inspect.getdoc(member)


TEXTS = {
    **{str(path.relative_to(ROOT)): _prose(path.read_text(encoding="utf-8")) for path in PAGES},
    **{str(path.relative_to(ROOT)): _example_prose(path) for path in EXAMPLES},
    **{name: _docstring_prose(text) for name, text in _public_docstrings()},
    **_messages(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_are_those_of_the_field(name):
    found = [
        f"{match[0]!r} in {TEXTS[name][max(0, match.start() - 40) : match.end() + 20]!r}: {better}"
        for pattern, better in INSTEAD.items()
        for match in re.finditer(pattern, TEXTS[name])
    ]
    assert not found, "\n".join(found)


def test_messages_are_found():
    assert len(_messages()) > 50
    assert any("X_val" in text for text in _messages().values())


@pytest.mark.parametrize(
    "text",
    [
        "The rows of X.",
        "The strangest sample.",
        "It gives back X.",
        "A share of the variance.",
        "X is no array.",
        "The bound of the VAE is a lower bound of the log density.",
        "colour",
        "standardised",
    ],
)
def test_the_old_words_are_found(text):
    assert any(re.search(pattern, text) for pattern in INSTEAD)


@pytest.mark.parametrize(
    "text",
    [
        "The rows of an array.",
        "The loss is no longer finite.",
        "There is no remedy.",
        "Noise raised otherwise; precise.",
        "A DataFrame.",
        "The output is clipped to the bounds.",
        "The encoding depth of the code.",
    ],
)
def test_words_of_the_field_are_allowed(text):
    assert not [pattern for pattern in INSTEAD if re.search(pattern, text)]


@pytest.mark.requires("scikit-learn>=1.7")
@pytest.mark.filterwarnings("ignore:Checking was skipped")  # not all have each parameter
def test_a_parameter_has_one_text_in_all_estimators():
    """What differs by estimator is listed; the text of everything else is the same."""
    differs = ["n_components", "ordered", "output_activation", "max_iter", "random_state"]
    assert_docstring_consistency(
        ESTIMATORS,
        include_params=True,
        exclude_params=[*differs, "image_shape"],
        ignore_types=("learning_rate_init",),
    )
    assert_docstring_consistency(
        ESTIMATORS, include_attrs=["n_features_in_", "mean_", "n_iter_", "net_"]
    )


@pytest.mark.parametrize("name", [name for name, _ in _public_docstrings()])
def test_help_fits_the_terminal(name):
    """In `help` of a class, a method is indented by 8 columns, the class itself by 4."""
    text = dict(_public_docstrings())[name]
    lines = [line for line in text.splitlines() if not line.startswith(("set_", ">>>"))]
    assert np.max([len(line) for line in lines]) <= 100 - (8 if "." in name else 4)


def test_descriptions_are_whole():
    """A description says what the parameter is: it does not begin in the middle of a sentence."""
    for name, text in _public_docstrings():
        for parameter, description in re.findall(
            r"^(\w+) : .*\n    (.*)", text, flags=re.MULTILINE
        ):
            assert not re.match(r"(Of|As|In|By|From|Where|With|To) ", description), (
                name,
                parameter,
                description,
            )
            assert re.match(r"[A-Z`\"0-9:{(-]", description), (name, parameter, description)
