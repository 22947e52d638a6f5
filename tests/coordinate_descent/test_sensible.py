"""Sensible radii: no point of a row's ball lies beyond the reference's border."""

import jax
import numpy as np
import pytest

from tests.verification.oracles import small_networks
from zeroone_jax import coordinate_descent, verification
from zeroone_jax.models import zero_one

REFERENCE = small_networks(5, 3, 2, 4, "01")
RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, size=(40, 4)) / 255
LABELS = np.asarray(zero_one.predict(REFERENCE, X))
Y = np.where(RNG.random(40) < 0.2, 1 - LABELS, LABELS)


def test_they_are_a_share_of_what_is_certain(tmp_path):
    radii = coordinate_descent.sensible_radii(tmp_path / "a.npz", REFERENCE, X, Y)
    exact = verification.measure(
        REFERENCE, X, LABELS, verification.Config(box=False)
    ).infimum
    assert (radii <= exact * (1 + 1e-6)).all()
    assert (radii[LABELS != Y] == 0).all()
    assert (radii[LABELS == Y] > 0).all()
    half = coordinate_descent.sensible_radii(
        tmp_path / "a.npz", REFERENCE, X, Y, share=0.5
    )
    np.testing.assert_array_equal(half, radii / 2)


def test_the_reference_says_the_row_s_label_in_all_of_its_ball(tmp_path):
    radii = coordinate_descent.sensible_radii(tmp_path / "a.npz", REFERENCE, X, Y)
    directions = RNG.normal(size=(500, 1, 4))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    lengths = np.minimum(radii, 100)[None, :, None] * RNG.random((500, 40, 1))
    points = (X + 0.999 * lengths * directions).reshape(-1, 4)
    said = np.asarray(zero_one.predict(REFERENCE, points)).reshape(500, 40)
    assert (said == LABELS).all()


def test_more_of_the_distance_can_be_known(tmp_path):
    """Of an ensemble the joint search finds a larger radius, in the box still more."""
    rows = X[LABELS == Y], Y[LABELS == Y]
    found = [
        coordinate_descent.sensible_radii(
            tmp_path / f"{place}.npz",
            REFERENCE,
            *rows,
            config=verification.Config(joint=joint, box=box),
        )
        for place, (joint, box) in enumerate([(False, False), (True, True)])
    ]
    assert (found[1] >= found[0] * (1 - 1e-6)).all()


@pytest.mark.slow("trains")
def test_training_takes_them(tmp_path):
    """Rows that the reference gets wrong are only to be right as they are."""
    radii = coordinate_descent.sensible_radii(tmp_path / "a.npz", REFERENCE, X, Y)
    config = coordinate_descent.Config(
        votes=2, hidden=3, iterations=40, features=4, candidates=4, epsilon=0.1
    )
    key, x = jax.random.key(0), X.astype(np.float32)
    found, capped, plain = (
        coordinate_descent.fit(key, x, Y, config, radii=some).params
        for some in (radii, np.minimum(radii, 0.1), None)
    )
    np.testing.assert_array_equal(found.w1, capped.w1)
    assert not np.array_equal(found.w1, plain.w1)


def test_what_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="share is 0"):
        coordinate_descent.sensible_radii(path, REFERENCE, X, Y, share=0.0)
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        coordinate_descent.sensible_radii(path, REFERENCE, X, Y + 1)
    with pytest.raises(ValueError, match="x has shape"):
        coordinate_descent.sensible_radii(path, REFERENCE, X[:, :3], Y)
    assert not path.exists()
