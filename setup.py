from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (ROOT / "skae" / "_version.py").read_text(encoding="utf-8").splitlines()
    if line.startswith("__version__")
)
PLOT = ["matplotlib>=3.8"]
PROGRESS = ["rich>=13"]
FILES = ["skops>=0.13"]
TEST = [
    *FILES,
    *PLOT,
    *PROGRESS,
    "hypothesis>=6.100",
    "pandas>=2.2",
    "polars>=1.0",
    "pytest>=8",
    "pytest-xdist>=3.6",
]
BENCH = [*PLOT, *PROGRESS, "keras>=3.8", "pandas>=2.2", "pyod>=2.0", "pythae>=0.1.2"]
DOCS = [
    *TEST,
    "myst-parser>=4",
    "numpydoc>=1.8",
    "pydata-sphinx-theme>=0.16",
    "sphinx>=8",
    "sphinx-copybutton>=0.5",
    "sphinx-design>=0.6",
    "sphinx-gallery>=0.18",
]

setup(
    name="skae",
    version=VERSION,
    description="Autoencoders for scikit-learn that start as PCA and only get better",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    project_urls={"Documentation": "https://skae.readthedocs.io"},
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    packages=find_packages(include=["skae", "skae.*"]),
    python_requires=">=3.11",
    install_requires=[
        "joblib>=1.4",
        "numpy>=2.0",
        "scikit-learn>=1.9",
        "scipy>=1.13",
        "skorch>=1.4",
        "threadpoolctl>=3.5",
        "torch>=2.6",
    ],
    extras_require={
        "bench": BENCH,
        "docs": DOCS,
        "files": FILES,
        "plot": PLOT,
        "progress": PROGRESS,
        "test": TEST,
        "dev": [*DOCS, "ruff>=0.14"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
