"""AttackBench's score against the areas under its curves, added up by strips."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from zeroone_jax.evaluation import certified_accuracy, tables
from zeroone_jax.evaluation.optimality import nearest, optimality, table

DISTANCES = hnp.arrays(
    np.float64,
    (3, 12),
    elements=st.one_of(st.just(np.inf), st.integers(1, 20).map(float)),
)


@hypothesis.given(DISTANCES, st.integers(0, 3))
def test_scores_are_areas_under_the_curves(drawn, wrong):
    drawn[:, :wrong] = 0
    distances = dict(zip("abc", drawn, strict=True))
    best = drawn.min(axis=0)
    broken = best[np.isfinite(best) & (best > 0)]
    hypothesis.assume(len(np.unique(broken)) > 1)
    # Curves change at whole numbers only: the middle of each strip tells its height.
    middles = np.arange(int(broken.max())) + 0.5
    area = {
        name: certified_accuracy.shares(one, middles).sum()
        for name, one in {**distances, "best": best}.items()
    }
    clean = np.mean(best > 0) * len(middles)
    for name, score in optimality(distances).items():
        expected = 1 - (area[name] - area["best"]) / (clean - area["best"])
        np.testing.assert_allclose(score, expected, atol=1e-12)
        assert -1e-12 <= score <= 1 + 1e-12
    assert optimality({**distances, "best": best})["best"] == 1
    np.testing.assert_array_equal(nearest(distances), best)


def test_tables_have_the_best_first():
    found = {"far": np.array([2.0, 3.0, 0.0]), "near": np.array([1.0, 3.0, 0.0])}
    rows = table(found, "l1").rows
    assert [row[0] for row in rows] == ["near", "far"]
    assert rows[0][1:] == [1.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(rows[1][1:], [0.5, 2.0, 1.0, 2 / 3])
    assert "optimality" in tables.markdown(table(found, "l1"))


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        ({}, "those of no attack"),
        ({"a": np.ones(2), "b": np.ones(3)}, "the same n"),
        ({"a": np.ones((2, 2))}, r"but must be \[n\]"),
        ({"a": np.array([1.0, -1.0])}, "a distance of a is -1.0"),
        ({"a": np.array([np.nan, 1.0])}, "a distance of a is nan"),
        ({"a": np.array([0.0, np.inf])}, "no attack broke an image"),
        ({"a": np.array([2.0, 2.0])}, "every image is 2.0 away"),
    ],
)
def test_wrong_distances(distances, message):
    with pytest.raises(ValueError, match=message):
        optimality(distances)
