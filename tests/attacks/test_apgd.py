"""AutoPGD against Algorithm 1 written plainly, and what every attack promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses
from zeroone_jax.attacks import perturbation
from zeroone_jax.attacks.apgd_schedule import checkpoints

KEY = jax.random.key(1)
D, K = 10, 5
GENERATOR = np.random.default_rng(0)
W1, W2 = GENERATOR.normal(size=(D, 12)), GENERATOR.normal(size=(12, K))
X = np.clip(GENERATOR.uniform(-0.2, 1.2, (16, D)), 0, 1)


def model(x):
    inner = jnp.tanh(2 * jnp.matmul(x - 0.5, W1.astype(x.dtype), precision="highest"))
    return jnp.matmul(inner, W2.astype(x.dtype), precision="highest")


Y = np.asarray(losses.labels(model(jnp.asarray(X, jnp.float32))))


def outputs_of(x):
    inner = np.tanh(2 * (x - 0.5) @ W1)
    return inner @ W2, inner


def loss_of(kind, z, y, target):
    """One image's loss, and its gradient in the logits."""
    slope = np.zeros(K)
    if kind == "cross_entropy":
        probability = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        slope[:] = probability
        slope[y] -= 1
        return -np.log(probability[y]), slope
    order = np.argsort(-z)
    if kind == "dlr":
        other = order[0] if order[0] != y else order[1]
        below = [(order[2], 1.0)]
    else:
        other = target
        below = [(order[2], 0.5), (order[3], 0.5)]
    difference = z[order[0]] - sum(share * z[place] for place, share in below)
    ratio = (z[other] - z[y]) / difference
    slope[other] += 1 / difference
    slope[y] -= 1 / difference
    slope[order[0]] -= ratio / difference
    for place, share in below:
        slope[place] += share * ratio / difference
    return ratio, slope


def evaluate(kind, x, y, target):
    z, inner = outputs_of(x)
    loss, slope = loss_of(kind, z, y, target)
    return loss, ((W2 @ slope) * 2 * (1 - inner**2)) @ W1.T, z.argmax()


def into_ball(point, x, epsilon, norm):
    move = point - x
    if norm == "linf":
        move = np.clip(move, -epsilon, epsilon)
    else:
        move = move * min(1, epsilon / max(np.linalg.norm(move), 1e-12))
    return np.clip(x + move, 0, 1)


def algorithm_1(kind, x, y, target, start, epsilon, iterations, norm):
    """One image: the points x^(0), x^(1), ..., and the step sizes used."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    marks = [int(np.ceil(share * iterations - 1e-9)) for share in shares]

    def up(point, gradient, step):
        move = np.sign(gradient)
        if norm == "l2":
            move = gradient / np.linalg.norm(gradient)
        return into_ball(point + step * move, x, epsilon, norm)

    step = 2 * epsilon
    points, values, gradients = [start], [], []
    before, now = start, start
    sizes = []
    best_at_mark, step_at_mark = None, step
    for turn in range(iterations + 1):
        value, gradient, _ = evaluate(kind, points[-1], y, target)
        values.append(value)
        gradients.append(gradient)
        if turn == 0:
            best_at_mark = value
        if turn == iterations:
            break
        top = int(np.argmax(values))
        if turn in marks[1:]:
            since = marks[marks.index(turn) - 1]
            rises = sum(values[i + 1] > values[i] for i in range(since, turn))
            first = rises < 0.75 * (turn - since)
            second = step == step_at_mark and values[top] == best_at_mark
            step_at_mark, best_at_mark = step, values[top]
            if first or second:
                step /= 2
                now, gradient = points[top], gradients[top]
        sizes.append(step)
        ahead = up(now, gradient, step)
        share = 1.0 if turn == 0 else 0.75
        mixed = now + share * (ahead - now) + (1 - share) * (now - before)
        before, now = now, into_ball(mixed, x, epsilon, norm)
        points.append(now)
    return np.array(points), np.array(values), sizes


def trace(attack, y, start=None):
    """Every point the attack's public steps look at, image by image while active."""
    step = jax.jit(lambda state: attack.step(KEY, model, state))
    state = jax.jit(lambda x, y, start: attack.init(KEY, model, x, y, start))(
        jnp.asarray(X), jnp.asarray(y), start
    )
    points, active, sizes = [], [], []
    while jnp.any(state.active):
        points.append(np.asarray(state.memory.point))
        active.append(np.asarray(state.active))
        state, info = step(state)
        sizes.append(np.asarray(info.step_size))
    return np.array(points), np.array(active), np.array(sizes), state


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr", "targeted_dlr"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_step_is_algorithm_1s(norm, loss):
    epsilon = {"linf": 0.02, "l2": 0.06}[norm]
    attack = attacks.apgd(
        norm=norm,
        epsilon=epsilon,
        iterations=50,
        loss=loss,
        target_classes=1,
        fit_box=False,
    )
    z, _ = outputs_of(X)
    target = np.argsort(-np.where(np.eye(K)[Y] > 0, -np.inf, z), axis=1)[:, 0]
    with jax.enable_x64(True):
        start = np.clip(X + epsilon / 20, 0, 1)
        points, active, sizes, state = trace(attack, Y, jnp.asarray(start))
    halvings = 0
    for image in range(len(X)):
        arguments = X[image], Y[image], target[image], start[image], epsilon, 50, norm
        wanted, values, steps = algorithm_1(loss, *arguments)
        labels = [outputs_of(point)[0].argmax() for point in wanted]
        wrong = np.flatnonzero(np.array(labels) != Y[image])
        looked_at = active[:, image].sum()
        assert looked_at == (wrong[0] + 1 if len(wrong) else 51)
        assert state.found[image] == bool(len(wrong))
        np.testing.assert_allclose(
            points[:looked_at, image], wanted[:looked_at], atol=1e-8
        )
        # Of a loss that has converged, rounding says whether it rises.
        far = (np.abs(np.diff(wanted, axis=0)).max(1) > 1e-5) | (norm == "linf")
        moves = min(looked_at, 50, len(far) if far.all() else int(np.argmin(far)))
        np.testing.assert_allclose(sizes[:moves, image], steps[:moves], rtol=1e-12)
        halvings += len(np.unique(steps[:moves])) - 1
        best = wrong[0] if len(wrong) else np.argmax(values)
        np.testing.assert_allclose(state.adversary[image], wanted[best], atol=1e-8)
    assert 0 < np.mean(state.found) < 1
    assert halvings > (10 if norm == "linf" else 0)


def test_checkpoints_are_the_papers():
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == (1,)


def test_targets_are_the_likeliest_classes_one_restart_each():
    x, y = X.astype(np.float32), Y
    attack = attacks.apgd(
        epsilon=1e-4, iterations=2, loss="targeted_dlr", restarts=2, target_classes=9
    )
    state = attack.init(KEY, model, jnp.asarray(x), jnp.asarray(y))
    z = outputs_of(X)[0]
    wanted = [
        [k for k in np.argsort(-row) if k != label]
        for row, label in zip(z, y, strict=True)
    ]
    np.testing.assert_array_equal(state.memory.targets, wanted)
    out = attack(KEY, model, x, y)
    # 4 targets twice with 3 points each, and the look for targets, before and after.
    np.testing.assert_array_equal(out.queries[~out.success], 4 * 2 * 3 + 3)


def test_targets_reach_classes_that_the_untargeted_loss_does_not():
    """Class 1 is the likeliest but out of reach; class 2 is the one to go to."""

    def trap(x):
        near = jnp.stack(
            [
                jnp.zeros(len(x)),
                -0.2 - jnp.square(x[:, 0] - 0.5),
                -1.0 + 12 * (x[:, 1] - 0.5),
                jnp.full(len(x), -9.0),
            ],
            axis=1,
        )
        return near.astype(x.dtype)

    x = jnp.full((3, 2), 0.5) + jnp.array([[0.01], [0.02], [-0.01]])
    y = jnp.zeros(3, jnp.int32)
    settings = {"epsilon": 0.1, "iterations": 10}
    likeliest = attacks.apgd(**settings, loss="targeted_dlr", target_classes=1)
    several = attacks.apgd(**settings, loss="targeted_dlr", target_classes=2)
    np.testing.assert_array_equal(likeliest(KEY, trap, x, y, start=x).success, False)
    out = several(KEY, trap, x, y, start=x)
    np.testing.assert_array_equal(out.success, True)
    np.testing.assert_array_equal(losses.labels(trap(out.adversary)), 2)


def test_a_loss_can_be_a_function():
    settings = {"epsilon": 0.06, "iterations": 5}
    ours, named = (
        attacks.apgd(**settings, loss=loss)(KEY, model, X.astype(np.float32), Y)
        for loss in (losses.margin, "margin")
    )
    jax.tree.map(np.testing.assert_array_equal, ours, named)


@pytest.mark.parametrize(
    "loss",
    [
        "targeted_dlr",
        *(
            pytest.param(loss, marks=pytest.mark.slow("the same once more"))
            for loss in ("targeted_margin", "targeted_cross_entropy")
        ),
    ],
)
def test_masked_classes_change_nothing(loss):
    """Classes of logit -inf are as if they were not there."""
    x, y = X.astype(np.float32), Y
    attack = attacks.apgd(epsilon=0.06, iterations=10, loss=loss, target_classes=4)

    def masked(x):
        never = jnp.full((len(x), 3), -jnp.inf, x.dtype)
        return jnp.concatenate([model(x), never], axis=1)

    plain, out = (attack(KEY, fn, x, y) for fn in (model, masked))
    assert 2 < plain.success.sum() < len(x)
    np.testing.assert_array_equal(out.success, plain.success)
    np.testing.assert_allclose(out.adversary, plain.adversary, atol=1e-5)


def test_targeted():
    target = jnp.asarray((Y + 1) % K)
    for loss in ("cross_entropy", "dlr"):
        attack = attacks.apgd(epsilon=0.15, iterations=20, targeted=True, loss=loss)
        out = attack(KEY, model, X.astype(np.float32), target)
        assert 0 < out.success.mean() < 1
        np.testing.assert_array_equal(
            losses.labels(model(out.adversary)) == target, out.success
        )


@pytest.mark.parametrize(
    "loss",
    [
        "targeted_dlr",
        *(
            pytest.param(loss, marks=pytest.mark.slow("the same once more"))
            for loss in ("cross_entropy", "dlr")
        ),
    ],
)
@pytest.mark.slow("compiles for two models")
def test_single_numbers_and_two_classes_are_alike(loss):
    """A linear model: success exactly where the ball reaches across."""
    w = np.linspace(-1, 1, D).astype(np.float32)
    x = np.float32(0.5) + np.float32(0.1) * np.array([[1.0], [-1.0]]) * np.sign(w)
    x, y = x.astype(np.float32), np.array([1, 0])

    def one(x):
        return 30 * jnp.matmul(x - 0.5, w, precision="highest")

    def two(x):
        return jnp.stack([-one(x) / 2, one(x) / 2], axis=1)

    for fn in (one, two):
        for epsilon, success in ((0.0995, False), (0.1005, True)):
            attack = attacks.apgd(epsilon=epsilon, iterations=10, loss=loss)
            out = attack(KEY, fn, x, y)
            np.testing.assert_array_equal(out.success, success)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.slow("compiles for other batches")
def test_adversaries_are_in_ball_and_box_and_images_independent(norm):
    x, epsilon = X.astype(np.float32), {"linf": 0.06, "l2": 0.12}[norm]
    attack = attacks.apgd(norm=norm, epsilon=epsilon, iterations=12, restarts=2)
    out = attack(KEY, model, x, Y)
    assert 2 < out.success.sum() < len(X)
    for adversary, image, label, success, distance in zip(
        out.adversary, x, Y, out.success, out.distance, strict=True
    ):
        assert jnp.all((adversary >= 0) & (adversary <= 1))
        size = float(perturbation.size((adversary - image)[None], norm)[0])
        assert size <= np.float32(epsilon)
        assert (losses.labels(model(adversary[None]))[0] != label) == success
        np.testing.assert_allclose(distance, size if success else np.inf, rtol=1e-6)
    order = GENERATOR.permutation(len(X))[:9]
    other = dataclasses.replace(attack, chunk=4)(KEY, model, x[order], Y[order])
    np.testing.assert_array_equal(other.success, out.success[order])
    np.testing.assert_allclose(other.adversary, out.adversary[order], atol=2e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": -1}, "epsilon is -1"),
        ({"iterations": 0}, "iterations is 0"),
        ({"restarts": 0}, "restarts is 0"),
        ({"target_classes": 0}, "target_classes is 0"),
        ({"loss": "hinge"}, "loss is 'hinge', but must be one of"),
        ({"norm": "l0"}, "norm is 'l0', but must be one of 'linf', 'l2', 'l1'"),
        ({"loss": "targeted_dlr", "targeted": True}, "chooses targets by itself"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.apgd(**({"epsilon": 0.1} | settings))
