"""Half circles against their geometry."""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.arc import LARGEST_ANGLE, Arc, turn, unit
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(3)


def arcs():
    """Four half circles well inside the box of images of 12 pixels."""
    keys = jax.random.split(KEY, 3)
    x = 0.4 + 0.2 * jax.random.uniform(keys[0], (4, 2, 3, 2))
    point = x + 0.1 * jax.random.normal(keys[1], x.shape)
    towards = jax.random.normal(keys[2], x.shape)
    return x, point, towards, Arc.between(x, point, towards)


def test_points_lie_on_the_circle_over_image_and_adversary():
    x, point, towards, arc = arcs()
    np.testing.assert_allclose(arc.at(jnp.zeros(4)), point, atol=1e-6)
    for angle in (0.2, 0.9, 1.4):
        turned = arc.at(jnp.full(4, angle))
        np.testing.assert_allclose(
            size(turned - x, "l2"), arc.distance * np.cos(angle), rtol=1e-5
        )
        # Thales: a right angle between the ways to the image and to the adversary.
        corner = jnp.sum(((turned - x) * (turned - point)).reshape(4, -1), axis=1)
        np.testing.assert_allclose(corner, 0, atol=1e-6)
        # In the plane of both, on the side of what was turned to.
        assert (jnp.sum((turned * unit(arc.sideways)).reshape(4, -1), 1) > 0).any()
        side = jnp.sum(((turned - x) * arc.sideways).reshape(4, -1), axis=1)
        np.testing.assert_allclose(
            side, arc.distance * np.cos(angle) * np.sin(angle), rtol=1e-4
        )
    assert (jnp.sum((towards * arc.sideways).reshape(4, -1), axis=1) > 0).all()


def test_the_last_hit_before_a_line_is_its_nearest_point():
    x, point, towards, arc = arcs()
    normal = unit(towards)

    def height(points):
        return jnp.sum((points * normal).reshape(4, -1), axis=1)

    # Hits lie beyond a plane through the adversary, where the image is not.
    toward_hits = jnp.sign(height(point) - height(x))
    arc = Arc.between(x, point, toward_hits[:, None, None, None] * normal)

    def hits(points, asked):
        del asked
        return toward_hits * (height(points) - height(point)) >= -1e-6

    zero = jnp.zeros(4)
    turned = turn(
        hits,
        arc,
        zero,
        zero + LARGEST_ANGLE,
        jnp.array([True, True, True, False]),
        zero + 1e-4,
        jnp.zeros(4, jnp.int32),
        jnp.array([100, 100, 3, 100]),
    )
    assert turned.queries.tolist() == [14, 14, 3, 0]
    assert turned.angle[3] == 0
    foot = jnp.abs(height(point) - height(x))
    np.testing.assert_allclose(
        size(arc.at(turned.angle) - x, "l2")[:2], foot[:2], rtol=1e-3
    )
