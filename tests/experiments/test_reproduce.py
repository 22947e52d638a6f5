import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from experiments import reproduce, train_network
from experiments.command_line import UserError
from experiments.configs.network import Data, Evaluation, Experiment
from experiments.reproductions.paper_b import capacity, checks, methods, toy
from experiments.studies import study as studies
from experiments.studies.training_run import TrainingRun
from zeroone_jax import runs, training
from zeroone_jax.training import objectives

pytestmark = pytest.mark.usefixtures("defined_flags")


@pytest.fixture(scope="module")
def two_runs(three_classes) -> list[TrainingRun]:
    natural = Experiment(
        data=Data(str(three_classes)),
        network="mlp_sigmoid20",
        training=training.Config(epochs=2, batch_size=20),
        evaluation=Evaluation(plan="quick", epsilon=0.1, images=20),
    )
    sense = dataclasses.replace(
        natural,
        objective=objectives.sense(epsilon=0.1, step_size=0.05, steps=2, warm_up=0),
    )
    return [TrainingRun("natural", natural), TrainingRun("sense_0.5", sense)]


class Launcher:
    """Runs the launcher on two small runs, in a folder of its own."""

    def __init__(self, folder: pathlib.Path, two_runs: list[TrainingRun]) -> None:
        self.folder = folder
        self.results = folder / "results" / "paper_b" / "mnist" / "smoke"
        self._two_runs = two_runs

    def __call__(self, **settings) -> int:
        """Launches, and tells how many runs were made."""
        made = []
        fill = train_network.fill

        def counting(experiment, *arguments, **options):
            made.append(experiment)
            fill(experiment, *arguments, **options)

        flags.FLAGS(["reproduce"])
        with (
            pytest.MonkeyPatch.context() as patch,
            flagsaver.flagsaver(
                runs_dir=str(self.folder / "runs"),
                results_dir=str(self.folder / "results"),
                **settings,
            ),
        ):
            patch.setattr(train_network, "fill", counting)
            small = dataclasses.replace(
                reproduce.REPRODUCTIONS["paper_b.mnist"],
                runs=lambda scale: self._two_runs,
            )
            patch.setitem(reproduce.REPRODUCTIONS, "paper_b.mnist", small)
            reproduce.main(None)
        return len(made)


@pytest.fixture(scope="module")
def made(two_runs, defined_flags, tmp_path_factory):
    """A folder in which both runs are made."""
    run = Launcher(tmp_path_factory.mktemp("made"), two_runs)
    assert run(shard="2/2") == 1
    assert not (run.results / "natural-seed0.json").exists()
    assert run(shard="1/2") == 1
    return run


@pytest.fixture
def run(made, two_runs, tmp_path):
    """The launcher in a copy of that folder."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return Launcher(tmp_path / "copy", two_runs)


@pytest.mark.slow("trains networks")
def test_what_is_there_is_not_made_again(run, capsys):
    assert run() == 0
    assert run(only_report=True) == 0
    table = (run.results / "table.md").read_text()
    assert table.strip() in capsys.readouterr().out
    kept = json.loads((run.results / "sense_0.5-seed0.json").read_text())
    strongest = next(row for row in kept["rows"] if row["attack"] == "strongest")
    line = next(line for line in table.splitlines() if "sense_0.5" in line)
    assert f"{kept['accuracy']['test']:.4f}" in line
    assert f"{strongest['accuracy']:.4f}" in line
    assert kept["method"] == "sense_0.5"
    assert {"config", "seconds", "session"} <= set(kept)


@pytest.mark.slow("trains networks")
def test_a_result_of_other_settings_is_not_taken_for_this(run):
    path = run.results / "natural-seed0.json"
    kept = json.loads(path.read_text())
    kept["config"]["training"]["epochs"] = 9
    path.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="made with other settings"):
        run()
    assert json.loads(path.read_text()) == kept


@pytest.mark.parametrize("only_report", [False, True])
@pytest.mark.slow("trains networks")
def test_a_damaged_result_is_told(run, only_report):
    path = run.results / "natural-seed0.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(runs.DamagedError, match=r"natural-seed0.*move it away to"):
        run(only_report=only_report)


@pytest.mark.slow("trains networks")
def test_a_result_from_before_a_setting_was_there_counts(run):
    path = run.results / "natural-seed0.json"
    kept = json.loads(path.read_text())
    del kept["config"]["members"], kept["config"]["training"]["patience"]
    path.write_text(json.dumps(kept))
    assert run() == 0
    del kept["config"]["training"]["epochs"]
    path.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="made with other settings"):
        run()


@pytest.mark.slow("trains networks")
@pytest.mark.parametrize("shard", ["2", "0/2", "3/2", "a/b"])
def test_shards_that_are_none_are_refused(run, shard):
    with pytest.raises(UserError, match="shard is"):
        run(shard=shard)


def test_no_results_are_no_table(two_runs, tmp_path):
    run = Launcher(tmp_path, two_runs)
    with pytest.raises(UserError, match="no results"):
        run(only_report=True)


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        (name, scale)
        for name, study in reproduce.REPRODUCTIONS.items()
        for scale in study.scales
    ],
)
def test_every_scale_has_runs_of_unlike_names(name, scale):
    runs = reproduce.REPRODUCTIONS[name].runs(scale)
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    assert bool(runs) == (name != "paper_b.toy")
    for run in runs:
        assert run.is_same(json.loads(json.dumps(run.settings())))


def test_a_scale_without_runs_is_refused(two_runs, defined_flags, tmp_path):
    with pytest.raises(UserError, match="no runs of scale 'overnight', only of smoke"):
        Launcher(tmp_path, two_runs)(scale="overnight")


def test_overnight_is_the_comparisons_alone():
    """On networks that fit CIFAR-10: seven runs that differ in the objective only."""
    with_it = [
        name
        for name, study in reproduce.REPRODUCTIONS.items()
        if "overnight" in study.scales
    ]
    assert with_it == ["paper_b.comparison"]
    runs = methods.comparison_runs("overnight")
    assert {run.method for run in runs} == {
        "natural",
        "pgd",
        "trades",
        "friendly",
        *(f"sense_{confidence}" for confidence in (0.3, 0.5, 0.7)),
    }


def assert_alike(runs):
    alike = {
        dataclasses.replace(run.experiment, objective=objectives.natural())
        for run in runs
    }
    assert len(alike) == 1


def test_how_sense_trained_is_drawn_where_the_runs_have_told(tmp_path):
    epochs = [{"epoch": 1, "frozen": 0.5, "loss": 2.0}, {"epoch": 2, "frozen": 0.25}]
    epochs[1]["loss"] = 1.0
    told = {"config": {"seed": 0}, "rows": [], "accuracy": {"test": 0.9}}
    draw = methods.COMPARISON.figures["freezing.png"]
    rows = [{**told, "method": "sense_0.5", "epochs": epochs}]
    figure = draw([{**told, "method": "pgd", "epochs": epochs}, *rows])
    (frozen,), (loss, threshold) = (axes.lines for axes in figure.axes)
    np.testing.assert_array_equal(frozen.get_xydata(), [[1, 0.5], [2, 0.25]])
    np.testing.assert_array_equal(loss.get_ydata(), [2, 1])
    np.testing.assert_allclose(threshold.get_ydata(), np.log(2))
    assert draw([{**told, "method": "sense_0.5"}]) is None


def has_what_a_table_needs(runs) -> bool:
    seeds = {}
    for run in runs:
        seeds.setdefault(run.method, set()).add(run.experiment.seed)
    seeded = ("natural", "pgd", "trades", "sense_0.5")
    confidences = {f"sense_{c}" for c in (0.1, 0.3, 0.5, 0.7, 0.9)}
    others = {"mart", "friendly", "instance_adaptive", "max_margin"}
    return set(seeds) >= confidences | others and all(
        seeds[method] == {0, 1, 2} for method in seeded
    )


def test_mnist_has_equal_epochs():
    runs = methods.mnist_runs("laptop")
    assert has_what_a_table_needs(runs)
    assert len({run.experiment.training.epochs for run in runs}) == 1


def test_the_speedrun_differs_in_objective_and_epochs_only():
    runs = methods.speedrun_runs("laptop")
    assert has_what_a_table_needs(runs)
    assert_same_recipe(runs)
    later = {"fast", "noisy_fast", "gradient_alignment", "weight_perturbation"}
    assert later <= {run.method for run in runs}


def test_contrast_differs_in_the_objective_only():
    runs = methods.contrast_runs("laptop")
    assert_same_recipe(runs)
    assert {run.experiment.training.epochs for run in runs} == {28}


def assert_same_recipe(runs):
    alike = {
        dataclasses.replace(
            run.experiment,
            objective=objectives.natural(),
            training=dataclasses.replace(run.experiment.training, epochs=1),
            seed=0,
            evaluation=Evaluation(),
        )
        for run in runs
    }
    assert len(alike) == 1


def test_small_networks_have_three_seeds_and_both_balls():
    """Of 5 widths: 9 runs each, and of the smallest two twice as many again."""
    runs = capacity.runs("laptop")
    assert len(runs) == 5 * 9 + 2 * 2 * 9
    growing = [run for run in runs if "growing" in run.method]
    assert {run.experiment.objective.ramp for run in growing} == {3.0}
    whole = [run for run in runs if run not in growing and "natural" not in run.method]
    assert {run.experiment.objective.ramp for run in whole} == {0.0}


def test_the_capacity_table_and_figure_are_drawn_of_results(tmp_path):
    results = {
        f"{name}_{width}": [
            {
                "config": {
                    "network": f"strided_{width}",
                    "data": {"name": "mnist"},
                    "training": {"epochs": 8},
                },
                "accuracy": {"test": 0.9},
                "rows": [{"attack": "strongest", "accuracy": share}],
            }
            for share in (0.25, 0.75)[: 3 - width]
        ]
        for name in ("natural", "pgd_growing")
        for width in (1, 2)
    }
    text = capacity.CAPACITY.report(results, tmp_path, tmp_path)
    assert "| pgd_growing |        715 |     2 |      8 | 0.9000 ± 0.0000 |" in text
    assert "0.5000 ± 0.3536" in text
    assert (tmp_path / "capacity.png").stat().st_size > 1000


@pytest.mark.computes
@pytest.mark.slow("trains networks")
def test_the_toy_is_the_papers():
    """PGD training loses the rarer part of a class, sensible training nothing."""
    small = toy.Toy(points=2000)
    for seed in range(2):
        accuracy = {
            method: float(toy.train(jax.random.key(seed), method, small)[1])
            for method in toy.METHODS
        }
        assert accuracy["pgd"] < 0.8
        assert accuracy["sense"] > 0.98
        assert accuracy["natural"] > 0.99


@pytest.mark.slow("trains networks")
def test_the_toy_leaves_numbers_and_an_animation(tmp_path: pathlib.Path):
    small = toy.Toy(points=600, iterations=6)
    text = toy.study(small).report({}, tmp_path, tmp_path)
    assert (tmp_path / "table.md").read_text().strip() == text
    assert len(json.loads((tmp_path / "toy.json").read_text())["accuracy"]["pgd"]) == 5
    with Image.open(tmp_path / "toy.gif") as animation:
        assert animation.n_frames > 3


@pytest.mark.slow("trains networks")
@pytest.mark.parametrize("check", [checks.TRANSFER, checks.MASKING])
def test_checks_are_measured_once_for_the_same_networks(
    made, two_runs, tmp_path, check
):
    results = studies.stored(made.results, two_runs)
    text = check.report(results, tmp_path, made.folder / "runs")
    assert (tmp_path / "table.md").read_text().strip() == text
    assert "natural" in text
    assert "sense_0.5" in text
    (kept,) = tmp_path.glob("*.json")
    before = kept.read_bytes()
    assert check.report(results, tmp_path, tmp_path / "nowhere") == text
    assert kept.read_bytes() == before
    results["natural"][0]["run"] = "another"
    with pytest.raises(UserError, match=r"another/network\.npz is not there"):
        check.report(results, tmp_path, made.folder / "runs")
