"""What distances are compared with: every pattern of units, one by one."""

import itertools

import jax
import numpy as np
import scipy.optimize

from zeroone_jax.models import zero_one


def small_networks(
    seed: int, votes: int, hidden: int, features: int, hidden_values: str = "01"
) -> zero_one.Params:
    """Random networks in float64 whose thresholds cut through the box."""
    rng = np.random.default_rng(seed)
    w1 = rng.normal(size=(votes, hidden, features))
    centre = rng.uniform(0.3, 0.7, size=(votes, hidden, features))
    w2 = rng.normal(size=(votes, hidden))
    high = 1.0 if hidden_values == "01" else 1 / np.sqrt(hidden)
    low = 0.0 if hidden_values == "01" else -high
    middle = w2 @ np.ones(hidden) * (high + low) / 2
    return zero_one.Params(
        w1=jax.numpy.asarray(w1),
        b1=jax.numpy.asarray(-(w1 * centre).sum(axis=2)),
        w2=jax.numpy.asarray(w2),
        b2=jax.numpy.asarray(-middle + 0.2 * rng.normal(size=votes)),
        hidden_values=hidden_values,
    )


def label_of(params: zero_one.Params, on: np.ndarray) -> int:
    """The majority's label when units [votes, h] are on or off."""
    high, low = 1.0, 0.0
    if params.hidden_values == "pm":
        high = 1 / np.sqrt(on.shape[1])
        low = -high
    values = np.where(on, high, low)
    scores = (np.asarray(params.w2) * values).sum(axis=1) + np.asarray(params.b2)
    return int(2 * int((scores > 0).sum()) > len(scores))


def brute_force(params: zero_one.Params, x: np.ndarray, norm: str, box: bool) -> float:
    """The distance to the closest of all cells that another label belongs to."""
    votes, hidden, features = params.w1.shape
    normals = np.asarray(params.w1).reshape(-1, features)
    offsets = np.asarray(params.b1).reshape(-1)
    here = label_of(params, (normals @ x + offsets > 0).reshape(votes, hidden))
    best = np.inf
    for pattern in itertools.product((False, True), repeat=votes * hidden):
        on = np.array(pattern)
        if label_of(params, on.reshape(votes, hidden)) != here:
            side = np.where(on, 1.0, -1.0)[:, None]
            best = min(
                best, cell_distance(side * normals, side[:, 0] * offsets, x, norm, box)
            )
    return best


def cell_distance(
    normals: np.ndarray, offsets: np.ndarray, x: np.ndarray, norm: str, box: bool
) -> float:
    """The distance to normals @ point + offsets >= 0; infinite where it is empty."""
    features = len(x)
    rise = -(normals @ x + offsets)
    low, high = (
        (-x, 1 - x) if box else (np.full(features, -50.0), np.full(features, 50.0))
    )
    # In Linf: least size with normals @ move >= rise and |move| <= size.
    eye, one = np.eye(features), np.ones((features, 1))
    rows = np.vstack(
        [
            np.hstack([-normals, np.zeros((len(normals), 1))]),
            np.hstack([eye, -one]),
            np.hstack([-eye, -one]),
        ]
    )
    goal = np.concatenate([-rise, np.zeros(2 * features)])
    bounds = [*zip(low, high, strict=True), (0, None)]
    cost = np.append(np.zeros(features), 1.0)
    linear = scipy.optimize.linprog(cost, rows, goal, bounds=bounds, method="highs")
    if linear.status == 2:
        return np.inf
    assert linear.status == 0
    if norm == "linf":
        return float(linear.fun)
    found = scipy.optimize.minimize(
        lambda move: move @ move / 2,
        linear.x[:-1],
        jac=lambda move: move,
        bounds=list(zip(low, high, strict=True)),
        constraints={
            "type": "ineq",
            "fun": lambda move: normals @ move - rise,
            "jac": lambda move: normals,
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 200},
    )
    return float(np.linalg.norm(found.x))


def milp_finds(params: zero_one.Params, x: np.ndarray, size: float) -> bool:
    """Whether HiGHS finds a point of another label in the Linf ball and the box.

    One vote. A binary unknown a unit says whether it is on, which its projection has
    to follow; what a projection can be in the ball says how much room to leave it.
    """
    normals, offsets = np.asarray(params.w1[0]), np.asarray(params.b1[0])
    weights, bias = np.asarray(params.w2[0]), float(params.b2[0])
    hidden, features = normals.shape
    low, high = np.maximum(-x, -size), np.minimum(1 - x, size)
    before = normals @ x + offsets
    lowest = before + np.minimum(normals * low, normals * high).sum(axis=1)
    highest = before + np.maximum(normals * low, normals * high).sum(axis=1)
    way = -1.0 if float((before > 0) @ weights) + bias > 0 else 1.0
    # On: projection >= lowest (1 - on). Off: projection <= highest on.
    on = np.hstack([normals, np.diag(lowest)])
    off = np.hstack([-normals, np.diag(highest)])
    flips = np.append(np.zeros(features), way * weights)[None]
    found = scipy.optimize.milp(
        np.zeros(features + hidden),
        integrality=np.append(np.zeros(features), np.ones(hidden)),
        bounds=scipy.optimize.Bounds(
            np.append(low, np.zeros(hidden)), np.append(high, np.ones(hidden))
        ),
        constraints=scipy.optimize.LinearConstraint(
            np.vstack([on, off, flips]),
            lb=np.concatenate([lowest - before, before, [-way * bias]]),
        ),
    )
    assert found.status in (0, 2), found.message
    return found.status == 0
