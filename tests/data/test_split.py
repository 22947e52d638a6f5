import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroone_jax.data import Split, as_features, select


def make_split(labels, class_names=("cat", "dog", "frog")):
    count = len(labels)
    images = np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    indices = np.arange(count, dtype=np.int32)
    return Split(images, np.array(labels, np.int32), indices, class_names)


def test_select_relabels_by_position_and_keeps_order():
    whole = make_split([2, 0, 1, 0, 2])
    chosen = select(whole, (2, 0))
    assert chosen.labels.tolist() == [0, 1, 1, 0]
    assert chosen.indices.tolist() == [0, 1, 3, 4]
    assert chosen.class_names == ("frog", "cat")
    np.testing.assert_array_equal(chosen.images, whole.images[chosen.indices])
    assert chosen.labels.dtype == chosen.indices.dtype == np.int32


def test_select_takes_names_and_numpy_integers():
    whole = make_split([2, 0, 1])
    by_name = select(whole, ("frog", "dog"))
    by_label = select(whole, np.array([2, 1]))
    np.testing.assert_array_equal(by_name.labels, by_label.labels)
    assert by_name.class_names == by_label.class_names


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.permutations(range(5)))
def test_select_of_every_class_only_renames(labels, order):
    labels = [*labels, *range(5)]
    whole = make_split(labels, tuple("abcde"))
    chosen = select(whole, order)
    assert [chosen.class_names[label] for label in chosen.labels] == [
        whole.class_names[label] for label in labels
    ]
    assert chosen.indices.tolist() == list(range(len(labels)))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((0, 3), r"no class 3: it has 0 \(cat\), 1 \(dog\), 2 \(frog\)"),
        ((0, -1), "no class -1"),
        ((0, 1.0), "no class 1.0"),
        ((False, True), "no class False"),
        (("cat", "horse"), "no class 'horse'"),
        ((0, 0), r"must differ, not \(0, 0\)"),
        ((0, "cat"), "must differ"),
        ((0,), "at least two"),
        ((), "at least two"),
        ("cat", "must be a tuple"),
        (1, "must be a tuple"),
        ((0, 2), r"no image of class 2 \(frog\)"),
    ],
)
def test_select_refuses(classes, message):
    with pytest.raises(ValueError, match=message):
        select(make_split([0, 1, 1]), classes)


def test_features_are_rows_in_height_width_channel_order():
    whole = make_split([0, 1])
    x, y = as_features(whole)
    assert (x.shape, x.dtype, y.dtype) == ((2, 12), np.float32, np.int32)
    assert x[0, 1 * 6 + 0 * 3 + 2] == np.float32(whole.images[0, 1, 0, 2] / 255)
    assert y.tolist() == [0, 1]


def test_features_span_exactly_zero_to_one():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    zero = np.zeros(1, np.int32)
    x, _ = as_features(Split(levels, zero, zero, ("one",)))
    np.testing.assert_array_equal(x[0], (np.arange(256) / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("images", np.zeros((2, 2, 2, 3), np.float32), "uint8, not float32"),
        ("images", np.zeros((2, 2, 2), np.uint8), r"not \[2, 2, 2\]"),
        ("images", np.zeros((0, 2, 2, 3), np.uint8), "none of them 0"),
        ("labels", np.zeros(2, np.float32), "labels must be integers, not float32"),
        ("labels", np.zeros(3, np.int32), r"labels must be \[2\].*not \[3\]"),
        ("labels", np.array([0, 3]), r"labels must be in 0..2, not 0..3"),
        ("labels", np.array([-1, 0]), r"labels must be in 0..2, not -1..0"),
        ("indices", np.zeros(2), "indices must be integers"),
    ],
)
def test_features_refuse(field, value, message):
    with pytest.raises(ValueError, match=message):
        as_features(make_split([0, 1])._replace(**{field: value}))


def test_take_keeps_what_each_image_has():
    whole = make_split([2, 0, 1, 0])
    for rows in (np.array([3, 1]), slice(1, 3)):
        some = whole.take(rows)
        assert some.class_names == whole.class_names
        np.testing.assert_array_equal(some.indices, np.arange(4)[rows])
        np.testing.assert_array_equal(some.labels, whole.labels[rows])
        np.testing.assert_array_equal(some.images, whole.images[some.indices])
