"""Plans hold what they name, and refuse what makes no sense."""

import dataclasses

import pytest

from zeroone_jax import attacks
from zeroone_jax.attacks import suite
from zeroone_jax.evaluation import plans


def fgsm(name="fgsm", epsilon=0.1, images=10, **settings):
    attack = attacks.fgsm(epsilon=epsilon, **settings)
    return suite.Stage(name=name, attack=attack, first=images)


def plan(*planned, epsilon=0.1, paper="fgsm"):
    return suite.Suite(norm="linf", epsilon=epsilon, stages=planned, paper=paper)


def test_cifar10_is_paper_bs_and_the_standard_suite():
    made = plans.cifar10()
    by_name = {planned.name: planned for planned in made.stages}
    assert list(by_name) == [
        "fgsm",
        "pgd_20",
        "pgd_100",
        "pgd_100_worst_of_5",
        "cw_20",
        "deep_fool",
        "fab",
        "spsa",
        "auto_attack",
    ]
    assert made.epsilon == 8 / 255
    worst = by_name["pgd_100_worst_of_5"].attack
    assert (worst.iterations, worst.step_size, worst.restarts) == (100, 2 / 255, 5)
    assert by_name["cw_20"].attack.loss == "margin"
    assert by_name["fab"].attack.iterations == 100
    assert by_name["spsa"].attack.samples == 128
    assert by_name["spsa"].first == 100
    assert by_name["auto_attack"].attack == suite.standard("linf", 8 / 255)
    assert made.stage(made.paper) == by_name["pgd_100_worst_of_5"]


def test_mnists_steps_cross_the_ball():
    made = plans.mnist()
    assert made.epsilon == 0.3
    for name in ("pgd_20", "pgd_40", "pgd_100", "cw_20"):
        attack = made.stage(name).attack
        assert attack.step_size * attack.iterations > 0.3


def test_a_limited_plan_is_the_same_but_for_the_images():
    limited = plans.cifar10().limited_to(500)
    counts = {planned.name: planned.first for planned in limited.stages}
    assert (counts["fgsm"], counts["spsa"], counts["auto_attack"]) == (500, 100, 500)
    assert limited.limited_to(10_000) == limited


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: plans.cifar10(epsilon=0), "epsilon is 0, but must be above 0"),
        (lambda: plans.mnist(epsilon=-0.3), "is -0.3, but must be above 0"),
        (lambda: plan(fgsm(), epsilon=0.0), "epsilon is 0.0"),
        (lambda: plan(fgsm(), epsilon=None), "there is no epsilon to compare in"),
        (lambda: plan(fgsm(), paper="pgd"), "attack is 'pgd', but must be one of 'fg"),
        (lambda: plan(), "must be some"),
        (lambda: plan(fgsm(), fgsm()), "unlike names"),
        (lambda: plan(fgsm(), fgsm("strongest")), "'strongest', which names a res"),
        (lambda: plan(fgsm(images=0)), "first is 0, but must be a whole number"),
        (lambda: plan(fgsm(targeted=True)), "fgsm is targeted"),
        (lambda: plan(fgsm(epsilon=0.2)), "fgsm has epsilon 0.2, but the plan has 0.1"),
        (lambda: plan(fgsm(), fgsm("two", norm="l2")), r"norms \['l2', 'linf'\]"),
        (lambda: plan(fgsm()).limited_to(0), "first is 0"),
        (lambda: plan(fgsm()).stage("b"), "attack is 'b', but must be one of 'fgsm'"),
    ],
)
def test_senseless_plans_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_plans_can_be_told_apart():
    assert plans.quick(0.1) == plans.quick(0.1)
    assert dataclasses.replace(plans.quick(0.1), paper="fgsm") != plans.quick(0.1)
