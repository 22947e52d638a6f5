"""Square's moves and starts against plain numpy versions of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.attacks import square_moves

KEY = jax.random.key(3)
HEIGHT, WIDTH, CHANNELS = 7, 6, 2


def oracle_pattern(side, turned):
    """Equation 2, entry by entry, counted from 1 as the paper does."""
    big = side // 2

    def rectangle(rows):
        out = np.zeros((rows, side))
        for r in range(1, rows + 1):
            for s in range(1, side + 1):
                away = max(abs(r - rows // 2 - 1), abs(s - big - 1))
                out[r - 1, s - 1] = sum(
                    1 / (big + 1 - k) ** 2 for k in range(big - away + 1)
                )
        return out

    pattern = np.concatenate([rectangle(side // 2), -rectangle(side - side // 2)])
    return pattern.T if turned else pattern


def unit(values):
    return values / np.sqrt(np.sum(values**2, (0, 1), keepdims=True))


def draw(key, size):
    return np.asarray(jax.random.bits(key, (size,), jnp.uint32)).astype(np.int64)


def corners(words, side):
    return words[0] % (HEIGHT - side + 1), words[1] % (WIDTH - side + 1)


def images(seed, count=1):
    generator = np.random.default_rng(seed)
    return generator.random((count, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)


PATTERN = jax.jit(square_moves._pattern, static_argnums=4)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("turned", [False, True])
def test_pattern_is_equation_2(side, turned):
    place = jnp.arange(-2, 11)
    pattern = PATTERN(place, place[1:], jnp.asarray(side), jnp.asarray(turned), float)
    expected = np.zeros((13, 12))
    expected[2 : 2 + side, 1 : 1 + side] = oracle_pattern(side, turned)
    np.testing.assert_allclose(pattern, expected, atol=1e-6)


@pytest.mark.parametrize("side", [1, 3, 6])
def test_linf_move_sets_one_square(side):
    move = jax.jit(functools.partial(square_moves.move_linf, epsilon=0.25))
    image, best = images(0)[0], images(1)[0]
    places = set()
    for seed in range(40):
        key = jax.random.key(seed)
        words = draw(key, 2 + CHANNELS)
        top, left = corners(words, side)
        expected = best.copy()
        window = np.s_[top : top + side, left : left + side]
        expected[window] = (image + 0.25 * np.where(words[2:] % 2 == 1, 1, -1))[window]
        np.testing.assert_allclose(
            move(key, best, image, jnp.asarray(side)), expected, atol=1e-6
        )
        places.add((top, left))
    assert max(top for top, _ in places) == HEIGHT - side
    assert max(left for _, left in places) == WIDTH - side


@pytest.mark.parametrize("side", [3, 4, 5])
def test_l2_move_is_algorithm_3(side):
    move = jax.jit(functools.partial(square_moves.move_l2, epsilon=0.7))
    image = images(0)[0].astype(np.float64)
    for seed in range(20):
        perturbation = np.random.default_rng(seed).normal(size=image.shape)
        perturbation *= 0.6 / np.linalg.norm(perturbation)
        key = jax.random.key(seed)
        words = draw(key, 5 + CHANNELS)
        first, second = (
            np.s_[top : top + side, left : left + side]
            for top, left in (corners(words[:2], side), corners(words[2:4], side))
        )
        pattern = unit(oracle_pattern(side, words[4] % 2 == 1))[:, :, None]
        signs = np.where(words[5:] % 2 == 1, 1, -1)
        union = np.zeros((HEIGHT, WIDTH, 1))
        union[first] = union[second] = 1
        spent = np.sqrt(
            np.sum((union * perturbation) ** 2, (0, 1))
            + (0.49 - np.sum(perturbation**2)) / CHANNELS
        )
        new = unit(signs * pattern + unit(perturbation[first])) * spent
        expected = perturbation.copy()
        expected[second] = 0
        expected[first] = new

        best = (image + perturbation).astype(np.float32)
        moved = move(key, best, image.astype(np.float32), jnp.asarray(side))
        np.testing.assert_allclose(moved - image, expected, atol=1e-5)
        assert np.linalg.norm(moved - image) == pytest.approx(0.7, rel=1e-5)


def test_starts():
    image = images(0)[0]
    striped = np.asarray(square_moves.stripes(KEY, image, 0.1)) - image
    np.testing.assert_allclose(abs(striped), 0.1, atol=1e-6)
    np.testing.assert_allclose(striped, striped[:1].repeat(HEIGHT, 0), atol=1e-6)
    assert len(np.unique(np.sign(striped[0]))) == 2

    wide = np.full((17, 21, 2), 0.5, np.float32)
    gridded = np.asarray(square_moves.grid(KEY, wide, 0.3)) - wide
    assert np.linalg.norm(gridded) == pytest.approx(0.3, rel=1e-5)
    # Tiles of side 3, 5 by 7, one row above and below them.
    assert not gridded[[0, 16]].any()
    tiles = gridded[1:16].reshape(5, 3, 7, 3, 2).transpose(0, 2, 4, 1, 3)
    tiles = tiles.reshape(-1, 3, 3) / np.linalg.norm(tiles[0, 0, 0])
    kinds = [unit(oracle_pattern(3, turned)) for turned in (False, True)]
    kinds += [-kind for kind in kinds]
    match = np.array([[np.allclose(a, b, atol=1e-5) for b in kinds] for a in tiles])
    assert (match.sum(1) == 1).all()
    assert match.any(0).all()
