"""Attacks and the sensible adversary inside a user's own `jax.shard_map`, checks on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from zeroone_jax import attacks, loops, losses, training

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(1).uniform(size=(8, 2, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)), jnp.float32)
MESH = jax.make_mesh((2, 2), ("images", "other"), (AxisType.Auto,) * 2)
IMAGES = PartitionSpec("images")


def model(x):
    return jnp.matmul(x.reshape(len(x), -1) - 0.5, W, precision="highest")


Y = losses.labels(model(X)).at[0].add(1) % 3


def sharded(function):
    """Over one of two axes: what comes out must not vary over the other."""
    return jax.jit(
        jax.shard_map(
            function,
            mesh=MESH,
            in_specs=(PartitionSpec(), IMAGES, IMAGES),
            out_specs=IMAGES,
        )
    )


QUICK = (
    attacks.pgd(epsilon=8 / 255, iterations=3, levels=255),
    attacks.apgd(epsilon=0.1, iterations=4, loss="targeted_dlr"),
    attacks.fab(iterations=3),
    attacks.ddn(iterations=3),
    attacks.hop_skip_jump(iterations=2),
)
MORE = (
    attacks.pgd(epsilon=0.1, iterations=3),
    attacks.pgd(epsilon=0.5, norm="l1", iterations=3, momentum=0.5),
    attacks.apgd(epsilon=0.1, iterations=4),
    attacks.apgd(epsilon=0.3, norm="l1", iterations=6),
    attacks.fab(norm="l1", iterations=3, restarts=2),
    attacks.deep_fool(iterations=3),
    attacks.carlini_wagner(iterations=5, search_steps=2),
    attacks.fmn(iterations=3),
    attacks.fmn(norm="l0", iterations=3),
    attacks.sigma_zero(iterations=3),
    attacks.pdgd(iterations=3),
    attacks.pdpgd(norm="linf", iterations=3),
    attacks.minimal_apgd(norm="l1", iterations=3, trials=3),
    attacks.super_deep_fool(iterations=4),
    attacks.square(epsilon=0.1, max_queries=30),
    attacks.square(epsilon=0.3, norm="l2", max_queries=9),
    attacks.spsa(epsilon=0.1, iterations=2, samples=16),
    attacks.boundary(iterations=2),
    attacks.ray_s(max_queries=40),
)


def name(attack):
    return f"{type(attack).__name__}-{attack.norm}"


def attacking(attack):
    fn = model if attack.needs == "logits" else attacks.as_label_fn(model)
    return lambda key, x, y: attack(key, fn, x, y)


@pytest.mark.slow("all attacks")
@pytest.mark.parametrize("attack", MORE, ids=name)
def test_attacks_are_accepted(attack):
    """What `shard_map` refuses, it refuses while it traces."""
    attack = attacking(attack)
    expected = jax.eval_shape(attack, KEY, X, Y)
    assert jax.eval_shape(sharded(attack), KEY, X, Y) == expected


@pytest.mark.parametrize("attack", QUICK, ids=name)
@pytest.mark.slow("compiles for eight devices")
def test_attacks(attack):
    attack = attacking(attack)
    inside = sharded(attack)(KEY, X, Y)
    alone = attack(KEY, X, Y)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), inside, alone
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_sensible_adversary(norm):
    def adversary(key, x, y):
        return training.sensible_adversary(key, model, x, y, 0.1, 0.03, 4, norm=norm)

    inside = sharded(adversary)(KEY, X, Y)
    np.testing.assert_allclose(inside, adversary(KEY, X, Y), atol=1e-6)


def test_loops_begin_to_vary_by_and_by():
    """The second number takes up the first's axis, one turn later the third that."""

    def chain(_, x, y):
        total = jnp.sum(x)

        def step(numbers):
            turn, *rest = numbers
            return (turn + 1, rest[0] + total, rest[1] + rest[0], rest[2] + rest[1])

        zero = jnp.zeros(())
        numbers = loops.while_loop(
            lambda numbers: numbers[0] < 3, step, (0, *[zero] * 3)
        )
        chosen = loops.cond(total > 0, lambda: numbers[3], lambda: zero)
        return jnp.broadcast_to(chosen, y.shape)

    wanted = np.repeat([np.sum(X[:4]), np.sum(X[4:])], 4)
    np.testing.assert_allclose(sharded(chain)(KEY, X, Y), wanted, rtol=1e-5)
