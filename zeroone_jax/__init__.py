"""01-loss networks, sensible adversarial training and attacks, in JAX."""

from zeroone_jax import data, types

__all__ = ["data", "types"]
