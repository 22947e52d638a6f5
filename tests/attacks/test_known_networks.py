"""Networks whose breakable images verifiers know: none more is found, few less."""

import jax
import numpy as np
import pytest

from tests import known_networks
from zeroone_jax import attacks

# Convolutions take ten times as long where compilers hardly optimise.
pytestmark = pytest.mark.computes

SEEDS = 5


@pytest.mark.slow("two attacks by five seeds")
@pytest.mark.parametrize(
    ("attack", "papers"),
    [
        # What they found with the papers' loss and clipped starts, on average.
        (attacks.pgd(epsilon=0.1), 11.6),
        (attacks.apgd(epsilon=0.1, iterations=40), 12.4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_restart_finds_more_than_the_papers(reference, attack, papers):
    network = known_networks.mnist(reference)
    breakable = np.flatnonzero(network.breakable)
    found = [
        attack(
            jax.random.key(seed), network.fn, network.x[breakable], network.y[breakable]
        ).success.sum()
        for seed in range(SEEDS)
    ]
    assert np.mean(found) >= papers + 1


@pytest.mark.slow("a convolutional network")
def test_proved_images_are_not_broken(reference):
    network = known_networks.mnist(reference)
    proved = np.flatnonzero(~network.breakable)[:16]
    attack = attacks.pgd(epsilon=0.1, iterations=10)
    out = attack(jax.random.key(0), network.fn, network.x[proved], network.y[proved])
    assert not out.success.any()


def breakable(network: known_networks.Known) -> known_networks.Known:
    """The network with those of its images that have an adversary."""
    chosen = np.flatnonzero(network.breakable)
    fn, *images = network
    return known_networks.Known(fn, *(array[chosen] for array in images))


@pytest.mark.slow("four attacks on a convolutional network")
def test_the_suite_breaks_all_that_can_be_broken(reference):
    network = breakable(known_networks.mnist(reference))
    report = attacks.suite.standard("linf", 0.1)(
        jax.random.key(0), network.fn, network.x, network.y
    )
    assert report.robust_accuracy == 0


@pytest.mark.slow("many climbs for each of many radii")
def test_one_pass_of_the_least_distance_is_near_the_exact_one(reference):
    network = breakable(known_networks.mnist(reference))
    attack = attacks.minimal_apgd(norm="linf", trials=80, iterations=40, restarts=6)
    found = attack(jax.random.key(0), network.fn, network.x, network.y)
    distance = farthest_move(found.adversary, network.x)
    assert (network.fn(found.adversary).argmax(axis=1) != network.y).all()
    assert (distance <= network.epsilon).all()
    assert (distance >= network.lower).all()
    known = ~np.isnan(network.exact)
    ratio = distance[known] / network.exact[known]
    assert np.median(ratio) <= 1.01
    assert ratio.max() <= 1.05


@pytest.mark.slow("many climbs for each of many radii")
def test_no_adversary_of_many_restarts_is_far_from_the_nearest(reference):
    network = breakable(known_networks.mnist(reference))
    known = np.flatnonzero(~np.isnan(network.exact))
    attack = attacks.minimal_apgd(norm="linf", trials=200, iterations=25, restarts=20)
    distances = []
    for seed in range(2):
        key = jax.random.key(seed)
        found = attack(key, network.fn, network.x[known], network.y[known])
        assert found.success.all()
        distances.append(farthest_move(found.adversary, network.x[known]))
    ratio = np.min(distances, axis=0) / network.exact[known]
    assert (ratio >= 1).all()
    assert np.median(ratio) <= 1.01
    assert ratio.max() <= 1.03


def farthest_move(adversary: jax.Array, x: jax.Array) -> np.ndarray:
    """The distance in Linf, float64 [n]."""
    moves = np.asarray(adversary, np.float64) - np.asarray(x, np.float64)
    return np.abs(moves).max(axis=(1, 2, 3))


@pytest.mark.slow("convolutional networks")
@pytest.mark.parametrize("name", ["wide", "deep"])
def test_properties_with_radii_of_their_own_in_one_call(reference, name):
    network = known_networks.oval(reference, name)
    assert (network.fn(network.x).argmax(axis=1) == network.y).all()
    attack = attacks.pgd(epsilon=network.epsilon, iterations=40, restarts=2)
    found = attack(jax.random.key(0), network.fn, network.x, network.y)
    np.testing.assert_array_equal(found.success, network.breakable)
    assert (farthest_move(found.adversary, network.x) <= network.epsilon).all()
