"""Files that describe the project agree with the package and with each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import skae

ROOT = Path(__file__).parent.parent


def _pins(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    return {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(r"^([\w.-]+)==(.+)$", text, re.MULTILINE)
    }


PINS, OLDEST = _pins("constraints.txt"), _pins("constraints-oldest.txt")


def _read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_changelog_and_citation_name_the_version():
    versions = re.findall(r"^## (\S+)", _read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert versions[1] == skae.__version__
    assert f"\nversion: {skae.__version__}\n" in _read("CITATION.cff")


def test_hooks_have_the_versions_of_the_constraints():
    hooks = dict(re.findall(r"/([\w-]+)\n    rev: v(\S+)", _read(".pre-commit-config.yaml")))
    assert hooks == {"ruff-pre-commit": PINS["ruff"], "codespell": PINS["codespell"]}


PROJECT = tomllib.loads(_read("pyproject.toml"))["project"]


def _bounds(*extras):
    """Lower bounds of the dependencies and of these extras."""
    lists = [PROJECT["optional-dependencies"][extra] for extra in extras]
    requirements = map(Requirement, sum(lists, PROJECT["dependencies"]))
    return {
        requirement.name.lower(): str(requirement.specifier).removeprefix(">=")
        for requirement in requirements
        if requirement.name != "skae"
    }


def test_every_extra_is_pinned():
    assert set(_bounds(*PROJECT["optional-dependencies"])) <= set(PINS)


def test_the_oldest_versions_are_the_lower_bounds():
    bounds = _bounds("dask", "files", "plot", "progress", "test")
    assert set(bounds) <= set(OLDEST)
    newer = {name for name, bound in bounds.items() if Version(OLDEST[name]) != Version(bound)}
    assert newer == {"torch"}
    assert Version(OLDEST["torch"]) >= Version(bounds["torch"])


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_pages_name_the_lower_bounds(page):
    text = re.sub(r"[`\s]+|>=", " ", _read(page)).lower()
    names = {"scikit-learn": "scikit-learn", "torch": "pytorch", "numpy": "numpy"}
    names["skorch"] = "skorch"
    for name, shown in names.items():
        bound = _bounds()[name]
        assert f"{shown} {bound}" in text or f"{name} {bound}" in text, name


def test_every_python_is_tested():
    pythons = re.findall(r":: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    workflow = _read(".github/workflows/ci.yml")
    assert re.search(r"^        python: (.*)$", workflow, re.MULTILINE)[1] == str(pythons).replace(
        "'", '"'
    )


def test_every_example_has_its_place_in_the_gallery():
    placed = set(re.findall(r'^    "(plot_\w+)",$', _read("docs/conf.py"), re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs" / "examples").glob("plot_*.py")} <= placed
