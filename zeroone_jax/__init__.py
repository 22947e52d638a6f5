"""01-loss networks, sensible adversarial training and attacks, in JAX.

`data`, `models`, `attacks`, `verification`, `coordinate_descent`, `training`,
`evaluation` and `runs` are the packages; each is imported when it is first used.
"""

import importlib
import importlib.metadata
from typing import Any

__version__ = importlib.metadata.version(__name__)

_PACKAGES = (
    "attacks",
    "coordinate_descent",
    "data",
    "evaluation",
    "losses",
    "models",
    "runs",
    "training",
    "verification",
)

__all__ = ["__version__", *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PACKAGES]
