"""AutoPGD in L1 against its algorithm written plainly, and on linear models."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks import minimum_distance as models
from tests.attacks import test_apgd as dense
from tests.attacks.test_sparse import nearest_in_both
from zeroone_jax import attacks, losses
from zeroone_jax.attacks import apgd_schedule

KEY = jax.random.key(0)


def phase(x, y, first, radius, moves, moved, changed):
    """One image's points in a phase, and the best of them."""
    points, values, gradients = [first], [], []
    step = radius
    for turn in range(moves + 1):
        value, gradient, _ = dense.evaluate("cross_entropy", points[-1], y, None)
        values.append(value)
        gradients.append(gradient)
        now, best = points[-1], int(np.argmax(values))
        every = max(int(0.04 * moves), 1)
        if turn > 0 and turn % every == 0:
            count = (abs(points[best] - x) > 0).sum()
            if count < 0.95 * changed:
                step, now, gradient = radius, points[best], gradients[best]
            else:
                step = max(step / 1.5, radius / 10)
            moved, changed = count / 1.5, count
        if turn == moves:
            return points, points[best]
        outward = (now <= 1e-15) & (gradient < 0)
        outward |= (now >= 1 - 1e-15) & (gradient > 0)
        gradient = np.where(outward, 0, gradient)
        largest = np.argsort(-abs(gradient))[: max(int(moved), 1)]
        signs = np.zeros_like(x)
        signs[largest] = np.sign(gradient[largest])
        far = now + step * signs / max(abs(signs).sum(), 1)
        points.append(nearest_in_both(far, x, radius))
    raise AssertionError


def algorithm_1(x, y, start, epsilon, iterations):
    """One image's points, x^(0), x^(1), ... of all phases."""
    point = nearest_in_both(start, x, 3 * epsilon)
    moved, changed, points = 0.2 * len(x), len(x), []
    for factor, share in ((3, 0.3), (2, 0.3), (1, 0.4)):
        moves = round(share * iterations)
        radius = factor * epsilon
        seen, best = phase(x, y, point, radius, moves, moved, changed)
        points += seen
        point = nearest_in_both(best, x, max(factor - 1, 1) * epsilon)
        changed = (abs(point - x) > 0).sum()
        moved = changed / 1.5
    return np.array(points)


def test_every_step_is_the_papers():
    epsilon = 0.1
    attack = attacks.apgd(
        norm="l1", epsilon=epsilon, iterations=60, loss="cross_entropy"
    )
    with jax.enable_x64(True):
        start = np.clip(dense.X + 0.02, 0, 1)
        points, active, _, state = dense.trace(attack, dense.Y, jnp.asarray(start))
    for image in range(len(dense.X)):
        x, y = dense.X[image], dense.Y[image]
        wanted = algorithm_1(x, y, start[image], epsilon, 60)
        labels = np.array([dense.outputs_of(point)[0].argmax() for point in wanted])
        inside = abs(wanted - x).sum(axis=1) <= epsilon
        broken = np.flatnonzero((labels != y) & inside)
        looked_at = active[:, image].sum()
        assert looked_at == (broken[0] + 1 if len(broken) else len(wanted))
        assert state.found[image] == bool(len(broken))
        np.testing.assert_allclose(
            points[:looked_at, image], wanted[:looked_at], atol=1e-8
        )
    assert 0 < np.mean(state.found) < 1


def test_success_is_where_the_ball_reaches_the_boundary():
    fn, weights, bias, x, _ = models.linear(3, classes=2, low=0, high=1)
    x = jnp.where(x < 0.2, 0, jnp.where(x > 0.8, 1, x))
    y = losses.labels(fn(x))
    least = models.least_in_the_box(weights, bias, x, y, "l1")
    for factor, success in ((0.99, False), (1.02, True)):
        radii = np.asarray(factor * least, np.float32)
        attack = attacks.apgd(norm="l1", epsilon=jnp.asarray(radii), iterations=52)
        out = attack(KEY, fn, x, y)
        assert (np.asarray(out.success) == success).all()
        sizes = abs(np.float64(out.adversary) - np.float64(x)).sum(axis=(1, 2))
        assert (sizes <= radii).all()
        assert (sizes > 0.9 * radii).all()
        # Phases of 15, 15 and 22 moves, whose first points are looked at too.
        assert (np.asarray(out.queries) == 55 + 2).all() or success
    order = jnp.array([3, 1, 5, 0])
    attack = dataclasses.replace(attack, epsilon=jnp.asarray(radii)[order])
    other = attack.watch(KEY, fn, x[order], y[order], room=6).result
    np.testing.assert_allclose(other.adversary, out.adversary[order], atol=1e-6)


def test_schedules():
    plan = apgd_schedule.schedule(100, "l1")
    np.testing.assert_array_equal(
        np.flatnonzero(plan.ends), np.cumsum([31, 31, 41]) - 1
    )
    np.testing.assert_array_equal(
        plan.factor[[0, 30, 31, 61, 62, 102]], [3, 3, 2, 2, 1, 1]
    )
    assert apgd_schedule.schedule(1, "l1").factor.tolist() == [1, 1]
    np.testing.assert_array_equal(apgd_schedule.schedule(7, "l2").turn, np.arange(8))
