"""01-loss networks, sensible adversarial training and attacks, in JAX."""

from zeroone_jax import types

__all__ = ["types"]
