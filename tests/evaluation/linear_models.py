"""Linear models, whose accuracy in a ball is known, and one that is less simple."""

import jax
import jax.numpy as jnp
import numpy as np

SHAPE = (4, 4, 1)


def single_number(w, b, x):
    """Positive means class 1."""
    return jnp.matmul(x.reshape(len(x), -1), w, precision="highest") + b


def two_logits(w, b, x):
    z = single_number(w, b, x)
    return jnp.stack([-z, z], axis=1)


def draw(seed):
    """Weights f32 [16] and a bias, of a boundary through the middle of the box."""
    w = np.random.default_rng(seed).normal(size=16).astype(np.float32)
    return jnp.asarray(w), jnp.asarray(-0.5 * w.sum())


def images(count, w, b):
    """Images no ball of .2 around which meets the box; a tenth is labelled wrongly."""
    x = np.random.default_rng(9).uniform(0.25, 0.75, (count, *SHAPE)).astype(np.float32)
    x = jnp.asarray(x)
    y = (single_number(w, b, x) > 0).astype(jnp.int32)
    return x, jnp.where(jnp.arange(count) % 10 == 3, 1 - y, y)


def robust(w, b, x, y, epsilon):
    """Labelled rightly everywhere in the Linf ball, bool [n]."""
    signed = (2 * np.asarray(y) - 1) * np.asarray(single_number(w, b, x))
    return signed > epsilon * np.abs(np.asarray(w)).sum()


def partial(w, b):
    return jax.tree_util.Partial(two_logits, w, b)


def winding(w, b):
    """One logit, of a boundary that winds about the linear model's."""
    waves = np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)
    return jax.tree_util.Partial(_winding, w, b, jnp.asarray(waves))


def _winding(w, b, waves, x):
    rows = x.reshape(len(x), -1) - 0.5
    inner = jnp.sin(6 * jnp.matmul(rows, waves, precision="highest"))
    return single_number(w, b, x) + 0.4 * jnp.sum(inner, axis=1)
