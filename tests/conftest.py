from importlib.metadata import version

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

# With one thread, sums are made in one order, and results are bitwise reproducible.
torch.set_num_threads(1)

ESTIMATORS = (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)

# For tests of fits that keep epoch 0 after many others, of which they warn.
KEEPS_EPOCH_0 = pytest.mark.filterwarnings("ignore:Epoch 0, at which training starts")

# Files about what other packages do: those that run with the oldest versions of them, too.
OLDEST = {
    *("test_common", "test_compat", "test_files", "test_frames", "test_inputs", "test_use"),
    *("test_autoencoder", "test_base", "test_conv", "test_denoising", "test_missing"),
    *("test_dask", "test_displays", "test_export", "test_sources", "test_streams", "test_summary"),
    *("test_outliers", "test_training", "test_weights"),
}


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their markers
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in OLDEST:
            item.add_marker("oldest")


def pytest_runtest_setup(item):
    """Skip tests of what the installed version of a package does not have."""
    for marker in item.iter_markers("requires"):
        requirement = Requirement(marker.args[0])
        if not requirement.specifier.contains(version(requirement.name), prereleases=True):
            pytest.skip(f"requires {requirement}")


@pytest.fixture(scope="session")
def digits():
    """300 images of 64 pixels between 0 and 16."""
    return load_digits().data[:300]


@pytest.fixture(scope="session")
def cancer():
    """569 samples of 30 standardized measurements."""
    return StandardScaler().fit_transform(load_breast_cancer().data)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
