"""Package metadata; tool settings live in pyproject.toml."""

from pathlib import Path

import setuptools

VERSION = "0.2.0"

# Data sets by name; arrays and .npz files need none of it.
_DATA = [
    "array_record>=0.8",
    "grain>=0.2.12",
    # tensorflow-datasets 4.9.10 imports it without declaring it.
    "importlib_resources>=6.4",
    "pillow>=10.0",
    "tensorflow-datasets>=4.9.10",
]
# The figures of zeroone_jax.evaluation; pillow writes animations.
_PLOTS = ["matplotlib>=3.9", "pillow>=10.0"]
# Sweeps on clusters; the tests start a small one.
_RAY = ["ray>=2.50"]
_SLURM = ["submitit>=1.5"]

_LAUNCHERS = setuptools.find_packages(include=["experiments", "experiments.*"])

setuptools.setup(
    name="zeroone_jax",
    version=VERSION,
    description=(
        "01-loss networks, sensible adversarial training and jit-compiled attacks "
        "in JAX"
    ),
    long_description=Path(__file__).with_name("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=[
        *setuptools.find_packages(include=["zeroone_jax", "zeroone_jax.*"]),
        *(f"zeroone_jax.{package}" for package in _LAUNCHERS),
    ],
    # In a checkout it is `python -m experiments.NAME`, installed it is
    # `python -m zeroone_jax.experiments.NAME`: a top-level name so common could be
    # another package's.
    package_dir={"zeroone_jax.experiments": "experiments"},
    package_data={"zeroone_jax": ["py.typed", "models/weights/*.npz"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.3.1",
        "chex>=0.1.92",
        "filelock>=3.16",
        "flax>=0.12.7",
        "jax>=0.10",
        "numpy>=2.0",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12",
        "scipy>=1.15",
    ],
    extras_require={
        "data": _DATA,
        "plots": _PLOTS,
        "ray": _RAY,
        "slurm": _SLURM,
        "test": [
            # For the documentation's examples.
            "equinox>=0.13",
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "pytest>=8.0",
            "pytest-xdist>=3.7",
            "scikit-learn>=1.5",
            *_DATA,
            *_PLOTS,
            *_RAY,
            *_SLURM,
        ],
        "peers": [
            "adversarial-robustness-toolbox==1.20.1",
            "foolbox==3.3.4",
            "packaging>=24.0",
            "scikit-learn>=1.5",
            "torch==2.13.0",
        ],
        "docs": [
            "myst-nb>=1.3",
            "sphinx>=8.2",
            "sphinx-book-theme>=1.1.4",
            "sphinx-copybutton>=0.5.2",
            "sphinx-design>=0.6",
        ],
        # The compiler of the TPU, which needs no TPU (benchmarks/tpu).
        "tpu-check": ["jax[tpu]>=0.10"],
        "dev": ["import-linter>=2.0", "mypy>=1.11", "pre-commit>=4.0", "ruff>=0.6"],
    },
)
