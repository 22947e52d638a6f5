import contextlib
import dataclasses

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from zeroone_jax import coordinate_descent
from zeroone_jax import devices as device_mesh
from zeroone_jax.coordinate_descent import ensemble
from zeroone_jax.models import zero_one


def blobs(seed=0, rows=120, coordinates=20, classes=2):
    """8-bit images whose classes differ in a few coordinates."""
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.arange(rows) % classes)
    x = generator.integers(0, 200, (rows, coordinates))
    x[np.arange(rows), y] += 55
    return (x / 255).astype(np.float32), y.astype(np.int32)


def small(**changes):
    config = coordinate_descent.Config(
        votes=5, hidden=4, iterations=30, features=10, candidates=3
    )
    return dataclasses.replace(config, **changes)


KEY = jax.random.key(7)
SEGMENT = 20

pytestmark = pytest.mark.usefixtures("short_segments")


TUNINGS = (
    {"rows": 1.0, "hidden_steps": (0.3, 0.1)},
    {"rows": 0.29, "output_step": 0.4, "balanced_share": 0.7},
    {"hidden_steps": (0.05, 0.6)},
)


@contextlib.contextmanager
def chunks_of(networks, together=1):
    """Lets chunks of so many networks go through their iterations together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "_chunk", lambda *_: (networks, together))
        # The jitted function would not notice the patch.
        ensemble.segment.clear_cache()
        yield
    ensemble.segment.clear_cache()


class FitTest(parameterized.TestCase):
    def test_finds_what_there_is(self):
        x, y = blobs()
        result = coordinate_descent.fit(KEY, x, y, small(iterations=200))
        votes = np.asarray(zero_one.votes(result.params, x))
        accuracy = (votes == y).mean(axis=1)
        assert accuracy.min() > 0.75
        np.testing.assert_allclose(
            result.history.pocket_accuracy[-1], accuracy, atol=1e-6
        )
        assert np.all(np.diff(result.history.pocket_accuracy, axis=0) >= 0)

    @parameterized.parameters(("screened", (2, 8)), ("blind", (8,)))
    @pytest.mark.slow("compiles for one, two and eight devices")
    def test_same_result_on_any_number_of_devices(self, search, counts):
        x, y = blobs()
        config = small(search=search)
        alone, *others = (
            coordinate_descent.fit(KEY, x, y, config, devices=jax.devices()[:count])
            for count in (1, *counts)
        )
        for other in others:
            chex.assert_trees_all_equal(alone.params, other.params)
            chex.assert_trees_all_equal(alone.state, other.state)
            chex.assert_trees_all_equal(alone.history, other.history)

    @parameterized.parameters(1, 2)
    @pytest.mark.slow("compiles a program a size")
    def test_same_result_in_any_chunks(self, chunk):
        x, y = blobs()
        whole = coordinate_descent.fit(KEY, x, y, small())
        with chunks_of(chunk):
            chunked = coordinate_descent.fit(KEY, x, y, small())
        chex.assert_trees_all_equal(whole.params, chunked.params)

    @pytest.mark.slow("compiles for several numbers of votes")
    def test_a_vote_does_not_depend_on_the_others(self):
        x, y = blobs()
        few = coordinate_descent.fit(KEY, x, y, small(votes=2)).params
        many = coordinate_descent.fit(KEY, x, y, small()).params
        chex.assert_trees_all_equal(few, jax.tree.map(lambda leaf: leaf[:2], many))

    def test_same_result_when_interrupted(self):
        self._assert_same_when_interrupted("screened")

    @pytest.mark.slow("the same once more")
    def test_same_result_when_the_blind_search_is_interrupted(self):
        self._assert_same_when_interrupted("blind")

    def _assert_same_when_interrupted(self, search):
        x, y = blobs()
        config = small(iterations=2 * SEGMENT + 10, search=search)
        states = []
        whole = coordinate_descent.fit(
            KEY, x, y, config, on_segment=lambda state, _: states.append(state)
        )
        ends = [SEGMENT, 2 * SEGMENT, 2 * SEGMENT + 10]
        assert [int(state.iteration) for state in states] == ends
        # As from a checkpoint: through the host.
        stored = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), states[0])
        rest = coordinate_descent.fit(KEY, x, y, config, state=stored)
        chex.assert_trees_all_equal(whole.params, rest.params)
        chex.assert_trees_all_equal(whole.state, rest.state)
        chex.assert_trees_all_equal(
            jax.tree.map(lambda leaf: leaf[SEGMENT:], whole.history), rest.history
        )

    @pytest.mark.slow("compiles for one and eight devices")
    def test_noisy_features_give_the_same_result_on_any_number_of_devices(self):
        x, y = blobs()
        noise = np.random.default_rng(0).normal(0, 0.1, x.shape)
        x = np.clip(x + noise, 0, 1).astype(np.float32)
        alone, several = (
            coordinate_descent.fit(KEY, x, y, small(), devices=jax.devices()[:count])
            for count in (1, 8)
        )
        chex.assert_trees_all_close(alone.params, several.params, atol=1e-5)

    @pytest.mark.slow("fits four times")
    def test_compiled_once(self):
        x, y = blobs(seed=3)
        ensemble.segment.clear_cache()
        config = small(iterations=2 * SEGMENT + 7)
        coordinate_descent.fit(KEY, x, y, config)
        assert ensemble.segment._cache_size() == 1
        for changes in (*TUNINGS, {"iterations": SEGMENT + 3}):
            other = dataclasses.replace(config, **changes)
            coordinate_descent.fit(jax.random.key(1), x, y, other)
        assert ensemble.segment._cache_size() == 1

    @pytest.mark.slow("long iterations")
    def test_one_against_all(self):
        x, y = blobs(classes=3, rows=150)
        result = coordinate_descent.fit(KEY, x, y, small(votes=3, iterations=100))
        chex.assert_shape(result.params.w1, (3, 3, 4, 20))
        votes = zero_one.votes(result.params, x)
        for label in range(3):
            accuracy = np.mean(np.asarray(votes[label]) == (y == label), axis=1)
            assert accuracy.min() > 0.7
        assert np.mean(np.asarray(zero_one.predict(result.params, x)) == y) > 0.7

    @parameterized.parameters(*sorted(coordinate_descent.PRESETS))
    @pytest.mark.slow("compiles a program a preset")
    def test_every_preset_learns(self, name):
        x, y = blobs(rows=80)
        config = dataclasses.replace(
            coordinate_descent.PRESETS[name](),
            votes=2,
            iterations=20,
            features=8,
            candidates=4,
            tries=2,
        )
        if config.adversarial_step:
            config = dataclasses.replace(config, adversarial_step=0.05, rows=0.5)
        if config.epsilon:
            # The classes are .2 apart.
            config = dataclasses.replace(config, epsilon=0.03, rows=1.0, components=20)
        result = coordinate_descent.fit(KEY, x, y, config)
        chex.assert_tree_all_finite(result.params)
        assert result.history.pocket_accuracy[-1].min() > 0.55

    @hypothesis.settings(max_examples=10)
    @hypothesis.given(st.integers(0, 2**31 - 1))
    @pytest.mark.slow("long iterations")
    def test_labels_do_not_hang_on_rounding(self, seed):
        x, y = blobs(seed=seed % 1000)
        params = coordinate_descent.fit(jax.random.key(seed), x, y, small()).params
        unseen = np.random.default_rng(seed).integers(0, 256, (300, 20)) / 255
        single = np.asarray(zero_one.votes(params, unseen.astype(np.float32)))
        w1, b1, w2, b2 = (
            np.asarray(leaf, np.float64)
            for leaf in (params.w1, params.b1, params.w2, params.b2)
        )
        hidden = np.einsum("vhd,nd->vhn", w1, unseen) + b1[:, :, None] > 0
        for shift in (0, 1e-5, -1e-5):
            scores = np.einsum("vh,vhn->vn", w2, hidden) + b2[:, None] + shift
            np.testing.assert_array_equal(single, scores > 0)


class GridTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("classes", {"search": "blind", "votes": 1}, 3),
        ("linear", {"hidden": 0, "adversarial_step": 0.05, "tries": 3}, 2),
    )
    @pytest.mark.slow("other kinds of networks")
    def test_each_run_is_that_of_fit_for(self, changes, classes):
        self._assert_each_run_is_that_of_fit(changes, classes)

    @pytest.mark.slow("three runs of three networks")
    def test_each_run_is_that_of_fit(self):
        self._assert_each_run_is_that_of_fit({}, 2)

    def _assert_each_run_is_that_of_fit(self, changes, classes):
        """Three runs on eight devices."""
        x, y = blobs(classes=classes)
        keys, configs = grid(votes=3, iterations=SEGMENT + 10)
        configs = [dataclasses.replace(each, **changes) for each in configs]
        # Runs need not be equally long.
        configs[2] = dataclasses.replace(configs[2], iterations=SEGMENT - 3)
        alone = [
            coordinate_descent.fit(key, x, y, config, devices=jax.devices()[:1])
            for key, config in zip(keys, configs, strict=True)
        ]
        several = coordinate_descent.Grid(keys, x, y, configs).fit()
        chex.assert_trees_all_equal(several, alone)
        for other in alone[1:]:
            assert np.any(np.asarray(other.params.w1 != alone[0].params.w1))

    @parameterized.parameters((2, 1), (2, 3))
    @pytest.mark.slow("compiles a program a size")
    def test_same_result_in_any_chunks(self, chunk, together):
        """As on a processor, and as where there is room for several runs."""
        x, y = blobs()
        keys, configs = grid(votes=3)
        whole = coordinate_descent.Grid(keys, x, y, configs).fit()
        with chunks_of(chunk, together):
            chunked = coordinate_descent.Grid(keys, x, y, configs).fit()
        chex.assert_trees_all_equal(whole, chunked)

    @pytest.mark.slow("three runs in pieces")
    def test_goes_on_from_different_iterations(self):
        x, y = blobs()
        keys, configs = grid(iterations=2 * SEGMENT + 10)
        told = []
        searches = coordinate_descent.Grid(keys, x, y, configs)
        whole = searches.fit(on_segment=lambda *seen: told.append(seen))
        assert [run for run, _, _ in told] == [0, 1, 2] * 3
        # One run lost a segment, one had not begun, one was at its end.
        states = searches.init()
        states[0], states[2] = told[0][1], told[8][1]
        rest = searches.fit(states)
        for run, begun in enumerate((SEGMENT, 0, 2 * SEGMENT + 10)):
            chex.assert_trees_all_equal(rest[run].params, whole[run].params)
            chex.assert_trees_all_equal(rest[run].state, whole[run].state)
            chex.assert_trees_all_equal(
                rest[run].history,
                jax.tree.map(lambda leaf: leaf[begun:], whole[run].history),  # noqa: B023
            )

    def test_chunks_keep_devices_busy_and_fit_the_memory(self):
        x, y = blobs()
        config = small()
        data = coordinate_descent.prepare(x, y, config)
        program, _ = coordinate_descent.split(config)
        room = 4 * 120 * (4 + 4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ensemble._BYTES_PER_CHUNK, "cpu", 40 * room)
            for runs, networks, devices, expected in (
                (1, 8, 2, 4),
                (16, 8, 2, 8),
                (3, 8, 2, 4),
                (1, 100, 2, 25),
                (1, 5, 4, 2),
                (4, 100, 2, 25),
            ):
                mesh = device_mesh.mesh("votes", jax.devices()[:devices])
                found = ensemble._chunk(runs, networks, data, program, mesh)
                assert found == (expected, 1), (runs, networks, devices)


def grid(**changes):
    """Keys and configs of three runs, two of them of one seed."""
    config = small(**changes)
    keys = [jax.random.key(seed) for seed in (7, 7, 1)]
    return keys, [dataclasses.replace(config, **tuning) for tuning in TUNINGS]


class BadInputTest(parameterized.TestCase):
    def test_grids_that_are_none(self):
        x, y = blobs()
        keys, configs = grid()
        mistakes = {
            "at least one config": ([], []),
            "2 keys for 3 configs": (keys[:2], configs),
            "these do in votes, bins": (keys[:2], [configs[0], small(votes=3, bins=8)]),
            "these do in hidden_steps": (
                keys[:2],
                [configs[0], small(hidden_steps=(0.1,))],
            ),
            "rows=0.001 leaves no row": (keys[:2], [configs[0], small(rows=0.001)]),
        }
        for message, (some_keys, some) in mistakes.items():
            with pytest.raises(ValueError, match=message):
                coordinate_descent.Grid(some_keys, x, y, some)
        with pytest.raises(ValueError, match="0 states for 3 configs"):
            coordinate_descent.Grid(keys, x, y, configs).fit([])

    @pytest.mark.slow("fits once")
    def test_state_of_another_shape(self):
        x, y = blobs()
        state = coordinate_descent.fit(KEY, x, y, small(iterations=1)).state
        with pytest.raises(
            ValueError, match=r"state's networks have shape \(5, 4, 20\)"
        ):
            coordinate_descent.fit(KEY, x, y, small(votes=3), state=state)

    def test_state_beyond_the_end(self):
        x, y = blobs()
        state = coordinate_descent.fit(KEY, x, y, small(iterations=5)).state
        with pytest.raises(ValueError, match="at iteration 5, beyond iterations=2"):
            coordinate_descent.fit(KEY, x, y, small(iterations=2), state=state)

    def test_more_coordinates_than_there_are(self):
        x, y = blobs()
        with pytest.raises(ValueError, match="only 20"):
            coordinate_descent.fit(KEY, x, y, small(features=21))


if __name__ == "__main__":
    absltest.main()
