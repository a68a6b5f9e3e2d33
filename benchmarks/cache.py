"""Results kept on disk, so that a run that was interrupted goes on where it was and another command finds them too."""

import hashlib
import sys
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from joblib import Memory

PACKAGES = ("numpy", "scikit-learn", "torch")  # whose versions a result depends on, beside the code
# On any result.
WITHOUT_EFFECT = {f"benchmarks.{name}" for name in ("cache", "cells", "options", "report")}


def remembered(function, folder):
    """Make a function keep its results, by its arguments and by the code that made them.

    A result is computed anew where the version of one of the `PACKAGES`, a file of skae, the function's own file or one of
    benchmarks/ that it imports has changed, but for those that only keep and show results.

    Parameters
    ----------
    function : callable
        A function of a module.
    folder : path-like or None
        Where to keep results. None keeps none.

    Returns
    -------
    function : callable
        Called as the one given, with positional arguments.
    """
    return function if folder is None else partial(_recall, folder, function, _identity(function))


def _recall(folder, function, identity, *arguments):
    return Memory(folder, verbose=0).cache(_call, ignore=["function"])(
        function, identity, arguments
    )


def _call(function, identity, arguments):
    return function(*arguments)


def _identity(function):
    # Whose name is no help in a command that was started as a file.
    module = sys.modules[function.__module__]
    sources = sorted({*Path(find_spec("skae").origin).parent.glob("*.py"), *_files(module)})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return (Path(module.__file__).stem, function.__name__, digest, *map(version, PACKAGES))


def _files(module):
    """File of a module, and those of benchmarks/ that it imports, directly or not."""
    found, new = set(), {module}
    while new:
        found |= new
        new = (
            {imported for module in new for imported in map(_module_of, vars(module).values())}
            - found
            - {None}
        )
    return {Path(module.__file__) for module in found}


def _module_of(value):
    """The module of benchmarks/ that a value is, or is from."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return (
        sys.modules.get(name)
        if str(name).startswith("benchmarks.") and name not in WITHOUT_EFFECT
        else None
    )
