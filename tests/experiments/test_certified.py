"""The study of certified radii: its smallest scale, and made-up results."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import attacked_models, reproduce
from experiments.reproductions.certified import (
    cubes,
    digits,
    proofs,
    radii,
    targets,
)
from experiments.studies.study import Study
from zeroone_jax import attacks, verification
from zeroone_jax.models import lipschitz, zero_one

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


@pytest.mark.parametrize("scale", Study.scales)
@pytest.mark.parametrize(
    "study",
    [
        radii.CERTIFIED_RADII,
        radii.CERTIFIED_OTHERS,
        radii.CERTIFIED_SENSIBLE,
        cubes.CERTIFIED_LINF,
        digits.CERTIFIED_MNIST,
    ],
)
def test_every_run_has_a_name_and_a_directory_of_its_own(study, scale):
    runs = study.runs(scale)
    assert len({run.name for run in runs}) == len(runs)
    assert len({run.directory for run in runs}) == len(runs)


class Bench:
    """A bench that keeps nothing, for a model of images of 2 x 2 pixels."""

    name = "some"

    def __init__(self, logits_fn, x, y, networks=None):
        self.subject = self
        self.logits_fn, self.networks = logits_fn, networks
        self._images = jnp.asarray(x, jnp.float32).reshape(-1, 2, 2, 1), jnp.asarray(y)

    def test(self, rows):
        return (*(array[rows] for array in self._images), None)

    def fooled(self, x, y):
        return np.asarray(attacks.predict(self.logits_fn, x)) != np.asarray(y)

    def kept(self, name, make):
        del name
        return make()


def test_smoothing_meets_images_in_the_box():
    """What the network is asked about is cut off, as in its training."""
    bench = Bench(lambda x: jnp.max(x, axis=(1, 2, 3)) - 1.001, np.ones((1, 4)), [0])
    found = proofs.by_noise(0.5, bench, proofs.Protocol(samples=100))
    assert found["clean"] == 1
    assert found["lower"][0] > 0


def test_linear_networks_tell_their_distance_in_linf():
    slope = np.array([1.0, -2.0, 0.5, 0.0], np.float32)

    def logits_fn(x):
        score = x.reshape(len(x), -1) @ slope
        return jnp.stack([jnp.full(len(x), 0.25), score], axis=1)

    x = np.random.default_rng(0).uniform(size=(6, 4))
    y = np.arange(6) % 2
    found = proofs.by_slope(Bench(logits_fn, x, y), proofs.Protocol())
    score = x @ slope - 0.25
    right = (score > 0) == y
    expected = np.where(right, np.abs(score) / 3.5, 0)
    np.testing.assert_allclose(found["lower"], expected, atol=1.1e-5)
    assert found["clean"] == right.mean()
    assert 0 < right.mean() < 1


def test_cubes_lie_in_balls_that_are_longer():
    bench = Bench(
        lambda x: jnp.stack([x[:, 0, 0, 0], x[:, 1, 1, 0]], axis=1), np.eye(4), [0] * 4
    )
    ball, cube = (
        proofs.by_margins(bench, proofs.Protocol(), norm)["lower"]
        for norm in ("l2", "linf")
    )
    # The square root of four pixels is 2.
    np.testing.assert_allclose(np.divide(ball, 2), cube, atol=1.1e-5)
    assert max(cube) > 0.3


def test_ten_classes_are_counted():
    generator = np.random.default_rng(0)
    leaves = [
        jnp.asarray(generator.normal(size=(3, 2, *shape)), jnp.float32)
        for shape in ((2, 4), (2,), (2,), ())
    ]
    params = zero_one.Params(*leaves, "01")
    x = generator.uniform(size=(5, 4)).astype(np.float32)
    y = np.asarray(zero_one.predict(params, x)).copy()
    y[0] = (y[0] + 1) % 3
    model = zero_one.Vote(params, (2, 2, 1))
    bench = Bench(model.logits, x, y, params)
    found = proofs.by_counts(bench, proofs.Protocol(), "linf")
    config = verification.Config(norm="linf", box=False)
    expected = verification.counted(params, x, y, config)
    np.testing.assert_allclose(found["lower"], expected, atol=1.1e-5)
    assert found["clean"] == 0.8
    (row,) = digits.CERTIFIED_MNIST.tables["table.md"](
        [{"method": "some", "seconds": 1.0, "config": {"norm": "linf"}, **found}]
    )[0].rows
    assert row[:2] == ["some", 0.8]
    assert row[3] == np.mean(np.array(found["lower"]) > 0.1)
