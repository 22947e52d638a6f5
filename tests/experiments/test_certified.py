"""The study of certified radii: its smallest scale, and made-up results."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import attacked_models, reproduce
from experiments.reproductions.certified import proofs, radii, targets
from experiments.studies.study import SCALES
from zeroone_jax import verification
from zeroone_jax.models import lipschitz

pytestmark = pytest.mark.usefixtures("defined_flags")


@pytest.fixture(scope="module")
def launched(tmp_path_factory, defined_flags):
    folder = tmp_path_factory.mktemp("certified")
    flags.FLAGS(["reproduce"])
    with flagsaver.flagsaver(what="certified.radii", runs_dir=str(folder)):
        reproduce.main(None)
    return folder, folder / "certified" / "radii" / "smoke"


def read(results, name):
    return json.loads((results / f"{name}-seed0.json").read_text())


def model_of(folder, target):
    return attacked_models.load(str(folder / target.directory), double=False)


@pytest.mark.slow("trains on real images")
def test_01_networks_are_measured_exactly(launched):
    folder, results = launched
    target = targets.sign_networks("smoke")[1]
    found, model = read(results, target.label), model_of(folder, target)
    x, y, _ = model.test(slice(4))
    exact = verification.measure(model.networks, x, y)
    np.testing.assert_allclose(found["lower"], exact.lower, atol=1.1e-5)
    assert (np.array(found["lower"]) <= exact.lower).all()
    assert found["closed"] == 1
    assert found["clean"] == np.mean(~model.fooled(x, y))


@pytest.mark.slow("trains on real images")
def test_lipschitz_networks_tell_their_radius(launched):
    folder, results = launched
    target = targets.margin_networks("smoke")[0]
    found, model = read(results, target.label), model_of(folder, target)
    x, y, _ = model.test(slice(4))
    expected = np.maximum(lipschitz.certified_radius(model.logits_fn(x), y), 0)
    np.testing.assert_allclose(found["lower"], expected, atol=1.1e-5)


@pytest.mark.slow("trains on real images")
def test_smoothed_networks_abstain_or_have_a_radius(launched):
    _, results = launched
    found = read(results, targets.noisy_networks("smoke")[0].label)
    lower = np.array(found["lower"])
    assert ((lower >= 0) & (lower < 2)).all()
    assert found["clean"] == np.mean(lower > 0)


@pytest.mark.slow("trains on real images")
def test_table_and_figure_are_drawn(launched):
    _, results = launched
    text = (results / "table.md").read_text()
    assert "4 test images, of smoothed networks the first 4" in text
    for proof in ("exact", "margin", "smoothing"):
        assert f" {proof} " in text
    assert (results / "radii.png").stat().st_size > 10_000


def test_shares_are_those_above_the_radius():
    row = {
        "method": "some",
        "proof": "exact",
        "clean": 0.75,
        "lower": [0.0, 0.25, 0.26, None],
        "closed": 1.0,
        "seconds": 3.2,
    }
    (table,) = radii.CERTIFIED_RADII.tables["table.md"]([row])
    assert table.rows == [
        ["some", "exact", 0.75, 0.5, 0.25, 0.25, 0.255, "100.00%", "3"]
    ]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "study",
    [radii.CERTIFIED_RADII, radii.CERTIFIED_OTHERS, radii.CERTIFIED_SENSIBLE],
)
def test_every_run_has_a_name_and_a_directory_of_its_own(study, scale):
    runs = study.runs(scale)
    assert len({run.name for run in runs}) == len(runs)
    assert len({run.directory for run in runs}) == len(runs)


def test_smoothing_meets_images_in_the_box():
    """What the network is asked about is cut off, as in its training."""

    class Subject:
        def test(self, rows):
            del rows
            return jnp.ones((1, 2, 2, 1)), jnp.zeros(1, jnp.int32), None

        def logits_fn(self, x):
            return jnp.max(x, axis=(1, 2, 3)) - 1.001

    class Bench:
        subject = Subject()

        def kept(self, name, make):
            assert name == "smoothed"
            return make()

    found = proofs.by_noise(0.5, Bench(), proofs.Protocol(samples=100))
    assert found["clean"] == 1
    assert found["lower"][0] > 0
