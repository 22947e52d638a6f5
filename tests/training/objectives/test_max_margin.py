"""MMA against its definition in NumPy."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.training import objectives

STEPS, FIRST_MARGIN = 5, 0.02
MAX_MARGIN = {"linf": 0.1, "l2": 0.3}
MARGINS = {
    norm: np.linspace(FIRST_MARGIN, 1.05 * largest, twin.COUNT)
    for norm, largest in MAX_MARGIN.items()
}
Y = twin.mostly_right()
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])
known_starts = pytest.mark.usefixtures("_known_starts")


def right(z):
    return z.argmax(1) == Y


def boundary(model, norm):
    """MMA's points at the boundary, and their distances in units of the direction."""
    radius = MARGINS[norm]
    adversary = twin.climb(
        lambda point: twin.cross_entropy(model(point), Y),
        twin.X,
        twin.start_in_ball(twin.X, radius, norm),
        radius,
        2.5 * radius / STEPS,
        STEPS,
        norm,
    )
    way = (adversary - twin.X) / twin.per_image(radius, twin.X)

    def at(length):
        return np.clip(twin.X + twin.per_image(length, twin.X) * way, 0, 1)

    here = radius.copy()
    low, high = np.zeros(twin.COUNT), np.full(twin.COUNT, 1.05 * MAX_MARGIN[norm])
    for _ in range(10):
        for image, stays in enumerate(right(model(at(here)))):
            (low if stays else high)[image] = here[image]
        here = (low + high) / 2
    return at(here), here


def max_margin_loss(params, point, near, natural_share=1 / 3):
    """Ding et al. 2020, as its authors' program adds it up; `near` of those right."""
    at_image, at_point = (twin.forward(params, x) for x in (twin.X, point))
    correct = right(at_image)
    pushed = twin.cross_entropy(at_point, Y)[near | ~correct].sum() / twin.COUNT
    natural = twin.cross_entropy(at_image, Y).mean()
    return (1 - natural_share) * pushed + natural_share * natural


def max_margin(norm):
    return objectives.max_margin(
        max_margin=MAX_MARGIN[norm], first_margin=FIRST_MARGIN, steps=STEPS, norm=norm
    )


@known_starts
@NORMS
def test_max_margin(norm):
    outcome = twin.compiled(max_margin(norm))(Y, 0, MARGINS[norm])
    point, margin = boundary(twin.plain, norm)
    correct = right(twin.plain(twin.X))
    near = correct & (margin < MAX_MARGIN[norm])
    assert near.any()
    assert (correct & ~near).any()
    assert (~correct).any()
    point[~correct] = twin.X[~correct]
    np.testing.assert_array_equal(outcome.before, twin.X)
    np.testing.assert_allclose(outcome.last, point, atol=1e-10)
    twin.assert_same(outcome, lambda params: max_margin_loss(params, point, near))
    wrong = max_margin_loss(twin.PARAMS, point, near, natural_share=0.34)
    assert abs(wrong - outcome.loss) > 1e-4
    remembered = np.where(correct, np.maximum(margin, FIRST_MARGIN), FIRST_MARGIN)
    np.testing.assert_allclose(outcome.memory, remembered, rtol=1e-10)
    counted = np.where(correct, remembered, 0)
    assert outcome.metrics["margin"] == pytest.approx(counted.mean())
    assert outcome.metrics["natural_accuracy"] == pytest.approx(0.8)
    assert outcome.metrics["accuracy"] == pytest.approx(right(twin.plain(point)).mean())


def test_every_margin_is_the_first_at_first():
    objective = objectives.max_margin()
    np.testing.assert_array_equal(objective.memory(2), np.full(2, 0.005, np.float32))
    assert objective == objectives.max_margin(
        max_margin=12 / 255, steps=10, natural_share=1 / 3, first_margin=0.005
    )


def test_images_labelled_wrongly_count_wherever_the_boundary_is(monkeypatch):
    """They have no margin; and margins below the first one are remembered as that."""
    margin = np.where(np.arange(twin.COUNT) < 5, 1.0, FIRST_MARGIN / 2)
    monkeypatch.setattr(
        objectives.max_margin,
        "boundary",
        lambda self, key, logits_fn, batch: (batch.x / 2, jnp.asarray(margin)),
    )
    outcome = twin.compiled(max_margin("linf"))(Y, 0, MARGINS["linf"])
    correct = right(twin.plain(twin.X))
    assert (~correct & (margin == 1)).any()
    point = np.where(correct[:, None, None, None], twin.X / 2, twin.X)
    near = correct & (margin < 1)
    twin.assert_same(outcome, lambda params: max_margin_loss(params, point, near))
    remembered = np.where(correct & ~near, 1, FIRST_MARGIN)
    np.testing.assert_allclose(outcome.memory, remembered, rtol=1e-10)


@known_starts
def test_max_margin_searches_in_evaluation_mode():
    """The boundary, with the statistics that the images have been added to."""
    run = twin.compiled(max_margin("linf"), normalised=True)
    outcome = run(Y, 0, MARGINS["linf"])
    once = twin.moved_on(twin.RUNNING, twin.X)
    model = functools.partial(twin.evaluating, running=once)
    point, margin = boundary(model, "linf")
    correct = right(twin.forward(twin.NORMALISED_PARAMS, twin.X))
    point[~correct] = twin.X[~correct]
    near = correct & (margin < MAX_MARGIN["linf"])
    np.testing.assert_allclose(outcome.last, point, atol=1e-9)
    twin.assert_same(
        outcome,
        lambda params: max_margin_loss(params, point, near),
        twin.NORMALISED_PARAMS,
    )
    moved = twin.moved_on(once, point)
    for name, values in outcome.running.items():
        np.testing.assert_allclose(values, moved[name], rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_margin": 0.0}, r"max_margin is 0\.0, but must be above 0"),
        ({"first_margin": -1.0}, r"first_margin is -1\.0, but must be"),
        ({"steps": 0}, "steps is 0, but must be a whole number of at"),
        ({"norm": "l0"}, "norm is 'l0', but must be one of 'linf'"),
        (
            {"natural_share": 1.0},
            r"natural_share is 1\.0, but must be in \[0,1\)",
        ),
        ({"natural_share": -0.1}, r"natural_share is -0\.1, but must be"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        objectives.max_margin(**settings)
