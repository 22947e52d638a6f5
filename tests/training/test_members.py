"""Members of an ensemble that train together, and runs that end early."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.small_run import (
    CONFIG,
    DEEP,
    IAAT,
    IMAGES,
    KEY,
    LABELS,
    LINEAR,
    assert_same,
    copied,
    fit,
)
from zeroone_jax import training
from zeroone_jax.training import objectives


@pytest.mark.slow("trains networks")
def test_members_train_as_if_alone():
    """Each on its own batches; their keys are the run's with their number."""
    together = fit(DEEP, IAAT, CONFIG, members=3)
    for member in (0, 2):
        alone = training.fit(
            jax.random.fold_in(KEY, member), DEEP, IAAT, IMAGES, LABELS, CONFIG
        )
        assert_same(jax.tree.map(lambda a: a[member], together), alone, atol=2e-5)  # noqa: B023
    kernels = np.asarray(together.params["Dense_0"]["kernel"])
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    told = []
    state = fit(
        DEEP,
        IAAT,
        dataclasses.replace(CONFIG, epochs=2, optimizer=training.Sgd()),
        members=3,
        on_segment=lambda state, progress: told.append(
            (copied(state), progress.metrics["loss"])
        ),
    )
    assert all(np.ndim(loss) == 0 for _, loss in told)
    halfway = jax.tree.map(jnp.asarray, told[1][0])
    again = fit(
        DEEP,
        IAAT,
        dataclasses.replace(CONFIG, epochs=2, optimizer=training.Sgd()),
        members=3,
        state=halfway,
    )
    assert_same(again, state, atol=0, rtol=0)


def test_a_member_that_diverges_is_named():
    config = training.Config(batch_size=44, optimizer=training.Sgd(learning_rate=3e38))
    config = dataclasses.replace(config, epochs=3)
    with pytest.raises(training.DivergedError, match=r"loss of member 0 is .* at step"):
        fit(LINEAR, objectives.natural(), config, members=2)


def test_patience_ends_training():
    """What stopped stays as it was; the run ends when every member has stopped."""
    config = training.Config(
        epochs=50,
        batch_size=11,
        optimizer=training.Sgd(learning_rate=0.05),
        patience=2,
        tolerance=0.02,
    )
    losses = []

    def on_segment(state, progress):
        losses.append(progress.metrics["loss"])
        params.append(copied(state.params))

    params = []
    state = fit(LINEAR, objectives.natural(), config, on_segment=on_segment)
    best, stale, ended = np.inf, 0, None
    for epoch, loss in enumerate(losses):
        stale = stale + 1 if loss > best - 0.02 else 0
        best = min(best, loss)
        if stale > 2:
            ended = epoch + 1
            break
    assert ended == len(losses) < 50
    assert int(state.step) == 4 * ended
    together = fit(LINEAR, objectives.natural(), config, members=2)
    alone = [
        training.fit(
            jax.random.fold_in(KEY, member),
            LINEAR,
            objectives.natural(),
            IMAGES,
            LABELS,
            config,
        )
        for member in range(2)
    ]
    steps = [int(state.step) for state in alone]
    assert np.asarray(together.step).tolist() == [max(steps)] * 2
    for member, state in enumerate(alone):
        found = jax.tree.map(lambda a: a[member], together.params)  # noqa: B023
        chex.assert_trees_all_close(copied(found), copied(state.params), atol=2e-5)
    resumed = fit(LINEAR, objectives.natural(), config, members=2, state=together)
    assert np.asarray(resumed.step).tolist() == [max(steps)] * 2
