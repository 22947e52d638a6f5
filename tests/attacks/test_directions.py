"""The estimate of the normal, against equation 16 written plainly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks import directions
from zeroone_jax.attacks.perturbation import size

SHAPE = (5, 3, 2)
KEY = jax.random.key(0)
SMOOTHED = ("hop_skip_jump", "cgba", "surfree", "geoda", "sign_opt", "boundary")


def plain_estimate(
    point: np.ndarray, points: np.ndarray, hit: np.ndarray, around: float, norm: str
) -> np.ndarray:
    """Equations 14 and 16 of Chen et al. over the points that were asked about."""
    u = (points - point[None]).reshape(len(points), -1) / around
    phi = np.where(hit, 1.0, -1.0)
    mean = phi.mean()
    if abs(mean) == 1:
        estimate = mean * u.mean(0)
    else:
        estimate = ((phi - mean)[:, None] * u).mean(0)
    if norm == "linf":
        return np.sign(estimate).reshape(point.shape)
    return (estimate / np.linalg.norm(estimate)).reshape(point.shape)


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize(
    ("law", "norm"),
    [("signs", "l2"), ("signs", "linf"), ("gaussian", "l2"), ("uniform", "linf")],
)
def test_the_normal_is_the_papers(law: str, norm: str, one_sided: bool) -> None:
    rng = np.random.default_rng(1)
    # Some coordinates lie at the border of the box, or nearer to it than the points go.
    point = np.clip(rng.uniform(-0.2, 1.2, SHAPE), 0, 1).astype(np.float32)
    around = 0.7 if norm == "l2" else 0.1
    drawn = directions.draw(KEY, 40, SHAPE, law, norm, jnp.float32)
    scale = around
    if law == "signs":
        scale = around * directions.sign_size(SHAPE, norm)
    points = np.clip(point[None] + scale * np.asarray(drawn), 0, 1)
    hit = np.ones(40, bool) if one_sided else points.reshape(40, -1)[:, 4:20].sum(1) > 8
    asked = np.arange(40) < 33
    effective = drawn if law == "signs" else jnp.asarray((points - point[None]) / scale)
    tally = directions.nothing(SHAPE, jnp.float32)
    for part in (slice(0, 16), slice(16, 40)):
        tally = directions.count(
            tally, effective[part], jnp.asarray(hit[part]), jnp.asarray(asked[part])
        )
    reach = jnp.asarray(scale) if law == "signs" else None
    normal = directions.normal(tally, jnp.asarray(point), reach, norm)
    expected = plain_estimate(point, points[asked], hit[asked], around, norm)
    if norm == "linf":
        # Where the plain sum cancels but for rounding, its sign means nothing.
        assert (np.asarray(normal) == expected).mean() > 0.9
    else:
        np.testing.assert_allclose(normal, expected, atol=2e-6)
        np.testing.assert_allclose(size(normal[None], "l2"), 1, rtol=1e-5)


def test_sums_of_signs_are_exact_in_any_order() -> None:
    drawn = directions.draw(KEY, 64, SHAPE, "signs", "l2", jnp.float32)
    hit, asked = jnp.arange(64) % 3 == 0, jnp.arange(64) < 50
    nothing = directions.nothing(SHAPE, jnp.float32)
    order = jax.random.permutation(KEY, 64)
    one = directions.count(nothing, drawn, hit, asked)
    other = directions.count(nothing, drawn[order], hit[order], asked[order])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, np.round(a))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("law", directions.LAWS)
def test_directions_are_of_size_one_and_favour_none(law: str, norm: str) -> None:
    drawn = directions.draw(KEY, 4000, SHAPE, law, norm, jnp.float32)
    sizes = size(drawn, norm)
    if law == "signs":
        sizes = sizes * directions.sign_size(SHAPE, norm)
    if (law, norm) == ("uniform", "linf"):
        assert ((sizes > 0.5) & (sizes <= 1)).all()
    else:
        np.testing.assert_allclose(sizes, 1, rtol=1e-5)
    flat = np.asarray(drawn).reshape(4000, -1)
    flat = flat / flat.std()
    assert np.abs(flat.mean(0)).max() < 5 / np.sqrt(4000)
    correlation = flat.T @ flat / 4000 - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 0.1


def test_nothing_asked_is_no_direction() -> None:
    tally = directions.nothing(SHAPE, jnp.float32)
    point = jnp.full(SHAPE, 0.5)
    for norm in ("l2", "linf"):
        normal = directions.normal(tally, point, jnp.asarray(0.1), norm)
        np.testing.assert_array_equal(normal, 0)


def test_cosines_are_those_of_the_transform():
    waves = directions.cosines(7, 4)
    np.testing.assert_allclose(waves.T @ waves, np.eye(4), atol=1e-12)
    transform = scipy.fft.dct(np.eye(7), axis=0, norm="ortho")
    np.testing.assert_allclose(waves.T, transform[:4], atol=1e-12)
    assert directions.cosines(3, 9).shape == (3, 3)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("law", directions.LAWS)
def test_smooth_directions_have_low_frequencies_alone(law, norm):
    source = directions.Source(law, norm, 2)
    drawn = source.draw(KEY, 300, SHAPE, jnp.dtype(jnp.float32))
    np.testing.assert_allclose(size(drawn, norm) * source.scale(SHAPE), 1, rtol=1e-5)
    waves = scipy.fft.dctn(np.asarray(drawn), axes=(1, 2), norm="ortho")
    assert np.abs(waves[:, 2:]).max() < 1e-5
    assert np.abs(waves[:, :, 2:]).max() < 1e-5
    flat = waves[:, :2, :2].reshape(300, -1)
    flat = flat / flat.std()
    correlation = flat.T @ flat / 300 - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 0.3


def test_frequencies_need_images():
    source = directions.Source("signs", "l2", 2)
    with pytest.raises(ValueError, match=r"frequencies is 2, but needs images \[n"):
        source.draw(KEY, 3, (30,), jnp.dtype(jnp.float32))
    for name in SMOOTHED:
        with pytest.raises(ValueError, match="frequencies is 0, but must be a whole"):
            getattr(attacks, name)(frequencies=0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow("once more") if late else ())
        for name, late in zip(SMOOTHED, (1, 0, 1, 1, 1, 0), strict=True)
    ],
)
@pytest.mark.slow("compiles two attacks")
def test_of_a_smooth_start_adversaries_stay_smooth(name):
    x = 0.4 + 0.2 * jax.random.uniform(KEY, (4, *models.SHAPE))
    y = models.linear(x)
    weights = models.WEIGHTS.reshape(models.SHAPE)
    waves = np.array(scipy.fft.dctn(weights, axes=(0, 1), norm="ortho"))
    waves[3:], waves[:, 3:] = 0, 0
    slope = scipy.fft.idctn(waves, axes=(0, 1), norm="ortho")
    away = jnp.asarray(slope / np.abs(slope).max() * 0.3, jnp.float32)
    start = x + jnp.where(y == 1, -1, 1)[:, None, None, None] * away[None]
    attack = getattr(attacks, name)(max_queries=150, frequencies=3)
    out = attack(KEY, models.linear, x, y, start)
    assert out.success.all()
    assert (out.distance < 0.9 * size(start - x, "l2")).all()
    found = scipy.fft.dctn(np.asarray(out.adversary - x), axes=(1, 2), norm="ortho")
    assert np.abs(found[:, 3:]).max() < 1e-5
    assert np.abs(found[:, :, 3:]).max() < 1e-5
