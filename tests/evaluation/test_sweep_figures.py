import pytest
from matplotlib.container import ErrorbarContainer

from zeroone_jax.evaluation.sweep_figures import Point, swept_field


def drawn(figure) -> list[ErrorbarContainer]:
    return [
        part
        for axes in figure.axes
        for part in axes.containers
        if isinstance(part, ErrorbarContainer)
    ]


def test_points_of_the_same_other_settings_are_joined_in_order():
    points = [
        Point(0.2, "rows = 1", 0.7, 0.1),
        Point(0.1, "rows = 1", 0.8, 0.2),
        Point(0.1, "rows = 2", 0.5, 0.0),
    ]
    figure = swept_field("step: how far", {"accuracy": points, "margin": points})
    first, second = drawn(figure)[:2]
    assert list(first.lines[0].get_xdata()) == [0.1, 0.2]
    assert list(first.lines[0].get_ydata()) == [0.8, 0.7]
    assert first.lines[0].get_linestyle() == "-"
    assert list(second.lines[0].get_xdata()) == [0.1]
    low, high = first.lines[1]
    assert list(low.get_ydata()) == pytest.approx([0.6, 0.6])
    assert list(high.get_ydata()) == pytest.approx([1.0, 0.8])
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "margin"]
    assert figure.axes[1].get_xlabel() == "step: how far"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["rows = 1", "rows = 2"]
    assert figure.axes[1].get_xscale() == "linear"


def test_random_settings_are_points_on_a_scale_that_suits_them():
    points = [Point(10.0**-power, f"x = {power}", 0.5, 0.0) for power in range(9)]
    figure = swept_field("step", {"accuracy": points})
    (cloud,) = drawn(figure)
    assert len(cloud.lines[0].get_xdata()) == 9
    assert cloud.lines[0].get_linestyle() == "None"
    assert figure.axes[0].get_xscale() == "log"
    assert not figure.legends


def test_texts_stand_side_by_side():
    points = [Point("mlp", "", 0.5, 0.0), Point("cnn", "", 0.6, 0.0)]
    figure = swept_field("network", {"accuracy": points})
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [
        "mlp",
        "cnn",
    ]
    (cloud,) = drawn(figure)
    assert list(cloud.lines[0].get_xdata()) == [0.0, 1.0]
    assert cloud.lines[0].get_linestyle() == "None"
