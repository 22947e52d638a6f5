"""The substitute-model attack on targets that are known exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.attacks import substitute, transfer

KEY = jax.random.key(4)
LINE = np.random.default_rng(4).normal(size=12).astype(np.float32)
SMALL = attacks.Substitute(
    epsilons=(0.02, 0.1, 0.3),
    hidden=(32,),
    learning_rate=0.005,
    batch_size=32,
    rounds=6,
    epochs=10,
    limit=160,
)


def target(x):
    """A line through the middle of the box."""
    return ((x.reshape(len(x), -1) - 0.5) @ LINE > 0).astype(np.int32)


def images(seed, count):
    x = np.random.default_rng([4, seed]).random((count, 3, 4)).astype(np.float32)
    return jnp.asarray(x)


def record_of(label_fn=target, settings=SMALL, **arguments):
    x = images(1, 300)
    return attacks.substitute_attack(
        KEY, label_fn, images(0, 20), x, target(x), settings=settings, **arguments
    )


@pytest.fixture(scope="module")
def record():
    return record_of()


@pytest.mark.slow("trains")
def test_it_learns_the_target_and_its_adversaries_transfer(record):
    assert record.agreement.shape == (6,)
    assert record.adversarial_accuracy.shape == (6, 3)
    assert record.agreement[-1] > 0.9
    assert record.agreement[-1] > record.agreement[0] + 0.05
    np.testing.assert_array_equal(record.target_accuracy, 1)
    np.testing.assert_array_equal(record.substitute_accuracy, record.agreement)
    last = np.asarray(record.adversarial_accuracy[-1])
    assert (np.diff(last) < 0).all()
    # No perturbation of .1 a pixel does more than one along the line itself.
    x = np.asarray(images(1, 300)).reshape(300, -1)
    side = np.where(target(x) == 1, -1, 1)[:, None]
    best = np.mean(target(np.clip(x + 0.1 * side * np.sign(LINE), 0, 1)) == target(x))
    assert best <= last[1] <= best + 0.2


def test_queries_double_and_then_replace(record):
    # 20 at first; 20, 40 and 80 double the set to 160, which is then replaced.
    assert record.queries.tolist() == [20, 40, 80, 160, 320, 480]
    given = record_of(query_labels=jnp.asarray(target(images(0, 20))))
    assert given.queries.tolist() == [0, 20, 60, 140, 300, 460]
    np.testing.assert_array_equal(given.agreement, record.agreement)


def test_augmentation_against_numpy():
    settings = dataclasses.replace(SMALL, limit=100, augmentation=0.4)
    state = transfer.init(KEY, target, images(0, 20), settings=settings)
    sizes, signs = [], set()
    for round_number in range(5):
        state = state._replace(round=jnp.asarray(round_number))
        before = state
        state = transfer.augment(KEY, target, before, 2, settings)
        sizes.append(len(state.images))
        old, labels = np.asarray(before.images).reshape(-1, 12), before.labels
        (first, _), (second, _) = before.params
        on = old @ np.asarray(first) > 0
        slopes = np.stack(
            [
                (np.asarray(first) * row) @ np.asarray(second)[:, int(label)]
                for row, label in zip(on, labels, strict=True)
            ]
        )
        new = np.asarray(state.images).reshape(-1, 12)[-len(old) :]
        moved = (new - old) / 0.4
        sign = np.sign(moved[0, 0] * slopes[0, 0])
        np.testing.assert_allclose(moved, sign * np.sign(slopes), atol=1e-5)
        np.testing.assert_array_equal(state.labels[-len(old) :], target(new))
        assert int(state.queries - before.queries) == len(old)
        if len(new) < len(state.images):
            np.testing.assert_array_equal(state.images[: len(old)], before.images)
        signs.add(float(sign))
    assert sizes == [40, 80, 80, 80, 80]
    assert signs == {-1.0, 1.0}
    assert new.min() < -0.5, "images are not clipped"
    assert new.max() > 1.5


def test_adversaries_are_one_step_in_the_box():
    state = transfer.init(KEY, target, images(0, 20), settings=SMALL)
    x = images(1, 30)
    y = jnp.asarray(target(x))
    adversaries = transfer.adversaries(state, x, y, 0.25)
    signs = substitute.loss_signs(state.params, x, y)
    np.testing.assert_allclose(adversaries, np.clip(x + 0.25 * signs, 0, 1), atol=1e-6)


def test_one_compilation_for_all_sizes(record):
    before = substitute.fit._cache_size()
    record_of(settings=dataclasses.replace(SMALL, augmentation=0.2, rounds=4))
    assert substitute.fit._cache_size() == before + 1


def test_foreign_targets_and_jit(record):
    """numpy's answers are as good as JAX's, and all of it can be jitted with those."""
    settings = dataclasses.replace(SMALL, rounds=2)

    def foreign(x):
        return target(np.asarray(x)).astype(np.int64)

    expected = record_of(settings=settings)
    jitted = jax.jit(lambda: record_of(jax_target, settings))()
    for other in (record_of(foreign, settings), jitted):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=0.02), other, expected
        )


def jax_target(x):
    return ((x.reshape(len(x), -1) - 0.5) @ LINE > 0).astype(jnp.int32)


@pytest.mark.slow("the same in float64")
def test_three_classes_in_float64():
    with jax.enable_x64():
        settings = dataclasses.replace(SMALL, rounds=4)

        def brightest_row(x):
            return np.argmax(np.asarray(x).sum(2), 1)

        x = images(1, 200).astype(jnp.float64)
        y = jnp.asarray(brightest_row(x))
        assert len(np.unique(y)) == 3
        record = attacks.substitute_attack(
            KEY,
            brightest_row,
            images(0, 20).astype(jnp.float64),
            x,
            y,
            classes=3,
            settings=settings,
        )
        assert record.agreement[-1] > 0.6
        assert record.adversarial_accuracy[-1, -1] < record.target_accuracy[-1] - 0.2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"label_fn": lambda x: x[:, 0, 0]},
            TypeError,
            r"returns float32\[20\].*as_la",
        ),
        ({"label_fn": lambda x: target(x)[:3]}, ValueError, r"shape \(3,\) for 20"),
        ({"label_fn": lambda x: target(x) + 1}, ValueError, r"y holds 2.*0\.\.1"),
        ({"queries": jnp.full((20, 3, 4), 2.0)}, ValueError, "queries must be in"),
        ({"queries": images(0, 161)}, ValueError, "161 queries, but limit is 160"),
        ({"queries": images(0, 20)[:, 1:]}, ValueError, r"x has shape \(30, 3, 4\)"),
        ({"query_labels": jnp.zeros(19, int)}, ValueError, r"y has shape \(19,\)"),
        ({"y": jnp.full(30, 2)}, ValueError, r"y holds 2.*0\.\.1"),
        ({"classes": 1}, ValueError, "classes is 1"),
        ({"key": 0}, TypeError, "key is 0"),
    ],
)
def test_bad_input_is_refused(change, error, message):
    arguments = {
        "key": KEY,
        "label_fn": target,
        "queries": images(0, 20),
        "x": images(1, 30),
        "y": jnp.zeros(30, jnp.int32),
        "settings": SMALL,
        **change,
    }
    with pytest.raises(error, match=message):
        attacks.substitute_attack(**arguments)
