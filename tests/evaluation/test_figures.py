import numpy as np
import pytest
from PIL import Image

from zeroone_jax.evaluation import figures


def curve(name: str, votes: int = 3) -> figures.Curve:
    steps = np.arange(25, 101, 25)
    shares = np.linspace(0.5, 0.8, steps.size)
    spread = np.linspace(-0.05, 0.05, votes)
    return figures.Curve(name, steps, shares[:, None] + spread, shares, shares / 2)


def test_curves_show_the_mean_and_both_units_of_each_run():
    figure = figures.training_curves([curve("ours"), curve("theirs", votes=1)])
    top, bottom = figure.axes
    np.testing.assert_allclose(top.lines[0].get_ydata(), curve("ours").accepted_hidden)
    legend = [text.get_text() for text in top.get_legend().get_texts()]
    assert legend == ["ours", "theirs"]
    assert len(bottom.lines) == 4


def test_units_stand_in_the_order_of_output_weights():
    # Unit k's only weight is pixel k.
    w1 = np.zeros((1, 3, 4), np.float32)
    w1[0, [0, 1, 2], [0, 1, 2]] = (1.0, -2.0, 3.0)
    figure = figures.hidden_units(w1, np.array([[0.5, -0.1, 0.2]]), (2, 2, 1), ["vote"])
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [int(np.abs(image).argmax()) for image in shown] == [1, 2, 0]
    limits = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert limits == [(-2, 2), (-3, 3), (-1, 1)]


def test_a_pixel_shows_its_strongest_channel():
    w1 = np.array([[[0.1, -0.9, 0.3]]])
    figure = figures.hidden_units(w1, np.ones((1, 1)), (1, 1, 3), ["vote"])
    assert figure.axes[0].images[0].get_array().item() == -0.9


def test_of_many_units_those_of_largest_output_weight_are_shown():
    w1 = np.arange(1, 31, dtype=np.float32).reshape(1, 30, 1)
    w2 = np.where(np.arange(30) < 10, 0.01, 1.0)[None]
    figure = figures.hidden_units(w1, w2, (1, 1, 1), ["vote"])
    shown = [axes.images[0].get_array().item() for axes in figure.axes if axes.images]
    assert sorted(shown) == list(range(11, 31))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit each other"):
        figures.hidden_units(np.zeros((1, 2, 5)), np.zeros((1, 2)), (2, 2, 1), ["vote"])


def test_figures_become_images(tmp_path):
    weights = np.zeros((2, 3, 12))
    for name, figure in (
        ("curves.png", figures.training_curves([curve("ours")])),
        (
            "units.png",
            figures.hidden_units(weights, weights[:, :, 0], (2, 2, 3), ["a", "b"]),
        ),
    ):
        figures.write(figure, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300
