"""PGD against a plain NumPy version, step for step, and what every attack promises."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from zeroone_jax import attacks, losses
from zeroone_jax.attacks import perturbation

KEY = jax.random.key(0)
# What the oracle is: the papers' PGD.
papers = functools.partial(attacks.pgd, loss="cross_entropy", fit_box=False)
D, K = 12, 4
GENERATOR = np.random.default_rng(0)
W1, W2 = GENERATOR.normal(size=(D, 16)), GENERATOR.normal(size=(16, K))
X = np.clip(GENERATOR.uniform(-0.2, 1.2, (20, D)), 0, 1).astype(np.float32)


def model(x):
    inner = jnp.tanh(jnp.matmul(x - 0.5, W1.astype(x.dtype), precision="highest"))
    return jnp.matmul(inner, W2.astype(x.dtype), precision="highest")


Y = np.asarray(losses.labels(model(jnp.asarray(X))))


def softmax(z):
    shifted = np.exp(z - z.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def oracle_gradient(x, y):
    """Of the cross-entropy, by hand, in float64; and the loss and the labels."""
    inner = np.tanh((x - 0.5) @ W1)
    z = inner @ W2
    slopes = softmax(z) - np.eye(K)[y]
    gradient = (slopes @ W2.T * (1 - inner**2)) @ W1.T
    return gradient, -np.log(softmax(z)[np.arange(len(x)), y]), z.argmax(1)


def oracle_project(point, x, epsilon, norm):
    move = point - x
    if norm == "linf":
        move = np.clip(move, -epsilon, epsilon)
    else:
        length = np.linalg.norm(move, axis=1, keepdims=True)
        move = move * np.minimum(1, epsilon / np.maximum(length, 1e-12))
    return np.clip(x + move, 0, 1)


def oracle(x, y, start, epsilon, step_size, iterations, norm, momentum=0.0, sign=1):
    """All points of PGD, [iterations + 1, n, d], after Madry et al. and Dong et al."""
    points, velocity = [start], np.zeros_like(start)
    for _ in range(iterations):
        gradient = sign * oracle_gradient(points[-1], y)[0]
        if momentum:
            gradient = gradient / np.abs(gradient).sum(1, keepdims=True)
        velocity = momentum * velocity + gradient
        step = np.sign(velocity)
        if norm == "l2":
            step = velocity / np.linalg.norm(velocity, axis=1, keepdims=True)
        points.append(oracle_project(points[-1] + step_size * step, x, epsilon, norm))
    return np.array(points)


def points_of(attack, y=Y, start=None, steps=None):
    """The points that the attack's public steps go through."""
    step = jax.jit(lambda state: attack.step(KEY, model, state))
    init = jax.jit(lambda x, y, start: attack.init(KEY, model, x, y, start))
    state = init(jnp.asarray(X), jnp.asarray(y), start)
    points, infos = [], []
    for _ in range(steps or attack.iterations + 1):
        points.append(np.asarray(state.memory.point))
        state, info = step(state)
        infos.append(info)
    return np.array(points), infos, state


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_step_is_the_oracles(norm, momentum):
    epsilon, step_size = (0.1, 0.03) if norm == "linf" else (0.15, 0.04)
    attack = papers(
        norm=norm,
        epsilon=epsilon,
        step_size=step_size,
        iterations=7,
        momentum=momentum,
        early_stop=False,
    )
    start = np.clip(X + 0.05, 0, 1)
    points, infos, state = points_of(attack, start=jnp.asarray(start))
    wanted = oracle(
        X.astype(np.float64),
        Y,
        oracle_project(start.astype(np.float64), X, epsilon, norm),
        epsilon,
        step_size,
        7,
        norm,
        momentum,
    )
    np.testing.assert_allclose(points, wanted, atol=2e-5)
    for info, point in zip(infos, wanted, strict=True):
        _, loss, labels = oracle_gradient(point, Y)
        np.testing.assert_allclose(info.loss, loss, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(info.labels, labels)
    assert not np.any(state.active)
    np.testing.assert_array_equal(state.queries, 8)
    # The adversary kept is that of the highest loss, among the wrong ones if any.
    all_losses = np.array([oracle_gradient(point, Y)[1] for point in wanted])
    wrong = np.array([oracle_gradient(point, Y)[2] != Y for point in wanted])
    best = np.argmax(np.where(wrong.any(0) & ~wrong, -np.inf, all_losses), axis=0)
    np.testing.assert_allclose(
        state.adversary, wanted[best, np.arange(len(X))], atol=2e-5
    )
    np.testing.assert_array_equal(state.found, wrong.any(0))
    assert 0 < wrong.any(0).mean() < 1


def test_targeted_steps_go_downhill():
    target = (Y + 1) % K
    attack = papers(
        epsilon=0.2, step_size=0.05, iterations=5, targeted=True, random_start=False
    )
    points, _, state = points_of(attack, target)
    wanted = oracle(X, target, X, 0.2, 0.05, 5, "linf", sign=-1)
    first = np.argmax(
        [oracle_gradient(point, target)[2] == target for point in wanted], axis=0
    )
    for image in range(len(X)):
        upto = first[image] + 1 if first[image] or state.found[image] else 6
        np.testing.assert_allclose(
            points[:upto, image], wanted[:upto, image], atol=2e-5
        )
    out = attack(KEY, model, X, target)
    assert 0 < out.success.mean() < 1
    found = np.asarray(out.success)
    np.testing.assert_array_equal(
        losses.labels(model(out.adversary))[found], target[found]
    )


def test_early_stop_leaves_the_first_adversary():
    attack = papers(epsilon=0.08, step_size=0.02, iterations=10, random_start=False)
    out = attack(KEY, model, X, Y)
    wanted = oracle(X, Y, X, 0.08, 0.02, 10, "linf")
    wrong = np.array([oracle_gradient(point, Y)[2] != Y for point in wanted])
    np.testing.assert_array_equal(out.success, wrong.any(0))
    first = np.argmax(wrong, axis=0)
    for image in np.flatnonzero(out.success):
        np.testing.assert_allclose(
            out.adversary[image], wanted[first[image], image], atol=2e-5
        )
        # One to see that it is right, one to see that the adversary is wrong.
        assert out.queries[image] == first[image] + 1 + 2
    np.testing.assert_array_equal(out.queries[~out.success], 11 + 2)
    assert 0 < out.success.mean() < 1


def test_any_optax_optimizer_is_the_step_rule():
    """Adam by hand, one state for each image."""
    attack = papers(
        epsilon=0.3,
        iterations=6,
        random_start=False,
        optimizer=optax.adam(0.02),
        early_stop=False,
    )
    # Optax itself raises a float to an integer.
    with jax.numpy_dtype_promotion("standard"):
        points, _, _ = points_of(attack)
    point, m, v = X.astype(np.float64), np.zeros(X.shape), np.zeros(X.shape)
    for t in range(1, 7):
        np.testing.assert_allclose(points[t - 1], point, atol=1e-4)
        slopes, loss, _ = oracle_gradient(point, Y)
        # Of the soft margin: the cross-entropy's over the other classes' probability.
        gradient = -slopes / (1 - np.exp(-loss))[:, None]
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        point = oracle_project(point - 0.02 * step, X, 0.3, "linf")


def test_restarts_start_elsewhere_and_afresh():
    attack = papers(
        epsilon=0.1, iterations=2, restarts=3, momentum=0.5, early_stop=False
    )
    points, _, state = points_of(attack, steps=9)
    starts = points[::3]
    for one in range(3):
        for other in range(one):
            assert np.abs(starts[one] - starts[other]).max(1).min() > 0.01
        wanted = oracle(X, Y, starts[one], 0.1, 0.125, 2, "linf", 0.5)
        np.testing.assert_allclose(points[3 * one : 3 * one + 3], wanted, atol=2e-5)
    assert not np.any(state.active)
    np.testing.assert_array_equal(state.queries, 9)
    given = points_of(attack, start=jnp.asarray(X), steps=4)[0]
    np.testing.assert_array_equal(given[0], X)
    np.testing.assert_array_equal(given[3], points[3])


def test_restarts_never_lose_what_was_found():
    settings = {"epsilon": 0.08, "iterations": 5}
    one = papers(**settings)(KEY, model, X, Y)
    several = papers(**settings, restarts=4)(KEY, model, X, Y)
    assert np.all(several.success >= one.success)
    np.testing.assert_array_equal(
        several.adversary[one.success], one.adversary[one.success]
    )


@pytest.mark.parametrize("loss", ["margin", "dlr"])
@pytest.mark.slow("compiles for two models")
def test_a_single_number_s_sign_is_two_classes(loss):
    """A linear model: the farthest corner of the ball is the best adversary."""
    w = np.linspace(-1, 1, D).astype(np.float32)
    x = np.full((2, D), 0.5, np.float32) + np.array([[0.1], [-0.1]]) * np.sign(w)
    x = x.astype(np.float32)
    reach = 0.1 * np.abs(w).sum()

    def logit(x):
        return jnp.matmul(x - 0.5, w, precision="highest")

    for shape in ((-1,), (-1, 1)):

        def shaped(x, shape=shape):
            return logit(x).reshape(shape)

        y = np.array([1, 0])
        for epsilon, success in ((0.099, False), (0.101, True)):
            attack = papers(epsilon=epsilon, iterations=3, loss=loss, early_stop=False)
            out = attack(KEY, shaped, x, y)
            np.testing.assert_array_equal(out.success, success)
            np.testing.assert_allclose(
                logit(out.adversary),
                (reach - epsilon * np.abs(w).sum()) * np.array([1, -1]),
                atol=1e-5,
            )
            assert np.all((out.distance <= np.float32(epsilon)) == success)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_adversaries_are_in_ball_and_box_and_wrong(norm):
    epsilon = {"linf": 0.1, "l2": 0.4, "l1": 1.0}[norm]
    out = papers(norm=norm, epsilon=epsilon, iterations=20)(KEY, model, X, Y)
    chex.assert_shape(out.adversary, X.shape)
    assert out.success.sum() > 3
    for adversary, image, label, success, distance in zip(
        out.adversary, X, Y, out.success, out.distance, strict=True
    ):
        assert jnp.all((adversary >= 0) & (adversary <= 1))
        size = float(perturbation.size((adversary - image)[None], norm)[0])
        assert size <= np.float32(epsilon)
        assert (losses.labels(model(adversary[None]))[0] != label) == success
        np.testing.assert_allclose(distance, size if success else np.inf, rtol=1e-6)


def test_l1_steps_pass_by_coordinates_at_the_border_of_the_box():
    """The steepest slope cannot be followed: the next ones must be."""
    w = np.array([5.0, 1.0, 0.9, 0.8], np.float32)
    x = np.array([[1.0, 0.5, 0.5, 0.5]], np.float32)

    def logit(x):
        return jnp.matmul(x, w, precision="highest") - 6.9

    attack = papers(norm="l1", epsilon=1.0, iterations=30, random_start=False)
    out = attack(KEY, logit, x, np.array([0]))
    assert out.success[0]
    assert out.adversary[0, 1] > 0.9


def test_fgsm_is_one_step_of_length_epsilon():
    out = attacks.fgsm(epsilon=0.1)(KEY, model, X, Y)
    wanted = oracle(X, Y, X, 0.1, 0.1, 1, "linf")[1]
    wrong = oracle_gradient(wanted, Y)[2] != Y
    np.testing.assert_array_equal(out.success, wrong)
    np.testing.assert_allclose(out.adversary[wrong], wanted[wrong], atol=1e-6)


def test_a_loss_can_be_a_function():
    """The margin, given as a function, does what its name does."""
    settings = {"epsilon": 0.08, "iterations": 4}
    for targeted, y in ((False, Y), (True, (Y + 1) % K)):
        ours, named = (
            attacks.pgd(**settings, targeted=targeted, loss=loss)(KEY, model, X, y)
            for loss in (losses.margin, "margin")
        )
        jax.tree.map(np.testing.assert_array_equal, ours, named)
    with pytest.raises(ValueError, match=r"the loss returns shape \(\) for 20 images"):
        attacks.pgd(**settings, loss=lambda z, y: jnp.sum(z))(KEY, model, X, Y)


def test_steps_are_as_long_as_the_pixels_room():
    x = jnp.array([[0.0, 1.0, 0.5, 0.02]])
    attack = attacks.pgd(epsilon=0.1, step_size=0.01, random_start=False)

    def fn(x):
        return jnp.matmul(x, jnp.array([1.0, -1.0, 1.0, -1.0]), precision="highest")

    state = attack.init(KEY, fn, x, jnp.array([0]))
    moved = attack.step(KEY, fn, state)[0].memory.point
    # Half the width of [0, .1], [.9, 1], [.4, .6] and [0, .12].
    room = np.array([0.05, 0.05, 0.1, 0.06])
    np.testing.assert_allclose(moved - x, 0.1 * room * [[1, -1, 1, -1]], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0}, "epsilon is 0, but must be above 0"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
        ({"step_size": -1.0}, "step_size is -1"),
        ({"iterations": 0}, "iterations is 0"),
        ({"iterations": 2.5}, r"iterations is 2\.5, but must be a whole number"),
        ({"restarts": 2, "random_start": False}, "restarts is 2, but without"),
        ({"momentum": -0.5}, "momentum is -0.5"),
        ({"loss": "hinge"}, "loss is 'hinge', but must be one of 'margin'"),
        ({"norm": "l3"}, "norm is 'l3', but must be one of 'linf', 'l2', 'l1'"),
        ({"chunk": 0}, "chunk is 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.pgd(**({"epsilon": 0.1} | settings))


def test_fgsm_takes_radii_of_each_pixel():
    x, y = jnp.full((2, 3), 0.5), jnp.zeros(2, jnp.int32)
    box = jnp.array([[0.01, 0.1, 0.2]])
    attack = attacks.fgsm(epsilon=box)
    found = attack(KEY, lambda x: x @ jnp.array([[1.0, 0], [1, 0], [1, 0]]), x, y)
    np.testing.assert_allclose(x - found.adversary, np.tile(box, (2, 1)), atol=1e-6)
