"""What figures of robust networks show, read back from their parts."""

import numpy as np
import pytest
from PIL import Image

from zeroone_jax.evaluation import figures, robust_figures
from zeroone_jax.evaluation.gradient_masking import Masking

STEPS = np.array([0, 1, 10, 100])
COURSE = Masking(
    STEPS,
    np.array([[0.25, 1.0, 2.0, 2.0], [0.75, 1.0, 4.0, 4.0]]),
    np.array([0.75, 0.5, 0.25, 0.0]),
)
MATRIX = np.array([[0.0, 0.75], [0.5, 0.25]])
NATURAL = np.array([0.875, 1.0])
EPOCHS = np.arange(1, 31)
CURVES = [
    robust_figures.AccuracyCurve("a", EPOCHS, EPOCHS / 30, EPOCHS / 60),
    robust_figures.AccuracyCurve("b", EPOCHS, EPOCHS / 40, EPOCHS / 50),
]
SWEEP = robust_figures.Sweep(
    "PGD",
    np.array([0.5, 0.1, 0.7]),
    np.array([0.8, 0.7, 0.9]),
    np.array([0.5, 0.6, 0.2]),
    np.full(3, 0.01),
)


def legend(holder):
    return [text.get_text() for text in holder.get_texts()]


def test_masking_shows_the_mean_loss_and_the_accuracy():
    top, bottom = robust_figures.masking({"a": COURSE, "b": COURSE}).axes
    np.testing.assert_array_equal(top.lines[0].get_ydata(), [0.5, 1, 3, 3])
    np.testing.assert_array_equal(bottom.lines[1].get_ydata(), COURSE.accuracy)
    np.testing.assert_array_equal(bottom.lines[1].get_xdata(), STEPS)
    assert legend(top.get_legend()) == ["a", "b"]
    shade = top.collections[0].get_paths()[0].vertices
    assert (shade[:, 1].min(), shade[:, 1].max()) == (0.25, 4.0)


def test_the_matrix_bears_its_numbers_below_those_without_attack():
    figure = robust_figures.transfer_matrix(MATRIX, NATURAL, ["a", "b"])
    axes = figure.axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown == ["87.5", "100.0", "0.0", "75.0", "50.0", "25.0"]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "no attack",
        "a",
        "b",
    ]
    bold = [text.get_text() for text in axes.texts if text.get_weight() == "bold"]
    assert bold == ["0.0", "25.0"]
    assert len(axes.patches) == 2


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_a_matrix_of_other_names_is_refused(names):
    with pytest.raises(ValueError, match="do not fit each other"):
        robust_figures.transfer_matrix(MATRIX, NATURAL, names)


def test_training_shows_natural_and_robust_side_by_side():
    figure = robust_figures.accuracy_curves(CURVES, "PGD-20")
    natural, robust = figure.axes
    np.testing.assert_array_equal(natural.lines[1].get_ydata(), CURVES[1].natural)
    np.testing.assert_array_equal(robust.lines[0].get_ydata(), CURVES[0].robust)
    assert robust.get_title() == "under PGD-20"
    assert natural.get_ylim() == robust.get_ylim()
    assert legend(figure.legends[0]) == ["a", "b"]


def test_the_sweep_goes_through_its_confidences_in_order():
    figure = robust_figures.confidence_sweep([SWEEP])
    (axes,) = figure.axes
    robust, natural = axes.lines[0], axes.lines[-1]
    np.testing.assert_array_equal(robust.get_xdata(), [0.1, 0.5, 0.7])
    np.testing.assert_array_equal(robust.get_ydata(), [0.6, 0.5, 0.2])
    np.testing.assert_array_equal(natural.get_xdata(), [0.1, 0.5, 0.7])
    np.testing.assert_array_equal(natural.get_ydata(), [0.7, 0.8, 0.9])
    assert natural.get_label() == "no attack"
    # Nothing is drawn from 0 where all lies above.
    assert axes.get_ylim()[0] > 0


def test_sizes_have_a_colour_for_each_method_and_dashes_for_growing_balls():
    whole, growing = (
        robust_figures.Ladder(
            "pgd",
            growing=is_growing,
            parameters=[700, 2600],
            natural=[np.array([0.5, 0.7]), np.array([0.9])],
            robust=[np.array([0.1, 0.3]), np.array([0.6])],
        )
        for is_growing in (False, True)
    )
    figure = robust_figures.capacity([whole, growing], "AutoAttack")
    for axes, means in zip(figure.axes, ([0.6, 0.9], [0.2, 0.6]), strict=True):
        first, second = (container.lines[0] for container in axes.containers)
        np.testing.assert_allclose(first.get_ydata(), means)
        assert first.get_color() == second.get_color()
        assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
        (bars,) = axes.containers[0].lines[2]
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends[0], [means[0] - 0.1, means[0] + 0.1])


def test_figures_become_images(tmp_path):
    for name, figure in (
        ("masking.png", robust_figures.masking({"a": COURSE})),
        ("one.png", robust_figures.transfer_matrix(MATRIX[:1, :1], NATURAL[:1], "a")),
        ("curves.png", robust_figures.accuracy_curves(CURVES, "PGD")),
        ("sweep.png", robust_figures.confidence_sweep([SWEEP])),
    ):
        figures.write(figure, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300
