"""What DeepFool, Carlini-Wagner and FAB have in common."""

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses

KEY = jax.random.key(3)
SHORT = {
    "deep_fool-l2": attacks.deep_fool(norm="l2", iterations=8),
    "deep_fool-linf": attacks.deep_fool(norm="linf", iterations=8),
    "carlini_wagner": attacks.carlini_wagner(search_steps=5, iterations=60),
    "fab-l2": attacks.fab(norm="l2", iterations=8),
    "fab-linf": attacks.fab(norm="linf", iterations=6, restarts=2),
    "fab-l1": attacks.fab(norm="l1", iterations=6, target_classes=9),
}
TARGETED = {
    "carlini_wagner": attacks.carlini_wagner(
        search_steps=5, iterations=60, targeted=True
    ),
    "fab-l2": attacks.fab(norm="l2", iterations=30, targeted=True),
}


@pytest.fixture(params=SHORT)
def attack(request):
    return SHORT[request.param]


@hypothesis.given(seed=strategies.integers(0, 10**6), low=strategies.floats(0, 0.4))
@hypothesis.settings(
    max_examples=8,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_results_are_true(attack, seed, low):
    # Images in all the box, black and white pixels among them; labels partly wrong.
    fn, _, _, x, y = models.linear(seed, low=low, high=1 - low)
    x = jnp.where(x < 0.2, 0, jnp.where(x > 0.8, 1, x))
    y = jnp.where(jnp.arange(len(y)) == seed % 6, (y + 1) % 3, y)
    models.check_result(attack(KEY, fn, x, y), fn, x, y, attack.norm)


@pytest.mark.parametrize("name", TARGETED)
@pytest.mark.parametrize("seed", range(3))
def test_targets_are_reached(name, seed):
    attack = TARGETED[name]
    fn, weights, bias, x, y = models.linear(seed)
    target = (y + 1 + seed % 2) % 3
    out = attack(KEY, fn, x, target)
    models.check_result(out, fn, x, target, attack.norm, targeted=True)
    assert out.success.all()
    # The boundary between the label and the target is no farther.
    pairs = np.stack([np.asarray(y), np.asarray(target)], axis=1)
    for i, pair in enumerate(pairs):
        bound = models.closed_form(
            weights[:, pair], bias[pair], x[i : i + 1], jnp.array([0]), attack.norm
        )
        assert out.distance[i] >= bound * (1 - 1e-4)


@pytest.mark.parametrize("name", TARGETED)
def test_a_target_of_two_is_the_other_class(name):
    attack = TARGETED[name]
    fn, weights, bias, x, y = models.linear(5, classes=1)
    out = attack(KEY, fn, x, 1 - y)
    expected = models.closed_form(weights, bias, x, y, "l2")
    np.testing.assert_allclose(out.distance, expected, rtol=0.05)


def test_nothing_to_find_is_no_success(attack):
    _, weights, bias, x, y = models.linear(1)
    flat = jax.tree_util.Partial(
        models.linear_logits, jnp.zeros_like(weights), jnp.asarray(bias)
    )
    y = losses.labels(flat(x))
    out = attack(KEY, flat, x, y)
    assert not out.success.any()
    models.check_result(out, flat, x, y, attack.norm)


@pytest.mark.slow("compiles for other batches")
def test_images_are_independent(attack):
    fn, _, x, y = models.mlp(4)
    together = attack(KEY, fn, x, y)
    assert together.success.all()
    order = jnp.array([3, 1, 4, 0, 2])
    shuffled = attack(KEY, fn, x[order], y[order])
    chunked = dataclasses.replace(attack, chunk=2)(KEY, fn, x, y)
    for out, rows in ((shuffled, order), (chunked, jnp.arange(5))):
        np.testing.assert_array_equal(out.queries, together.queries[rows])
        np.testing.assert_allclose(out.distance, together.distance[rows], rtol=2e-4)
        np.testing.assert_allclose(
            out.adversary, together.adversary[rows], rtol=0, atol=1e-4
        )


@pytest.mark.slow("compiles for several models")
def test_models_are_traced_once(attack):
    traces = []

    def logits(weights, x):
        traces.append(x.shape)
        return x @ weights

    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.uniform(size=(4, 5)), jnp.float32)
    for _ in range(2):
        weights = jnp.asarray(generator.normal(size=(5, 3)), jnp.float32)
        fn = jax.tree_util.Partial(logits, weights)
        y = jnp.argmax(x @ weights, axis=1)
        before = len(traces)
        attack(KEY, fn, x, y)
    # The second call only asks for the shape of the model's outputs.
    assert len(traces) - before == 1


@pytest.mark.parametrize("name", ["deep_fool-l2", "carlini_wagner", "fab-linf"])
@pytest.mark.slow("attacks once more, in float64")
def test_float64(name):
    with jax.enable_x64(True):
        _, weights, bias, x, y = models.linear(4)
        double = jax.tree_util.Partial(
            models.linear_logits,
            jnp.asarray(weights, jnp.float64),
            jnp.asarray(bias, jnp.float64),
        )
        x = x.astype(jnp.float64)
        out = SHORT[name](jax.random.key(0), double, x, y)
        assert out.adversary.dtype == out.distance.dtype == jnp.float64
        assert out.success.all()
        models.check_result(out, double, x, y, SHORT[name].norm)


@pytest.mark.parametrize("name", ["deep_fool-l2", "carlini_wagner", "fab-l2"])
def test_a_start_is_where_the_search_begins(name):
    fn, _, x, y = models.mlp(6)
    start = jnp.clip(x + 0.1, 0, 1)
    state = SHORT[name].init(KEY, fn, x, y, start)
    point = state.memory.variable if name == "carlini_wagner" else state.memory.point
    if name == "carlini_wagner":
        point = (jnp.tanh(point) + 1) / 2
    np.testing.assert_allclose(point, start, atol=1e-5)
