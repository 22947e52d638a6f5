import numpy as np
import pytest
from PIL import Image

from zeroone_jax.evaluation import attack_figures, figures


def test_the_grid_shows_image_perturbation_and_adversary():
    images = np.full((3, 2, 2, 3), 0.5)
    found = images.copy()
    found[0, 0, 0] += (0.1, -0.05, 0.0)
    titles = [(f"before {n}", f"size {n}", f"after {n}") for n in range(3)]
    figure = attack_figures.adversaries(images, found, titles)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [
        word for row in titles for word in row
    ]
    pictures = [axes.images[0].get_array() for axes in shown]
    np.testing.assert_allclose(pictures[0], images[0])
    np.testing.assert_allclose(pictures[2], found[0])
    # The largest change, .1, becomes full brightness above grey.
    np.testing.assert_allclose(pictures[1][0, 0], (1.0, 0.25, 0.5))
    np.testing.assert_allclose(pictures[1][1, 1], 0.5)
    np.testing.assert_allclose(pictures[4], 0.5)


def test_grey_images():
    images = np.zeros((1, 3, 2, 1))
    figure = attack_figures.adversaries(images, images + 0.5, [("a", "b", "c")])
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    assert shown[2].get_array().shape == (3, 2)
    assert shown[2].get_clim() == (0, 1)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="1 titles do not fit"):
        attack_figures.adversaries(
            np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 2, 3)), [("a", "b", "c")]
        )


def test_the_curve_is_the_median_where_half_are_found():
    queries = np.array([1, 10, 100])
    distances = np.array([[np.inf, 3, 1], [np.inf, np.inf, 2], [np.inf, 5, 4.0]])
    figure = attack_figures.distance_curve(queries, distances, "l2", "ours")
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [10, 100])
    np.testing.assert_array_equal(line.get_ydata(), [5, 2])
    assert "l2" in figure.axes[0].get_ylabel()
    legend = figure.axes[0].get_legend().get_texts()
    assert "of 3 images" in legend[0].get_text()


@pytest.mark.parametrize("distances", [np.full((2, 3), np.inf), np.zeros((2, 3))])
def test_figures_become_images(tmp_path, distances):
    figure = attack_figures.distance_curve(
        np.array([1, 10, 100]), distances, "linf", "ours"
    )
    figures.write(figure, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        image.verify()


def test_distances_of_models_stand_in_groups():
    """A line over the middle half, a point at the median, of each way and model."""
    generator = np.random.default_rng(0)
    found = {
        "one way": {"a": generator.random(9) + 1, "b": generator.random(8) + 2},
        "another": {"b": np.array([0.5, 0.7, 0.9, np.inf])},
    }
    figure = attack_figures.distortions(found, "L2")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    first, second = axes.lines
    medians = [np.median(distances) for distances in found["one way"].values()]
    np.testing.assert_allclose(first.get_xdata(), medians)
    assert second.get_xdata().tolist() == [0.8]
    assert second.get_ydata()[0] > first.get_ydata()[1]
    assert "L2" in axes.get_xlabel()


def test_medians_stand_over_their_tasks():
    found = {
        "one attack": {"a": np.array([2.0, 3.0]), "b": np.array([1.0, 4.0])},
        "another": {"a": np.array([0.5, 0.25]), "b": np.array([1.0, 5.0])},
    }
    figure = attack_figures.medians(found, "L2", ["0v1", "3v5"], "pair")
    above, below = figure.axes
    assert [line.get_ydata().tolist() for line in above.lines] == [[2, 3], [1, 4]]
    assert below.lines[1].get_ydata().tolist() == [1, 5]
    assert above.get_title(loc="left") == "one attack"
    assert above.get_ylim() == below.get_ylim()
    assert above.get_ylim()[0] == 0
    labels = [label.get_text() for label in below.get_xticklabels()]
    assert labels == ["0v1", "3v5"]
    assert below.get_xlabel() == "pair"
    markers = {line.get_marker() for line in above.lines}
    assert len(markers) == 2


def test_accuracies_are_means_over_seeds():
    shares = {"a": np.array([[0.5, 0.25], [0.7, 0.35]]), "b": np.zeros((2, 2))}
    figure = attack_figures.accuracies(np.array([1 / 64, 0.3]), shares)
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.6, 0.3])
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["1/64", "0.3"]
    colours = {line.get_color() for line in axes.lines[:4]}
    assert len(colours) > 1
