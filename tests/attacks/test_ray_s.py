"""RayS against its algorithm written plainly."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)


def plain(x: np.ndarray, label: int, queries: int, tolerance: float) -> float:
    """Chen and Gu's Algorithms 1 and 3, for an image: the radius after some queries."""
    asked, best = 0, 1.0

    class OutOfBudgetError(Exception):
        pass

    def hit(signs: np.ndarray, radius: float) -> bool:
        nonlocal asked
        if asked == queries:
            raise OutOfBudgetError
        asked += 1
        point = np.clip(x + np.float32(radius) * signs.reshape(x.shape), 0, 1)
        return int(models.linear(jnp.asarray(point[None]))[0]) != label

    signs, level, block = np.ones(x.size, np.float32), 0, None
    try:
        while True:
            trial = signs.copy()
            if block is None:
                block = 0
            else:
                length = -(-x.size // 2**level)
                trial[block * length : (block + 1) * length] *= -1
                block += 1
                if block * length >= x.size:
                    level, block = min(level + 1, 6), 0
            if hit(trial, best):
                low, signs = 0.0, trial
                while best - low > tolerance:
                    middle = (low + best) / 2
                    if hit(signs, middle):
                        best = middle
                    else:
                        low = middle
    except OutOfBudgetError:
        return best


def test_every_question_is_the_plain_algorithms() -> None:
    x, y = models.images(4, 6)
    attack = attacks.ray_s(max_queries=5000)
    state = attack.init(KEY, models.linear, x, y)
    step = jax.jit(lambda state: attack.step(KEY, models.linear, state)[0])
    for queries in range(1, 201):
        if queries % 20 == 0 or queries < 12:
            expected = [
                plain(np.asarray(image), int(label), queries, attack.tolerance)
                for image, label in zip(x, y, strict=True)
            ]
            np.testing.assert_allclose(state.memory.radius, expected, atol=1e-5)
            np.testing.assert_array_equal(state.queries, queries)
        state = step(state)
    assert min(expected) < 0.2


def test_the_corner_of_a_linear_model_is_found() -> None:
    x, y = models.images(5, 8)
    attack = attacks.ray_s(max_queries=2000, tolerance=1e-5)
    out = attack(KEY, models.linear, x, y)
    exact = models.linear_distance(x, "linf")
    np.testing.assert_allclose(out.distance, exact, rtol=0.01)
    assert (out.queries <= 2000).all()


def test_a_start_gives_the_first_direction() -> None:
    x, y = models.images(6, 4)
    weights = jnp.asarray(models.WEIGHTS).reshape(x.shape[1:])
    away = jnp.where((y == 1)[:, None, None, None], -1, 1) * jnp.sign(weights)[None]
    start = jnp.clip(x + 0.5 * away, 0, 1)
    attack = attacks.ray_s()
    state = attack.init(KEY, models.linear, x, y, start)
    assert state.found.all()
    # The way from 1 to 0 is halved ten times.
    for _ in range(10):
        state, _ = attack.step(KEY, models.linear, state)
    exact = models.linear_distance(x, "linf")
    np.testing.assert_allclose(state.memory.radius, exact, atol=attack.tolerance)


def test_in_l2_the_same_rays_are_searched_and_the_shortest_is_kept() -> None:
    x, y = models.images(5, 8)
    # Some pixels lie at the walls, where rays are cut.
    x = jnp.where(x > 0.6, 1, x)
    y = models.linear(x)
    states = []
    for norm in ("linf", "l2"):
        attack = attacks.ray_s(norm=norm, max_queries=5000)
        state = attack.init(KEY, models.linear, x, y)
        step = jax.jit(
            lambda state, attack=attack: attack.step(KEY, models.linear, state)
        )
        for _ in range(300):
            before = state
            state, _ = step(state)
            if norm == "l2":
                now, then = (size(s.adversary - x, "l2") for s in (state, before))
                assert (now <= then)[before.found].all()
        states.append(state)
    linf, l2 = states
    np.testing.assert_allclose(l2.memory.signs, linf.memory.signs)
    np.testing.assert_allclose(l2.memory.radius, linf.memory.radius, atol=1e-6)
    longer = size(linf.adversary - x, "l2")
    assert (size(l2.adversary - x, "l2") <= longer * (1 + 1e-5)).all()
    exact = models.linear_distance(x, "l2")
    distance = np.asarray(size(l2.adversary - x, "l2"))
    assert (distance >= exact * (1 - 1e-5)).all()
    # A ray of signs is at best as long as this, where the box stops none.
    dual = models.linear_distance(x, "linf") * np.sqrt(x[0].size)
    assert np.median(distance / dual) < 1.5


def test_a_start_is_kept_until_a_nearer_adversary_is_found() -> None:
    def in_a_small_ball(x):
        inside = jnp.max(jnp.abs(x - 0.7), axis=1) < 0.05
        return inside.astype(jnp.int32)

    x, start = jnp.full((1, 4), 0.5), jnp.full((1, 4), 0.7)
    for norm in ("linf", "l2"):
        attack = attacks.ray_s(norm=norm, max_queries=300)
        found = attack(KEY, in_a_small_ball, x, jnp.zeros(1, jnp.int32), start)
        assert found.success.all()
        assert found.distance <= size(start - x, norm) * 1.01
        assert found.queries <= 300


def test_a_start_is_asked_about_within_the_budget() -> None:
    x, y = models.images(3, 6)
    pool = models.images(40, 6)[0]
    start = attacks.nearest_start(x, y, pool, models.linear(pool))
    found = attacks.ray_s(max_queries=20)(KEY, models.linear, x, y, start)
    assert (found.queries <= 20).all()
