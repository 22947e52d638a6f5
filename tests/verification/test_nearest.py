import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tests.verification.oracles import cell_distance
from zeroone_jax.verification.linf import Linf
from zeroone_jax.verification.nearest import Boxed, Free, least_distance


def solver_of(norm, box, normals, x):
    if norm == "linf":
        return Linf(normals, x if box else None)
    return Boxed(normals, x) if box else Free(normals)


@st.composite
def half_spaces(draw):
    """Normals of length 1, an image, and half-spaces that may be empty together."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features, count = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    normals = rng.normal(size=(count, features))
    if draw(st.booleans()):  # Coarse, so that there are ties.
        normals = np.round(normals) + (np.abs(normals).sum(1, keepdims=True) < 1)
    normals += 1e-9 * (np.abs(normals).sum(axis=1, keepdims=True) == 0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    x = rng.uniform(size=features)
    if draw(st.booleans()):
        x = np.round(x)
    return normals, x, rng.normal(scale=0.3, size=count)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("box", [False, True])
@hypothesis.given(half_spaces())
def test_the_nearest_point_is_the_oracles(norm, box, case):
    normals, x, rise = case
    solver = solver_of(norm, box, normals, x)
    units, signs = np.arange(len(rise)), np.ones(len(rise))
    expected = cell_distance(normals, -rise - normals @ x, x, norm, box)
    hypothesis.assume(np.isinf(expected) or expected < 10)
    found = solver(units, signs, rise)
    if found is None:
        assert np.isinf(expected)
        return
    move = solver.move(units, signs, found)
    np.testing.assert_allclose(found.bound, expected, atol=2e-6)
    np.testing.assert_allclose(solver.size(move), expected, atol=2e-6)
    np.testing.assert_allclose(found.change, normals @ move, atol=1e-9)
    assert (normals @ move >= rise - 1e-6).all()
    assert not box or ((x + move >= -1e-12) & (x + move <= 1 + 1e-12)).all()
    assert solver(units, signs, rise, found.bound / 2 + 1e-12) is None or (
        found.bound == 0
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("box", [False, True])
def test_one_half_space_in_closed_form(norm, box):
    normals, x = np.array([[0.6, 0.8]]), np.array([0.5, 0.5])
    solver = solver_of(norm, box, normals, x)
    found = solver(np.array([0]), np.array([-1.0]), np.array([0.14]))
    expected = [-0.084, -0.112] if norm == "l2" else [-0.1, -0.1]
    move = solver.move(np.array([0]), np.array([-1.0]), found)
    np.testing.assert_allclose(move, expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("box", [False, True])
def test_where_the_image_is_inside_it_stays(norm, box):
    normals, x = np.eye(2), np.array([0.25, 0.5])
    solver = solver_of(norm, box, normals, x)
    for units in (np.array([], int), np.array([0, 1])):
        found = solver(units, np.ones(len(units)), np.full(len(units), -0.1))
        assert found.bound == 0
        np.testing.assert_array_equal(
            solver.move(units, np.ones(len(units)), found), [0, 0]
        )


def test_least_distance_of_an_empty_set():
    assert least_distance(np.array([[1.0, -1.0]]), np.array([1.0, 1.0])) is None


def test_hi_ghs_takes_over_where_the_interior_point_fails(monkeypatch):
    rng = np.random.default_rng(0)
    normals, x = rng.normal(size=(4, 30)), rng.uniform(size=30)
    units, signs, rise = np.arange(4), np.ones(4), np.full(4, 0.3)
    for image in (x, None):
        solver = Linf(normals, image)
        inside = solver(units, signs, rise)
        monkeypatch.setattr(solver, "_interior", lambda *_: None)
        simplex = solver(units, signs, rise)
        assert inside.bound > 0
        np.testing.assert_allclose(inside.bound, simplex.bound, rtol=2e-6)
        np.testing.assert_allclose(simplex.bound, solver.size(simplex.move), rtol=2e-6)
