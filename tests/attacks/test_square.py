"""Square against its schedule, closed forms, and what every attack must hold."""

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import frame_checks
from zeroone_jax import attacks

KEY = jax.random.key(3)
HEIGHT, WIDTH, CHANNELS = 7, 6, 2


def images(seed, count=1):
    generator = np.random.default_rng(seed)
    return generator.random((count, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "query", "side"),
    [
        # After the paper's 10 and 50 of 10,000 queries the share halves once and twice.
        ({"max_queries": 10_000}, 10, math.sqrt(0.8 * 32 * 32)),
        ({"max_queries": 10_000}, 11, math.sqrt(0.4 * 32 * 32)),
        ({"max_queries": 10_000}, 51, math.sqrt(0.2 * 32 * 32)),
        ({"max_queries": 10_000}, 8001, math.sqrt(0.8 / 512 * 32 * 32)),
        ({"max_queries": 1000}, 1, math.sqrt(0.8 * 32 * 32)),
        ({"max_queries": 1000}, 2, math.sqrt(0.4 * 32 * 32)),
        ({"max_queries": 1000, "schedule_queries": 10_000}, 10, math.sqrt(0.8 * 1024)),
        ({"max_queries": 5000, "schedule_queries": 10_000}, 4001, math.sqrt(0.8 * 8)),
        ({"max_queries": 10_000, "norm": "l2"}, 10, 29),
        ({"max_queries": 10_000, "norm": "l2"}, 11, 21),
        ({"max_queries": 10_000, "norm": "l2"}, 9000, 3),
        ({"initial_share": 1e-6}, 0, 1),
        ({"initial_share": 1.0}, 0, 32),
    ],
)
def test_schedule(settings, query, side):
    attack = attacks.square(epsilon=0.1, **settings)
    # The start is the iteration before the first square's, which is query 0.
    measured = attack._side(jnp.asarray(query + 1), (32, 32, 3))
    assert int(measured) == round(side)


def sums(x, weights):
    """A linear map that rounds alike in every batch."""
    return jnp.sum(x.reshape(len(x), 1, -1) * weights.T[None, :, :], axis=2)


GENERATOR = np.random.default_rng(5)
WEIGHTS = jnp.asarray(
    GENERATOR.normal(size=(HEIGHT * WIDTH * CHANNELS, 3)), jnp.float32
)
LINE = WEIGHTS[:, :1]


def three_classes(x):
    return sums(x - 0.5, WEIGHTS)


def one_logit(x):
    return sums(x - 0.5, LINE)[:, 0] - 0.5


def two_logits(x):
    return one_logit(x)[:, None] * jnp.asarray([[-1.0, 1.0]])


_AGAIN = pytest.mark.slow("the same for more classes")


@pytest.mark.parametrize(
    ("norm", "fn"),
    [
        pytest.param("linf", three_classes, marks=_AGAIN),
        pytest.param("l2", three_classes, marks=_AGAIN),
        ("linf", one_logit),
        ("l2", two_logits),
    ],
)
def test_frame(norm, fn):
    x = jnp.asarray(images(2, 8))
    epsilon = {"linf": 0.05, "l2": 0.4}[norm]
    attack = attacks.square(norm=norm, epsilon=epsilon, max_queries=60)
    y = attack.labels(fn, x).at[0].add(1) % 2
    result = attack(KEY, fn, x, y)
    assert result.success[1:].any()
    assert int(result.queries.max()) == 60 or bool(result.success.all())
    frame_checks.assert_result_holds(attack, fn, x, y, result)
    if fn is three_classes:
        assert not result.success.all()
        assert (np.asarray(result.queries)[~np.asarray(result.success)] == 60).all()
        frame_checks.assert_images_are_independent(attack, KEY, fn, x, y, result)


def test_targeted():
    x = jnp.asarray(images(2, 8))
    attack = attacks.square(epsilon=0.15, targeted=True, max_queries=100)
    y = (attack.labels(three_classes, x) + 1) % 3
    result = attack(KEY, three_classes, x, y.at[0].add(2) % 3)
    assert result.success[1:].any()
    frame_checks.assert_result_holds(
        attack, three_classes, x, y.at[0].add(2) % 3, result
    )


@pytest.mark.slow("the same in float64")
def test_float64():
    with jax.enable_x64():
        x = jnp.asarray(images(2, 4), jnp.float64)
        line = LINE.astype(jnp.float64)

        def fn(x):
            return sums(x - 0.5, line)

        attack = attacks.square(norm="l2", epsilon=0.3, max_queries=30)
        y = attack.labels(fn, x)
        result = attack(KEY, fn, x, y)
        assert result.adversary.dtype == jnp.float64
        frame_checks.assert_result_holds(attack, fn, x, y, result)


@pytest.mark.parametrize("share", [0.93, 1.01])
def test_reaches_the_closed_form_of_a_linear_model(share):
    """In Linf, w.x + b can be turned exactly where |w.x + b| < epsilon ||w||_1."""
    weights = GENERATOR.normal(size=(16, 1))
    offset = -0.5 * weights.sum()
    x = 0.5 + 0.01 * GENERATOR.normal(size=(20, 16))
    limit = 0.1 * np.abs(weights).sum() * share
    sign = np.where(np.arange(20) % 2, 1, -1)
    x += ((sign * limit - x @ weights[:, 0] - offset) / np.sum(weights**2))[
        :, None
    ] * weights.T
    assert ((x > 0.1) & (x < 0.9)).all()
    weights = jnp.asarray(weights, jnp.float32)
    attack = attacks.square(epsilon=0.1, max_queries=800)
    y = jnp.asarray(sign > 0, jnp.int32)
    x = jnp.asarray(x.reshape(20, 4, 4, 1), jnp.float32)
    result = attack(KEY, lambda x: sums(x, weights) + offset, x, y)
    assert result.success.tolist() == [share < 1] * 20


@pytest.mark.slow("compiles step by step")
def test_steps_never_lose_and_finished_images_rest():
    x = jnp.asarray(images(2, 6))
    attack = attacks.square(epsilon=0.1, max_queries=50)
    y = attack.labels(three_classes, x)
    state = attack.init(KEY, three_classes, x, y)
    step = jax.jit(lambda state: attack.step(KEY, three_classes, state))
    for _ in range(12):
        new, info = step(state)
        assert (new.memory.loss >= state.memory.loss).all()
        kept = np.asarray(~info.accepted)
        np.testing.assert_array_equal(new.adversary[kept], state.adversary[kept])
        resting = np.asarray(~state.active)
        assert not (resting & np.asarray(info.accepted)).any()
        np.testing.assert_array_equal(new.queries, np.asarray(state.queries) + ~resting)
        state = new
    assert state.found.any()
    assert not state.active[state.found].any()


def test_start_is_the_first_point():
    x = jnp.asarray(images(2, 4))
    attack = attacks.square(epsilon=0.1, max_queries=3)
    y = attack.labels(one_logit, x)
    uphill = jnp.where(y == 1, -1, 1).astype(jnp.float32)
    steepest = jnp.sign(LINE[:, 0]).reshape(1, *x.shape[1:])
    start = jnp.clip(x + 0.3 * uphill[:, None, None, None] * steepest, 0, 1)
    result = attack(KEY, one_logit, x, y, start)
    assert result.success.all()
    np.testing.assert_allclose(
        result.adversary, jnp.clip(start, x - 0.1, x + 0.1), atol=1e-7
    )


@hypothesis.given(seed=st.integers(0, 2**32 - 1), norm=st.sampled_from(["linf", "l2"]))
def test_points_stay_in_box_and_ball(seed, norm):
    generator = np.random.default_rng(seed)
    epsilon = {"linf": 0.03, "l2": 0.3}[norm]
    # Pixels at the box's and the grid's borders are where float32 rounds badly.
    pixels = generator.choice([0, 1, 1e-7, 1 - 6e-8, epsilon, 0.3], (5, 7, 6, 1))
    x = jnp.asarray(pixels, jnp.float32)
    attack = attacks.square(norm=norm, epsilon=epsilon, max_queries=20)
    y = jnp.zeros(5, jnp.int32)
    result = attack(jax.random.key(seed), hopeless, x, y)
    assert not result.success.any()
    assert (result.queries == 20).all()
    frame_checks.assert_result_holds(attack, hopeless, x, y, result)


def hopeless(x):
    """Says class 0, whatever happens, with a loss that can be climbed."""
    x = x.reshape(len(x), -1)
    return jnp.stack([1000 + x[:, 0], jnp.sum(x, 1)], 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0, but must be above 0"),
        ({"max_queries": 2}, "max_queries is 2, but must be at least 3"),
        ({"initial_share": 0.0}, r"initial_share is 0.0, but must be in \(0,1\]"),
        ({"initial_share": 1.5}, "initial_share is 1.5"),
        ({"schedule_queries": 0}, "schedule_queries is 0"),
        ({"norm": "l1"}, "norm is 'l1', but must be one of 'linf', 'l2'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.square(**{"epsilon": 0.1, **settings})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 84), r"x is flat, \(2, 84\), .* give images \[n, height"),
        ((2, 1, 7, 6, 2), r"x has shape \(2, 1, 7, 6, 2\)"),
        ((2, 3, 32, 32), r"channels first.*moveaxis"),
        ((2, 1, 28, 28), r"channels first.*moveaxis"),
    ],
)
def test_shapes_are_checked(shape, message):
    attack = attacks.square(epsilon=0.1)
    x, y = jnp.full(shape, 0.5), jnp.ones(2, jnp.int32)
    with pytest.raises(ValueError, match=message):
        attack(KEY, lambda x: jnp.sum(x.reshape(2, -1), axis=1), x, y)


def test_only_what_looks_like_channels_first_is_refused():
    for shape in ((32, 32, 3), (28, 28, 1), (3, 3, 3), (1, 10, 3), (16, 16, 64)):
        assert attacks.square(epsilon=0.1)._shape(jnp.zeros((2, *shape))) == shape


@pytest.mark.slow("compiles for other layouts")
def test_layouts_agree():
    """Gray images without a channel are the same images."""
    x = jnp.asarray(images(4, 3)[..., :1])
    line = LINE[: HEIGHT * WIDTH]
    y = jnp.asarray(sums(x, line)[:, 0] > 0, jnp.int32)

    def first_points(x):
        attack = attacks.square(epsilon=0.1, norm="linf")
        side = attack._side(jnp.asarray(1), attack._shape(x))

        @jax.jit
        def both(x):
            state = attack.init(KEY, None, x, y)
            return jnp.stack([state.adversary, attack._moved(KEY, state, side)])

        return both(x).reshape(2, 3, -1)

    expected = first_points(x)
    np.testing.assert_array_equal(first_points(x[..., 0]), expected)
