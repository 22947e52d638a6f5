"""Networks whose breakable images verifiers know: none more is found, few less."""

import jax
import numpy as np
import pytest

from tests import known_networks
from zeroone_jax import attacks

SEEDS = 5


@pytest.mark.computes
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
