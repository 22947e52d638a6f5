"""Distances that are kept as they come: the same, whenever the work was stopped."""

import dataclasses
import hashlib

import jax
import numpy as np
import pytest

from tests.verification.oracles import small_networks
from zeroone_jax import verification
from zeroone_jax.models import zero_one
from zeroone_jax.verification import Config, kept

PARAMS = small_networks(3, 3, 2, 4, "01")
X = np.random.default_rng(0).uniform(size=(12, 4))
Y = np.asarray(zero_one.predict(PARAMS, X))
BOX = Config(norm="linf")


class StoppedError(Exception):
    """Somebody stops the work."""


def stop_at(place):
    def report(done):
        if done == place:
            raise StoppedError

    return report


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_SAVED_EVERY", -1.0)
    return tmp_path / "bounds.npz"


@pytest.mark.parametrize("config", [None, BOX])
def test_it_is_what_measure_says(path, config):
    expected = verification.measure(PARAMS, X, Y, config)
    found = verification.bounds(path, PARAMS, X, Y, config)
    for name in ("lower", "infimum", "upper", "nodes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_what_was_stopped_goes_on(path):
    whole = verification.bounds(path.with_name("whole.npz"), PARAMS, X, Y)
    for place in (5, 6, 11):
        with pytest.raises(StoppedError):
            verification.bounds(path, PARAMS, X, Y, report=stop_at(place))
    counted = []
    found = verification.bounds(path, PARAMS, X, Y, report=counted.append)
    assert counted == [12]
    again = verification.bounds(path, PARAMS, X, Y, report=counted.append)
    assert counted == [12]
    for some in (found, again):
        np.testing.assert_array_equal(some.lower, whole.lower)
        np.testing.assert_array_equal(some.upper, whole.upper)


@pytest.mark.parametrize("other", ["params", "x", "y", "config", "hidden_values"])
def test_it_takes_no_others_results(path, other):
    verification.bounds(path, PARAMS, X, Y)
    arguments = {"params": PARAMS, "x": X, "y": Y, "config": Config()}
    different = {
        "params": jax.tree.map(lambda leaf: leaf * 2, PARAMS),
        "hidden_values": dataclasses.replace(PARAMS, hidden_values="pm"),
        "x": X[::-1],
        "y": 1 - Y,
        "config": BOX,
    }[other]
    name = "params" if other == "hidden_values" else other
    with pytest.raises(ValueError, match=r"bounds\.npz is of other networks"):
        verification.bounds(path, **{**arguments, name: different})


def test_files_of_before_there_was_a_limit_are_gone_on_with(path):
    whole = verification.bounds(path, PARAMS, X, Y)
    told = (
        "(Config(norm='l2', box=True, margin=1e-05, joint=True, seconds=60.0, "
        f"nodes=10000000), {PARAMS.hidden_values!r})"
    )
    digest = hashlib.sha256(told.encode())
    for array in (*jax.tree.leaves(PARAMS), X.astype(np.float64), Y):
        digest.update(repr(np.shape(array)).encode())
        digest.update(np.asarray(array, np.float64).tobytes())
    with np.load(path) as kept_now:
        columns = dict(kept_now)
    np.savez(path, **{**columns, "digest": digest.hexdigest()})
    again = verification.bounds(path, PARAMS, X, Y)
    np.testing.assert_array_equal(again.seconds, whole.seconds)
    with pytest.raises(ValueError, match="of other networks, images or settings"):
        verification.bounds(path, PARAMS, X, Y, Config(limit=1.0))


def test_a_damaged_file_is_told(path):
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="move it away to measure again"):
        verification.bounds(path, PARAMS, X, Y)


@pytest.mark.slow("starts processes")
def test_it_is_the_same_by_processes(path):
    alone = verification.bounds(path.with_name("alone.npz"), PARAMS, X, Y)
    found = verification.bounds(path, PARAMS, X, Y, workers=2)
    np.testing.assert_array_equal(found.lower, alone.lower)
