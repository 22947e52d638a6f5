"""Foreign label functions: as JAX's own where both are exact, refused where wrong."""

import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.attacks.adapters import foreign

SHAPE = (4, 4, 2)


def bright(images):
    """1 where more than half of the numbers are above .5: exact in any library."""
    return (images > 0.5).reshape(len(images), -1).sum(1) > images[0].size // 2


def host(images):
    return bright(images).astype(np.int64)


def own(images):
    return bright(images).astype(jnp.int32)


def images(count, seed=0):
    x = jax.random.uniform(jax.random.key(seed), (count, *SHAPE))
    return x, own(x)


def test_an_attack_finds_the_same():
    x, y = images(6)
    attack = attacks.hop_skip_jump(norm="l2", iterations=4, chunk=4)
    expected = attack(jax.random.key(1), own, x, y)
    assert bool(expected.success.all())
    for batch_size in (1000, 7):
        fn = foreign(host, batch_size=batch_size)
        found = attack(jax.random.key(1), fn, x, y)
        # Programs that are not the same may round otherwise.
        chex.assert_trees_all_close(found, expected, atol=1e-6)


def test_vmapped_and_in_batches():
    asked = []

    def counting(images):
        asked.append(len(images))
        return host(images)

    x, _ = images(15)
    fn = foreign(counting, batch_size=8)
    labels = jax.jit(jax.vmap(jax.vmap(fn)))(x.reshape(5, 1, 3, *SHAPE))
    assert asked == [1, 8, 7]  # The probe, then what is there.
    chex.assert_trees_all_equal(labels.reshape(-1), own(x))
    chex.assert_trees_all_equal(fn(x), own(x))
    assert labels.dtype == jnp.int32


def test_over_devices():
    busy = threading.Lock()

    def alone(images):
        assert busy.acquire(blocking=False), "two threads at once"
        try:
            return host(images)
        finally:
            busy.release()

    mesh = jax.make_mesh((4,), ("n",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("n"))
    x, y = images(8)
    attack = attacks.hop_skip_jump(norm="l2", iterations=2)
    expected = attack(jax.random.key(1), own, x, y)
    spread = attack(
        jax.random.key(1), foreign(alone), *jax.device_put((x, y), sharding)
    )
    # Fewer images at a time may be summed in another order.
    spread, expected = jax.device_get((spread, expected))
    chex.assert_trees_all_close(spread, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("images", SHAPE), ("flat", (32,)), ("channels_first", (2, 4, 4))],
)
def test_layouts_and_types(layout, shape):
    x, _ = images(3)
    seen = []

    def look(images):
        seen.append(images.copy())
        images[:] = 0  # Its own copy.
        return np.zeros(len(images), np.uint8)

    fn = foreign(look, layout=layout, dtype=np.float64)
    jax.jit(fn)(x)
    got = seen[-1]
    assert got.shape == (3, *shape)
    assert got.dtype == np.float64
    assert got.flags["C_CONTIGUOUS"]
    given = np.asarray(x)
    if layout == "channels_first":
        given = given.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(got, given.reshape(got.shape))


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda x: np.zeros((len(x), 3)), TypeError, r"float64\[1, 3\].*argmax"),
        (lambda x: np.zeros(len(x), np.float32), TypeError, r"float32\[1\]"),
        (lambda x: np.array(["cat"]), TypeError, "<U3"),
        (lambda x: x.reshape(len(x), -1).max(1) > 0, TypeError, "bool"),
        (lambda x: np.zeros((len(x), 1), int), ValueError, r"shape \[1, 1\].*\[1\]"),
        (lambda x: 0, ValueError, r"shape \[\]"),
        (lambda x: np.full(len(x), -1), ValueError, "label -1"),
        (lambda x: 1 // 0, ZeroDivisionError, "division"),
    ],
)
def test_wrong_answers_are_refused_before_the_attack(answer, error, message):
    asked = []

    def once(images):
        asked.append(len(images))
        return answer(images)

    x, y = images(3)
    with pytest.raises(error, match=message):
        attacks.hop_skip_jump(norm="l2")(jax.random.key(0), foreign(once), x, y)
    assert asked == [1]


def test_a_wrong_answer_later_ends_the_attack():
    asked = []

    def tires(images):
        asked.append(len(images))
        return host(images) if len(asked) < 5 else host(images)[:-1]

    x, y = images(3)
    attack = attacks.hop_skip_jump(norm="l2", iterations=50)
    with pytest.raises(jax.errors.JaxRuntimeError, match="labels of shape"):
        jax.block_until_ready(attack(jax.random.key(0), foreign(tires), x, y))
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"label_fn": 3}, TypeError, "label_fn is 3"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"layout": "nchw"}, ValueError, "layout is 'nchw'.*channels_first"),
    ],
)
def test_bad_settings(arguments, error, message):
    with pytest.raises(error, match=message):
        foreign(**{"label_fn": host, **arguments})
