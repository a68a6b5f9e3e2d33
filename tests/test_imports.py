"""Who may import what: parts know nothing of one another, and one file alone knows skorch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import ESTIMATORS

import skae
from skae._base import BaseAutoencoder

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "skae").rglob("*.py"))
DISPLAYS = sorted((ROOT / "skae" / "_plot").glob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
# What each file, or folder, may import of the package. Everything it imports is listed above it, so
# that there are no cycles.
ARROWS = {
    "_version": set(),
    "_compat": set(),
    "_warnings": set(),
    "_threads": set(),
    "_scores": set(),
    "_summary": set(),
    "_prior": set(),
    "_data": {"_threads"},
    "_nn": set(),
    "_linear": {"_data", "_threads"},
    "_likelihoods": {"_data", "_linear"},
    "_training": {"_compat", "_nn", "_threads", "_warnings"},
    "_model": {"_data", "_likelihoods", "_nn", "_scores"},
    "_preparation": {"_data", "_linear"},
    "_lazy": {"_compat", "_data"},
    "distributed": {"_data"},
    "_cluster": {"_data", "distributed"},
    "_frames": {"_compat", "_data"},
    "_parameters": {"_compat", "_nn"},
    "_images": {"_data", "_frames", "_parameters"},
    "_files": {"_model", "_training", "_version"},
    "_export": set(),
    "_imputation": {"_frames"},
    "_ordered": {"_files", "_parameters"},
    "_outliers": {"_linear"},
    "_fitting": {
        "_compat",
        "_data",
        "_files",
        "_frames",
        "_model",
        "_nn",
        "_parameters",
        "_preparation",
        "_training",
        "_warnings",
    },
    "_base": {
        "_cluster",
        "_compat",
        "_data",
        "_export",
        "_files",
        "_fitting",
        "_frames",
        "_imputation",
        "_lazy",
        "_linear",
        "_nn",
        "_ordered",
        "_parameters",
        "_preparation",
        "_summary",
    },
    "_autoencoder": {"_base", "_parameters"},
    "_conv": {"_base", "_images", "_parameters"},
    "_denoising": {
        "_base",
        "_cluster",
        "_compat",
        "_data",
        "_files",
        "_frames",
        "_images",
        "_linear",
        "_nn",
        "_parameters",
        "_preparation",
    },
    "_vae": {
        "_base",
        "_compat",
        "_data",
        "_images",
        "_lazy",
        "_likelihoods",
        "_linear",
        "_nn",
        "_outliers",
        "_parameters",
        "_prior",
        "_warnings",
    },
    "_onnx_graph": {"_likelihoods", "_nn"},
    "onnx": {"_autoencoder", "_base", "_conv", "_denoising", "_onnx_graph", "_vae"},
    "_plot": {"_compat", "_parameters", "_scores"},
    "__init__": {"_autoencoder", "_conv", "_denoising", "_vae", "_plot", "_scores", "_version"},
}
FACES = ("_autoencoder", "_conv", "_denoising", "_vae")


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
    path.write_text(
        "import os.path as p\nfrom skae import _base\n"
        "def f():\n    from skorch.callbacks import Callback\n"
    )
    assert _imports(path) == {"os.path", "skae._base", "skorch.callbacks.Callback"}
    assert _packages(path) == {"os", "skae", "skorch"}


def _part(path):
    """The folder of a file within the package, or its own name."""
    return path.relative_to(ROOT / "skae").parts[0].removesuffix(".py")


def _ours(path):
    """What a file imports of ours, each as far as it names a file."""
    names = {name for name in _imports(path) if name.partition(".")[0] == "skae"}
    return {name if _file(name) else name.rpartition(".")[0] for name in names}


def _file(name):
    path = ROOT.joinpath(*name.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.exists()), None)


def test_the_house_is_all_there_and_every_arrow_points_down():
    assert {_part(path) for path in MODULES} == set(ARROWS)
    parts = list(ARROWS)
    for i, part in enumerate(parts):
        assert ARROWS[part] <= set(parts[:i])


@pytest.mark.parametrize("part", ARROWS)
def test_each_part_imports_what_is_beneath_it_alone(part):
    used = {name.split(".")[1] for path in MODULES if _part(path) == part for name in _ours(path)}
    assert used - {part} == ARROWS[part]


def test_no_imports_go_in_a_circle():
    graph = {path: {_file(name) for name in _ours(path)} for path in MODULES}
    assert all(None not in files for files in graph.values())
    assert set(TopologicalSorter(graph).static_order()) >= set(MODULES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_file_is_long(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines < 420 if path.stem == "_base" else n_lines <= 400 or path.stem in FACES


NN = sorted((ROOT / "skae" / "_nn").glob("*.py"))


@pytest.mark.parametrize("path", NN, ids=lambda path: path.stem)
def test_networks_know_torch_and_numpy_only(path):
    assert _packages(path) <= {"numpy", "skae", "torch", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "skae" / "_data").glob("*.py")), ids=lambda path: path.stem
)
def test_data_know_no_torch_modules(path):
    assert not {name for name in _imports(path) if name.startswith("torch.nn")}


def test_training_alone_knows_skorch():
    assert {_part(path) for path in MODULES if "skorch" in _packages(path)} == {"_training"}


def _is_private(name):
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_what_is_private_elsewhere_stands_in_one_file_and_nothing_of_torch_does(path):
    private = {
        name for name in _imports(path) if not name.startswith("skae.") and _is_private(name)
    }
    assert not {name for name in private if name.partition(".")[0] == "torch"}
    assert path.stem == "_compat" or not private


# Subclasses.

SCIKIT_LEARNS = {
    "__init__",
    "_parameter_constraints",
    "__sklearn_tags__",
    "_sklearn_auto_wrap_output_keys",
}


def _is_hook(attribute):
    return getattr(getattr(attribute, "fget", attribute), "is_hook", False)


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_estimators_override_declared_hooks_only(cls):
    base = vars(BaseAutoencoder)
    inherited = {name for ancestor in BaseAutoencoder.__mro__[:-1] for name in vars(ancestor)}
    declared = {name for name, attribute in base.items() if _is_hook(attribute)} | {
        "_per_component"
    }
    classes = [c for c in cls.__mro__ if c not in BaseAutoencoder.__mro__]
    assert cls in classes
    for c in classes:
        overridden = {name for name in vars(c) if name in inherited and not hasattr(object, name)}
        python = {
            "__module__",
            "__doc__",
            "__abstractmethods__",
            "_abc_impl",
            "__annotations__",
            "__firstlineno__",
        }
        python |= {
            "__static_attributes__",
            "__annotations_cache__",
            "__annotate_func__",
            "__dict__",
            "__weakref__",
        }
        metadata = {
            name
            for name in overridden
            if name.startswith(("set_", "_metadata_request", "__metadata_request"))
        }
        assert overridden - python - metadata - SCIKIT_LEARNS <= declared


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_optional_is_imported(path):
    required = {
        "joblib",
        "numpy",
        "scipy",
        "skae",
        "sklearn",
        "skorch",
        "threadpoolctl",
        "torch",
        *sys.stdlib_module_names,
    }
    # Whoever gives a Parquet file or an array of dask has the library.
    optional = {
        "_cluster": {"dask", "distributed"},
        "_lazy": {"dask", "pandas"},
        "_onnx_graph": {"onnx", "skl2onnx"},
        "onnx": {"skl2onnx"},
        "streams": {"pyarrow"},
    }.get(path.stem, set())
    optional |= {"matplotlib"} if path in DISPLAYS else set()
    assert _packages(path) - optional <= required


@pytest.mark.parametrize("path", DISPLAYS, ids=lambda path: path.stem)
def test_displays_know_no_torch_and_matplotlib_in_functions_only(path):
    assert "torch" not in _packages(path)
    top = ast.parse(path.read_text(encoding="utf-8")).body
    imports = [ast.unparse(node) for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [
        line for line in imports if line.startswith(("import matplotlib", "from matplotlib"))
    ]


def test_there_are_benchmarks():
    assert {"depth", "engine"} <= {path.stem for path in BENCHMARKS}


@pytest.mark.parametrize("path", [*BENCHMARKS, *EXAMPLES], ids=lambda path: path.stem)
def test_benchmarks_and_examples_use_public_names_only(path):
    public = {"skae", *(f"skae.{name}" for name in skae.__all__)}
    public |= {"skae.distributed.process_group"}
    assert {name for name in _imports(path) if name.partition(".")[0] == "skae"} <= public


@pytest.mark.parametrize("path", [*BENCHMARKS, *EXAMPLES], ids=lambda path: path.stem)
def test_benchmarks_and_examples_use_public_attributes_only(path):
    if "skae" not in _imports(path):
        return  # a local variable may have that name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _is_skae(node.value)
    }
    assert used <= {*skae.__all__, "__file__", "__version__"}


def _is_skae(node):
    return isinstance(node, ast.Name) and node.id == "skae"


def test_public_names_are_there():
    found = {name for name in vars(skae) if not name.startswith("_")}
    # Modules of their own are there once they are imported.
    assert set(skae.__all__) == found - {"distributed", "onnx"}


OPTIONAL = {
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "rich",
    "safetensors",
    "skl2onnx",
    "skops",
}


def _run(program):
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_skae_pulls_in_nothing_optional():
    # scikit-learn itself imports pandas and rich where they are installed.
    loaded = _run(
        "import sys, sklearn.base, sklearn.decomposition, sklearn.metrics, skorch, torch;"
        "before = set(sys.modules);"
        "import skae; print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    assert "skae" in loaded
    assert not set(loaded) & (OPTIONAL | {"pytest", "benchmarks"})


# As though the packages were not installed.
ABSENT = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
absent = {optional}
PathFinder.find_spec = lambda name, *args: (
    None if name.partition(".")[0] in absent else find_spec(name, *args)
)
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
    assert _run(program) == [
        f"{name}Display.from_estimator" for name in ("CodeMap", "DepthCurve", "Reconstruction")
    ]
