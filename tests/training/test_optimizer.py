"""SGD against loops in NumPy as PyTorch has them, the schedule, the running average."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from zeroone_jax.training import Adam, Config, CyclicSgd, Sgd
from zeroone_jax.training.optimizer import average

GENERATOR = np.random.default_rng(3)
START = {"kernel": GENERATOR.normal(size=(3, 2)), "bias": GENERATOR.normal(size=2)}
STEPS, PER_EPOCH = 12, 4
NUDGES = [
    {name: GENERATOR.normal(size=array.shape) for name, array in START.items()}
    for _ in range(STEPS)
]


def gradient(params, step):
    """That of a bowl with noise: what was done before matters."""
    return {name: 0.5 * array + NUDGES[step][name] for name, array in params.items()}


def trained(sgd, per_epoch=PER_EPOCH):
    """The parameters after every step, in float64."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        optimizer = sgd.build(per_epoch, STEPS // per_epoch)
        params = jax.tree.map(jnp.asarray, START)
        state = optimizer.init(params)
        update = jax.jit(optimizer.update)
        trail = []
        for step in range(STEPS):
            updates, state = update(gradient(params, step), state, params)
            params = optax.apply_updates(params, updates)
            trail.append(jax.tree.map(np.asarray, params))
    return trail


def expected(
    rates,
    momentum=0.0,
    nesterov=False,
    weight_decay=0.0,
    decoupled=False,
    decayed=("kernel", "bias"),
):
    """PyTorch's `SGD.step`, or with `decoupled` SGDW's decay."""
    params = {name: array.copy() for name, array in START.items()}
    velocity = {name: np.zeros_like(array) for name, array in START.items()}
    trail = []
    for step, rate in enumerate(rates):
        slopes = gradient(params, step)
        for name, weights in params.items():
            decay = weight_decay * weights if name in decayed else 0
            change = slopes[name] if decoupled else slopes[name] + decay
            velocity[name] = momentum * velocity[name] + change
            ahead = change + momentum * velocity[name]
            change = ahead if nesterov else velocity[name]
            if decoupled:
                change = change + decay
            params[name] = weights - rate * change
        trail.append(dict(params))
    return trail


def difference(trail, other):
    pairs = zip(jax.tree.leaves(trail), jax.tree.leaves(other), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(
    ("weight_decay", "decoupled", "decay_all"),
    [
        (0.0, False, True),
        (0.1, False, True),
        (0.1, True, True),
        (0.1, False, False),
        (0.1, True, False),
    ],
)
def test_steps_are_those_of_a_plain_loop(nesterov, weight_decay, decoupled, decay_all):
    settings = {
        "momentum": 0.8,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
        "decoupled": decoupled,
    }
    trail = trained(Sgd(learning_rate=0.2, decay_all=decay_all, **settings))
    settings["decayed"] = ("kernel", "bias") if decay_all else ("kernel",)
    rates = [0.2] * STEPS
    assert difference(trail, expected(rates, **settings)) < 1e-7
    others = [{"momentum": 0.7}, {"nesterov": not nesterov}]
    if weight_decay:
        others += [
            {"weight_decay": 0.11},
            {"decoupled": not decoupled},
            {"decayed": ("kernel",) if decay_all else ("kernel", "bias")},
        ]
    for other in others:
        assert difference(trail, expected(rates, **(settings | other))) > 1e-3


def test_defaults_are_plain_momentum():
    trail = trained(Sgd())
    assert difference(trail, expected([0.1] * STEPS, momentum=0.9)) < 1e-7


@pytest.mark.parametrize(
    ("milestones", "factors"),
    [
        ((1, 2), [1] * 4 + [0.3] * 4 + [0.09] * 4),
        ((0.5, 2.25), [1] * 2 + [0.3] * 7 + [0.09] * 3),
        # Both at the eighth step.
        ((1.99, 2.01), [1] * 8 + [0.09] * 4),
        ((0.01,), [0.3] * 12),
    ],
)
def test_the_rate_falls_at_the_milestones(milestones, factors):
    sgd = Sgd(learning_rate=0.2, milestones=milestones, decay=0.3, momentum=0.0)
    trail = trained(sgd)
    rates = [0.2 * factor for factor in factors]
    assert difference(trail, expected(rates)) < 1e-7
    late, early = [0.2, *rates[:-1]], [*rates[1:], 0.1 * rates[-1]]
    for other in (late, early):
        assert difference(trail, expected(other)) > 1e-3


def test_the_cyclic_rate_rises_and_falls_in_straight_lines():
    cyclic = CyclicSgd(learning_rate=0.3, peak=0.25, momentum=0.8, weight_decay=0.1)
    rising, falling = [0.1, 0.2, 0.3], [0.3 * left / 9 for left in range(8, -1, -1)]
    settings = {"momentum": 0.8, "weight_decay": 0.1}
    trail = trained(cyclic)
    # Rates are float32.
    assert difference(trail, expected([*rising, *falling], **settings)) < 1e-6
    late = [0, *rising, *falling[:-1]]
    assert difference(trail, expected(late, **settings)) > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peak": 0.0}, r"peak is 0\.0, but must be in \(0,1\)"),
        ({"peak": 1.0}, r"peak is 1\.0, but must be in \(0,1\)"),
        ({"learning_rate": -0.1}, r"learning_rate is -0\.1, but must be above 0"),
        ({"momentum": 1.0}, r"momentum is 1\.0, but must be in \[0,1\)"),
        ({"weight_decay": -1.0}, r"weight_decay is -1\.0, but must not be negative"),
    ],
)
def test_cyclic_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CyclicSgd(**settings)


def test_the_average_forgets_its_start_sooner():
    old = {"kernel": jnp.asarray([1.0, 2.0]), "bias": jnp.asarray([3.0])}
    new = {"kernel": jnp.asarray([5.0, -2.0]), "bias": jnp.asarray([4.0])}
    for step, share in ((0, 0.1), (1, 2 / 11), (10, 0.55), (80, 0.9), (10**6, 0.9)):
        moved = average(old, new, 0.9, jnp.asarray(step, jnp.int32))
        for name, array in moved.items():
            expected = share * np.asarray(old[name]) + (1 - share) * new[name]
            np.testing.assert_allclose(array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0, but must be above 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf, but must be above 0"),
        ({"decay": -0.1}, r"decay is -0\.1, but must be above 0"),
        ({"momentum": 1.0}, r"momentum is 1\.0, but must be in \[0,1\)"),
        ({"momentum": -0.1}, r"momentum is -0\.1, but must be in \[0,1\)"),
        ({"momentum": math.nan}, r"momentum is nan, but must be in \[0,1\)"),
        ({"weight_decay": -1.0}, r"weight_decay is -1\.0, but must not be negative"),
        ({"weight_decay": math.nan}, "weight_decay is nan, but must not be negative"),
        (
            {"milestones": (2, 1)},
            r"milestones are \(2, 1\), but must grow from above 0",
        ),
        ({"milestones": (1, 1)}, r"milestones are \(1, 1\), but must grow"),
        (
            {"milestones": (0, 1)},
            r"milestones are \(0, 1\), but must grow from above 0",
        ),
        ({"milestones": (math.nan,)}, r"milestones are \(nan,\), but must grow"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Sgd(**settings)


@pytest.mark.parametrize("late", [(1, 3), (3.5,), (1, math.inf)])
def test_milestones_that_are_never_reached_are_refused(late):
    message = rf"milestones \[{late[-1]}\] are not reached in 3 epochs: train longer"
    with pytest.raises(ValueError, match=message):
        Config(epochs=3, optimizer=Sgd(milestones=late))
    Config(epochs=4, optimizer=Sgd(milestones=(1, 2.5)))


@pytest.mark.parametrize("limit", [0.0, 0.25])
def test_adam_keeps_kernels_within_its_limit(limit):
    trail = trained(Adam(learning_rate=0.1, limit=limit))
    params = {name: array.copy() for name, array in START.items()}
    first = {name: np.zeros_like(array) for name, array in START.items()}
    second = {name: np.zeros_like(array) for name, array in START.items()}
    for step, seen in enumerate(trail):
        slopes = gradient(params, step)
        for name, slope in slopes.items():
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            mean = first[name] / (1 - 0.9 ** (step + 1))
            square = second[name] / (1 - 0.999 ** (step + 1))
            params[name] = params[name] - 0.1 * mean / (np.sqrt(square) + 1e-8)
        if limit:
            params["kernel"] = np.clip(params["kernel"], -limit, limit)
        for name, array in params.items():
            np.testing.assert_allclose(seen[name], array, atol=1e-9)
    largest = {name: np.abs(array).max() for name, array in trail[-1].items()}
    assert largest["bias"] > 0.25
    assert (largest["kernel"] > 0.2501) == (limit == 0)


@pytest.mark.parametrize("settings", [{"limit": -1.0}, {"learning_rate": 0.0}])
def test_adam_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Adam(**settings)
