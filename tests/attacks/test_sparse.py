"""L0 balls, and thresholds of L1, against numpy."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np

from tests.attacks.test_perturbation import nearest_in_ball
from zeroone_jax.attacks import perturbation, sparse

keep_largest = jax.jit(sparse.keep_largest, static_argnames="norm")
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


@hypothesis.given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 1.0, 100.0]))
def test_thresholds_project_onto_the_ball_of_l1(seed, radius):
    move = np.random.default_rng(seed).normal(size=(3, 7)).astype(np.float32)
    threshold = np.asarray(l1_threshold(move, np.full(3, radius, np.float32)))
    shrunk = np.sign(move) * np.maximum(abs(move) - threshold[:, None], 0)
    wide = np.float64(move)
    np.testing.assert_allclose(shrunk, nearest_in_ball(wide, radius, "l1"), atol=2e-6)
