"""Models whose nearest adversaries are known, and what all attacks must hold to."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks.test_hyperplane import ORDER, least_length
from zeroone_jax import losses

DUAL = {"l2": 2, "linf": 1, "l1": np.inf}


def linear_logits(weights, bias, x):
    return x.reshape(len(x), -1) @ weights + bias[None, :]


def linear(seed, size=12, classes=3, images=6, low=0.35, high=0.65):
    """A random linear model and images, the labels its own.

    Returns:
        The model as a `Partial`, so that attacks compile it once for all seeds; its
        weights [size, classes] and bias; x [images, 2, size / 2]; y.
    """
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(size, classes)).astype(np.float32)
    bias = (0.1 * generator.normal(size=classes)).astype(np.float32)
    x = generator.uniform(low, high, (images, 2, size // 2)).astype(np.float32)
    bias -= np.median(x.reshape(images, -1) @ weights, axis=0).astype(np.float32)
    fn = jax.tree_util.Partial(linear_logits, jnp.asarray(weights), jnp.asarray(bias))
    return fn, weights, bias, jnp.asarray(x), losses.labels(fn(jnp.asarray(x)))


def closed_form(weights, bias, x, y, norm):
    """The distance of the nearest boundary, the box left aside, float64 [n]."""
    weights, bias = np.float64(weights), np.float64(bias)
    if weights.shape[1] == 1:
        weights = np.concatenate([0 * weights, weights], axis=1)
        bias = np.concatenate([0 * bias, bias])
    z = np.float64(x).reshape(len(x), -1) @ weights + bias
    y = np.asarray(y)
    rows = np.arange(len(x))
    behind = z[rows, y][:, None] - z
    slopes = weights.T[None] - weights.T[y][:, None]
    steepness = np.linalg.norm(slopes, DUAL[norm], axis=2)
    behind[rows, y], steepness[rows, y] = np.inf, 1
    return np.min(behind / steepness, axis=1)


def least_in_the_box(weights, bias, x, y, norm):
    """The distance of the nearest boundary of a linear model inside the box, [n]."""
    weights, bias = np.float64(weights), np.float64(bias)
    if weights.shape[1] == 1:
        weights = np.concatenate([0 * weights, weights], axis=1)
        bias = np.concatenate([0 * bias, bias])
    rows = np.float64(x).reshape(len(x), -1)
    z = rows @ weights + bias

    def least(row, z, i, k):
        slope, rise = weights[:, k] - weights[:, i], z[i] - z[k]
        if norm != "l0":
            return least_length(row, slope, rise, norm)
        gains = np.sort(abs(slope) * np.where(slope > 0, 1 - row, row))[::-1]
        return 1 + np.searchsorted(np.cumsum(gains), rise)

    others = range(weights.shape[1])
    return np.array(
        [
            min(least(row, z[i], label, k) for k in others if k != label)
            for i, (row, label) in enumerate(zip(rows, np.asarray(y), strict=True))
        ]
    )


def mlp_logits(params, x):
    first, second, bias = params
    return jnp.tanh(x.reshape(len(x), -1) @ first + bias[None, :]) @ second


def mlp(seed, size=10, hidden=7, classes=4, images=5):
    """A small smooth network and images, its weights in numpy too."""
    generator = np.random.default_rng(seed)
    shapes = ((size, hidden), (hidden, classes), (hidden,))
    params = tuple(generator.normal(size=s).astype(np.float32) for s in shapes)
    fn = jax.tree_util.Partial(mlp_logits, tuple(map(jnp.asarray, params)))
    x = jnp.asarray(generator.uniform(0.2, 0.8, (images, size)), jnp.float32)
    return fn, params, x, losses.labels(fn(x))


def mlp_in_numpy(params, x):
    """Logits [k] and their gradients [k, d] for one image [d], float64."""
    first, second, bias = (np.float64(array) for array in params)
    units = np.tanh(x @ first + bias)
    return units @ second, (second.T * (1 - units**2)) @ first.T


def margin_in_numpy(params, x, y):
    """How far the best other class is ahead of y at an image [d], and the slope."""
    z, gradients = mlp_in_numpy(params, x)
    best = max((k for k in range(len(z)) if k != y), key=lambda k: z[k])
    return z[best] - z[y], gradients[best] - gradients[y]


def points_of(attack, steps, seed=4):
    """The points that an attack's public steps look at on a small network, in float64.

    Returns:
        The network's parameters; x [n, d]; y [n]; points [n, steps + 1, d], the first
        of which are the images.
    """
    with jax.enable_x64(True):
        _, params, x, y = mlp(seed)
        fn = jax.tree_util.Partial(mlp_logits, tuple(map(jnp.float64, params)))
        x = x.astype(jnp.float64)
        key = jax.random.key(0)
        state = jax.jit(attack.init)(key, fn, x, y)
        step = jax.jit(attack.step)
        points = [state.memory.point]
        for _ in range(steps):
            state, _ = step(key, fn, state)
            points.append(state.memory.point)
        points = np.stack(points, axis=1)
        assert state.found.sum() > 0
    return params, np.asarray(x), np.asarray(y), points


def check_result(out, fn, x, y, norm, targeted=False):
    """Holds a result to what every attack for the least distance promises."""
    adversary, x = np.asarray(out.adversary), np.asarray(x)
    assert adversary.shape == x.shape
    assert adversary.dtype == x.dtype
    assert adversary.min() >= 0
    assert adversary.max() <= 1

    def wanted(image, y):
        # Eagerly, one at a time: what the attack saw in a batch must be true.
        label = losses.labels(fn(jnp.asarray(image)[None]))[0]
        return bool(label == y) == targeted

    for i, image in enumerate(adversary):
        assert wanted(image, y[i]) or not out.success[i]
        if wanted(x[i], y[i]):
            assert out.success[i]
            assert out.distance[i] == 0
            np.testing.assert_array_equal(image, x[i])
        elif out.success[i]:
            length = np.linalg.norm((image - x[i]).ravel(), ORDER[norm])
            np.testing.assert_allclose(out.distance[i], length, rtol=1e-5)
            assert out.distance[i] > 0
        else:
            assert out.distance[i] == np.inf
            np.testing.assert_array_equal(image, x[i])
