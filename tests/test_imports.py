"""Who may import what: parts know nothing of one another, and one file alone knows skorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skae

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "skae").rglob("*.py"))
DISPLAYS = sorted((ROOT / "skae" / "_plot").glob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
NN = sorted((ROOT / "skae" / "_nn").glob("*.py"))
# Which of our files each folder may import from: the arrows of the house, all of which point down.
ARROWS = {"_data": {"_data"}, "_linear": {"_data", "_linear"}, "_nn": {"_nn"}}
IN_FOLDERS = [path for folder in ARROWS for path in sorted((ROOT / "skae" / folder).glob("*.py"))]


def _imports(path):
    """Dotted names of all that a file imports, wherever in it: ``from a import b`` is ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _packages(path):
    return {name.partition(".")[0] for name in _imports(path)}


def test_imports_are_found(tmp_path):
    path = tmp_path / "example.py"
    path.write_text("import os.path as p\nfrom skae import _base\ndef f():\n    from skorch.callbacks import Callback\n")
    assert _imports(path) == {"os.path", "skae._base", "skorch.callbacks.Callback"}
    assert _packages(path) == {"os", "skae", "skorch"}


def test_all_folders_are_there():
    assert {path.parent.name for path in IN_FOLDERS} == set(ARROWS)
    assert {"autoencoder", "latents", "likelihoods", "networks", "objectives", "outputs"} <= {path.stem for path in NN}


@pytest.mark.parametrize("path", IN_FOLDERS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_arrows_point_down(path):
    ours = {name for name in _imports(path) if name.partition(".")[0] == "skae"}
    assert {name.split(".")[1] for name in ours} <= ARROWS[path.parent.name]


@pytest.mark.parametrize("path", NN, ids=lambda path: path.stem)
def test_networks_know_torch_and_numpy_only(path):
    assert _packages(path) <= {"numpy", "skae", "torch", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", sorted((ROOT / "skae" / "_data").glob("*.py")), ids=lambda path: path.stem)
def test_data_know_no_torch_modules(path):
    assert not {name for name in _imports(path) if name.startswith("torch.nn")}


def test_training_alone_knows_skorch():
    assert {path.stem for path in MODULES if "skorch" in _packages(path)} == {"_training"}


def test_training_knows_of_other_files_how_to_warn_only():
    ours = {name for name in _imports(ROOT / "skae" / "_training.py") if name.startswith("skae")}
    assert ours == {"skae._warnings.warn_caller"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_optional_is_imported(path):
    required = {"joblib", "numpy", "scipy", "skae", "sklearn", "skorch", "threadpoolctl", "torch", *sys.stdlib_module_names}
    assert _packages(path) - ({"matplotlib"} if path in DISPLAYS else set()) <= required


@pytest.mark.parametrize("path", DISPLAYS, ids=lambda path: path.stem)
def test_displays_know_no_torch_and_matplotlib_in_functions_only(path):
    assert "torch" not in _packages(path)
    top = ast.parse(path.read_text(encoding="utf-8")).body
    imports = [ast.unparse(node) for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [line for line in imports if line.startswith(("import matplotlib", "from matplotlib"))]


def test_there_are_benchmarks():
    assert {"run", "engine"} <= {path.stem for path in BENCHMARKS}


@pytest.mark.parametrize("path", [*BENCHMARKS, *EXAMPLES], ids=lambda path: path.stem)
def test_benchmarks_and_examples_use_public_names_only(path):
    public = {"skae", *(f"skae.{name}" for name in skae.__all__)}
    assert {name for name in _imports(path) if name.partition(".")[0] == "skae"} <= public


@pytest.mark.parametrize("path", [*BENCHMARKS, *EXAMPLES], ids=lambda path: path.stem)
def test_benchmarks_and_examples_use_public_attributes_only(path):
    if "skae" not in _imports(path):
        return  # a local variable may have that name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_skae(node.value)}
    assert used <= {*skae.__all__, "__file__", "__version__"}


def _is_skae(node):
    return isinstance(node, ast.Name) and node.id == "skae"


def test_public_names_are_there():
    assert set(skae.__all__) == {name for name in vars(skae) if not name.startswith("_")}


OPTIONAL = {"matplotlib", "pandas", "polars", "rich", "safetensors", "skops"}


def _run(program):
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def test_importing_skae_pulls_in_nothing_optional():
    # scikit-learn itself imports pandas and rich where they are installed.
    loaded = _run(
        "import sys, sklearn.base, sklearn.decomposition, sklearn.metrics, skorch, torch; before = set(sys.modules);"
        "import skae; print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    assert "skae" in loaded
    assert not set(loaded) & (OPTIONAL | {"pytest", "benchmarks"})


# As though the packages were not installed.
ABSENT = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
absent = {optional}
PathFinder.find_spec = lambda name, *args: None if name.partition(".")[0] in absent else find_spec(name, *args)
"""


def test_nothing_optional_is_needed():
    program = ABSENT.format(optional=sorted(OPTIONAL)) + (
        "import numpy, skae\n"
        "X = numpy.random.default_rng(0).normal(size=(30, 4))\n"
        "print(*skae.AutoencoderTransformer(2, max_iter=2).fit(X).transform(X).shape)\n"
    )
    assert _run(program) == ["30", "2"]


def test_displays_say_that_they_need_matplotlib():
    program = ABSENT.format(optional=sorted(OPTIONAL)) + (
        "import numpy, skae\n"
        "from sklearn.decomposition import PCA\n"
        "X = numpy.random.default_rng(0).normal(size=(30, 4))\n"
        "for name in ('CodeMapDisplay', 'DepthCurveDisplay', 'ReconstructionDisplay'):\n"
        "    try:\n"
        "        getattr(skae, name).from_estimator(PCA(2).fit(X), X)\n"
        "    except ImportError as error:\n"
        "        print(str(error).split(' requires ')[0])\n"
    )
    assert _run(program) == [f"{name}Display.from_estimator" for name in ("CodeMap", "DepthCurve", "Reconstruction")]
