"""Suites: who leaves, who is kept, what is counted."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from tests.attacks.shifts import KEY, NEAR, ONE, TWO, N, Shift, W, X, Y, breaks, model
from zeroone_jax import attacks, losses
from zeroone_jax.attacks import run
from zeroone_jax.attacks.suite_run import Stage, Suite


@pytest.mark.slow("compiles a suite of attacks")
def test_images_leave_once_broken():
    report = Suite(stages=(ONE, TWO), norm="linf", epsilon=0.31)(KEY, model, X, Y)
    one, two = breaks(0, 0.5), breaks(1, 0.5)
    one[0] = two[0] = False
    success = one | two
    success[0] = True
    np.testing.assert_array_equal(report.success, success)
    wanted = np.where(one, 0, np.where(two, 1, -1))
    np.testing.assert_array_equal(report.strongest, wanted)
    assert [stage.attacked for stage in report.stages] == [19, 19 - one.sum()]
    assert [stage.broken for stage in report.stages] == [one.sum(), (two & ~one).sum()]
    np.testing.assert_allclose(report.clean_accuracy, 19 / 20)
    np.testing.assert_allclose(report.robust_accuracy, 1 - success.mean())
    np.testing.assert_allclose(
        [stage.robust_accuracy for stage in report.stages],
        [(19 - one.sum()) / 20, 1 - success.mean()],
    )
    # The suite's own look, and for each attack two looks and its one step.
    queries = np.where(one, 4, 7)
    queries[0] = 1
    np.testing.assert_array_equal(report.queries, queries)
    distance = np.where(success, 0.3, np.inf)
    distance[0] = 0
    np.testing.assert_allclose(report.distance, distance, rtol=1e-5)
    np.testing.assert_array_equal(report.adversary[~success], X[~success])
    np.testing.assert_array_equal(report.adversary[0], X[0])
    np.testing.assert_array_equal(
        losses.labels(model(report.adversary)) != Y, report.success
    )


def test_what_lies_outside_the_ball_does_not_count():
    report = Suite(stages=(ONE, NEAR), norm="linf", epsilon=0.28)(KEY, model, X, Y)
    near = breaks(2, 0.5, 0.25)
    near[0] = False
    assert report.stages[0].broken == 0
    assert np.isnan(report.stages[0].distance)
    np.testing.assert_array_equal(report.strongest, np.where(near, 1, -1))


def test_the_least_distance_is_kept_and_everyone_meets_everyone():
    report = Suite(stages=(ONE, NEAR, TWO), norm="linf")(KEY, model, X, Y)
    one, near, two = breaks(0, 0.5), breaks(2, 0.5, 0.25), breaks(1, 0.5)
    wanted = np.where(near, 1, np.where(one, 0, np.where(two, 2, -1)))
    wanted[0] = -1
    np.testing.assert_array_equal(report.strongest, wanted)
    assert [stage.attacked for stage in report.stages] == [19, 19, 19]
    np.testing.assert_array_equal(report.queries[1:], 1 + 3 * 3)
    np.testing.assert_allclose(
        [stage.distance for stage in report.stages], [0.3, 0.25, 0.3], rtol=1e-5
    )


def test_every_attack_may_meet_every_image_in_a_ball_too():
    report = Suite(stages=(ONE, TWO), norm="linf", epsilon=0.31, every=True)(
        KEY, model, X, Y
    )
    assert report.stages[1].attacked == 19
    assert report.stages[1].broken == breaks(1, 0.5)[1:].sum()
    left = Suite(stages=(ONE, TWO), norm="linf", epsilon=0.31)(KEY, model, X, Y)
    np.testing.assert_array_equal(left.strongest, report.strongest)


def test_a_suite_may_be_an_attack_of_another():
    inner = Suite(stages=(ONE, TWO), norm="linf", epsilon=0.31)
    stages = (NEAR, Stage(name="both", attack=inner))
    outer = Suite(stages=stages, norm="linf", epsilon=0.31)
    report = outer(KEY, model, X, Y)
    flat = Suite(stages=(NEAR, ONE, TWO), norm="linf", epsilon=0.31)(KEY, model, X, Y)
    for name in ("adversary", "success", "distance"):
        np.testing.assert_array_equal(getattr(report, name), getattr(flat, name))
    assert report.robust_accuracy == flat.robust_accuracy
    near, both = report.stages
    assert (near.attacked, both.attacked) == (19, 19 - near.broken)
    assert both.broken == flat.stages[1].broken + flat.stages[2].broken
    # A suite looks at each image once by itself.
    looks = (np.asarray(report.strongest) != 0) & (np.arange(N) > 0)
    np.testing.assert_array_equal(report.queries, np.asarray(flat.queries) + looks)
    # What the inner suite says of its figures is not lost.
    assert any("the gradients mislead" in text for text in report.warnings)


def test_costly_attacks_meet_the_first_images_only():
    few = dataclasses.replace(TWO, first=5)
    report = Suite(stages=(few,), norm="linf", epsilon=0.5)(KEY, model, X, Y)
    assert report.stages[0].attacked == 4
    assert not report.success[5:].any()


def test_nobody_is_left():
    wrong = (losses.labels(model(X)) + 1) % 2
    report = Suite(stages=(ONE, TWO), norm="l2", epsilon=1.0)(KEY, model, X, wrong)
    assert report.robust_accuracy == report.clean_accuracy == 0
    assert [stage.attacked for stage in report.stages] == [0, 0]
    np.testing.assert_array_equal(report.queries, 1)
    np.testing.assert_array_equal(report.distance, 0)


def test_sizes_are_few_and_near():
    sizes = [run.padded(count) for count in range(1, 3000)]
    assert len(set(sizes)) <= 18
    for count, size in enumerate(sizes, start=1):
        assert count <= size <= max(8, 1.5 * count)


@pytest.mark.slow("compiles suites for several devices")
def test_real_attacks_in_any_order_and_on_any_devices():
    """Whether there are others in the batch, filling included, changes nothing."""
    suite = Suite(
        stages=(
            Stage(name="fgsm", attack=attacks.fgsm(epsilon=0.1)),
            Stage(name="apgd", attack=attacks.apgd(epsilon=0.1, iterations=5)),
        ),
        norm="linf",
        epsilon=0.1,
    )
    report = suite(KEY, model, X, Y)
    assert 0 < report.robust_accuracy < report.clean_accuracy
    order = np.random.default_rng(1).permutation(N)
    other = suite(KEY, model, X[order], Y[order])
    for name in ("success", "queries", "strongest"):
        np.testing.assert_array_equal(
            getattr(other, name), getattr(report, name)[order]
        )
    np.testing.assert_allclose(other.adversary, report.adversary[order], atol=1e-5)
    mesh = jax.make_mesh((4,), ("images",), axis_types=(AxisType.Auto,))
    spread = NamedSharding(mesh, PartitionSpec("images", None))
    other = suite(KEY, model, jax.device_put(X, spread), Y)
    spread_by_suite = suite(KEY, model, X, Y, devices=jax.devices()[:3])
    for several in (other, spread_by_suite):
        np.testing.assert_array_equal(several.success, report.success)
        np.testing.assert_allclose(several.adversary, report.adversary, atol=1e-5)


def test_starts_go_with_their_images():
    label_fn = attacks.as_label_fn(model)
    start = jnp.where((Y == 1)[:, None], 0.5 - W * 0.5, 0.5 + W * 0.5)
    start = jnp.where((jnp.arange(N) == 0)[:, None], X, start)
    suite = Suite(
        stages=(Stage(name="b", attack=attacks.boundary(iterations=2, samples=4)),),
        norm="l2",
    )
    assert suite.needs == "labels"
    report = suite(KEY, label_fn, X, Y, start)
    np.testing.assert_array_equal(report.success, True)
    distance = jnp.linalg.norm(start - X, axis=1)
    assert jnp.all(report.distance <= distance + 1e-6)
    with pytest.raises(ValueError, match="starting points are no adversaries"):
        suite(KEY, label_fn, X, Y, X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": ()}, r"stages are \[\], but must be some"),
        ({"stages": (ONE, ONE)}, r"stages are \['one', 'one'\]"),
        ({"norm": "l0", "epsilon": 3.0}, "norm is 'l0'"),
        ({"norm": "l3"}, "norm is 'l3'"),
        ({"epsilon": 0.0}, r"epsilon is 0\.0"),
        (
            {"stages": (ONE, Stage(name="t", attack=Shift(targeted=True)))},
            r"some of \['one', 't'\] are targeted and some are not",
        ),
        ({"stages": (dataclasses.replace(ONE, first=0),)}, "first is 0"),
        ({"every_class": True}, "every_class is True, but the attacks are not"),
        ({"levels": 0}, "levels is 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Suite(**({"stages": (ONE,), "norm": "linf"} | settings))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key": 1}, TypeError, "key is 1"),
        ({"x": X * 2}, ValueError, r"x must be in \[0,1\]"),
        ({"y": Y + 2}, ValueError, r"y holds 3, but must be in 0\.\.2"),
        ({"fn": attacks.as_label_fn(model)}, TypeError, "this suite needs gradients"),
        ({"start": X[1:]}, ValueError, "start has shape"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    suite = Suite(stages=(ONE,), norm="linf")
    with pytest.raises(error, match=message):
        suite(**({"key": KEY, "fn": model, "x": X, "y": Y} | arguments))


@pytest.mark.parametrize(("kind", "classes"), [(np.int8, 100), (np.uint8, 200)])
def test_targets_of_every_class_do_not_overflow(kind, classes):
    x, y = jnp.full((3, 4), 0.5), np.full(3, classes - 1, kind)
    # Of all targets this one alone can be reached.
    easy = classes - 50

    def nearly(x):
        z = jnp.full((len(x), classes), -100.0).at[:, easy].set(jnp.sum(x, axis=1))
        return z.at[:, classes - 1].set(2 + 1e-3)

    attack = attacks.pgd(epsilon=0.1, iterations=1, targeted=True)
    suite = Suite(
        stages=(Stage(name="pgd", attack=attack),),
        norm="linf",
        epsilon=0.1,
        every_class=True,
    )
    report = suite(KEY, nearly, x, y)
    assert report.success.all()
    assert (report.distance > 0).all()
    np.testing.assert_array_equal(losses.labels(nearly(report.adversary)), easy)


def test_a_radius_shared_by_images_may_be_numpys():
    shared = np.full((1, *X.shape[1:]), 0.31, np.float32)
    attack = attacks.pgd(epsilon=shared, iterations=2)
    suite = Suite(
        stages=(Stage(name="pgd", attack=attack),), norm="linf", epsilon=shared
    )
    single = dataclasses.replace(attack, epsilon=0.31)
    wanted = single(KEY, model, X, Y)
    np.testing.assert_array_equal(suite(KEY, model, X, Y).success, wanted.success)


def test_radii_may_be_compared_image_by_image():
    radii = jnp.full(len(X), 0.31)
    attack = attacks.pgd(epsilon=radii, iterations=2)
    stages = tuple(Stage(name=name, attack=attack) for name in ("first", "second"))
    compared = Suite(stages=stages, norm="linf", epsilon=radii, paper="first")
    report = compared(KEY, model, X, Y)
    assert attack(KEY, model, X, Y).success.all()
    assert report.success.all()


def test_radii_of_each_image_are_compared_within_another_suite():
    radii = jnp.full(len(X), 0.31)
    attack = attacks.pgd(epsilon=radii, iterations=2)
    inner = Suite(
        stages=(Stage(name="first", attack=attack),),
        norm="linf",
        epsilon=radii,
        paper="first",
    )
    outer = Suite(
        stages=(Stage(name="inner", attack=inner),), norm="linf", epsilon=radii
    )
    assert outer(KEY, model, X, Y).success.all()
