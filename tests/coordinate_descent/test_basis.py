"""Bases of the space of images, beside their definitions."""

import numpy as np
import pytest
import scipy.fft

from zeroone_jax.coordinate_descent import basis

SHAPE = (4, 8, 2)


@pytest.fixture(scope="module")
def levels():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (40, 64)).astype(np.float64)


BASES = {
    "principal": lambda levels: basis.principal(levels, 16, 640.0),
    "dct": lambda levels: basis.dct(SHAPE, levels, 16, 640.0),
}


@pytest.mark.parametrize("name", BASES)
def test_directions_are_orthonormal_and_units_keep_their_projections(levels, name):
    made = BASES[name](levels)
    np.testing.assert_allclose(
        made.directions @ made.directions.T, np.eye(16), atol=1e-12
    )
    coordinates, rounding = made.coordinates(levels)
    exact = (levels - made.origin) @ made.directions.T * made.scale
    moved = np.linalg.norm(coordinates.T - exact, axis=1)
    np.testing.assert_allclose(rounding, moved)
    assert (coordinates == np.rint(coordinates)).all()
    generator = np.random.default_rng(1)
    weights, thresholds = generator.normal(size=(3, 16)), generator.normal(size=3)
    pixels, cuts = made.on_pixels(weights, thresholds)
    on_coordinates = weights @ exact.T - thresholds[:, None]
    on_pixels = (pixels @ levels.T - cuts[:, None]) * made.scale
    np.testing.assert_allclose(on_pixels, on_coordinates, atol=1e-8)


def test_principal_components_are_those_of_the_rows(levels):
    made = BASES["principal"](levels)
    _, _, directions = np.linalg.svd(levels - levels.mean(axis=0))
    cosines = np.abs(np.sum(made.directions * directions[:16], axis=1))
    np.testing.assert_allclose(cosines, 1)


def test_frequencies_are_those_of_the_cosine_transform(levels):
    made = BASES["dct"](levels)
    images = (levels - made.origin).reshape(-1, *SHAPE)
    transformed = scipy.fft.dctn(images, axes=(1, 2), norm="ortho")
    found = (levels - made.origin) @ made.directions.T
    # The first are the means of both colours, and of the one wave that is longest.
    expected = [transformed[:, 0, 0, 0], transformed[:, 0, 0, 1]]
    expected += [transformed[:, 0, 1, 0], transformed[:, 0, 1, 1]]
    np.testing.assert_allclose(found[:, :4].T, expected, atol=1e-9)
