"""What runs of trained models are told apart by, and keep of their work."""

import dataclasses

import numpy as np
import pytest

from experiments.reproductions.paper_a import targets
from experiments.run_directory import opened_at
from experiments.studies import attacking
from experiments.studies import bench as benches
from experiments.studies.study import Place
from zeroone_jax import attacks


@dataclasses.dataclass(frozen=True)
class Protocol:
    images: int = 3


MODELS = [targets.described(name, 0.0, "smoke") for name in ("mlp01", "sigmoid")]


def test_settings_name_the_models_and_what_else_decides():
    first, second = (target.settings() for target in MODELS)
    (plain, _) = benches.each(MODELS, lambda bench, protocol: {})
    assert (plain.name, plain.settings()) == ("mlp01-seed0", first)
    (shifted, _) = benches.each(MODELS, lambda bench, protocol: {}, Protocol(), x=1)
    expected = {"model": first, "protocol": {"images": 3}, "x": 1}
    assert shifted.settings() == expected
    both = benches.ModelRun("both", tuple(MODELS), lambda bench, protocol: {})
    assert both.settings() == {"models": {"mlp01": first, "sigmoid": second}}
    assert len({run.directory for run in (plain, shifted, both)}) == 3


def test_pieces_are_made_once_and_their_time_adds_up(tmp_path, capsys):
    made = []

    def piece():
        made.append(1)
        return {"x": np.arange(3.0)}

    place = Place(tmp_path, tmp_path, None)
    for _ in range(2):
        with opened_at(tmp_path / "run", {}, resume=True) as run:
            bench = benches.Bench("work", {}, run, place, training=5.0)
            bench.expect(2)
            found = [bench.kept(name, piece, lambda x: "so far") for name in "ab"]
        total = sum(float(one["seconds"]) for one in found)
        assert bench.seconds == pytest.approx(total)
    assert len(made) == 2
    np.testing.assert_array_equal(found[0]["x"], [0, 1, 2])
    text = capsys.readouterr().err
    assert "measuring work: 1/2" in text
    assert "b so far" in text


def test_the_nearest_adversary_of_any_piece_in_the_norm():
    def piece(norm, distance, value, shape=(3, 2, 2)):
        return {
            "norm": np.array(norm),
            "distance": np.array(distance),
            "adversary": np.full(shape, value),
        }

    found = {
        "first": piece("l2", [1.0, 2.0, np.inf], 1.0),
        "rows": piece("l2", [2.0, 1.0, np.inf], 2.0, (3, 4)),
        "other": piece("linf", [0.1, 0.1, 0.1], 3.0),
        "repeated": {"norm": np.array("l2"), "distance": np.zeros((2, 3))},
    }
    nearest = attacking.nearest_adversaries(found, "l2")
    assert nearest.shape == (3, 2, 2)
    assert nearest[:, 0, 0].tolist() == [1.0, 2.0, 1.0]


def test_rows_of_models_have_what_is_told_of_each():
    result = {
        "config": {"models": {"a": {"votes": 1}, "b": {"votes": 2}}},
        "accuracy": {"a": 0.5, "b": 0.75},
        "pieces": {
            "a": {"x": {"distance": [1.0, None]}, "y": {"distance": [2.0, 3.0]}},
            "b": {"x": {"distance": [4.0, 5.0]}, "y": {"distance": [None, 1.0]}},
        },
    }
    first, second = attacking.by_model([result])
    assert (first["method"], first["accuracy"], first["settings"]["votes"]) == (
        "a",
        0.5,
        1,
    )
    assert attacking.distances(first).tolist() == [1.0, 3.0]
    assert attacking.distances(second, "y").tolist() == [np.inf, 1.0]
    assert attacking.median("x")(second) == 4.5
    assert attacking.median()(second) == 2.5


def test_the_study_is_attacked_with_both_radii():
    effort = attacking.Effort(images=1, iterations=7, law="signs")
    study, adaptive = attacking.by_labels(effort)
    assert study.attack == attacks.hop_skip_jump(iterations=7, law="signs")
    assert adaptive.attack == dataclasses.replace(study.attack, radius="adaptive")
    assert (study.repeats, adaptive.repeats) == (0, 0)
