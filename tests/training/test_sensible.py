"""The sensible adversary against its authors' program, closed forms and plain numpy."""

import ast
import dataclasses
import functools
import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training import tiny
from zeroone_jax import attacks, devices, losses, models
from zeroone_jax.attacks import perturbation
from zeroone_jax.training import sensible, sensible_adversary, sensible_step

KEY = jax.random.key(4)
EPSILON, STEP, STEPS = 0.1, 0.03, 7
SETTINGS = sensible_step.Settings(epsilon=EPSILON, step_size=STEP, steps=STEPS)


def convolve(x, kernel, bias):
    """Of kernels (out, in, height, width), stride 2, padding 2."""
    kernel = jnp.transpose(kernel, (2, 3, 1, 0))
    out = models.convolve(x, kernel, (2, 2), ((2, 2), (2, 2)), precision="highest")
    return out + bias[None, None, None]


def authors_network(arrays, x):
    x = jax.nn.softplus(convolve(x, arrays["conv1_kernel"], arrays["conv1_bias"]))
    x = jax.nn.softplus(convolve(x, arrays["conv2_kernel"], arrays["conv2_bias"]))
    flat = jnp.transpose(x, (0, 3, 1, 2)).reshape(len(x), -1)
    product = jnp.matmul(flat, arrays["dense_kernel"].T, precision="highest")
    return product + arrays["dense_bias"][None]


@pytest.fixture(scope="module")
def parity(reference):
    with np.load(reference / "sense_parity.npz") as file:
        return {name: file[name] for name in file.files}


_MORE = (
    pytest.mark.slow("the same with other settings, in float64"),
    pytest.mark.computes,
)


@pytest.mark.parametrize(
    ("dtype", "tolerance", "case"),
    [
        pytest.param(dtype, tolerance, case, marks=() if is_quick else _MORE)
        # In float32 the adaptive one in L2 alone: what is exact needs no coarser look.
        for dtype, tolerance, cases in (
            ("float64", 1e-9, range(8)),
            ("float32", 1e-4, (4,)),
        )
        for case in cases
        for is_quick in (dtype == "float32",)
    ],
)
def test_it_is_the_authors_adversary(parity, case, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        arrays = {
            name: jnp.asarray(array, dtype)
            for name, array in parity.items()
            if array.dtype == np.float64
        }
        spec = ast.literal_eval(str(parity[f"case{case}_spec"]))
        x = arrays["x"]
        adversary = sensible_adversary(
            KEY,
            functools.partial(authors_network, arrays),
            x,
            jnp.asarray(parity["y"], jnp.int32),
            epsilon=spec["epsilon"],
            step_size=spec["step_size"],
            steps=spec["steps"],
            confidence=spec["threshold_probability"],
            norm={"inf": "linf", "2": "l2"}[spec["norm"]],
            start=jnp.clip(x + arrays[f"case{case}_start_delta"], 0, 1),
            adaptive=spec["adaptive"],
            divergence=spec["divergence"],
        )
        expected = parity[f"case{case}_adversary"]
        assert adversary.dtype == dtype
        assert np.abs(expected - parity["x"]).max() > 0.01
        np.testing.assert_allclose(adversary, expected, atol=tolerance, rtol=0)


@functools.partial(jax.jit, static_argnames=("norm", "divergence", "ignored"))
def find(seed, x, y, **settings):
    settings = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS} | settings
    return sensible_adversary(jax.random.key(seed), tiny.logits, x, y, **settings)


@hypothesis.given(
    seed=st.integers(0, 10**6),
    confidence=st.floats(0.015625, 1, width=32),
    norm=st.sampled_from(["linf", "l2"]),
    adaptive=st.booleans(),
)
def test_inside_ball_and_box_and_below_the_threshold(seed, confidence, norm, adaptive):
    x, y = tiny.images(seed)
    c = jnp.float32(confidence)
    adversary = find(
        seed, x, y, confidence=c, norm=norm, adaptive=jnp.asarray(adaptive)
    )
    assert (np.asarray(adversary) >= 0).all()
    assert (np.asarray(adversary) <= 1).all()
    size = np.asarray(perturbation.size(adversary - x, norm))
    assert (size <= np.float32(EPSILON)).all()
    if confidence == 1:
        np.testing.assert_array_equal(adversary, x)
    start = find(seed, x, y, confidence=jnp.float32(1e-30), norm=norm, step_size=0.0)
    before, after = (
        losses.cross_entropy(tiny.logits(z), y) for z in (start, adversary)
    )
    threshold = -math.log(confidence)
    wrong = np.asarray(losses.labels(tiny.logits(start)) != y)
    ignored = wrong | (np.asarray(before) > threshold + 1e-5)
    if confidence < 1:
        np.testing.assert_array_equal(adversary[ignored], start[ignored])
    if adaptive:
        free = ~wrong & (np.asarray(before) < threshold - 1e-5)
        assert (np.asarray(after)[free] <= threshold + 1e-5).all()


def test_confidence_of_one_no_step_and_no_radius_are_the_identity():
    x, y = tiny.images(0)
    for settings in (
        {"confidence": 1.0},
        {"confidence": 0.5, "steps": 0},
        {"confidence": 0.5, "epsilon": 0.0},
    ):
        every = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS} | settings
        adversary = sensible_adversary(KEY, tiny.logits, x, y, **every)
        np.testing.assert_array_equal(adversary, x)
    traced = find(0, x, y, confidence=jnp.float32(1))
    np.testing.assert_array_equal(traced, x)


def test_examples_are_alone():
    x, y = tiny.images(1)
    together = find(3, x, y)
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(find(3, x[order], y[order]), together[order], atol=1e-6)
    np.testing.assert_allclose(find(3, x[4:7], y[4:7]), together[4:7], atol=1e-6)


@pytest.mark.slow("compiles a program a size")
def test_halves_of_the_batch_go_the_same_way():
    x, y = tiny.images(5, count=130)
    settings = dataclasses.replace(SETTINGS, confidence=0.4)
    first = sensible_step.init(KEY, tiny.logits, x, y, settings)
    whole, all_of_them = sensible.search(tiny.logits, first, settings)
    with jax.set_mesh(devices.mesh("batch", jax.devices()[:1])):
        halves, state = sensible.search(tiny.logits, first, settings)
    assert 65 < int(jnp.sum(state.ignored)) < 130
    np.testing.assert_allclose(halves, whole, atol=1e-6)
    np.testing.assert_array_equal(state.ignored, all_of_them.ignored)
    assert int(state.step) == int(all_of_them.step) == STEPS


def test_frozen_points_never_move_again_and_stay_frozen():
    x, y = tiny.images(2)
    settings = sensible_step.Settings(
        epsilon=0.5, step_size=0.1, steps=20, confidence=0.6
    )
    state = sensible_step.init(KEY, tiny.logits, x, y, settings)
    step = jax.jit(lambda state: sensible_step.step(tiny.logits, state, settings))
    counts = []
    for _ in range(20):
        following, info = step(state)
        old = np.asarray(state.ignored)
        assert (np.asarray(following.ignored) >= old).all()
        np.testing.assert_array_equal(info.ignored, following.ignored)
        np.testing.assert_array_equal(following.point[old], state.kept[old])
        np.testing.assert_array_equal(following.kept[old], state.kept[old])
        state = following
        counts.append(int(state.ignored.sum()))
    assert counts[0] < counts[-1] == len(x)
    ended = sensible_step.finish(tiny.logits, state, settings)
    np.testing.assert_array_equal(ended, state.kept)


def test_it_stops_early_once_all_are_frozen():
    x, y = tiny.images(2)
    looks = []

    def counting(images):
        jax.debug.callback(lambda: looks.append(1))
        return tiny.logits(images)

    sensible_adversary(
        KEY, counting, x, y, 0.5, 0.1, 500, confidence=0.6
    ).block_until_ready()
    jax.effects_barrier()
    assert 2 < len(looks) < 60


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_without_a_threshold_it_is_projected_gradient_ascent(norm):
    """Of points labelled right at the start, as c goes to 0."""
    x, y = tiny.images(3)
    start = find(5, x, y, confidence=1e-30, norm=norm, step_size=0.0)
    adversary = find(5, x, y, confidence=1e-30, norm=norm, start=start)
    attack = attacks.pgd(
        norm=norm,
        epsilon=EPSILON,
        step_size=STEP,
        iterations=STEPS,
        fit_box=False,
        loss="cross_entropy",
        early_stop=False,
    )
    state = jax.jit(lambda: attack.init(KEY, tiny.logits, x, y, start))()
    step = jax.jit(lambda state: attack.step(KEY, tiny.logits, state)[0])
    for _ in range(STEPS):
        state = step(state)
    right = np.asarray(losses.labels(tiny.logits(start)) == y)
    assert 3 < right.sum() < len(x)
    np.testing.assert_allclose(
        adversary[right], state.memory.point[right], atol=1e-6, rtol=0
    )
    np.testing.assert_array_equal(adversary[~right], start[~right])


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("confidence", [0.6, 0.66])
def test_on_a_linear_model_it_comes_to_the_closed_form(norm, confidence):
    """The margin falls to logit(c), or by epsilon times the dual norm of w."""
    generator = np.random.default_rng(8)
    weights = generator.normal(size=6) / 2
    # So far inside the box that it does not bind.
    x = jnp.asarray(generator.uniform(0.25, 0.75, size=(40, 6)), jnp.float32)
    y = jnp.asarray(generator.integers(0, 2, 40), jnp.int32)
    side = np.where(np.asarray(y) == 1, 1, -1)
    margin = side * ((np.asarray(x) - 0.5) @ weights) + 1

    def one_logit(images):
        product = (images - 0.5) @ jnp.asarray(weights, jnp.float32)
        return product + jnp.where(y == 1, 1, -1).astype(jnp.float32)

    dual = np.abs(weights).sum() if norm == "linf" else np.linalg.norm(weights)
    epsilon = 0.2
    least = math.log(confidence / (1 - confidence))
    expected = np.where(
        margin > least, np.maximum(margin - epsilon * dual, least), margin
    )
    assert (expected == least).any()
    assert (expected > least).any()
    errors = []
    for steps in (20, 200):
        adversary = sensible_adversary(
            KEY,
            one_logit,
            x,
            y,
            epsilon,
            4 * epsilon / steps,
            steps,
            confidence,
            norm,
            x,
        )
        reached = side * ((np.asarray(adversary) - 0.5) @ weights) + 1
        assert (reached >= expected - 1e-5).all()
        errors.append(np.abs(reached - expected).max())
    assert errors[1] < 0.15 * errors[0] + 1e-5
    assert errors[1] < 0.02 * dual * epsilon + 1e-5


def test_ignored_examples_can_come_back_as_they_are():
    x, y = tiny.images(4)
    start = find(6, x, y, confidence=1e-30, step_size=0.0)
    z = tiny.logits(start)
    wrong = np.asarray(
        (losses.labels(z) != y) | (losses.cross_entropy(z, y) > -math.log(0.4))
    )
    moved, images = (
        find(6, x, y, confidence=0.4, ignored=ignored) for ignored in ("start", "image")
    )
    assert wrong.any()
    np.testing.assert_array_equal(moved[wrong], start[wrong])
    np.testing.assert_array_equal(images[wrong], x[wrong])
    np.testing.assert_array_equal(images[~wrong], moved[~wrong])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 0.0}, r"confidence is 0\.0, but must be in \(0,1\]"),
        ({"confidence": 1.5}, r"confidence is 1\.5, but must be in"),
        ({"confidence": math.nan}, "confidence is nan"),
        ({"epsilon": -0.1}, r"epsilon is -0\.1, but must not be negative"),
        ({"step_size": -1.0}, "step_size is"),
        ({"steps": -1}, "steps is -1, but must be a whole number"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"norm": "l1"}, "norm is 'l1', but must be one of 'linf', 'l2'"),
        ({"divergence": "js"}, "divergence is 'js'"),
        ({"ignored": "never"}, "ignored is 'never'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    x, y = tiny.images(0)
    every = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS} | settings
    with pytest.raises(ValueError, match=message):
        sensible_adversary(KEY, tiny.logits, x, y, **every)


def test_images_outside_the_box_are_refused():
    x, y = tiny.images(0)
    with pytest.raises(ValueError, match=r"x must be in \[0,1\]"):
        sensible_adversary(KEY, tiny.logits, x + 1, y, EPSILON, STEP, STEPS)
    with pytest.raises(ValueError, match="start has shape"):
        sensible_adversary(KEY, tiny.logits, x, y, EPSILON, STEP, STEPS, start=x[:, :2])


def test_a_sure_network_still_gives_its_slope():
    """The cross-entropy and its gradient are exactly 0 at a margin of 100."""
    x, y = tiny.images(3)
    y = losses.labels(tiny.logits(x))
    state = sensible_step.init(KEY, tiny.logits, x, y, SETTINGS, start=x)
    sure, _ = sensible_step.step(lambda x: 1e5 * tiny.logits(x), state, SETTINGS)
    assert (jnp.max(jnp.abs(sure.point - x).reshape(len(x), -1), axis=1) > 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.slow("compiles for both norms")
def test_starts_can_fit_the_box(norm):
    x, y = jnp.zeros_like(tiny.images(3)[0]), tiny.images(3)[1]
    settings = {"epsilon": EPSILON, "step_size": 0.0, "steps": 1, "norm": norm}
    point = sensible_adversary(
        KEY, tiny.logits, x, y, **settings, confidence=1e-30, fit_box=True
    )
    # Clipped points of the Linf ball leave half of black pixels black.
    assert jnp.mean(point > 0) > 0.99
    assert jnp.max(perturbation.size(point - x, norm)) <= np.float32(EPSILON)
