import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.sweeps.language import (
    chain,
    choices,
    integers,
    log_uniform,
    product,
    uniform,
    zipped,
)

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)
counts = st.integers(1, 30)
seeds = st.integers(0, 2**32)


def axes(sizes: list[int]) -> list:
    return [choices(f"f{index}", range(size)) for index, size in enumerate(sizes)]


@given(lengths)
def test_a_product_counts_like_numbers_of_mixed_digits(sizes):
    runs = product(*axes(sizes))
    assert len(runs) == math.prod(sizes)
    digits = [tuple(run.values()) for run in runs]
    assert digits == sorted(digits)
    assert len(set(digits)) == len(digits)


@given(st.integers(1, 5), st.integers(1, 4))
def test_zipped_lists_keep_their_order(length, lists):
    runs = zipped(*axes([length] * lists))
    assert runs == [
        {f"f{index}": place for index in range(lists)} for place in range(length)
    ]


@given(lengths)
def test_a_chain_is_one_list_after_another(sizes):
    parts = axes(sizes)
    assert chain(*parts) == [run for part in parts for run in part]


@given(lengths)
def test_nothing_is_changed_in_place(sizes):
    parts, again = axes(sizes), axes(sizes)
    product(*parts)
    chain(*parts)
    assert parts == again


@given(counts, counts, seeds)
def test_draws_are_those_of_their_seed_and_more_of_them_begin_alike(few, more, seed):
    few, more = min(few, more), max(few, more)
    for draw, low, high in ((uniform, -1.0, 2.0), (log_uniform, 1e-6, 1.0)):
        runs = draw("a", low, high, count=more, seed=seed)
        assert len(runs) == more
        assert all(low <= run["a"] <= high for run in runs)
        assert draw("a", low, high, count=few, seed=seed) == runs[:few]
        assert draw("a", low, high, count=more, seed=seed + 1) != runs
        other = draw("b", low, high, count=more, seed=seed)
        assert [run["b"] for run in other] != [run["a"] for run in runs]


@given(counts, st.integers(-5, 5), seeds)
def test_whole_numbers_are_all_different_and_reach_both_ends(count, low, seed):
    runs = integers("a", low, low + count - 1, count=count, seed=seed)
    assert sorted(run["a"] for run in runs) == list(range(low, low + count))
    assert all(type(run["a"]) is int for run in runs)


def test_the_draws_of_a_seed_never_change():
    # Runs that were made must be found again by later versions of Python.
    drawn = [0.4292078136427032, 0.7671399581605804]
    assert uniform("a", 0.0, 1.0, count=2, seed=0) == choices("a", drawn)


def test_logarithms_are_uniform():
    runs = log_uniform("a", 1e-4, 1.0, count=4000, seed=0)
    share = sum(run["a"] < 1e-3 for run in runs) / 4000
    assert abs(share - 0.25) < 0.03


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: choices("a", []), "choices of a: there are none"),
        (lambda: choices("a", [1, 2, 1]), r"two runs are the same: \{'a': 1\}"),
        (lambda: chain(choices("a", [1]), choices("a", [1])), "the same"),
        (lambda: product(choices("a", [1]), choices("a", [2])), "a: set twice"),
        (lambda: zipped(choices("a", [1]), choices("b", [2, 3])), r"\[1, 2\]"),
        (lambda: zipped(choices("a", [1]), choices("a", [1])), "a: set twice"),
        (lambda: uniform("a", 1.0, 1.0, count=1, seed=0), "from 1.0 to 1.0"),
        (lambda: uniform("a", 0.0, 1.0, count=0, seed=0), "count is 0"),
        (lambda: uniform("a", 0.0, 5e-324, count=9, seed=0), "too narrow"),
        (lambda: log_uniform("a", 0.0, 1.0, count=1, seed=0), "above 0"),
        (lambda: integers("a", 1, 3, count=4, seed=0), "are 3, but count is 4"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_values_are_those_that_settings_have():
    with pytest.raises(TypeError, match=r"\[0, 1\] is a list"):
        choices("a", [[0, 1]])
    assert choices("a", [None, True, "x", (1, 2.0)])[3] == {"a": (1, 2.0)}
