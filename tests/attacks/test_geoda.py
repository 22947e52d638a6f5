"""GeoDA's way to a half-space against linear programs, and the attack against it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.geoda import shortest
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)
NORMS = ("l2", "l1", "linf")


def least(x, weights, rise, norm):
    """The distance of the half-space `weights . move >= rise` in the box, for one."""
    x, weights = np.asarray(x, np.float64).ravel(), weights.astype(np.float64).ravel()
    if norm == "l2":
        found = scipy.optimize.minimize(
            lambda move: move @ move,
            np.where(weights > 0, 1 - x, -x),
            jac=lambda move: 2 * move,
            bounds=list(zip(-x, 1 - x, strict=True)),
            constraints={"type": "ineq", "fun": lambda move: weights @ move - rise},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        return np.sqrt(found.fun)
    size_ = len(x)
    if norm == "linf":
        # Variables: the move, and its largest size.
        cost = np.append(np.zeros(size_), 1)
        ones = np.ones((size_, 1))
        rows = np.block([[np.eye(size_), -ones], [-np.eye(size_), -ones]])
        rows = np.vstack([rows, np.append(-weights, 0)])
        limits = np.append(np.zeros(2 * size_), -rise)
        bounds = [*zip(-x, 1 - x, strict=True), (0, None)]
    else:
        # Variables: how far up and how far down.
        cost = np.ones(2 * size_)
        rows, limits = np.append(-weights, weights)[None], [-rise]
        bounds = [(0, up) for up in (*(1 - x), *x)]
    return scipy.optimize.linprog(cost, rows, limits, bounds=bounds).fun


@pytest.mark.parametrize("norm", NORMS)
def test_the_shortest_way_to_a_half_space_is_gone(norm):
    rng = np.random.default_rng(2)
    # Some pixels lie at a wall, some slopes are 0.
    x = np.clip(rng.uniform(-0.2, 1.2, (3, 3, 2, 2)), 0, 1).astype(np.float32)
    normal = rng.normal(size=x.shape).astype(np.float32)
    normal[:, 0, 0] = 0
    normal /= np.linalg.norm(normal.reshape(3, -1), axis=1).reshape(3, 1, 1, 1)
    given = np.sign(normal) if norm == "linf" else normal
    at = shortest(jnp.asarray(x), jnp.asarray(given), norm)
    for length in (0.3, 0.9):
        points = np.asarray(at(jnp.full(3, length)))
        assert (points >= 0).all()
        assert (points <= 1).all()
        moves = points - x
        lengths = np.asarray(size(jnp.asarray(moves), norm))
        assert (lengths <= length * (1 + 1e-5)).all()
        assert (lengths > 0).all()
        rises = np.sum((moves * normal).reshape(3, -1), axis=1)
        best = [
            least(image, slope, rise - 1e-7, norm)
            for image, slope, rise in zip(x, normal, rises, strict=True)
        ]
        np.testing.assert_allclose(lengths, best, rtol=2e-3)


@pytest.mark.slow("compiles the attack in three norms")
@pytest.mark.parametrize("norm", NORMS)
def test_the_distance_to_a_hyperplane_is_approached(norm):
    x, y = models.images(8, 6)
    attack = attacks.geoda(norm=norm, radius=0.03, max_queries=3000)
    out = attack(KEY, models.linear, x, y)
    ahead = (np.asarray(x, np.float64).reshape(6, -1) - 0.5) @ models.WEIGHTS
    exact = [
        least(image, -np.sign(one) * models.WEIGHTS, abs(one), norm)
        for image, one in zip(x, ahead, strict=True)
    ]
    ratio = np.asarray(out.distance) / exact
    assert (ratio >= 1 - 1e-5).all()
    assert np.median(ratio) < 1.1
    assert (out.queries <= 3000).all()


def test_later_normals_ask_more():
    x, y = models.images(8, 5)
    attack = attacks.geoda(initial_directions=20, growth=1.5)
    state = attack.init(KEY, models.linear, x, y, models.far_start("flat", x, y))
    step = jax.jit(lambda state: attack.step(KEY, models.linear, state))
    for iteration in range(4):
        before = state
        state, info = step(state)
        np.testing.assert_array_equal(info.asked, int(20 * 1.5**iteration))
        used = np.asarray(state.queries - before.queries)
        # Tries of a length, and halvings of it.
        assert (used >= info.asked + 1).all()
        assert (used <= info.asked + 6 + 9).all()
        hit = np.asarray(info.hit)
        assert hit.any()
        assert (models.linear(state.memory.point) != y)[hit].all()
        # The point lies on the estimated normal through the image: a hit's distance is
        # that of the point, and the nearest one is kept.
        np.testing.assert_array_equal(
            state.memory.nearest, size(state.adversary - x, "l2")
        )
