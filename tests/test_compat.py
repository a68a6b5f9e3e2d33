"""What versions of scikit-learn lack is replaced, or refused by an error that names the version."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The second half is as though scikit-learn were older than 1.9, whose own modules are imported.
PROGRAM = """
import sys
import sklearn
from sklearn.datasets import load_digits

X = load_digits().data[:100]

def codes():
    from skae import AutoencoderTransformer
    return AutoencoderTransformer(4, max_iter=3, random_state=0).fit(X).transform(X).tobytes()

with_callbacks = codes()
for name in [name for name in sys.modules if name.partition(".")[0] == "skae"]:
    del sys.modules[name]
sys.modules["sklearn.callback"] = None
print(with_callbacks == codes())

from skae import AutoencoderTransformer

try:
    AutoencoderTransformer().set_callbacks()
except ImportError as error:
    print(str(error).replace(sklearn.__version__, "1.8.0"))
"""


def test_without_callbacks_fits_are_the_same_and_setting_them_names_the_version():
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "True",
        "set_callbacks requires scikit-learn 1.9 or newer, and this is 1.8.0: upgrade it, or use"
        " skorch_callbacks.",
    ]


@pytest.mark.requires("scikit-learn>=1.9")
def test_callbacks_are_those_of_scikit_learn_where_it_has_them():
    from sklearn.callback import CallbackSupportMixin

    from skae import _compat

    assert _compat.CallbackSupportMixin is CallbackSupportMixin
