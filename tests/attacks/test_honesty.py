"""Models that change, give no labels, look at their batch; and what is in the ball."""

import dataclasses
import math
import warnings

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses
from zeroone_jax.attacks import perturbation, run
from zeroone_jax.attacks.suite import Stage, Suite

KEY = jax.random.key(0)
N, D = 12, 6
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (N, D)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(D, 3)), jnp.float32)
PGD = attacks.pgd(epsilon=0.1, iterations=3)
SUITE = Suite(stages=(Stage(name="pgd", attack=PGD),), norm="linf", epsilon=0.1)


def linear(w):
    def model(x):
        return jnp.matmul(x.reshape(len(x), -1) - 0.5, w, precision="highest")

    return model


Y = losses.labels(linear(W)(X))


def test_attacks_and_suites_answer_for_the_model_as_it_is_now():
    weights = {"w": 1000 * W}

    def model(x):
        return jnp.matmul(x - 0.5, weights["w"], precision="highest")

    tiny = dataclasses.replace(PGD, epsilon=1e-6)
    suite = dataclasses.replace(
        SUITE, stages=(Stage(name="pgd", attack=tiny),), epsilon=1e-6
    )
    assert not tiny(KEY, model, X, Y).success.any()
    assert suite(KEY, model, X, Y).robust_accuracy == 1
    compiled = run._in_chunks._cache_size()
    weights["w"] = -W
    assert tiny(KEY, model, X, Y).success.all()
    report = suite(KEY, model, X, Y)
    assert report.clean_accuracy == report.robust_accuracy == 0
    assert run._in_chunks._cache_size() == compiled


def test_weights_may_be_bound_to_another_device():
    first, second = jax.devices()[:2]
    weights = jax.device_put(W, second)
    found = PGD(KEY, linear(weights), jax.device_put(X, first), Y)
    np.testing.assert_array_equal(found.success, PGD(KEY, linear(W), X, Y).success)


def test_a_single_image_is_told_what_to_do():
    with pytest.raises(ValueError, match=r"give a single image as x\[None\]"):
        PGD(KEY, linear(W), X, Y[0])


def blind_on(bad, fill=jnp.nan):
    """The linear model, but a logit is `fill` where the first pixel is above `bad`."""

    def model(x):
        z = linear(W)(x)
        return z.at[:, 1].set(jnp.where(x[:, 0] > bad, fill, z[:, 1]))

    return model


@pytest.mark.parametrize(
    "fill",
    [jnp.nan, pytest.param(jnp.inf, marks=pytest.mark.slow("the same once more"))],
)
def test_points_without_a_label_are_no_adversaries(fill):
    model = blind_on(0.55, fill)
    blind = np.asarray(X[:, 0] > 0.55)
    assert 0 < blind.sum() < N
    for attack, fn in (
        (PGD, model),
        (attacks.hop_skip_jump(iterations=2), attacks.as_label_fn(model)),
    ):
        with pytest.warns(RuntimeWarning, match=r"NaN or infinite at \d+ of 12"):
            found = attack(KEY, fn, X, Y)
        assert not np.asarray(found.success)[blind].any()
        assert np.isnan(np.asarray(found.distance)[blind]).all()
        assert not np.isnan(np.asarray(found.distance)[~blind]).any()
        labels = np.asarray(losses.labels(model(found.adversary)))
        success = np.asarray(found.success)
        assert (labels[success] >= 0).all()


def test_points_without_a_label_are_not_robust_either():
    report = SUITE(KEY, blind_on(0.55), X, Y)
    seen = np.asarray(X[:, 0] <= 0.55)
    assert report.clean_accuracy == seen.mean()
    assert report.robust_accuracy == (seen & ~np.asarray(report.success)).mean()
    assert any("NaN or infinite" in text for text in report.warnings)
    assert not any("probabilities" in text for text in report.warnings)


def test_a_model_without_labels_is_an_error():
    for attack in (PGD, SUITE):
        with pytest.raises(ValueError, match="NaN or infinite at 12 of 12 images"):
            attack(KEY, lambda x: linear(W)(x) * jnp.nan, X, Y)


def test_classes_left_out_are_legal():
    masked = blind_on(0.0, -jnp.inf)
    labels = losses.labels(masked(X))
    assert set(np.unique(labels)) == {0, 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = PGD(KEY, masked, X, labels)
    two = linear(W[:, [0, 2]])
    wanted = PGD(KEY, two, X, labels // 2)
    np.testing.assert_array_equal(found.success, wanted.success)


def test_images_of_half_precision_are_refused():
    for kind in (jnp.bfloat16, jnp.float16):
        with pytest.raises(
            TypeError, match=r"must be float32 or float64: give x\.astype"
        ):
            PGD(KEY, linear(W), X.astype(kind), Y)


@hypothesis.given(
    st.sampled_from(["linf", "l2", "l1"]),
    st.floats(1e-4, 0.6),
    st.integers(0, 2**32 - 1),
)
@hypothesis.example("linf", 8 / 255, 0)
def test_projections_are_inside_as_float64_measures(norm, epsilon, seed):
    generator = np.random.default_rng(seed)
    x = generator.uniform(size=(4, 3, 50)).astype(np.float32)
    x[0] = np.round(x[0] * 255) / np.float32(255)
    far = (x + generator.normal(size=x.shape)).astype(np.float32)
    inside = perturbation.project(jnp.asarray(far), jnp.asarray(x), epsilon, norm)
    move = (np.float64(inside) - np.float64(x)).reshape(len(x), -1)
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    assert (np.linalg.norm(move, order, axis=1) <= epsilon).all()


def test_success_within_epsilon_is_within_epsilon():
    attack = attacks.fab(norm="l2", iterations=10)
    free = attack(KEY, linear(W), X, Y)
    epsilon = float(np.median(free.distance))
    found = dataclasses.replace(attack, epsilon=epsilon)(KEY, linear(W), X, Y)
    assert (np.asarray(found.distance)[np.asarray(found.success)] <= epsilon).all()
    assert 0 < found.success.sum() < N
    far = np.asarray(free.distance) > 1.01 * epsilon
    assert not np.asarray(found.success)[far].any()


def test_models_that_look_at_their_batch_are_warned_of():
    def batch_norm(x):
        z = linear(W)(x)
        return (z - jnp.mean(z, 0, keepdims=True)) / jnp.std(z, 0, keepdims=True)

    y = losses.labels(batch_norm(X))
    report = SUITE(KEY, batch_norm, X, y)
    assert any("depends on its batch" in text for text in report.warnings)
    assert any("(100%)" in text for text in report.warnings)
    quiet = SUITE(KEY, linear(W), X, Y)
    assert not any("depends on its batch" in text for text in quiet.warnings)


@pytest.mark.parametrize("every_class", [False, True])
def test_suites_can_be_targeted(every_class):
    pgd = dataclasses.replace(PGD, targeted=True, epsilon=0.3, iterations=10)
    suite = Suite(
        stages=(Stage(name="pgd", attack=pgd),),
        norm="linf",
        epsilon=0.3,
        every_class=every_class,
    )
    target = (Y + 1) % 3
    report = suite(KEY, linear(W), X, Y if every_class else target)
    labels = losses.labels(linear(W)(report.adversary))
    success = np.asarray(report.success)
    if every_class:
        np.testing.assert_array_equal(labels != Y, success)
        # A linear model has no other way out than towards one of its classes.
        alone = dataclasses.replace(pgd, targeted=False)(KEY, linear(W), X, Y)
        np.testing.assert_array_equal(success, alone.success)
    else:
        np.testing.assert_array_equal(labels == target, success)
        alone = pgd(KEY, linear(W), X, target)
        np.testing.assert_array_equal(success, alone.success)
    assert success.sum() > 0
    assert report.clean_accuracy == 1
    assert report.robust_accuracy == 1 - success.mean()


def on_grid(array):
    steps = np.asarray(array) * 255
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    return np.round(steps) / np.float32(255)


SAVED = (
    attacks.pgd(epsilon=8 / 255, iterations=10),
    attacks.fab(norm="l2", iterations=10, epsilon=0.2),
    attacks.ray_s(max_queries=300),
)
SAVED_MORE = (
    attacks.pgd(epsilon=0.2, norm="l2", iterations=10),
    attacks.fab(norm="linf", iterations=10),
    attacks.deep_fool(norm="l2", iterations=10),
    attacks.ddn(iterations=30),
    attacks.fmn(norm="l1", iterations=60),
    attacks.sigma_zero(iterations=60),
    attacks.pdpgd(norm="linf", iterations=60),
    attacks.minimal_apgd(norm="linf", iterations=20, trials=8),
    attacks.super_deep_fool(iterations=20),
    attacks.carlini_wagner(iterations=30, search_steps=4),
    attacks.hop_skip_jump(iterations=3, max_queries=300),
    attacks.square(epsilon=8 / 255, max_queries=100),
)


@pytest.mark.parametrize(
    "attack",
    [
        *SAVED,
        *(
            pytest.param(one, marks=pytest.mark.slow("all attacks"))
            for one in SAVED_MORE
        ),
    ],
    ids=lambda attack: f"{type(attack).__name__}-{attack.norm}",
)
def test_adversaries_survive_being_saved(attack):
    x = jnp.asarray(np.round(np.asarray(X) * 255) / np.float32(255))
    x = x.reshape(N, 1, D, 1)
    model = linear(W)
    y = losses.labels(model(x))
    fn = model if attack.needs == "logits" else attacks.as_label_fn(model)
    free = attack(KEY, fn, x, y)
    found = dataclasses.replace(attack, levels=255)(KEY, fn, x, y)
    success = np.asarray(found.success)
    # Few are lost where only the coarser grid keeps the boundary out of reach.
    assert success.sum() >= 0.8 * np.asarray(free.success).sum() > 0
    saved = on_grid(np.asarray(found.adversary)[success])
    labels = np.asarray(losses.labels(model(jnp.asarray(saved))))
    assert (labels != np.asarray(y)[success]).all()
    if attack.limit is not None:
        steps = np.round((saved - np.asarray(x)[success]) * 255).reshape(-1, D)
        order = math.inf if attack.norm == "linf" else 2
        lengths = np.linalg.norm(steps, order, axis=1)
        assert (lengths <= attack.limit * 255 * (1 + 1e-6)).all()
        assert (np.asarray(found.distance)[success] <= attack.limit).all()
    most = getattr(attack, "max_queries", None)
    assert most is None or (np.asarray(found.queries) <= most).all()


@pytest.mark.slow("compiles a suite of attacks")
def test_suites_on_the_grid():
    x = jnp.asarray(np.round(np.asarray(X) * 255) / np.float32(255))
    suite = dataclasses.replace(SUITE, levels=255)
    report = suite(KEY, linear(W), x, losses.labels(linear(W)(x)))
    assert report.success.any()
    on_grid(report.adversary)


def test_a_point_without_a_label_loses_no_result():
    def model(x):
        far = jnp.abs(x[:, :1] - X[0, 0]) > 1e-4
        return jnp.where(far, jnp.nan, linear(W)(x))

    x, y = X[:1], Y[:1]
    message = "where the attack on 1 of 1 images ended, which count as not broken"
    with pytest.warns(RuntimeWarning, match=message):
        found = PGD(KEY, model, x, y)
    assert not found.success.any()
    assert np.isinf(found.distance).all()
    assert any(message in text for text in SUITE(KEY, model, x, y).warnings)


def test_numbers_in_a_list_are_refused():
    with pytest.raises(TypeError, match="epsilon is a list, but must be a number or"):
        attacks.pgd(epsilon=[0.1] * N)
