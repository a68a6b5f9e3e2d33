"""Files that describe the project agree with the package and with each other."""

import re
import tomllib
from pathlib import Path

import skae

ROOT = Path(__file__).parent.parent
PINS = dict(re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


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


def test_every_extra_is_pinned():
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    requirements = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}
    assert names - {"skae"} <= {name.lower().replace("_", "-") for name in PINS}


def test_every_example_has_its_place_in_the_gallery():
    placed = set(re.findall(r'^    "(plot_\w+)",$', _read("docs/conf.py"), re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs" / "examples").glob("plot_*.py")} <= placed
