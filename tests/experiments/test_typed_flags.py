import math
from typing import Literal

import pytest

from experiments import typed_flags


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int | None, "3", 3),
        (int | None, "none", None),
        (float | Literal["adaptive"], "adaptive", "adaptive"),
        (float | Literal["adaptive"], "0.1", 0.1),
        (Literal["l2", "linf"], "linf", "linf"),
        (tuple[int, int, int] | None, "(32, 32, 3)", (32, 32, 3)),
        (tuple[int, int, int] | None, "4,4,1", (4, 4, 1)),
        (bool | None, "true", True),
        (float, "8/255", 8 / 255),
        (float, "-1.5/255", -1.5 / 255),
        (float, " 1 / 3 ", 1 / 3),
        (float, "1e-3", 1e-3),
        (float, "3", 3.0),
        (float, "inf", math.inf),
        (float | None, "8/255", 8 / 255),
        (float | Literal["adaptive"], "8/255", 8 / 255),
        (tuple[float, ...], "8/255, 0.5", (8 / 255, 0.5)),
        (tuple[float, ...], "()", ()),
        (tuple[float, ...] | None, "1/4", (0.25,)),
    ],
)
def test_values(hint, text, value):
    parsed = typed_flags.parse(hint, text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("hint", "text", "message"),
    [
        (int | None, "2.5", "'2.5' is not one of: a whole number, none"),
        (float | Literal["adaptive"], "adaptiv", "a number .as 0.03 or 8/255., adap"),
        (Literal["l2", "linf"], "l1", "'l1' is not one of: l2, linf"),
        (tuple[int, int, int] | None, "a,b", "numbers with commas between, none"),
        (float, "8/0", "'8/0', which divides by 0, is not one of: a number .as"),
        (float | None, "8/0", "'8/0', which divides by 0, is not one of: a number"),
        (
            tuple[float, ...],
            "1,8/0",
            "divides by 0, is not one of: numbers .as 0.03",
        ),
        (float, "8/", "'8/' is not one of: a number .as 0.03 or 8/255"),
        (float, "/255", "'/255' is not one of"),
        (float, "8/2/5", "'8/2/5' is not one of"),
        (float, "8/pixels", "'8/pixels' is not one of"),
        (float, "inf/inf", "'inf/inf' is not one of"),
        (int | None, "8/2", "'8/2' is not one of: a whole number, none"),
    ],
)
def test_mistakes(hint, text, message):
    with pytest.raises(ValueError, match=message):
        typed_flags.parse(hint, text)
