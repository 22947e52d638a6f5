"""MNIST in minutes: one quick recipe, and every method at its cost."""

from typing import Any

_BALL: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.1, "steps": 5}
