import dataclasses
import json
from typing import Literal

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroone_jax import coordinate_descent, tagged, training
from zeroone_jax.training import objectives


class Shape:
    """What a field may hold of several classes."""


@tagged.register("tests.circle")
@dataclasses.dataclass(frozen=True)
class Circle(Shape):
    radius: float = 1.0


@tagged.register("tests.box")
@dataclasses.dataclass(frozen=True)
class Box(Shape):
    sides: tuple[float, ...] = ()
    name: str = "box"


@tagged.register("tests.drawing")
@dataclasses.dataclass(frozen=True)
class Drawing:
    shape: Shape = Circle()
    also: Circle | Box | None = None
    size: int | None = None
    loud: bool = False
    pairs: tuple[tuple[int, str], ...] = ()
    shapes: tuple[Box, ...] = ()
    kind: Literal["plain", "fancy"] = "plain"


numbers = st.floats(allow_nan=False)
circles = st.builds(Circle, numbers)
boxes = st.builds(Box, st.lists(numbers).map(tuple), st.text())
drawings = st.builds(
    Drawing,
    circles | boxes,
    st.none() | circles | boxes,
    st.none() | st.integers(),
    st.booleans(),
    st.lists(st.tuples(st.integers(), st.text())).map(tuple),
    st.lists(boxes).map(tuple),
    st.sampled_from(["plain", "fancy"]),
)
shares = st.floats(0, 1, exclude_min=True)
configs = st.builds(
    coordinate_descent.Config,
    votes=st.integers(1, 100),
    rows=shares,
    hidden_steps=st.lists(shares, min_size=1).map(tuple),
    search=st.sampled_from(["screened", "blind"]),
    centred_start=st.booleans(),
)
optimizers = st.builds(
    training.Sgd, learning_rate=shares, nesterov=st.booleans()
) | st.builds(training.Adam, learning_rate=shares, limit=shares)
trainings = st.builds(
    training.Config, epochs=st.integers(1, 300), optimizer=optimizers, tolerance=shares
)
methods = (
    st.builds(objectives.natural)
    | st.builds(objectives.sense, confidence=shares, steps=st.integers(1, 40))
    | st.builds(objectives.friendly, patience=st.just(((0, 1), (5, 2))))
    | st.builds(objectives.trades, norm=st.sampled_from(["linf", "l2", "l1"]))
)


@given(drawings | circles | boxes | configs | trainings | methods)
def test_settings_come_back_as_they_were(settings):
    text = json.dumps(tagged.to_json(settings))
    back = tagged.from_json(json.loads(text))
    assert back == settings
    assert repr(back) == repr(settings)
    assert type(back) is type(settings)


def test_every_objective_of_the_package_is_registered():
    made = {name: getattr(objectives, name) for name in objectives.__all__}
    methods = {
        name: method
        for name, method in made.items()
        if dataclasses.is_dataclass(method) and hasattr(method, "memory")
    }
    assert len(methods) == 14
    for name, method in methods.items():
        assert tagged.to_json(method())["type"] == name


@pytest.mark.parametrize(
    "value",
    [[1, 2], {"a": 1}, np.float32(1), optax.adam(0.1), Shape(), object, {1, 2}],
)
def test_what_would_not_come_back_is_refused(value):
    with pytest.raises(TypeError, match=r"settings hold a .*, but can be stored only"):
        tagged.to_json(Drawing(shape=value))


def test_fields_that_were_not_there_yet_get_their_defaults():
    stored = {"type": "tests.drawing", "shape": {"type": "tests.box"}, "size": 3}
    assert tagged.from_json(stored) == Drawing(shape=Box(), size=3)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"radius": 2.0}, Circle(2.0)),
        ({"sides": [1.0]}, Box((1.0,))),
        ({"name": "Circle", "radius": 2.0}, Circle(2.0)),
        ({"sides": [], "name": "Circle"}, Box((), "Circle")),
    ],
)
def test_objects_without_a_type_are_known_by_name_or_fields(stored, expected):
    assert tagged.from_json(stored, Shape) == expected
    assert tagged.from_json({"also": stored}, Drawing) == Drawing(also=expected)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"type": "tests.triangle"}, "'tests.triangle' is not one of: .*tests.box"),
        ({"type": "tests.box", "angle": 1}, "'tests.box' has no settings called angle"),
        ({"angle": 1}, "without their 'type'"),
        ({"shape": {}}, "without their 'type'"),
        ({"type": "sgd", "momentum": 2.0}, "momentum is 2.0"),
    ],
)
def test_what_is_no_settings_is_refused(stored, message):
    with pytest.raises(ValueError, match=message):
        tagged.from_json(stored, Drawing)


def test_names_are_given_once():
    with pytest.raises(ValueError, match=r"'tests\.box' is the name of Box already"):
        tagged.register("tests.box")(Circle)
    again = dataclasses.make_dataclass("Box", ["height"])
    again.__module__ = __name__
    tagged.register("tests.box")(again)
    assert tagged.to_json(again(1.0)) == {"type": "tests.box", "height": 1.0}
    tagged.register("tests.box")(Box)
