"""A small fixed network and images for it."""

import jax.numpy as jnp
import numpy as np

GENERATOR = np.random.default_rng(11)
FEATURES, HIDDEN, CLASSES = (4, 3, 1), 16, 3
W1 = jnp.asarray(2 * GENERATOR.normal(size=(12, HIDDEN)), jnp.float32)
W2 = jnp.asarray(GENERATOR.normal(size=(HIDDEN, CLASSES)), jnp.float32)


def logits(x):
    """Images [n, 4, 3, 1] to logits [n, 3]."""
    rows = x.reshape(len(x), -1) - 0.5
    hidden = jnp.tanh(jnp.matmul(rows, W1.astype(x.dtype), precision="highest"))
    return jnp.matmul(hidden, W2.astype(x.dtype), precision="highest")


def images(seed, count=24):
    """Images and labels, most of which the network gives."""
    generator = np.random.default_rng(seed)
    x = jnp.asarray(generator.random((count, *FEATURES)), jnp.float32)
    y = np.asarray(logits(x)).argmax(1).astype(np.int32)
    y[: count // 6] = (y[: count // 6] + 1) % CLASSES
    return x, jnp.asarray(y)
