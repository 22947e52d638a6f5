"""01-loss networks, sensible adversarial training and attacks, in JAX."""

from zeroone_jax import attacks, data, losses, types

__all__ = ["attacks", "data", "losses", "types"]
