"""The animation shows each record's regions and accuracies."""

import numpy as np
import pytest
from PIL import Image

from zeroone_jax.evaluation import decision_regions
from zeroone_jax.evaluation.decision_regions import Course

POINTS = np.array([[-1.0, 0.0], [1.0, 7.0], [1.0, -7.0], [-1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])
# First all is class 0; then the left is told from the right, and above from below.
COURSE = Course(
    ["across", "up"],
    np.array([0, 20]),
    np.array([[[0, 0, -1.0], [0, 0, -1.0]], [[1, 0, 0.0], [0, 1, -3.5]]]),
)


def regions(axes):
    (image,) = axes.images
    return np.asarray(image.get_array())


def test_regions_and_accuracies_are_the_models():
    figure = decision_regions.frame(COURSE, 1, POINTS, LABELS)
    across, up = figure.axes
    assert figure.get_suptitle() == "iteration 20"
    assert across.get_title() == "across\naccuracy 100.0%"
    assert up.get_title() == "up\naccuracy 75.0%"
    # Rows rise from the bottom, columns go to the right.
    assert not regions(across)[:, 0].any()
    assert regions(across)[:, -1].all()
    assert not regions(up)[0].any()
    assert regions(up)[-1].all()
    assert 0.2 < regions(up).mean() < 0.4


def test_points_bear_their_labels():
    figure = decision_regions.frame(COURSE, 0, POINTS, LABELS)
    zeros, ones = figure.axes[0].collections
    np.testing.assert_array_equal(zeros.get_offsets(), POINTS[LABELS == 0])
    np.testing.assert_array_equal(ones.get_offsets(), POINTS[LABELS == 1])
    assert not regions(figure.axes[0]).any()


def test_every_record_is_a_frame_of_its_own(tmp_path):
    path = tmp_path / "toy.gif"
    decision_regions.write(path, COURSE, POINTS, LABELS, frames_per_second=4)
    with Image.open(path) as image:
        assert image.n_frames == 2
        assert image.info["duration"] == 250
        first = np.asarray(image.convert("RGB")).astype(int)
        image.seek(1)
        second = np.asarray(image.convert("RGB")).astype(int)
    assert first.shape == second.shape
    # Half of the first panel, and a quarter of the second, changed colour.
    assert (np.abs(first - second).sum(axis=-1) > 30).mean() > 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["across"]},
        {"iterations": np.array([0])},
        {"weights": np.zeros((2, 2, 2))},
    ],
)
def test_shapes_that_do_not_fit_are_refused(change):
    with pytest.raises(ValueError, match="do not fit each other"):
        decision_regions.frame(COURSE._replace(**change), 0, POINTS, LABELS)
