"""The plans hold what they name, and work from end to end on small models."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses, models
from zeroone_jax.attacks import capped, run, suite

KEY = jax.random.key(0)
SHAPE = (4, 4, 1)
GENERATOR = np.random.default_rng(0)
W1 = jnp.asarray(GENERATOR.normal(size=(16, 12)), jnp.float32)
W2 = jnp.asarray(GENERATOR.normal(size=(12, 3)), jnp.float32)
X = jnp.asarray(GENERATOR.uniform(size=(12, *SHAPE)), jnp.float32)


def three_classes(x):
    rows = x.reshape(len(x), -1) - 0.5
    inner = jnp.tanh(jnp.matmul(rows, W1, precision="highest"))
    return jnp.matmul(inner, W2, precision="highest")


def single_number(x):
    z = three_classes(x)
    return z[:, 1] - z[:, 0]


def quick(plan, **settings):
    """The plan with every attack shortened, as far as it has the settings."""
    stages = []
    for stage in plan.stages:
        names = {field.name for field in dataclasses.fields(stage.attack)}
        fitting = {name: value for name, value in settings.items() if name in names}
        attack = dataclasses.replace(stage.attack, **fitting)
        stages.append(dataclasses.replace(stage, attack=attack))
    return dataclasses.replace(plan, stages=tuple(stages))


def check(report, fn, y, plan):
    wrong = np.asarray(losses.labels(fn(report.adversary))) != np.asarray(y)
    np.testing.assert_array_equal(report.success, wrong)
    assert jnp.all((report.adversary >= 0) & (report.adversary <= 1))
    if plan.epsilon is not None:
        reached = np.asarray(report.distance)[np.asarray(report.success)]
        assert np.all(reached <= np.float32(plan.epsilon))
    assert [stage.name for stage in report.stages] == [
        stage.name for stage in plan.stages
    ]


@pytest.mark.parametrize(
    "fn",
    [
        three_classes,
        pytest.param(single_number, marks=pytest.mark.slow("the same once more")),
    ],
)
@pytest.mark.slow("compiles four attacks")
def test_standard(fn):
    y = losses.labels(fn(X))
    plan = suite.standard("linf", 0.04)
    report = quick(plan, iterations=5, max_queries=30)(KEY, fn, X, y)
    check(report, fn, y, plan)
    assert 0 < report.robust_accuracy < report.clean_accuracy == 1


@pytest.mark.slow("compiles a suite of attacks")
def test_standard_of_flat_images():
    network = models.build("mlp_relu200", SHAPE, 3)
    model = network.bind(network.init(KEY))
    y = model.labels(X)
    plan = quick(suite.standard("l2", 0.2), iterations=3, max_queries=10)
    plan = dataclasses.replace(plan, stages=plan.stages[::3])
    flat = plan(KEY, model, X.reshape(12, 16), y)
    assert flat.adversary.shape == (12, 16)
    expected = plan(KEY, model, X, y)
    np.testing.assert_allclose(flat.distance, expected.distance, rtol=1e-5)


def test_standards_settings_are_autoattacks():
    plan = suite.standard("l2", 0.5)
    assert plan.needs == "logits"
    ce, targeted, fab, square = (stage.attack for stage in plan.stages)
    assert {attack.norm for attack in (ce, targeted, fab, square)} == {"l2"}
    assert {attack.epsilon for attack in (ce, targeted, fab, square)} == {0.5}
    assert (ce.loss, targeted.loss) == ("cross_entropy", "targeted_dlr")
    assert {ce.fit_box, targeted.fit_box} == {False}
    assert ce.iterations == targeted.iterations == fab.iterations == 100
    assert targeted.target_classes == fab.target_classes == 9
    assert (square.max_queries, square.schedule_queries) == (5000, 10_000)
    assert [stage.black_box for stage in plan.stages] == [False, False, False, True]


@pytest.mark.parametrize(
    "norm",
    ["l2", pytest.param("linf", marks=pytest.mark.slow("the same once more"))],
)
@pytest.mark.slow("compiles three attacks")
def test_decision(norm):
    fn = attacks.as_label_fn(three_classes)
    y = fn(X)
    plan = suite.decision(norm, max_queries=150)
    assert plan.needs == "labels"
    report = plan(KEY, fn, X, y)
    check(report, three_classes, y, plan)
    assert report.success.sum() > 8
    assert jnp.all(report.queries <= 1 + 3 * 150)
    assert [stage.attacked for stage in report.stages] == [12, 12, 12]
    assert report.warnings == ()
    # The strongest attack is the one whose median is told, where it has all images.
    for place, stage in enumerate(report.stages):
        mine = np.asarray(report.distance)[np.asarray(report.strongest) == place]
        assert len(mine) == 0 or mine.min() <= stage.distance + 1e-6


@pytest.mark.slow("compiles a suite of attacks")
def test_minimum_is_the_nearest_of_its_attacks():
    y = losses.labels(three_classes(X))
    plan = suite.minimum("l2", 200)
    report = plan(KEY, three_classes, X, y)
    check(report, three_classes, y, plan)
    nearest = np.full(len(X), np.inf)
    for place, stage in enumerate(plan.stages):
        key = jax.random.fold_in(KEY, place)
        room = run.padded(len(X))
        alone = stage.attack.watch(key, three_classes, X, y, room=room).result
        nearest = np.minimum(nearest, alone.distance)
    np.testing.assert_array_equal(report.distance, nearest)
    assert report.success.all()


@pytest.mark.parametrize(
    ("norm", "sharers"),
    [("linf", 2), ("l2", 2), ("l1", 2), ("l0", 1), ("l0_pixels", 1)],
)
@pytest.mark.parametrize("levels", [None, 255])
def test_minimum_shares_its_budget(norm, sharers, levels):
    plan = suite.minimum(norm, 2000, levels=levels)
    assert len(plan.stages) == sharers
    # Of an attack on a grid twelve points are asked about in the end.
    expected = capped.attacks(norm, 2000 // sharers - (0 if levels is None else 12))
    for stage in plan.stages:
        assert stage.attack == expected[stage.name]
    assert (plan.norm, plan.levels, plan.needs) == (norm, levels, "logits")


@pytest.mark.parametrize(
    ("norm", "queries", "name"),
    [
        ("l2", 1000, "cgba"),
        ("l1", 1000, "geoda"),
        ("linf", 1000, "ray_s"),
        ("linf", 10_000, "hop_skip_jump"),
    ],
)
def test_labels_only_takes_the_best_attack(norm, queries, name):
    plan = suite.labels_only(norm, queries)
    assert plan.needs == "labels"
    (stage,) = plan.stages
    assert (stage.name, stage.attack.norm) == (name, norm)
    assert stage.attack.max_queries == queries - 1


def test_labels_only_keeps_to_its_queries():
    fn = attacks.as_label_fn(three_classes)
    y = fn(X)
    plan = suite.labels_only("linf", 101)
    report = plan(KEY, fn, X, y)
    check(report, three_classes, y, plan)
    assert report.success.sum() > 8
    assert 50 < report.queries.max() <= 101


@pytest.mark.slow("compiles a suite of attacks")
def test_paper_a():
    fn = attacks.as_label_fn(three_classes)
    y = fn(X)
    plan = suite.paper_a()
    boundary, usual, adaptive = (stage.attack for stage in plan.stages)
    assert (boundary.iterations, boundary.trials, boundary.samples) == (100, 100, 100)
    assert (boundary.sideways, boundary.forward) == (0.01, 0.01)
    assert (usual.norm, usual.iterations, usual.radius) == ("l2", 100, 0.01)
    assert adaptive.radius == "adaptive"
    short = quick(plan, iterations=2, samples=5, trials=3, initial_directions=10)
    report = short(KEY, fn, X, y)
    check(report, three_classes, y, plan)
    assert plan.epsilon is None


@pytest.mark.slow("compiles a suite of attacks")
def test_paper_b():
    y = losses.labels(three_classes(X))
    plan = suite.paper_b(epsilon=0.06, step_size=0.02, every=True)
    assert [stage.name for stage in plan.stages] == [
        "fgsm",
        "pgd",
        "deep_fool",
        "fab",
        "spsa",
        "apgd_ce",
        "apgd_targeted",
        "fab_targeted",
        "square",
    ]
    pgd, spsa = plan.stages[1].attack, plan.stages[4].attack
    assert (pgd.iterations, pgd.restarts, pgd.step_size) == (100, 5, 0.02)
    assert (spsa.iterations, spsa.samples) == (100, 128)
    assert (spsa.delta, spsa.learning_rate) == (0.01, 0.01)
    assert plan.stages[4].first == 100
    short = quick(plan, iterations=4, restarts=1, samples=4, block=4, max_queries=10)
    # FGSM is a PGD too, of one iteration.
    report = short(KEY, three_classes, X, y)
    check(report, three_classes, y, plan)
    assert 0 < report.robust_accuracy < 1
    assert all(stage.attacked == 12 for stage in report.stages)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: suite.standard("l1", 0.1), "norm is 'l1'"),
        (lambda: suite.standard("linf", 0), "epsilon is 0"),
        (lambda: suite.decision(epsilon=-1.0), "epsilon is -1"),
        (lambda: suite.decision(max_queries=3), "max_queries is 3"),
        (lambda: suite.paper_b(step_size=0.0), "step_size is 0"),
        (lambda: suite.minimum("l3"), "norm is 'l3'"),
        (lambda: suite.minimum("l2", 0), "budget is 0"),
        (lambda: suite.minimum("l2", 100), "cap is 50 propagations, too few"),
        (lambda: suite.labels_only("l0"), "norm is 'l0'"),
        (lambda: suite.labels_only("linf", 15), "max_queries is 14"),
        (lambda: suite.labels_only("l2", 1.5), "queries is 1.5"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
