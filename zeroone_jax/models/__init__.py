"""Models as pure functions of their parameters."""

from zeroone_jax.models import zero_one

__all__ = ["zero_one"]
