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

    @parameterized.parameters("screened", "blind")
    def test_same_result_on_any_number_of_devices(self, search):
        x, y = blobs()
        config = small(search=search, votes=5)
        alone, several, all_of_them = (
            coordinate_descent.fit(KEY, x, y, config, devices=jax.devices()[:count])
            for count in (1, 2, 4)
        )
        for other in (several, all_of_them):
            chex.assert_trees_all_equal(alone.params, other.params)
            chex.assert_trees_all_equal(alone.state, other.state)
            chex.assert_trees_all_equal(alone.history, other.history)

    @parameterized.parameters(1, 2)
    def test_same_result_in_any_chunks(self, chunk):
        x, y = blobs()
        whole = coordinate_descent.fit(KEY, x, y, small())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ensemble, "_chunk", lambda *_: chunk)
            # The jitted function would not notice the patch.
            ensemble.segment.clear_cache()
            chunked = coordinate_descent.fit(KEY, x, y, small())
        ensemble.segment.clear_cache()
        chex.assert_trees_all_equal(whole.params, chunked.params)

    def test_a_vote_does_not_depend_on_the_others(self):
        x, y = blobs()
        few = coordinate_descent.fit(KEY, x, y, small(votes=2)).params
        many = coordinate_descent.fit(KEY, x, y, small(votes=6)).params
        chex.assert_trees_all_equal(few, jax.tree.map(lambda leaf: leaf[:2], many))

    @parameterized.parameters("screened", "blind")
    def test_same_result_when_interrupted(self, search):
        x, y = blobs()
        config = small(iterations=2 * coordinate_descent.SEGMENT + 30, search=search)
        states = []
        whole = coordinate_descent.fit(
            KEY, x, y, config, on_segment=lambda state, _: states.append(state)
        )
        assert [int(state.iteration) for state in states] == [200, 400, 430]
        # As from a checkpoint: through the host.
        stored = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), states[0])
        rest = coordinate_descent.fit(KEY, x, y, config, state=stored)
        chex.assert_trees_all_equal(whole.params, rest.params)
        chex.assert_trees_all_equal(whole.state, rest.state)
        chex.assert_trees_all_equal(
            jax.tree.map(lambda leaf: leaf[200:], whole.history), rest.history
        )

    def test_noisy_features_give_the_same_result_on_any_number_of_devices(self):
        x, y = blobs()
        noise = np.random.default_rng(0).normal(0, 0.1, x.shape)
        x = np.clip(x + noise, 0, 1).astype(np.float32)
        alone, several = (
            coordinate_descent.fit(KEY, x, y, small(), devices=jax.devices()[:count])
            for count in (1, 4)
        )
        chex.assert_trees_all_close(alone.params, several.params, atol=1e-5)

    def test_compiled_once(self):
        x, y = blobs(seed=3)
        ensemble.segment.clear_cache()
        config = small(iterations=2 * coordinate_descent.SEGMENT + 7)
        coordinate_descent.fit(KEY, x, y, config)
        assert ensemble.segment._cache_size() == 1

    def test_one_against_all(self):
        x, y = blobs(classes=3, rows=150)
        result = coordinate_descent.fit(KEY, x, y, small(votes=3, iterations=200))
        chex.assert_shape(result.params.w1, (3, 3, 4, 20))
        votes = zero_one.votes(result.params, x)
        for label in range(3):
            accuracy = np.mean(np.asarray(votes[label]) == (y == label), axis=1)
            assert accuracy.min() > 0.7
        assert np.mean(np.asarray(zero_one.predict(result.params, x)) == y) > 0.7

    @parameterized.parameters(*sorted(coordinate_descent.PRESETS))
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
        result = coordinate_descent.fit(KEY, x, y, config)
        chex.assert_tree_all_finite(result.params)
        assert result.history.pocket_accuracy[-1].min() > 0.55

    @hypothesis.settings(max_examples=10)
    @hypothesis.given(st.integers(0, 2**31 - 1))
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


class BadInputTest(parameterized.TestCase):
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
