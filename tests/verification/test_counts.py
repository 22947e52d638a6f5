"""Radii through counts of votes, held to every subset of flips and to samples."""

import itertools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from zeroone_jax import verification
from zeroone_jax.models import zero_one
from zeroone_jax.verification.counts import radius_of_counts

CLASSES, VOTES, PIXELS = 3, 2, 4


def cheapest_flips(said, distances, label):
    """The least radius whose flips change the label, of all subsets of the votes."""
    places = list(np.ndindex(said.shape))
    radii = []
    for chosen in itertools.product([False, True], repeat=len(places)):
        flips = np.reshape(chosen, said.shape)
        counts = (said ^ flips).sum(axis=1)
        if counts.argmax() != label:
            radii.append(distances[flips].max(initial=0))
    return min(radii)


@hypothesis.given(
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.integers(1, 9), min_size=6, max_size=6),
    st.integers(0, CLASSES - 1),
)
def test_it_is_the_cheapest_of_all_subsets(said, distances, label):
    said = np.reshape(said, (CLASSES, VOTES))
    distances = np.reshape(distances, said.shape) / 8
    expected = cheapest_flips(said, distances, label)
    assert radius_of_counts(said, distances, label) == expected


def networks(seed):
    generator = np.random.default_rng(seed)
    shapes = [(3, PIXELS), (3,), (3,), ()]
    leaves = [generator.normal(size=(CLASSES, VOTES, *shape)) for shape in shapes]
    leaves[1] -= leaves[0].sum(axis=-1) / 2
    return zero_one.Params(*(jnp.asarray(leaf, jnp.float32) for leaf in leaves), "01")


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_point_within_the_radius_has_another_label(norm, seed):
    params, generator = networks(seed), np.random.default_rng(seed)
    x = generator.uniform(size=(12, PIXELS)).astype(np.float32)
    y = np.asarray(zero_one.predict(params, x))
    config = verification.Config(norm=norm)
    radii = verification.counted(params, x, y, config)
    alone = np.array(
        [
            [
                verification.measure(one, x, zero_one.predict(one, x), config).lower
                for one in votes_of(params, c)
            ]
            for c in range(CLASSES)
        ]
    )
    said = np.asarray(zero_one.votes(params, x)) == 1
    nearest = []
    for image, radius in enumerate(radii):
        expected = cheapest_flips(said[..., image], alone[..., image], y[image])
        assert radius == pytest.approx(expected)
        steps = generator.normal(size=(20_000, PIXELS))
        order = 2 if norm == "l2" else np.inf
        steps /= np.linalg.norm(steps, ord=order, axis=1, keepdims=True)
        lengths = radius * generator.uniform(0.9, 1.5, (len(steps), 1))
        points = np.clip(x[image] + steps * lengths, 0, 1).astype(np.float32)
        other = np.asarray(zero_one.predict(params, points)) != y[image]
        far = np.linalg.norm(points - x[image], ord=order, axis=1)[other]
        nearest.append(far.min(initial=np.inf) / radius)
    assert min(nearest) >= 1 - 1e-5
    # Where two votes need not flip at once the bound is met.
    assert min(nearest) < 1.1


def votes_of(params, c):
    """The networks of a class, each as an ensemble of one."""
    return [
        jax.tree.map(lambda leaf, v=vote: leaf[c, v : v + 1], params)
        for vote in range(VOTES)
    ]


def test_images_that_are_wrong_have_no_radius():
    params, x = networks(0), np.full((1, PIXELS), 0.5, np.float32)
    wrong = (np.asarray(zero_one.predict(params, x)) + 1) % CLASSES
    assert verification.counted(params, x, wrong).tolist() == [0.0]


@pytest.mark.slow("starts processes")
def test_the_same_by_processes():
    params = networks(2)
    x = np.random.default_rng(2).uniform(size=(6, PIXELS)).astype(np.float32)
    y, seen = np.asarray(zero_one.predict(params, x)), []
    alone = verification.counted(params, x, y)
    shared = verification.counted(params, x, y, workers=2, report=seen.append)
    np.testing.assert_array_equal(shared, alone)
    assert seen == list(range(1, 7))


def test_bad_input_is_refused():
    params, x = networks(0), np.full((1, PIXELS), 0.5, np.float32)
    two = jax.tree.map(lambda leaf: leaf[0], params)
    with pytest.raises(ValueError, match="`measure` and `bounds` take those"):
        verification.counted(two, x, [0])
    with pytest.raises(ValueError, match="y holds 3, but labels must be 0 to 2"):
        verification.counted(params, x, [3])
