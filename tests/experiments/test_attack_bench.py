"""All attacks of a norm side by side: the nearest counts, and all of them are told."""

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import attack_bench, attack_report
from tests.attacks import minimum_distance as models
from zeroone_jax.evaluation import optimality, tables

CAP = 60


@pytest.fixture(scope="module")
def network():
    fn, _, x, y = models.mlp(4)
    return fn, x, y.at[0].add(1) % 4


@pytest.fixture(scope="module")
def found(network):
    return attack_bench.measure("l0_pixels", CAP, jax.random.key(0), *network)


def test_the_nearest_counts_and_all_are_told(network, found):
    fn, x, y = network
    assert found["stages"].tolist() == ["sigma_zero", "fmn"]
    distances = found["distances"]
    assert distances.shape == (len(x), 2)
    np.testing.assert_array_equal(found["distance"], distances.min(axis=1))
    assert distances[0].tolist() == [0, 0]
    assert found["strongest"][0] == -1
    assert found["success"][1:].any()
    wrong = np.argmax(fn(found["adversary"]), axis=1) != np.asarray(y)
    np.testing.assert_array_equal(found["success"], wrong)
    changed = np.sum(found["adversary"] != np.asarray(x), axis=1)
    reached = found["success"]
    np.testing.assert_array_equal(changed[reached], found["distance"][reached])
    best = distances[np.arange(len(x)), found["strongest"]]
    np.testing.assert_array_equal(best[reached], found["distance"][reached])
    counted = found["propagations"][0]
    # No looks along the perturbation in L0.
    assert counted.sum(axis=1).tolist() == [CAP - 6, CAP - 6]


def test_chunks_join_into_a_table_and_a_figure():
    chunk = {
        "stages": np.array(["near", "far"]),
        "distances": np.array([[1.0, 2.0], [3.0, 3.0], [np.nan, np.nan]]),
        "propagations": np.array([[[10, 9], [8, 7]]]),
    }
    later = {**chunk, "propagations": np.array([[[9, 9], [12, 7]]])}
    arrays = attack_report.joined([chunk, later])
    assert arrays["distances"].shape == (6, 2)
    text = tables.markdown(attack_bench.table(arrays, "l2"))
    header, _, near, far = text.splitlines()[-4:]
    assert [cell.strip() for cell in header.split("|")[5:7]] == ["forward", "backward"]
    assert [cell.strip() for cell in near.split("|")[1:3]] == ["near", "1.0000"]
    # Of every attack the image that took most counts.
    assert [cell.strip() for cell in far.split("|")[5:7]] == ["12", "7"]
    scores = attack_bench.scores(arrays)["optimality"]
    assert scores == optimality.optimality(
        {"near": np.array([1.0, 3.0]), "far": np.array([2.0, 3.0])}
    )
    figure = attack_bench.figure(arrays, "l2")
    assert isinstance(figure, Figure)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["nearest of all", "near (1.000)", "far (0.500)"]
    curves = [line.get_ydata() for line in figure.axes[0].lines]
    assert all((curve >= curves[0]).all() for curve in curves)


def test_nothing_to_score_by_is_said():
    arrays = {"stages": np.array(["a"]), "distances": np.full((2, 1), np.inf)}
    assert "no attack broke" in attack_bench.scores(arrays)["optimality"]
