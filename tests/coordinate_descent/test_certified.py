"""The certified 01 loss, beside every pattern of units and beside exact distances."""

import dataclasses

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.coordinate_descent import certified_oracle
from zeroone_jax import attacks, coordinate_descent, verification
from zeroone_jax.coordinate_descent import ball
from zeroone_jax.coordinate_descent import problem as problems
from zeroone_jax.models import zero_one

ROWS, COORDINATES = 40, 8
LEVEL = 1 / 255


def small(**changes):
    config = coordinate_descent.Config(
        hidden=4,
        features=5,
        candidates=3,
        hidden_steps=(0.3,),
        search="blind",
        output_candidates=0,
        window=3,
        bins=0,
        acceptance="better",
        votes=1,
        iterations=24,
        epsilon=1.5 * LEVEL,
        ramp=0.3,
    )
    return dataclasses.replace(config, **changes)


def images(seed):
    """Dark images of few levels, in two classes that overlap; as `test_step` has."""
    generator = np.random.default_rng(seed)
    y = np.arange(ROWS) % 2
    x = generator.integers(0, 16, (ROWS, COORDINATES)) + y[:, None] * 5
    return (x / 255).astype(np.float32), y.astype(np.int32)


def oracle_of(network, data, weights, radius, ball_norm):
    arrays = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network)
    return certified_oracle.Oracle(
        np.asarray(data.levels, np.float64),
        np.asarray(data.labels),
        *arrays,
        np.asarray(weights),
        radii=np.asarray(radius, np.float64),
        order=1 if ball_norm == "linf" else 2,
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(
    "acceptance",
    [
        "better",
        pytest.param("not_worse", marks=pytest.mark.slow("the same once more")),
    ],
)
def test_a_step_equals_exhaustive_numpy(norm, acceptance):
    own = np.random.default_rng(0).uniform(0.5, 3, ROWS) * LEVEL
    epsilon = (1.5 if norm == "l2" else 0.6) * LEVEL
    config = small(ball=norm, acceptance=acceptance, epsilon=epsilon)
    data = coordinate_descent.prepare(*images(1), config, own)
    program, tuning = coordinate_descent.split(config)
    state = coordinate_descent.init(jax.random.key(2), data, program)
    step = jax.jit(coordinate_descent.step, static_argnames="program")
    moved = 0
    for iteration in range(config.iterations):
        key = jax.random.key(100 + iteration)
        drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
        early = state.iteration < tuning.balanced
        weights = problems.class_weights(data, program, early)
        radius = ball.radii(data, tuning, state.iteration)
        oracle = oracle_of(state.network, data, weights, radius, norm)
        rows_key, _, unit_key, _ = jax.random.split(key, 4)
        mask = np.asarray(problems.sample_rows(rows_key, data, tuning.rows)) == 1
        unit = int(jax.random.randint(unit_key, (), 0, config.hidden))
        equal_too = acceptance == "not_worse"
        oracle.visit_output(mask, config.output_step, config.window, equal_too)
        oracle.visit_hidden(
            unit, np.asarray(drawn), mask, 0.3, config.window, equal_too
        )
        pocket = np.asarray(state.pocket_correct)

        state, info = step(key, state, data, drawn, program, tuning)

        np.testing.assert_array_equal(state.network.w2, oracle.w2)
        np.testing.assert_array_equal(state.network.t2, oracle.t2)
        np.testing.assert_array_equal(state.network.w1, oracle.w1)
        np.testing.assert_array_equal(state.network.t1, oracle.t1)
        correct = np.array(oracle.correct())
        better = (weights * correct).sum() > (weights * pocket).sum()
        full = iteration >= int(tuning.ramp)
        expected = correct if better and full else pocket
        np.testing.assert_array_equal(state.pocket_correct, expected)
        moved += int(info.weight_moves)
    assert moved >= 5
    assert int(state.pocket_correct.sum()) > ROWS / 2


def test_the_radius_grows_to_that_of_each_row():
    own = np.full(ROWS, np.inf)
    own[:3] = 0, 0.5 * LEVEL, 9 * LEVEL
    config = small(iterations=10, ramp=0.4)
    data = coordinate_descent.prepare(*images(0), config, own)
    _, tuning = coordinate_descent.split(config)
    radii = [ball.radii(data, tuning, jnp.int32(i)) for i in range(10)]
    assert not radii[0].any()
    full = [0, 0.5, 1.5, 1.5]
    np.testing.assert_allclose(radii[2][:4], np.divide(full, 2), atol=1 / 64)
    for late in radii[4:]:
        np.testing.assert_allclose(late[:4], full, atol=1 / 64)
        assert (late[:4] >= np.float32(full) * (1 - 1e-6)).all()


@st.composite
def searches(draw):
    """Settings of a search for certified networks."""
    basis = draw(st.sampled_from(["pixels", "principal", "dct"]))
    norm = draw(st.sampled_from(["l2", "linf"])) if basis == "pixels" else "l2"
    return small(
        hidden=draw(st.sampled_from([0, 3])),
        basis=basis,
        components=5,
        start=draw(st.sampled_from(["gaussian", "single"])),
        ball=norm,
        search=draw(st.sampled_from(["blind", "screened"])),
        bins=draw(st.sampled_from([0, 256])),
        window=draw(st.sampled_from([0, 3])),
        hidden_values=draw(st.sampled_from(["01", "pm"])),
        epsilon=draw(st.sampled_from([0.7, 1.5, 3.0])) * LEVEL,
        votes=2,
    )


@pytest.mark.slow("compiles a search for every example")
@hypothesis.settings(max_examples=8)
@hypothesis.given(searches(), st.integers(0, 5))
def test_no_certified_row_has_a_nearer_adversary(config, seed):
    x, y = images(seed)
    rows = x.reshape(ROWS, 2, 2, 2) if config.basis == "dct" else x
    result = coordinate_descent.fit(jax.random.key(seed), rows, y, config)
    counted = np.asarray(result.history.pocket_accuracy[-1]) * ROWS
    for vote in range(2):
        params = jax.tree.map(lambda leaf, v=vote: leaf[v : v + 1], result.params)
        lower = verification.measure(
            params, x, y, verification.Config(norm=config.ball, box=False)
        ).lower
        # The proof may see more than the search counts, never less.
        assert (lower >= config.epsilon).sum() >= round(float(counted[vote]))


@pytest.mark.slow("attacks at their full strength")
@pytest.mark.computes
def test_no_attack_of_ours_succeeds_inside_a_certified_ball():
    x, y = images(0)
    config = small(iterations=100, epsilon=2 * LEVEL)
    params = coordinate_descent.fit(jax.random.key(0), x, y, config).params
    chosen = certified_oracle.certified_rows(params, x, y, config.epsilon)
    assert chosen.mean() > 0.3
    vote, rows = zero_one.Vote.flat(params), (jnp.asarray(x), jnp.asarray(y))
    pictures = zero_one.Vote(params, (2, 2, 2))
    key, inside = jax.random.key(1), config.epsilon * (1 - 1e-4)
    jump = attacks.hop_skip_jump(iterations=20, radius="adaptive")
    jumped = jump(key, vote.labels, *rows)
    found = [
        jumped,
        verification.cell_polishing()(key, vote, *rows, jumped.adversary),
        attacks.boundary(iterations=200)(key, vote.labels, *rows),
        attacks.square(norm="l2", epsilon=inside)(key, pictures, *rows),
    ]
    near = [np.where(one.success, one.distance, np.inf)[chosen] for one in found]
    assert np.min(near) >= inside
    # They come near, so that the bound is put to the test.
    assert np.min(near) < 3 * config.epsilon


@pytest.mark.parametrize("basis", ["pixels", "principal"])
@pytest.mark.slow("trains")
def test_it_beats_the_ordinary_loss_in_the_ball(basis):
    x, y = images(3)
    config = small(
        basis=basis, components=5, iterations=150, epsilon=2 * LEVEL, window=0
    )
    shares = []
    for epsilon in (0.0, config.epsilon):
        settings = dataclasses.replace(config, epsilon=epsilon)
        params = coordinate_descent.fit(jax.random.key(0), x, y, settings).params
        lower = verification.measure(params, x, y).lower
        shares.append((lower >= config.epsilon).mean())
    assert shares[1] > shares[0]


@pytest.mark.slow("compiles for one, two and eight devices")
def test_the_same_on_any_number_of_devices_and_resumed(short_segments):
    x, y = images(4)
    config = small(votes=3, iterations=50, basis="principal", components=5)
    key = jax.random.key(0)
    states = []
    whole = coordinate_descent.fit(key, x, y, config, devices=jax.devices()[:1])
    for count in (2, 8):
        again = coordinate_descent.fit(
            key,
            x,
            y,
            config,
            devices=jax.devices()[:count],
            on_segment=lambda state, _: states.append(state),
        )
        chex.assert_trees_all_equal(again.params, whole.params)
    assert [int(state.iteration) for state in states] == [20, 40, 50] * 2
    resumed = coordinate_descent.fit(key, x, y, config, state=states[0])
    chex.assert_trees_all_equal(resumed.params, whole.params)


@pytest.mark.slow("trains a grid")
def test_a_grid_over_radii_is_one_program():
    x, y = images(5)
    configs = [small(epsilon=radius * LEVEL) for radius in (1.0, 2.0)]
    keys = [jax.random.key(seed) for seed in range(2)]
    together = coordinate_descent.Grid(keys, x, y, configs).fit()
    for key, config, run in zip(keys, configs, together, strict=True):
        alone = coordinate_descent.fit(key, x, y, config)
        chex.assert_trees_all_equal(run.params, alone.params)
    with pytest.raises(ValueError, match="epsilon"):
        coordinate_descent.Grid(keys, x, y, [small(), small(epsilon=0.0)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": -0.1}, "epsilon=-0.1"),
        ({"epsilon": np.inf}, "epsilon=inf"),
        ({"epsilon": np.nan}, "epsilon=nan"),
        ({"ramp": 1.0}, r"ramp=1.0: must be in \[0, 1\)"),
        ({"ball": "l1"}, "ball='l1'"),
        ({"basis": "wavelets"}, "basis='wavelets'"),
        ({"components": 0}, "components=0"),
        ({"weights": "binary"}, "weights='binary'"),
        ({"loss": "cross_entropy"}, "loss='zero_one'"),
        ({"adversarial_step": 1.0, "hidden": 0}, "adversarial_step"),
        ({"ball": "linf", "basis": "dct"}, "ball='linf' needs basis='pixels'"),
        ({"weights": "binary", "epsilon": 0.0, "start": "single"}, "start='single'"),
        ({"basis": "dct", "components": 4}, "features=5: must be at most components=4"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("changes", "radii", "message"),
    [
        ({}, np.ones(3), r"radii have shape \(3,\), but must be \[40\]"),
        ({}, np.full(ROWS, -1.0), "radii hold -1.0"),
        ({}, np.full(ROWS, np.nan), "radii hold nan"),
        ({"epsilon": 0.0}, np.ones(ROWS), "radii need the certified loss"),
        ({"basis": "dct", "components": 5}, None, "basis='dct' needs images"),
        ({"basis": "principal", "components": 9}, None, "only 8 pixels"),
    ],
)
def test_bad_data_are_refused(changes, radii, message):
    with pytest.raises(ValueError, match=message):
        coordinate_descent.prepare(*images(0), small(**changes), radii)
