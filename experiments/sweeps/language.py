"""The sweep language: pure functions that make lists of overrides.

An override is a setting's dotted name with its value, and every element of a list is
one run:

    product(
        choices("solver.rows", [0.5, 0.75]),
        log_uniform("solver.output_step", 0.05, 0.5, count=4, seed=0),
        choices("seed", range(3)),
    )

is 24 runs: each share of rows with each of four steps and each seed.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None
"""What a setting can be."""

Overrides: TypeAlias = Mapping[str, Value]
"""The settings of a run that differ from its preset's, by their dotted names."""

_MOST_DRAWS = 1000


def choices(field: str, values: Iterable[Value]) -> list[Overrides]:
    """Makes a run of each value, in their order, of a setting's dotted name.

    Raises:
        ValueError: there are no values, or two are equal.
        TypeError: a value is of no type that a setting can have.

    Example:
        >>> choices("seed", [0, 1])
        [{'seed': 0}, {'seed': 1}]
    """
    listed = list(values)
    if not listed:
        raise ValueError(f"choices of {field}: there are none")
    for value in listed:
        for part in value if isinstance(value, tuple) else (value,):
            if not isinstance(part, bool | int | float | str | None):
                raise TypeError(
                    f"choices of {field}: {value!r} is a {type(value).__name__}, but "
                    "must be a number, a text, true or false, none, or a tuple of them"
                )
    return _distinct([{field: value} for value in listed])


def product(*lists: Sequence[Overrides]) -> list[Overrides]:
    """Makes a run of each combination of lists; the last one's runs follow each other.

    Raises:
        ValueError: two lists are about one setting, or two runs are the same.

    Example:
        >>> product(choices("a", [1, 2]), choices("b", [3, 4]))
        [{'a': 1, 'b': 3}, {'a': 1, 'b': 4}, {'a': 2, 'b': 3}, {'a': 2, 'b': 4}]
    """
    return _distinct([_joined(each) for each in itertools.product(*lists)])


def zipped(*lists: Sequence[Overrides]) -> list[Overrides]:
    """Makes a run of the lists' first elements, one of their second, and so on.

    Raises:
        ValueError: lists of different lengths, two about one setting, or two runs are
            the same.

    Example:
        >>> zipped(choices("votes", [8, 100]), choices("iterations", [1000, 500]))
        [{'votes': 8, 'iterations': 1000}, {'votes': 100, 'iterations': 500}]
    """
    lengths = [*map(len, lists)]
    if len(set(lengths)) > 1:
        raise ValueError(f"zipped lists must be equally long, not {lengths}")
    return _distinct([_joined(each) for each in zip(*lists, strict=True)])


def chain(*lists: Sequence[Overrides]) -> list[Overrides]:
    """Makes the runs of one list after those of another.

    Raises:
        ValueError: two runs are the same.

    Example:
        >>> chain(choices("a", [1]), choices("b", [2]))
        [{'a': 1}, {'b': 2}]
    """
    return _distinct([overrides for each in lists for overrides in each])


def uniform(
    field: str, low: float, high: float, *, count: int, seed: int
) -> list[Overrides]:
    """Draws numbers from an interval, and makes a run of each.

    Args:
        field: the setting's dotted name.
        low: the least number.
        high: above the largest number.
        count: how many; of a larger count, the first ones are the same.
        seed: of the draws, with the setting's name: ranges of one seed are independent.

    Raises:
        ValueError: an empty interval, or no number asked for.

    Example:
        >>> runs = uniform("a", 2.0, 3.0, count=3, seed=0)
        >>> all(2.0 <= run["a"] < 3.0 for run in runs)
        True
    """
    _check_range(field, low, high, count)
    return _drawn(field, lambda share: low + (high - low) * share, count, seed)


def log_uniform(
    field: str, low: float, high: float, *, count: int, seed: int
) -> list[Overrides]:
    """Draws numbers as `uniform` does, as many between 1 and 10 as between 10 and 100.

    Raises:
        ValueError: as from `uniform`, or the interval reaches 0.

    Example:
        >>> runs = log_uniform("a", 1e-4, 1.0, count=3, seed=0)
        >>> all(1e-4 <= run["a"] <= 1.0 for run in runs)
        True
    """
    _check_range(field, low, high, count)
    if low <= 0:
        raise ValueError(f"log_uniform of {field}: low is {low}, but must be above 0")

    def spread(share: float) -> float:
        # Within the interval also where the exponential rounds.
        exponent = math.log(low) + (math.log(high) - math.log(low)) * share
        return min(max(math.exp(exponent), low), high)

    return _drawn(field, spread, count, seed)


def integers(
    field: str, low: int, high: int, *, count: int, seed: int
) -> list[Overrides]:
    """Draws different whole numbers, `high` among them, as `uniform` does.

    Raises:
        ValueError: fewer numbers than asked for, or no number asked for.

    Example:
        >>> runs = integers("a", 1, 3, count=3, seed=0)
        >>> sorted(run["a"] for run in runs)
        [1, 2, 3]
    """
    _check_range(field, low, high + 1, count)
    numbers = high - low + 1
    if count > numbers:
        raise ValueError(
            f"integers of {field}: {low} to {high} are {numbers}, but count is {count}"
        )
    return _drawn(field, lambda share: low + int(numbers * share), count, seed)


def _drawn(
    field: str, value_of: Callable[[float], float], count: int, seed: int
) -> list[Overrides]:
    """Draws until there are enough different values."""
    # Seeded by a text, and asked for shares only: the same in every version of Python.
    generator = random.Random(f"{seed} {field}")
    values: dict[float, None] = {}
    for _ in range(_MOST_DRAWS * count):
        if len(values) == count:
            break
        values[value_of(generator.random())] = None
    else:
        raise ValueError(f"range of {field}: too narrow for {count} different numbers")
    return choices(field, values)


def _check_range(field: str, low: float, high: float, count: int) -> None:
    if count < 1:
        raise ValueError(f"range of {field}: count is {count}, but must be at least 1")
    if not low < high or math.isinf(high - low):
        raise ValueError(f"range of {field}: nothing lies from {low} to {high}")


def _joined(parts: Sequence[Overrides]) -> Overrides:
    joined: dict[str, Value] = {}
    for part in parts:
        twice = sorted(joined.keys() & part.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: set twice in one run")
        joined.update(part)
    return joined


def _distinct(runs: list[Overrides]) -> list[Overrides]:
    seen = set()
    for run in runs:
        key = frozenset(run.items())
        if key in seen:
            raise ValueError(f"two runs are the same: {dict(run)}")
        seen.add(key)
    return runs
