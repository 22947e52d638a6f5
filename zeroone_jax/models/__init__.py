"""Models as pure functions of their parameters."""

from zeroone_jax.models import cnn, mlp, zero_one

__all__ = ["cnn", "mlp", "zero_one"]
