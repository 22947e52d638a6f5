"""Losses of single examples, for any number of classes, two included.

Every function takes what a `LogitsFn` returns, `[n, k]`, or `[n]` or `[n, 1]` for two
classes, where a positive number means class 1, labels y and targets i32 [n], and gives
one number for each example, float [n].

Example:
    >>> import jax.numpy as jnp
    >>> as_logits(jnp.array([2.0, -1.0]))
    Array([[ 0.,  2.],
           [ 0., -1.]], dtype=float32)
    >>> margin(jnp.array([[3.0, 1.0, 0.0]]), jnp.array([0]))
    Array([-2.], dtype=float32)
"""

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array


def as_logits(outputs: Array) -> Array:
    """Gives every model's outputs the shape `[n, k]`, k at least 2.

    Args:
        outputs: float [n, k], or [n] or [n, 1] for two classes (positive: class 1).

    Returns:
        float [n, k]; of a single number s, the logits (0, s), whose argmax is 1 only
        where s > 0 and whose softmax is the logistic function of s.

    Raises:
        ValueError: if `outputs` has another shape.
    """
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    if outputs.ndim != 2 or outputs.shape[1] == 0:
        raise ValueError(
            f"outputs have shape {outputs.shape}, but must be [n, classes], "
            "or [n] or [n, 1] for two classes"
        )
    if outputs.shape[1] == 1:
        outputs = jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=1)
    return outputs


def labels(outputs: Array) -> Array:
    """Labels i32 [n]: the class of the largest logit, the lowest one on ties.

    -1, which is no class, where a logit is NaN or +inf, or all are -inf. Some logits
    may be -inf: they mask classes.
    """
    z = as_logits(outputs)
    known = jnp.isfinite(jnp.max(z, axis=1))
    return jnp.where(known, jnp.argmax(z, axis=1), -1).astype(jnp.int32)


def zero_one(outputs: Array, y: Array) -> Array:
    """The 01 loss: 1 where the label is not y."""
    return (labels(outputs) != y).astype(outputs.dtype)


def cross_entropy(outputs: Array, y: Array) -> Array:
    """Cross-entropy in nats of the softmax with the labels.

    Written as `log(1 + sum_{j != y} exp(z_j - z_y))`. The usual `-log softmax_y` rounds
    to 0 where a model is confident (in float32 from a margin of 17 on), and so does its
    gradient: attacks by gradients would fail.
    """
    behind = _behind(as_logits(outputs), y)
    return jax.nn.softplus(jax.nn.logsumexp(behind, axis=1))


def soft_margin(outputs: Array, y: Array) -> Array:
    """The logarithm of the mean over the other classes of `exp(z_j - z_y)`.

    For k classes the cross-entropy is `log(1 + (k - 1) exp(soft_margin))`: the two rise
    and fall together and their gradients have one direction, but this one neither
    vanishes where the model is sure (the cross-entropy's is exactly 0 in float32 from a
    margin of 88 on) nor drowns in rounding where all logits are nearly equal. It is at
    most the `margin`, and at least that less log(k - 1).
    """
    z = as_logits(outputs)
    behind = _behind(z, y)
    largest = jax.lax.stop_gradient(jnp.max(behind, axis=1))
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    behind = behind - largest[:, None]
    count = z.shape[1] - 1
    # y itself counts 0 in both. In differences from 1 nothing of tiny logits is lost;
    # where the mean is far from 1, nothing of it.
    less = jnp.sum(jnp.where(_is(z, y), 0, jnp.expm1(behind)), axis=1) / count
    mean = jnp.sum(jnp.exp(behind), axis=1) / count
    near = less > -0.5
    logarithm = jnp.where(near, jnp.log1p(jnp.where(near, less, 0)), jnp.log(mean))
    return largest + logarithm


def margin(outputs: Array, y: Array) -> Array:
    """How far the best other class is ahead of y, `max_{j != y} z_j - z_y`.

    Positive exactly where y does not have the largest logit.
    """
    z = as_logits(outputs)
    return jnp.max(jnp.where(_is(z, y), -jnp.inf, z), axis=1) - of_class(z, y)


def margin_to(outputs: Array, y: Array, target: Array) -> Array:
    """How far the class `target` is ahead of y, `z_target - z_y`."""
    z = as_logits(outputs)
    return of_class(z, target) - of_class(z, y)


def difference_of_logits_ratio(outputs: Array, y: Array) -> Array:
    """The DLR loss of Croce and Hein 2020 (AutoAttack), equation 6.

    The margin, divided by the distance of the largest logit from the third largest,
    so that it depends neither on the logits' scale nor on their offset. With two
    classes there is no third logit, and the ratio of what is left is -1 or 1 with no
    gradient: the plain margin is returned instead. Classes masked by -inf do not count.
    """
    z = as_logits(outputs)
    if z.shape[1] < 3:
        return margin(z, y)
    top = jax.lax.top_k(z, 3)[0]
    return margin(z, y) / _spread(top, top[:, 2])


def targeted_difference_of_logits_ratio(
    outputs: Array, y: Array, target: Array
) -> Array:
    """The targeted DLR loss of Croce and Hein 2020, equation 7.

    `(z_target - z_y) / (z_1 - (z_3 + z_4) / 2)`, with z_1, z_3, z_4 the largest, third
    and fourth largest logits; of three classes, the third counts as the fourth, and of
    two the numerator alone is returned. Classes masked by -inf do not count.
    """
    z = as_logits(outputs)
    ahead = margin_to(z, y, target)
    if z.shape[1] < 3:
        return ahead
    top = jax.lax.top_k(z, min(4, z.shape[1]))[0]
    fourth = jnp.where(jnp.isfinite(top[:, -1]), top[:, -1], top[:, 2])
    spread = _spread(top, (top[:, 2] + fourth) / 2)
    # Of a masked target the numerator, -inf, has a slope yet; the ratio has none.
    return ahead / jnp.where(jnp.isfinite(ahead), spread, 1)


def kl_divergence(outputs: Array, reference: Array) -> Array:
    """Kullback-Leibler divergence in nats, `sum p log(p / q)`.

    p is the softmax of `reference`, logits at the images themselves, q that of
    `outputs`, logits at the perturbed images.
    """
    log_p = jax.nn.log_softmax(as_logits(reference), axis=1)
    log_q = jax.nn.log_softmax(as_logits(outputs), axis=1)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=1)


def widened(outputs: Array, like: Array) -> Array:
    """Casts outputs to the type of images `like`, where that is the finer one."""
    finer = jnp.finfo(like.dtype).eps < jnp.finfo(outputs.dtype).eps
    return outputs.astype(like.dtype) if finer else outputs


def of_class(z: Array, y: Array) -> Array:
    """Picks z[i, y[i]] of float [n, k]: float [n]."""
    return jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]


def _is(z: Array, y: Array) -> Array:
    """Where the classes y stand among logits, bool [n, k]."""
    return jnp.arange(z.shape[1], dtype=y.dtype)[None, :] == y[:, None]


def _behind(z: Array, y: Array) -> Array:
    """What other classes' logits are above y's, float [n, k]; -inf at y itself."""
    return jnp.where(_is(z, y), -jnp.inf, z) - of_class(z, y)[:, None]


def _spread(top: Array, below: Array) -> Array:
    """A ratio's denominator, from the largest logits [n, 3 or more] to `below` [n].

    1 where it would be 0, or where fewer than three logits are finite.
    """
    finite = jnp.isfinite(top[:, 2])
    difference = top[:, 0] - jnp.where(finite, below, top[:, 0])
    return jnp.where(difference > 0, difference, 1)
