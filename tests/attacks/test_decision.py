"""What every decision attack must hold, whatever its algorithm."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.decision import DecisionAttack
from zeroone_jax.attacks.paid import PaidLabelFn
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import AttackResult, State

KEY = jax.random.key(0)
MODEL = models.shifted(0.0)
# The last halving, of 1e-4 of the distance, may turn on rounding.
TOLERANCE = 2e-4
ATTACKS = {
    "hop_skip_jump": attacks.hop_skip_jump(iterations=8, chunk=5),
    "hop_skip_jump linf": attacks.hop_skip_jump(norm="linf", iterations=8, chunk=5),
    "hop_skip_jump adaptive": attacks.hop_skip_jump(
        radius="adaptive", iterations=8, chunk=5
    ),
    "cgba": attacks.cgba(iterations=8, chunk=5),
    "cgba curved": attacks.cgba(iterations=8, chunk=5, curved=True),
    "surfree": attacks.surfree(max_queries=200, chunk=5),
    "geoda": attacks.geoda(initial_directions=30, iterations=6, chunk=5),
    "geoda l1": attacks.geoda(norm="l1", initial_directions=30, iterations=6, chunk=5),
    "geoda linf": attacks.geoda(
        norm="linf", initial_directions=30, iterations=6, chunk=5
    ),
    "sign_opt": attacks.sign_opt(directions=40, iterations=5, chunk=5),
    "boundary": attacks.boundary(iterations=8, samples=20, chunk=5),
    "ray_s": attacks.ray_s(max_queries=200, chunk=5),
    "ray_s l2": attacks.ray_s(norm="l2", max_queries=200, chunk=5),
}


SLOW = (
    "hop_skip_jump linf",
    "hop_skip_jump adaptive",
    "cgba",
    "cgba curved",
    "surfree",
    "geoda",
    "geoda l1",
    "geoda linf",
    "sign_opt",
    "ray_s l2",
)
COUNTED = ("cgba", "surfree", "geoda", "sign_opt")


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow("once more") if name in SLOW else ())
        for name in ATTACKS
    ]
)
def attack(request: pytest.FixtureRequest) -> DecisionAttack:
    return ATTACKS[request.param]


@functools.cache
def outcome(attack: DecisionAttack) -> tuple[jax.Array, jax.Array, AttackResult]:
    """Twelve images, two of them with a wrong label, attacked once."""
    x, y = models.images(1, 12)
    y = y.at[3].set(1 - y[3]).at[7].set(1 - y[7])
    return x, y, attack(KEY, MODEL, x, y)


def test_every_adversary_is_one_when_asked_alone(attack: DecisionAttack) -> None:
    _, y, out = outcome(attack)
    assert out.success.all()
    with jax.disable_jit():
        for adversary, label in zip(out.adversary, y, strict=True):
            assert models.linear(adversary[None])[0] != label


def test_adversaries_are_images_and_distances_are_theirs(
    attack: DecisionAttack,
) -> None:
    x, _, out = outcome(attack)
    assert out.adversary.dtype == x.dtype
    assert out.adversary.min() >= 0
    assert out.adversary.max() <= 1
    np.testing.assert_array_equal(out.distance, size(out.adversary - x, attack.norm))


def test_misclassified_images_are_their_own_adversaries(
    attack: DecisionAttack,
) -> None:
    x, _, out = outcome(attack)
    for index in (3, 7):
        np.testing.assert_array_equal(out.adversary[index], x[index])
        assert out.distance[index] == 0
        assert out.queries[index] == 1
    assert (np.delete(np.asarray(out.distance), [3, 7]) > 0).all()


def test_no_distance_is_below_the_exact_one(attack: DecisionAttack) -> None:
    x, y, out = outcome(attack)
    right = np.asarray(models.linear(x) == y)
    exact = models.linear_distance(x, attack.norm)
    assert (np.asarray(out.distance) >= exact * (1 - 1e-5))[right].all()


def test_an_image_meets_the_same_adversary_in_any_company(
    attack: DecisionAttack,
) -> None:
    x, y, out = outcome(attack)
    # Others in some places, and everybody in another chunk than before.
    order = jnp.array([5, 3, 0, 11, 6, 2, 9, 9, 4, 4, 4, 4])
    other = attack(KEY, MODEL, x[order], y[order])
    chex.assert_trees_all_close(
        other, jax.tree.map(lambda a: a[order], out), rtol=TOLERANCE, atol=TOLERANCE
    )


def test_an_image_meets_the_same_adversary_alone() -> None:
    attack = ATTACKS["hop_skip_jump"]
    x, y, out = outcome(attack)
    alone = attack(KEY, MODEL, x[2:3], y[2:3])
    chex.assert_trees_all_close(
        alone, jax.tree.map(lambda a: a[2:3], out), rtol=TOLERANCE, atol=TOLERANCE
    )


@pytest.mark.slow("compiles attacks for several devices")
@pytest.mark.parametrize("name", [name for name in ATTACKS if " " not in name])
def test_several_devices_find_the_same(name: str) -> None:
    """Of each attack in one setting, for all divide their images alike."""
    attack = ATTACKS[name]
    x, y, out = outcome(attack)
    mesh = jax.make_mesh((4,), ("images",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.NamedSharding(mesh, jax.P("images"))
    other = attack(KEY, MODEL, jax.device_put(x, spread), jax.device_put(y, spread))
    chex.assert_trees_all_close(
        jax.device_get(other), jax.device_get(out), rtol=TOLERANCE, atol=TOLERANCE
    )


def test_a_tight_budget_is_kept(attack: DecisionAttack) -> None:
    x, y, out = outcome(attack)
    tight = dataclasses.replace(attack, max_queries=60)
    early = tight(KEY, MODEL, x, y)
    assert (early.queries <= 60).all()
    # The same search, stopped early, and then brought to the boundary.
    assert (early.distance >= out.distance * (1 - 1e-3)).mean() > 0.8


@functools.cache
def stepper(attack: DecisionAttack) -> Callable:
    return jax.jit(lambda state: attack.step(KEY, models.linear, state))


@functools.cache
def started(attack: DecisionAttack) -> State:
    x, y = models.images(2, 6)
    return jax.jit(lambda: attack.init(KEY, models.linear, x, y))()


def test_the_nearest_so_far_is_kept(attack: DecisionAttack) -> None:
    state = started(attack)
    for iteration in range(8):
        before = state
        state, _ = stepper(attack)(state)
        assert state.iteration == iteration + 1
        assert (state.queries >= before.queries).all()
        assert (models.linear(state.adversary) != state.y)[state.found].all()
        now, then = (size(s.adversary - s.x, attack.norm) for s in (state, before))
        assert (now <= then)[before.found].all()


def test_finished_images_stay(attack: DecisionAttack) -> None:
    state = started(attack)
    stopped = jnp.array([True, False, True, False, True, False])
    state = state._replace(active=state.active & ~stopped)
    after, _ = stepper(attack)(state)
    np.testing.assert_array_equal(after.adversary[stopped], state.adversary[stopped])
    np.testing.assert_array_equal(after.queries[stopped], state.queries[stopped])
    assert (after.queries > state.queries)[~stopped].all()


def test_queries_are_the_questions_asked() -> None:
    asked: list[int] = []

    def count(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return np.asarray(models.linear(rows))

    def counted(x: jax.Array) -> jax.Array:
        out = jax.ShapeDtypeStruct(x.shape[:1], jnp.int32)
        return jax.pure_callback(count, out, x)

    x, y = models.images(1, 1)
    # RayS asks one question at a time, so that none is asked in vain.
    out = attacks.ray_s(max_queries=100)(KEY, counted, x, y)
    assert sum(asked) == out.queries[0] <= 100


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow("once more") if late else ())
        for late, name in enumerate(COUNTED)
    ],
)
def test_paid_queries_are_the_questions_asked(name: str) -> None:
    asked: list[int] = []

    def count(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
        asked.append(int(np.sum(rows)))
        return np.asarray(models.linear(points))

    def ask(points: jax.Array, rows: jax.Array) -> jax.Array:
        out = jax.ShapeDtypeStruct(points.shape[:1], jnp.int32)
        return jax.pure_callback(count, out, points, rows)

    x, y = models.images(1, 2)
    attack = dataclasses.replace(ATTACKS[name], max_queries=80)
    out = attack(KEY, PaidLabelFn(ask), x, y)
    assert sum(asked) == out.queries.sum()
    assert (out.queries <= 80).all()


def test_targets_are_reached(attack: DecisionAttack) -> None:
    x, _ = models.images(1, 6)
    assert (models.ball(x) == 0).all()
    target = jnp.array([1, 2, 1, 2, 1, 2])
    start = jnp.where((target == 1)[:, None, None, None], 1.0, 0.0) * jnp.ones_like(x)
    targeted = dataclasses.replace(attack, targeted=True, max_queries=300)
    out = targeted(KEY, models.ball, x, target, start)
    assert out.success.all()
    np.testing.assert_array_equal(models.ball(out.adversary), target)
    assert (out.distance < size(start - x, attack.norm)).all()


def test_a_model_of_one_label_has_no_adversary(attack: DecisionAttack) -> None:
    x, _, _ = outcome(attack)
    out = attack(KEY, models.shifted(-1e6), x, jnp.zeros(12, jnp.int32))
    assert not out.success.any()
    assert (out.distance == jnp.inf).all()
    np.testing.assert_array_equal(out.adversary, x)


def test_a_start_that_is_no_adversary_is_refused(attack: DecisionAttack) -> None:
    x, y = models.images(1, 3)
    start = jnp.stack([1 - x[0], x[1], x[2]])
    with pytest.raises(ValueError, match=r"starting points are no adversaries.*1, 2"):
        attack(KEY, models.linear, x, y, start)


def test_logits_are_refused(attack: DecisionAttack) -> None:
    x, y = models.images(1, 3)
    with pytest.raises(TypeError, match=r"as_label_fn\(logits_fn\)"):
        attack(KEY, lambda x: x.reshape(len(x), -1)[:, :2], x, y)


def test_one_compilation_serves_all_models_of_a_kind() -> None:
    attack = ATTACKS["ray_s"]
    traces: list[None] = []

    def traced(offset: jax.Array, x: jax.Array) -> jax.Array:
        traces.append(None)
        return models.shifted(offset)(x)

    x, y = models.images(1, 12)
    attack(KEY, jax.tree_util.Partial(traced, jnp.asarray(0.0)), x, y)
    first = len(traces)
    attack(jax.random.key(1), jax.tree_util.Partial(traced, jnp.asarray(0.1)), x, y)
    # What the model does is looked at in every call, without computing it; once more
    # for twice the images, because it has arrays of NumPy.
    assert len(traces) == first + 2


def test_too_small_a_budget_is_refused(attack: DecisionAttack) -> None:
    with pytest.raises(ValueError, match="max_queries is 19, but must be above 19"):
        dataclasses.replace(attack, max_queries=19)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"radius": 0.0}, "radius is 0.0, but must be above 0"),
        ({"radius": "far"}, "radius is 'far', but must be one of"),
        ({"law": "cauchy"}, "law is 'cauchy', but must be one of 'signs'"),
        ({"norm": "l1"}, "norm is 'l1', but must be one of 'l2', 'linf'"),
        (
            {"iterations": 0},
            "iterations is 0, but must be a whole number of at least 1",
        ),
        ({"iterations": 2.5}, "iterations is 2.5, but must be a whole number"),
        ({"iterations": None}, "iterations and max_queries are both None, but one"),
        ({"max_queries": 99.5}, "max_queries is 99.5, but must be a whole number"),
        ({"start_noise": "pink"}, "start_noise is 'pink'"),
        ({"chunk": 0}, "chunk is 0, but must be a whole number of at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attacks.hop_skip_jump(**setting)


@pytest.mark.parametrize("name", ["hop_skip_jump", "cgba", "geoda", "sign_opt"])
@pytest.mark.slow("compiles for both ends")
def test_without_a_limit_the_queries_are_the_end(name: str) -> None:
    x, y = models.images(1, 4)
    limit: Any = {"max_queries": 400}
    free, many, two = (
        dataclasses.replace(ATTACKS[name], iterations=iterations, **limit)(
            KEY, models.linear, x, y
        )
        for iterations in (None, 10_000, 2)
    )
    chex.assert_trees_all_equal(free, many)
    assert (free.queries > two.queries).all()


def test_a_step_forward_of_the_whole_way_is_refused() -> None:
    with pytest.raises(ValueError, match=r"forward is 1\.0, but must be in \(0,1\)"):
        attacks.boundary(forward=1.0)


def test_ray_s_needs_a_budget() -> None:
    with pytest.raises(ValueError, match="RayS has no other end"):
        attacks.ray_s(max_queries=None)
