"""Foreign label functions: as JAX's own where both are exact, refused where wrong."""

import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.attacks.adapters import foreign
from zeroone_jax.evaluation import query_curve

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


class Meter:
    """A function that counts the images it is asked about."""

    def __init__(self):
        self.asked = 0
        self.grey = 0

    def __call__(self, images):
        self.asked += len(images)
        self.grey += int((images == 0.5).all(axis=(1, 2, 3)).sum())
        return bright(images).astype(np.int64)


def check_bill(meter, queries):
    """What is counted is what was asked, the one grey image of the probe apart."""
    assert meter.grey == 1
    assert meter.asked - 1 == int(jnp.sum(queries))


# Seven of eleven images are wrong already, and three chunks of four are filled up.
X, LABELS = images(11, seed=3)
Y = LABELS.at[jnp.array([0, 1, 2, 5, 7, 9, 10])].add(1) % 2
START = jnp.broadcast_to(1 - Y[:, None, None, None].astype(X.dtype), X.shape)
LABEL_ATTACKS = {
    "hop_skip_jump": attacks.hop_skip_jump(iterations=3, chunk=4),
    "hop_skip_jump linf": attacks.hop_skip_jump(
        norm="linf", iterations=99, chunk=4, max_queries=150
    ),
    "boundary": attacks.boundary(iterations=4, samples=7, chunk=4),
    "ray_s": attacks.ray_s(max_queries=60, chunk=4),
}


@pytest.mark.parametrize("name", LABEL_ATTACKS)
@pytest.mark.slow("compiles the same attack twice")
def test_an_attack_finds_the_same_and_asks_nothing_in_vain(name):
    attack, meter = LABEL_ATTACKS[name], Meter()
    out = attack(jax.random.key(1), foreign(meter, batch_size=5), X, Y)
    assert out.success.all()
    # Programs that are not the same may round otherwise.
    expected = attack(jax.random.key(1), own, X, Y)
    chex.assert_trees_all_close(out, expected, atol=1e-6)
    check_bill(meter, out.queries)
    np.testing.assert_array_equal(out.queries[LABELS != Y], 1)


@pytest.mark.parametrize("name", ["hop_skip_jump linf", "ray_s"])
def test_starts_are_counted_and_the_budget_is_kept(name):
    attack, meter = LABEL_ATTACKS[name], Meter()
    out = attack(jax.random.key(1), foreign(meter), X, Y, START)
    check_bill(meter, out.queries)
    # One look at the image, and one at the start before the attack.
    np.testing.assert_array_equal(out.queries[LABELS != Y], 2)
    assert attack.max_queries - 10 < out.queries.max() <= attack.max_queries


def test_images_that_fill_up_devices_are_not_asked_about():
    meter = Meter()
    attack = LABEL_ATTACKS["ray_s"]
    out = attack(jax.random.key(1), foreign(meter), X, Y, devices=jax.devices()[:4])
    check_bill(meter, out.queries)


def test_a_failed_search_for_a_start_is_counted():
    meter = Meter()

    def constant(images):
        return meter(images) * 0

    attack = attacks.hop_skip_jump(iterations=2, start_draws=3, chunk=4)
    out = attack(jax.random.key(1), foreign(constant), X, jnp.zeros_like(Y))
    assert not out.success.any()
    check_bill(meter, out.queries)


SUITE = attacks.suite.Suite(
    stages=(
        attacks.suite.Stage(name="short", attack=attacks.ray_s(max_queries=30)),
        attacks.suite.Stage(name="long", attack=attacks.ray_s(max_queries=60)),
    ),
    norm="linf",
    epsilon=0.05,
)


@pytest.mark.slow("compiles a suite of attacks")
def test_a_suite_counts_all_it_asks():
    meter = Meter()
    report = SUITE(jax.random.key(1), foreign(meter), X, Y)
    assert 0 < report.robust_accuracy < report.clean_accuracy
    assert report.warnings == ()
    check_bill(meter, report.queries)
    # The same as of a function that nobody pays for.
    free = SUITE(jax.random.key(1), own, X, Y)
    np.testing.assert_array_equal(report.queries, free.queries)
    np.testing.assert_array_equal(report.distance, free.distance)


def test_a_suite_says_where_answers_changed():
    meter = Meter()

    def moody(images):
        # After the suite's own look and the probe, all other labels.
        return meter(images) if meter.asked < 12 else 1 - meter(images)

    report = SUITE(jax.random.key(1), foreign(moody), X, Y)
    check_bill(meter, report.queries)
    (warning,) = report.warnings
    assert "asked again, it gave 4 of 11 images other labels" in warning


def test_a_recorded_course_counts_the_same():
    meter = Meter()
    out = query_curve.record(
        LABEL_ATTACKS["ray_s"],
        jax.random.key(1),
        foreign(meter),
        X,
        Y,
        None,
        query_curve.budgets(60, 5),
    )
    check_bill(meter, out.result.queries)


@pytest.mark.slow("compiles for several devices")
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
