"""L0 balls, and thresholds of L1, against numpy."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks.test_perturbation import nearest_in_ball
from zeroone_jax.attacks import perturbation, sparse

keep_largest = jax.jit(sparse.keep_largest, static_argnames="norm")
project_onto_both = jax.jit(sparse.project_onto_both)
project_onto_l1 = jax.jit(sparse.project_onto_l1)
l1_threshold = jax.jit(sparse.l1_threshold)


def test_values_and_pixels_are_counted():
    move = np.zeros((2, 2, 2, 3), np.float32)
    move[0, 0, 0] = 0.1, -0.2, 0.0
    move[0, 1, 1, 2] = 0.3
    for norm, count in (("l0", 3), ("l0_pixels", 2)):
        np.testing.assert_array_equal(perturbation.size(move, norm), [count, 0])
    # Without channels every value is a pixel.
    flat = move.reshape(2, -1)
    np.testing.assert_array_equal(perturbation.size(flat, "l0_pixels"), [3, 0])


@hypothesis.given(st.integers(0, 2**32 - 1))
def test_the_largest_are_kept(seed):
    generator = np.random.default_rng(seed)
    move = generator.choice([-0.5, -0.1, 0, 0.1, 0.2, 0.5], (4, 2, 3, 2))
    move = move.astype(np.float32)
    counts = generator.integers(0, 14, 4).astype(np.float32)
    for norm in ("l0", "l0_pixels"):
        kept = np.asarray(keep_largest(move, counts, norm=norm))
        units = move.reshape(4, -1, 1 if norm == "l0" else 2)
        left = kept.reshape(units.shape)
        changed = abs(left).max(axis=2) > 0
        assert (changed.sum(axis=1) <= counts).all()
        np.testing.assert_array_equal(left[changed], units[changed])
        for row, chosen, count in zip(abs(units).max(2), changed, counts, strict=True):
            wanted = np.sort(row)[::-1][: int(count)]
            np.testing.assert_array_equal(
                np.sort(row[chosen])[::-1], wanted[wanted > 0]
            )


def nearest_in_both(point, x, radius):
    """By the sorted break points of what is left after a shift, in float64."""
    move = np.float64(point) - np.float64(x)
    free = np.where(move > 0, 1 - np.float64(x), np.float64(x))

    def left(shift):
        return np.clip(abs(move) - shift, 0, free)

    if left(0).sum() <= radius:
        return np.clip(point, 0, 1)
    breaks = np.sort(np.concatenate([[0], abs(move), abs(move) - free]))
    breaks = breaks[breaks >= 0]
    sums = np.array([left(shift).sum() for shift in breaks])
    i = np.flatnonzero(sums >= radius)[-1]
    # Between two break points the sum is linear.
    share = (sums[i] - radius) / (sums[i] - sums[i + 1])
    kept = left(breaks[i] + share * (breaks[i + 1] - breaks[i]))
    return x + np.sign(move) * np.where(kept > 1e-14, kept, 0)


@hypothesis.given(
    st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.3, 1.0, 4.0, 100.0])
)
def test_projections_onto_ball_and_box_are_the_nearest_points(seed, radius):
    generator = np.random.default_rng(seed)
    x = generator.choice([0, 1, 0.5, 0.1], (4, 3, 6)).astype(np.float32)
    spread = generator.choice([0.1, 1, 3], (4, 1, 1))
    point = (x + spread * generator.normal(size=x.shape)).astype(np.float32)
    found = np.asarray(project_onto_both(point, x, np.float32(radius)))
    assert found.min() >= 0
    assert found.max() <= 1
    sizes = abs(np.float64(found) - x).sum(axis=(1, 2))
    assert (sizes <= np.float32(radius)).all()
    for one, image, projected in zip(point, x, found, strict=True):
        expected = nearest_in_both(one.ravel(), image.ravel(), radius)
        np.testing.assert_allclose(projected.ravel(), expected, atol=1e-5)
    again = project_onto_both(found, x, np.float32(radius))
    np.testing.assert_array_equal(again, found)


@hypothesis.example(190, 0.01)
@hypothesis.given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 1.0, 100.0]))
def test_thresholds_project_onto_the_ball_of_l1(seed, radius):
    move = np.random.default_rng(seed).normal(size=(3, 7)).astype(np.float32)
    threshold = np.asarray(l1_threshold(move, np.full(3, radius, np.float32)))
    shrunk = np.sign(move) * np.maximum(abs(move) - threshold[:, None], 0)
    wide = np.float64(move)
    np.testing.assert_allclose(shrunk, nearest_in_ball(wide, radius, "l1"), atol=2e-6)
    x = np.full_like(move, 0.5)
    both = np.asarray(project_onto_l1(x + move, x, np.full(3, radius, np.float32)))
    known = perturbation.project(jnp.asarray(x + move), jnp.asarray(x), radius, "l1")
    np.testing.assert_allclose(both, known, atol=1e-5)
    assert (abs(np.float64(both) - x).sum(axis=1) <= np.float32(radius)).all()
