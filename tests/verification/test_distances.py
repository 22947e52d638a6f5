import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.verification.oracles import (
    brute_force,
    label_of,
    small_networks,
)
from zeroone_jax import verification
from zeroone_jax.models import zero_one
from zeroone_jax.verification import Config, measure

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("box", [False, True])
@hypothesis.given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 8), (1, 6), (1, 3), (2, 3), (3, 2), (4, 2), (5, 1)]),
    st.integers(1, 5),
    st.sampled_from(zero_one.HIDDEN_VALUES),
)
@hypothesis.settings(max_examples=8)
def test_equal_to_brute_force(norm, box, seed, sizes, features, hidden_values):
    params = small_networks(seed, *sizes, features, hidden_values)
    x = np.random.default_rng(seed).uniform(size=(1, features))
    y = zero_one.predict(params, x)
    expected = brute_force(params, x[0], norm, box)
    hypothesis.assume(np.isinf(expected) or expected < 10)
    found = measure(params, x, y, Config(norm=norm, box=box, margin=1e-6))
    np.testing.assert_allclose(found.lower, expected, atol=2e-6)
    np.testing.assert_allclose(found.infimum, expected, atol=2e-6)
    if np.isfinite(expected) and np.isfinite(found.upper[0]):
        np.testing.assert_allclose(found.upper, expected, atol=1e-4)
        assert zero_one.predict(params, found.witness)[0] != y[0]


@hypothesis.given(st.integers(0, 2**32 - 1), st.booleans())
@hypothesis.settings(max_examples=10)
def test_brute_force_with_ties(seed, box):
    """Whole weights, images on hyperplanes, sums of 0, units that are equal."""
    rng = np.random.default_rng(seed)
    w1 = rng.integers(-1, 2, size=(2, 3, 3)).astype(float)
    w1[(w1 == 0).all(axis=2)] = 1.0
    params = zero_one.Params(
        w1=jnp.asarray(w1),
        b1=jnp.asarray(-w1.sum(axis=2) / 2),
        w2=jnp.asarray(rng.integers(-1, 2, size=(2, 3)).astype(float)),
        b2=jnp.asarray(rng.integers(-1, 2, size=2).astype(float)),
    )
    x = rng.integers(0, 3, size=(1, 3)) / 2
    y = zero_one.predict(params, x)
    found = measure(params, x, y, Config(box=box, margin=1e-6))
    expected = brute_force(params, x[0], "l2", box)
    assert found.lower[0] <= expected + 1e-6
    # What rounding, or the margin, decides is left open, not decided.
    assert found.upper[0] >= expected - 1e-6
    if np.isfinite(found.upper[0]):
        assert zero_one.predict(params, found.witness)[0] != y[0]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_linear_network_in_closed_form(norm):
    w, x = np.array([0.6, 0.8]), np.array([[0.5, 0.5], [0.9, 0.9]])
    params = zero_one.linear(jnp.asarray(w)[None], jnp.array([-1.05]))
    distance = np.abs(x @ w - 1.05) / (1.0 if norm == "l2" else 1.4)
    found = measure(params, x, [0, 1], Config(norm=norm))
    np.testing.assert_allclose(found.lower, distance, atol=1e-6)
    assert (found.upper > found.infimum).all()
    np.testing.assert_allclose(found.upper, distance, atol=2e-5)


def test_pixels_stop_at_their_limit_in_closed_form():
    """The line 3a + 4b = 4.5 is .2 away, at (.12, .16): beyond .15 only a moves on."""
    params = zero_one.linear(jnp.array([[3.0, 4.0]]), jnp.array([-4.5]))
    free, stopped, nowhere = (
        measure(params, [[0.5, 0.5]], [0], Config(limit=limit, margin=1e-9))
        for limit in (None, 0.15, 0.1)
    )
    np.testing.assert_allclose(free.infimum, [0.2], rtol=1e-5)
    np.testing.assert_allclose(stopped.infimum, [np.hypot(0.4 / 3, 0.15)], rtol=1e-5)
    np.testing.assert_allclose(stopped.witness, [[0.5 + 0.4 / 3, 0.65]], atol=1e-6)
    assert nowhere.lower == nowhere.infimum == np.inf


def test_what_is_labelled_otherwise_already_has_distance_0():
    params = small_networks(0, 3, 3, 4)
    x = np.random.default_rng(0).uniform(size=(2, 4))
    found = measure(params, x, 1 - zero_one.predict(params, x))
    for distances in found[:3]:
        np.testing.assert_array_equal(distances, [0, 0])
    np.testing.assert_array_equal(found.witness, x)


def test_a_constant_network_has_no_adversary():
    params = zero_one.linear(jnp.zeros((3, 2)), jnp.ones(3))
    found = measure(params, [[0.5, 0.5]], [1])
    assert np.isinf([found.lower, found.infimum, found.upper]).all()
    np.testing.assert_array_equal(found.witness, [[0.5, 0.5]])


@pytest.mark.parametrize("box", [False, True])
def test_an_ensembles_bounds_close(trained, box):
    x, y = trained.x[2:4], trained.y[2:4]
    certified = measure(trained.params, x, y, Config(box=box, joint=False))
    exact = measure(trained.params, x, y, Config(box=box))
    assert (certified.lower <= exact.lower).all()
    assert (exact.upper <= certified.upper + 1e-12).all()
    np.testing.assert_allclose(exact.lower, exact.infimum, rtol=1e-6)
    np.testing.assert_allclose(exact.upper, exact.infimum, atol=1e-4)
    labels = zero_one.predict(trained.params, exact.witness)
    assert (np.asarray(labels) != y).all()
    if box:
        assert ((exact.witness >= 0) & (exact.witness <= 1)).all()
    # The witness keeps away from every hyperplane: float32 says the same.
    single = zero_one.astype(trained.params, jnp.float32)
    np.testing.assert_array_equal(
        zero_one.predict(single, exact.witness.astype(np.float32)), labels
    )


def test_the_certificate_is_the_kth_smallest_of_the_votes_distances(trained):
    x, y = trained.x[:4], trained.y[:4]
    certified = measure(trained.params, x, y, Config(box=False, joint=False))
    alone = np.array(
        [
            measure(
                jax.tree.map(lambda array, at=vote: array[at : at + 1], trained.params),
                x,
                y,
                Config(box=False),
            ).lower
            for vote in range(8)
        ]
    )
    ones = np.asarray(zero_one.votes(trained.params, x)).sum(axis=0)
    for image in range(4):
        wrong = 8 - ones[image] if y[image] else ones[image]
        enough = 4 if y[image] else 5
        kth = np.sort(alone[:, image])[enough - 1]
        assert wrong < enough
        np.testing.assert_allclose(certified.lower[image], kth, rtol=1e-6)


@pytest.mark.parametrize("limits", [{"nodes": 200}, {"seconds": 0.05}])
def test_limits_leave_bounds_that_hold(trained, limits):
    x, y = trained.x[:3], trained.y[:3]
    exact = measure(trained.params, x, y, Config(box=False))
    short = measure(trained.params, x, y, Config(box=False, **limits))
    assert (short.lower <= exact.lower + 1e-9).all()
    assert (short.infimum >= exact.infimum - 1e-9).all()
    # How far a search comes in so many seconds is the machine's matter.
    assert (short.lower > 0).all() or "seconds" in limits


def test_64_units_leave_bounds_not_a_hang():
    params = zero_one.init(jax.random.key(0), features=200, hidden=64, votes=4)
    x = np.random.default_rng(0).uniform(size=(1, 200))
    y = zero_one.predict(params, x)
    found = measure(params, x, y, Config(seconds=1.0))
    assert found.seconds[0] < 10
    assert 0 < found.lower[0] <= found.infimum[0] <= found.upper[0]


@pytest.mark.slow("starts processes")
def test_processes_find_what_one_finds():
    params = small_networks(3, 3, 4, 5)
    x = np.random.default_rng(3).uniform(size=(9, 5))
    y = zero_one.predict(params, x)
    seen = []
    one = measure(params, x, y, workers=1)
    two = measure(params, x, y, workers=2, report=seen.append)
    for name in ("lower", "infimum", "upper", "witness", "nodes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert seen == list(range(1, 10))


def test_no_process_is_started_unasked(monkeypatch):
    # One would run an unguarded script again, and die.
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", None)
    params = zero_one.linear(jnp.array([[3.0, 4.0]]), jnp.array([-5.0]))
    x = np.random.default_rng(0).uniform(size=(100, 2))
    found = measure(params, x, zero_one.predict(params, x), Config(box=False))
    distance = np.abs(x @ [3.0, 4.0] - 5.0) / 5
    np.testing.assert_allclose(found.lower, distance, rtol=1e-6)


class Dying(concurrent.futures.ThreadPoolExecutor):
    """A pool whose processes die, as those of an unguarded script do."""

    def __init__(self, workers, context, start, arguments):
        del context, start, arguments
        super().__init__(workers)

    def map(self, *arguments):
        del arguments
        raise concurrent.futures.process.BrokenProcessPool("terminated abruptly")
        yield


def test_a_process_that_died_is_explained(monkeypatch):
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Dying)
    params = zero_one.linear(jnp.array([[3.0, 4.0]]), jnp.array([-5.0]))
    with pytest.raises(RuntimeError, match="one of 2 processes has died: is the main"):
        measure(params, [[0.5, 0.5]], [0], workers=2)


LONG = """
import jax, numpy as np
from zeroone_jax.models import zero_one
from zeroone_jax.verification import Config, measure

if __name__ == "__main__":
    params = zero_one.init(jax.random.key(0), features=200, hidden=64, votes=4)
    x = np.random.default_rng(0).uniform(size=(2, 200))
    y = zero_one.predict(params, x)
    measure(params, x, y, Config(seconds=600.0), workers=2)
"""


@pytest.mark.slow("starts processes")
@pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="no /proc")
def test_a_killed_search_leaves_no_process_behind(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    deadline = time.monotonic() + 120
    with subprocess.Popen([sys.executable, script], env=environment) as process:
        of_all = pathlib.Path(f"/proc/{process.pid}/task").glob
        children: set[str] = set()
        # Two that search, and one that the standard library keeps books with.
        while len(children) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            found = [path.read_text().split() for path in of_all("*/children")]
            children = set().union(*found)
            time.sleep(0.1)
        process.kill()
    while any(pathlib.Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "l1"}, "norm is 'l1', but must be 'l2' or 'linf'"),
        ({"margin": 0.0}, "margin is 0.0, but must be above 0"),
        ({"seconds": np.nan}, "seconds is nan"),
        ({"nodes": 0}, "nodes is 0, but must be at least 1"),
        ({"limit": 0.0}, "limit is 0.0, but must be above 0"),
        ({"limit": 0.1, "box": False}, "limit is for the norm 'l2' in the box only"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[0.5, 1.5]], [0], r"x holds 1.5, but pixels must be in \[0,1\]"),
        ([[0.5, np.nan]], [0], "x holds nan"),
        ([[0.5]], [0], r"x has shape \(1, 1\), but must be \[n, 2\]"),
        (np.zeros((0, 2)), [], "n at least 1"),
        ([[0.5, 0.5]], [2], "y holds 2, but labels must be 0 or 1"),
        ([[0.5, 0.5]], [[0]], r"y has shape \(1, 1\), but must be \[1\]"),
    ],
)
def test_wrong_arguments(x, y, message):
    params = zero_one.linear(jnp.ones((1, 2)), jnp.ones(1))
    with pytest.raises(ValueError, match=message):
        verification.measure(params, x, y)
    with pytest.raises(ValueError, match="workers is 0"):
        verification.measure(params, [[0.5, 0.5]], [0], workers=0)


def test_the_oracle_knows_labels():
    params = small_networks(1, 3, 3, 2)
    x = np.random.default_rng(1).uniform(size=(20, 2))
    for row, label in zip(x, zero_one.predict(params, x), strict=True):
        on = np.asarray(params.w1) @ row + np.asarray(params.b1) > 0
        assert label_of(params, on) == label
