"""FAB against closed forms and a numpy version of a step of Algorithm 1."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from tests.attacks.test_hyperplane import ORDER
from zeroone_jax import attacks
from zeroone_jax.attacks import linearize

KEY = jax.random.key(0)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize(
    ("classes", "target_classes"), [(1, None), (2, 9), (5, None), (5, 9)]
)
def test_linear_models_give_the_least_distance(norm, classes, target_classes):
    fn, weights, bias, x, y = models.linear(7, 40, classes, images=12)
    attack = attacks.fab(norm=norm, target_classes=target_classes, iterations=20)
    out = attack(KEY, fn, x, y)
    if norm == "l1":
        # The one pixel of the steepest slope rarely has room enough in the box.
        expected = models.least_in_the_box(weights, bias, x, y, norm)
    else:
        expected = models.closed_form(weights, bias, x, y, norm)
    assert out.success.all()
    ratio = np.asarray(out.distance) / expected
    assert ratio.max() < 1.01
    assert ratio.min() > 1
    models.check_result(out, fn, x, y, norm)
    others = max(1, classes - 1)
    steps = 20 * 2 * others if target_classes else 20 * (others + 1)
    assert (np.asarray(out.queries) == 1 + steps + 6 + 2).all()


def projection(point, slope, rise, norm):
    """The smallest move onto a hyperplane that the box does not come near to."""
    if norm == "l2":
        return rise * slope / (slope @ slope)
    if norm == "linf":
        return rise * np.sign(slope) / abs(slope).sum()
    steepest = np.arange(len(slope)) == np.argmax(abs(slope))
    return np.where(steepest, rise / slope, 0)


def step_in_numpy(params, image, point, y, norm):
    z, gradients = models.mlp_in_numpy(params, point)
    dual = {"l2": 2, "linf": 1, "l1": np.inf}[norm]

    def distance(k):
        return abs(z[k] - z[y]) / np.linalg.norm(gradients[k] - gradients[y], dual)

    nearest = min((k for k in range(len(z)) if k != y), key=distance)
    w, f = gradients[nearest] - gradients[y], z[nearest] - z[y]
    move = projection(point, w, -f, norm)
    image_move = projection(image, w, -f + w @ (point - image), norm)
    a, b = (np.linalg.norm(d, ORDER[norm]) for d in (move, image_move))
    weight = min(a / (a + b), 0.1)
    point = (1 - weight) * (point + 1.05 * move) + weight * (image + 1.05 * image_move)
    broken = np.argmax(models.mlp_in_numpy(params, point)[0]) != y
    return image + 0.9 * (point - image) if broken else point


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_steps_are_those_of_algorithm_1(norm):
    fn, params, x, y = models.mlp(4)
    attack = attacks.fab(norm=norm)
    state = attack.init(KEY, fn, x, y)
    step = jax.jit(lambda state: attack.step(KEY, fn, state))
    points = [np.float64(image) for image in x]
    compared = 0
    for _ in range(3):
        state, _ = step(state)
        for i, point in enumerate(points):
            points[i] = step_in_numpy(params, np.float64(x[i]), point, int(y[i]), norm)
            # The numpy version knows no box.
            if points[i].min() > 0.05 and points[i].max() < 0.95:
                np.testing.assert_allclose(state.memory.point[i], points[i], atol=5e-5)
                compared += 1
            else:
                points[i] = np.float64(state.memory.point[i])
    assert compared >= 5
    assert state.found.any()


def test_runs_go_through_the_likeliest_classes_and_the_restarts():
    fn, _, _, x, y = models.linear(2, classes=5)
    attack = attacks.fab(norm="l2", target_classes=2, restarts=3, iterations=4)
    out = attack(KEY, fn, x, y)
    assert (out.queries == 1 + 2 * 3 * 4 * 2 + 6 + 2).all()
    z = np.array(fn(x))
    z[np.arange(len(y)), y] = -np.inf
    state = attack.init(KEY, fn, x, y)
    np.testing.assert_array_equal(state.memory.others, np.argsort(-z, axis=1)[:, :4])


def test_restarts_begin_within_half_of_what_is_reached():
    fn, _, x, y = models.mlp(0)
    for norm, epsilon in (("linf", None), ("l2", None), ("l1", 0.02)):
        attack = attacks.fab(norm=norm, iterations=2, restarts=3, epsilon=epsilon)
        state = attack.init(KEY, fn, x, y)
        step = jax.jit(lambda state, attack=attack: attack.step(KEY, fn, state))
        starts = []
        for _ in range(4):
            state, _ = step(state)
            starts.append(np.asarray(state.memory.point - x))
        limit = np.minimum(
            state.memory.shortening.length, epsilon or {"linf": 0.3, "l2": 1}[norm]
        )
        length = np.linalg.norm(starts[1], ORDER[norm], axis=1)
        assert (length <= limit / 2 * 1.001).all() or epsilon is None
        assert (length > 0).all()
        assert not np.allclose(starts[1], starts[3])


@pytest.mark.slow("compiles for other restarts")
def test_more_restarts_never_are_farther():
    fn, _, x, y = models.mlp(5)
    one, three = (
        attacks.fab(norm="l2", iterations=10, restarts=count)(KEY, fn, x, y).distance
        for count in (1, 3)
    )
    assert (three <= one * 1.001).all()


@pytest.mark.parametrize(
    "norm",
    [
        "l2",
        pytest.param("linf", marks=pytest.mark.slow("the same in another norm")),
        pytest.param("l1", marks=pytest.mark.slow("the same in another norm")),
    ],
)
def test_images_leave_within_epsilon(norm):
    fn, _, x, y = models.mlp(4)
    free = attacks.fab(norm=norm, iterations=20)
    distances = np.asarray(free(KEY, fn, x, y).distance)
    epsilon = float(np.sort(distances)[1:3].mean())
    out = dataclasses.replace(free, epsilon=epsilon)(KEY, fn, x, y)
    near = distances < epsilon
    np.testing.assert_array_equal(out.distance <= epsilon, near)
    assert (out.queries[near] < out.queries[~near].min()).all()
    np.testing.assert_array_equal(out.success, near)
    models.check_result(out, fn, x, y, norm)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "l0"}, "norm is 'l0', but must be one of"),
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"restarts": 0}, "restarts is 0"),
        ({"target_classes": 0}, "target_classes is 0"),
        ({"target_classes": 9, "targeted": True}, "give one of them"),
        ({"alpha_max": 0.0}, "alpha_max is 0.0"),
        ({"eta": 0.9}, "eta is 0.9"),
        ({"beta": 1.0}, "beta is 1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.fab(**settings)


def test_blocks_of_classes_find_the_nearest_of_all():
    """With 40 classes, slopes of 16 are in memory at a time: the same hyperplane."""
    fn, weights, _, x, y = models.linear(5, 40, 40, images=6)
    reach = linearize.ranking(fn(x), y)
    plane = linearize.nearest(fn, x, y, reach, "l2")
    z = np.float64(fn(x))
    behind = z[np.arange(6), y][:, None] - z
    steep = np.linalg.norm(weights.T[None] - weights.T[np.asarray(y)][:, None], axis=2)
    behind[np.arange(6), y], steep[np.arange(6), y] = np.inf, 1
    distance = behind / steep
    np.testing.assert_allclose(
        -plane.ahead / plane.steepness, distance.min(axis=1), rtol=1e-4
    )


def test_memory_does_not_grow_with_the_classes():
    def fn(x):
        pooled = x.reshape(len(x), 7, 32, 7, 32, 3).mean((2, 4)).reshape(len(x), -1)
        return pooled @ jnp.ones((147, 1000))

    x = jax.ShapeDtypeStruct((4, 224, 224, 3), jnp.float32)
    y = jax.ShapeDtypeStruct((4,), jnp.int32)
    reach = jax.ShapeDtypeStruct((4, 999), jnp.int32)
    nearest = jax.jit(lambda x, y, reach: linearize.nearest(fn, x, y, reach, "linf"))
    needed = nearest.lower(x, y, reach).compile().memory_analysis().temp_size_in_bytes
    # All slopes at once are 2.4 GB.
    assert needed < 0.3e9


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_restarts_begin_inside_the_box(norm):
    x = jnp.zeros((2, 2, 6))
    attack = attacks.fab(norm=norm, restarts=2, iterations=1)
    nearest = jnp.full(2, jnp.inf)
    start = attack._start(KEY, x, jnp.zeros(2, jnp.int32), nearest, jnp.asarray(1))
    # Clipped, half of the pixels of a black image would stay black.
    assert jnp.mean(start > 0) > 0.8


@pytest.mark.parametrize("name", ["iterations", "restarts", "target_classes"])
def test_fractions_are_no_counts(name):
    with pytest.raises(ValueError, match=f"{name} is 2.5, but must be a whole number"):
        attacks.fab(**{name: 2.5})
