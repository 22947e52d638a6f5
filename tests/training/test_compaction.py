"""Tests of loops over ever fewer examples."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroone_jax import devices
from zeroone_jax.training import compaction


def _mesh_of(count):
    return jax.set_mesh(devices.mesh("batch", jax.devices()[:count]))


def _count(target, steps, compact):
    """Counts each example up to its target; says on how many rows each step was."""
    rows = []

    def step(examples):
        value, target, taken = examples
        jax.debug.callback(lambda: rows.append(len(value)))
        return jnp.where(value < target, value + 1, value), target, taken + 1

    run = jax.jit(
        lambda target: compaction.loop(
            step,
            lambda examples: examples[0] >= examples[1],
            (jnp.zeros_like(target), target, jnp.int32(0)),
            steps,
        )
    )
    with _mesh_of(1) if compact else contextlib.nullcontext():
        value, kept, taken = run(jnp.asarray(target, jnp.int32))
    jax.effects_barrier()
    np.testing.assert_array_equal(kept, target)
    return np.asarray(value), int(taken), rows


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=64, max_size=64),
    st.integers(0, 9),
    st.booleans(),
)
def test_every_example_goes_its_own_way(target, steps, compact):
    """With and without compaction: as far as its target, or the steps."""
    value, taken, rows = _count(target, steps, compact)
    np.testing.assert_array_equal(value, np.minimum(target, steps))
    assert taken == min(max(target), steps) == len(rows)


def test_steps_are_on_the_live_examples():
    """130 rows, then 65 once 65 are left, then 32 once 32 are; never fewer."""
    target = np.array([1] * 60 + [2] * 50 + [4] * 15 + [7] * 5)
    np.random.default_rng(0).shuffle(target)
    _, _, rows = _count(target, 9, compact=True)
    left = [np.sum(target > number) for number in range(7)]
    assert left == [130, 70, 20, 20, 5, 5, 5]
    assert rows == [130, 130, 32, 32, 32, 32, 32]
    _, _, rows = _count(target, 9, compact=False)
    assert rows == [130] * 7


@pytest.mark.parametrize("count", [1, 63])
def test_small_batches_stay_whole(count):
    """Below 64 examples halves are not worth a loop."""
    target = np.arange(count) % 3 + 1
    _, taken, rows = _count(target, 9, compact=True)
    assert rows == [count] * taken


def test_several_devices_keep_the_batch_whole():
    def loops():
        traced = jax.make_jaxpr(
            lambda values: compaction.loop(lambda v: v + 1, lambda v: v > 3, values, 5)
        )
        return str(traced(jnp.zeros(130, jnp.int32))).count("while[")

    with _mesh_of(1):
        assert loops() == 3
    with _mesh_of(2):
        assert loops() == 1
    assert loops() == 1
