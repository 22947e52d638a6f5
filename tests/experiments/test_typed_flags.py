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
        (float | Literal["adaptive"], "adaptiv", "a number, adaptive"),
        (Literal["l2", "linf"], "l1", "'l1' is not one of: l2, linf"),
        (tuple[int, int, int] | None, "a,b", "numbers with commas between, none"),
    ],
)
def test_mistakes(hint, text, message):
    with pytest.raises(ValueError, match=message):
        typed_flags.parse(hint, text)
