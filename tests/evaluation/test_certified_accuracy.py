import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from zeroone_jax.evaluation import certified_accuracy, tables

DISTANCES = hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 10))


@hypothesis.given(DISTANCES, DISTANCES)
def test_shares_count_and_never_rise(distances, radii):
    radii = np.sort(radii)
    shares = certified_accuracy.shares(distances, radii)
    expected = [sum(d > r for d in distances) / len(distances) for r in radii]
    np.testing.assert_allclose(shares, expected)
    assert (np.diff(shares) <= 0).all()


def test_what_is_proved_lies_under_what_is_left():
    lower = np.array([0.0, 0.1, 0.2, 0.3])
    upper = np.array([0.0, 0.15, 0.2, np.inf])
    curves = {"certified": lower, "attacked": upper}
    radii = certified_accuracy.radii(curves, 5)
    assert radii[0] == 0
    assert 0.2 < radii[-1] <= 0.3
    table = tables.markdown(certified_accuracy.table(curves, radii, "l2"))
    assert "| l2" in table
    assert "certified | attacked" in table
    assert "| 0.7500 |" in table.replace("   ", " ").replace("  ", " ")
    axes = certified_accuracy.figure(curves, "l2").axes[0]
    low, high = (line.get_ydata() for line in axes.lines)
    assert (low <= high).all()
    assert "l2" in axes.get_xlabel()


def test_no_finite_distance_still_gives_radii():
    curves = {"certified": np.array([np.inf])}
    np.testing.assert_array_equal(certified_accuracy.radii(curves, 3), [0, 0.5, 1])


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros(0), r"shape \(0,\)"),
        (np.zeros((1, 2)), r"shape \(1, 2\)"),
        (np.array([0.1, -1.0]), "a distance is -1.0"),
        (np.array([np.nan]), "a distance is nan"),
    ],
)
def test_wrong_distances(distances, message):
    with pytest.raises(ValueError, match=message):
        certified_accuracy.shares(distances, [0.0])
