"""Paper A's reproductions at the smallest scale, on the real images."""

import dataclasses
import importlib.util
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from experiments import reproduce
from experiments.command_line import UserError
from experiments.reproductions.paper_a import (
    accuracy,
    distortion,
    pictures,
    rounding,
    sensitivity,
    substitute,
    targets,
)
from experiments.studies import attacking, substitutes
from experiments.studies.study import Place, Study
from zeroone_jax import coordinate_descent, data
from zeroone_jax.models import zero_one

pytestmark = pytest.mark.usefixtures("defined_flags")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("paper_a")


def launched(folder: pathlib.Path, what: str, **settings) -> pathlib.Path:
    """Launches at the smallest scale; gives where the results are."""
    flags.FLAGS(["reproduce"])
    with flagsaver.flagsaver(what=what, runs_dir=str(folder), **settings):
        reproduce.main(None)
    return folder.joinpath(*what.split("."), "smoke")


@pytest.fixture(scope="module")
def counted(folder, defined_flags) -> pathlib.Path:
    return launched(folder, "paper_a.accuracy")


@pytest.fixture(scope="module")
def attacked(folder, counted) -> pathlib.Path:
    return launched(folder, "paper_a.distortion")


def read(folder: pathlib.Path, name: str) -> dict:
    return json.loads((folder / f"{name}-seed0.json").read_text())


@pytest.mark.slow("trains on real images")
def test_models_are_trained_and_counted(folder, counted, capsys):
    place = Place(folder, folder)
    common = accuracy.right_of_all(place, "smoke")
    for name in ("mlp01", "sigmoid"):
        found = read(counted, name)
        bits = np.frombuffer(bytes.fromhex(found["right"]), np.uint8)
        right = np.unpackbits(bits)[:2000].astype(bool)
        assert right.mean() == pytest.approx(found["accuracy"]["test"])
        assert right[common].all()
        assert found["accuracy"]["test"] > 0.55
    assert 800 < len(common) < 2000
    before = (counted / "mlp01-seed0.json").read_bytes()
    launched(folder, "paper_a.accuracy", only_report=True)
    assert (counted / "table.md").read_text().strip() in capsys.readouterr().out
    assert (counted / "mlp01-seed0.json").read_bytes() == before


def test_common_images_need_all_models(tmp_path):
    with pytest.raises(UserError, match=r"--what=paper_a\.accuracy --scale=smoke"):
        accuracy.right_of_all(Place(tmp_path, tmp_path), "smoke")


@pytest.mark.slow("trains on real images")
def test_distortions_stay_above_what_is_certain(folder, attacked):
    found = read(attacked, "mlp01")
    protocol = distortion.PROTOCOLS["smoke"]
    common = accuracy.right_of_all(Place(folder, folder), "smoke")
    assert found["indices"] == common[: protocol.images].tolist()
    shapes = {
        name: np.shape(piece["distance"]) for name, piece in found["pieces"].items()
    }
    assert shapes["boundary"] == (protocol.repeats, 10)
    assert shapes["study"] == shapes["polished"] == (protocol.images,)
    nearest = attacking.nearest(found)
    polished = np.array(found["pieces"]["polished"]["distance"])
    np.testing.assert_array_equal(nearest, polished)
    lower = np.array(found["exact"]["lower"])
    certified = np.array(found["exact"]["certified"])
    assert len(lower) == protocol.exact_images
    assert (certified <= lower + 1e-4).all()
    assert (lower <= np.array(found["exact"]["infimum"]) + 1e-4).all()
    assert (lower <= nearest[: len(lower)] + 1e-4).all()
    assert np.array(found["exact"]["votes"]).shape == (2, protocol.exact_images)
    text = (attacked / "table.md").read_text()
    assert f"{np.median(nearest):.4f}" in text
    assert f"{np.median(lower):.4f}" in text
    for figure in ("distortion.png", "without_noise.png", "adversaries.png"):
        with Image.open(attacked / figure) as image:
            assert image.width > 500


@pytest.mark.slow("trains on real images")
def test_tables_of_models_that_are_no_sign_networks(attacked, tmp_path):
    """There is nothing exact to tell, and some images may have no start."""
    found = read(attacked, "mlp01") | {"exact": None}
    distances = found["pieces"]["boundary"]["distance"]
    distances[0][3] = None
    left = np.delete(np.array(distances[0], float), 3)
    text = distortion.DISTORTION.report({"smooth": [found]}, tmp_path, tmp_path)
    assert f"{left.mean():.3f} / " in text
    assert "(10% without a start)" in text
    assert text.rstrip().endswith("|")
    # No run directory, no pictures of adversaries.
    assert not (tmp_path / "adversaries.png").exists()


def test_pictures_show_the_nearest_of_all_attacks_in_whatever_shape(tmp_path):
    shape, generator = (4, 4, 3), np.random.default_rng(0)
    x, far, near = generator.uniform(size=(3, 5, *shape))
    pieces = {
        "study": {"adversary": far, "distance": np.array([3.0, 1, 3, 3, 3])},
        # Polishing takes images as rows.
        "polished": {"adversary": near.reshape(5, -1), "distance": np.full(5, 2.0)},
    }
    for piece in pieces.values():
        piece["norm"] = np.array("l2")
    (tmp_path / "run").mkdir()
    pictures.keep(tmp_path / "run", shape, x, pieces)
    with np.load(tmp_path / "run" / "pictures.npz") as kept:
        np.testing.assert_array_equal(kept["image"], x[:4])
        np.testing.assert_array_equal(kept["study"], far[:4])
        np.testing.assert_array_equal(kept["nearest"][1], far[1])
        np.testing.assert_array_equal(kept["nearest"][[0, 2, 3]], near[[0, 2, 3]])
    rows = [
        {"method": method, "folder": tmp_path / "run"}
        for method in ("smooth", "smooth-noise-0.1")
    ]
    assert len(pictures.grid(rows).axes) == 4 * 3
    assert pictures.grid([{**rows[0], "folder": tmp_path / "nowhere"}]) is None


@pytest.mark.slow("trains on real images")
def test_a_piece_that_is_there_is_not_made_again(folder, attacked, monkeypatch):
    """A killed run goes on after its last piece."""
    (run,) = folder.glob("mlp01-seed0-*/piece-study.npz")
    (run.parent / "summary.json").unlink()
    (run.parent / "piece-polished.npz").unlink()
    (attacked / "mlp01-seed0.json").rename(attacked / "before.json")
    made = []
    make = attacking.attack

    def counting(piece, *arguments):
        made.append(piece.name)
        return make(piece, *arguments)

    monkeypatch.setattr(attacking, "attack", counting)
    launched(folder, "paper_a.distortion")
    assert made == ["polished"]
    now, before = read(attacked, "mlp01"), attacked / "before.json"
    kept = json.loads(before.read_text())
    before.unlink()
    assert now["pieces"] == kept["pieces"]
    assert now["exact"] == kept["exact"]


@pytest.mark.slow("trains on real images")
def test_substitutes_leave_records_and_a_table(folder, counted):
    results = launched(folder, "paper_a.substitute")
    found = read(results, "sigmoid")
    protocol = substitute.PROTOCOLS["smoke"]
    shares = substitutes.left(found)
    assert shares.shape == (protocol.seeds, 2, len(protocol.settings.epsilons))
    line = next(
        line
        for line in (results / "table.md").read_text().splitlines()
        if line.startswith("| sigmoid")
    )
    last = shares[:, -1, 2]
    error = abs(last[0] - last[1]) / 2
    assert f"{last.mean():.3f} ± {error:.3f}" in line
    assert (results / "epsilon.png").exists()
    assert (results / "rounds.png").exists()


@pytest.mark.slow("trains on real images")
def test_white_box_attacks_leave_less_the_harder_they_are(folder, counted):
    results = launched(folder, "paper_a.white_box")
    zero_one, sigmoid = (read(results, name) for name in ("mlp01", "sigmoid"))
    for found in (zero_one, sigmoid):
        assert max(found["left"].values()) <= found["clean"] + 1e-9
    assert set(sigmoid["left"]) == {"PGD", "strongest"}
    assert sigmoid["votes"] is None
    matrix = np.array(zero_one["votes"]["accuracy"])
    assert matrix.shape == (2, 2)
    assert np.diag(matrix).mean() <= matrix[~np.eye(2, dtype=bool)].mean()
    text = (results / "table.md").read_text()
    assert f"{min(zero_one['left'].values()):.4f}" in text


@pytest.mark.slow("trains on real images")
def test_votes_are_compared_under_each_setting(folder):
    results = launched(folder, "paper_a.sensitivity")
    found = read(results, "blind-rows-0.05")
    assert found["config"]["solver"]["rows"] == 0.05
    assert found["config"]["solver"]["search"] == "blind"
    share = found["accuracy"]["test"]["votes"][0]
    line = next(
        line
        for line in (results / "table.md").read_text().splitlines()
        if line.startswith("| rows 0.05")
    )
    assert f"{share:.3f}" in line
    assert ".771 / .780" in line


@pytest.mark.slow("trains on real images")
def test_the_authors_networks_hang_on_rounding_and_ours_do_not(
    folder, counted, reference, cifar10_0v1
):
    """Section A6 of the notes: three of eight votes fall to chance."""
    found = read(launched(folder, "paper_a.rounding"), "mlp01")["votes"]
    assert found["near"] == [0.0, 0.0]
    assert found["accuracy"] == found["higher"] == found["lower"]
    assert set(found["float32"] + found["order"]) == {0.0}
    (training, _), (x, y) = map(data.as_features, cifar10_0v1)
    with jax.enable_x64(True):
        networks = zero_one.load(
            reference / "authors_mlp01_8votes.npz", dtype=jnp.dtype(jnp.float64)
        )
        authors = rounding.counted(networks, training, x, y)
    expected = [0.82, 0.823, 0.828, 0.82, 0.8315, 0.822, 0.83, 0.8105, 0.8535]
    np.testing.assert_allclose(authors["accuracy"], expected, atol=1e-9)
    hanging = np.isin(np.arange(8), (0, 5, 6))
    near, higher = np.array(authors["near"]), np.array(authors["higher"][:8])
    assert (near[hanging] > 0.475).all()
    assert (near[hanging] < 0.585).all()
    assert (higher[hanging] > 0.495).all()
    assert (higher[hanging] < 0.525).all()
    assert (near[~hanging] < 0.11).all()
    assert max(authors["float32"] + authors["order"]) > 0


def test_without_art_its_study_is_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="no results"):
        launched(tmp_path, "paper_a.peer_study")
    assert "ART is not installed: make peers" in caplog.text


def test_sensitivity_varies_one_setting_at_a_time():
    found = {
        run.method: run.experiment.solver for run in sensitivity.votes_runs("laptop")
    }
    for search, preset in sensitivity.SEARCHES.items():
        usual = coordinate_descent.PRESETS[preset]()
        steps = found[f"{search}-step-0.05"].hidden_steps
        assert steps[0] == 0.05
        assert len(steps) == len(usual.hidden_steps)
        for name, value in (("rows", 0.9), ("iterations", 8000), ("features", 64)):
            solver = found[f"{search}-{name}-{value}"]
            changes = {name: value, "votes": 4}
            assert solver == dataclasses.replace(usual, **changes)


def test_a_model_that_is_not_here_is_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(targets, "_AUTHORS", tmp_path / "nowhere.npz")
    authors = targets.described("authors", 0.0, "laptop")
    monkeypatch.setattr(targets, "targets", lambda scale: [authors])
    monkeypatch.setattr(accuracy, "targets", lambda scale: [authors])
    with pytest.raises(UserError, match="no results"):
        launched(tmp_path, "paper_a.accuracy")
    assert "authors-seed0 is left out" in caplog.text
    assert "nowhere.npz" in caplog.text


def test_without_scikit_learn_its_models_are_left_out(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    names = ("linear_svm", "random_forest")
    for run in accuracy.ACCURACY.runs("laptop"):
        if run.method in names:
            assert "scikit-learn is not installed: make peers" in run.missing()
    # The images that all label rightly do not hang on what is installed.
    assert set(names) <= {run.method for run in accuracy.ACCURACY.runs("laptop")}
    assert not set(names) & {target.label for target in targets.targets("laptop")}


@pytest.mark.parametrize("scale", Study.scales)
def test_models_differ_in_name_and_settings(scale):
    found = targets.targets(scale)
    assert len({target.label for target in found}) == len(found)
    assert len({target.directory for target in found}) == len(found)
    noises = {target.noise for target in found}
    assert noises == ({0.0} if scale == "smoke" else {0.0, 0.004, 0.1, 0.2})
    if scale == "paper":
        votes = {target.trained.solver.votes for target in found[:4]}
        assert votes == {100}
