"""A batch that is shared by devices, or done in pieces."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.training.small_run import (
    CONFIG,
    DEEP,
    LINEAR,
    assert_same,
    fit,
)
from zeroone_jax import training
from zeroone_jax.training import objectives


@pytest.mark.slow("compiles for several devices")
def test_devices_may_get_unlike_shares_of_a_batch():
    config = dataclasses.replace(CONFIG, epochs=1, optimizer=training.Sgd())
    for settings in ({}, {"accumulate": 2}):
        changed = dataclasses.replace(config, **settings)
        alone, shared = (
            fit(DEEP, objectives.natural(), changed, devices=jax.devices()[:count])
            for count in (1, 3)
        )
        assert_same(shared.params, alone.params, atol=1e-5)
        assert_same(shared.batch_stats, alone.batch_stats, atol=1e-5)


@pytest.mark.slow("compiles for several devices")
def test_devices_share_a_batch():
    config = dataclasses.replace(CONFIG, epochs=1, optimizer=training.Sgd())
    sense = objectives.sense(epsilon=0.1, step_size=0.05, steps=2, warm_up=0)
    one, four = (
        fit(DEEP, sense, config, devices=jax.devices()[:count]) for count in (1, 4)
    )
    assert len(four.params["Dense_0"]["kernel"].sharding.device_set) == 4
    assert_same(four, one, atol=2e-5)


def test_pieces_of_a_batch_add_up():
    config = dataclasses.replace(CONFIG, epochs=1, optimizer=training.Sgd())
    whole, pieces = (
        fit(LINEAR, objectives.natural(), dataclasses.replace(config, accumulate=count))
        for count in (1, 4)
    )
    assert_same(pieces, whole, atol=1e-5)


@pytest.mark.slow("compiles for pieces")
def test_pieces_keep_memory_in_order():
    config = dataclasses.replace(CONFIG, epochs=2, optimizer=training.Sgd())
    mma = objectives.max_margin(max_margin=0.3, steps=2)
    whole, pieces = (
        fit(LINEAR, mma, dataclasses.replace(config, accumulate=count))
        for count in (1, 2)
    )
    # Not the same starts: an image's depend on the piece's key.
    correlation = np.corrcoef(whole.memory, pieces.memory)[0, 1]
    assert correlation > 0.9
