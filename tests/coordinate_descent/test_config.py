import dataclasses

import pytest
from absl.testing import absltest, parameterized

from zeroone_jax import coordinate_descent
from zeroone_jax.coordinate_descent import Config

PAPER_2020 = {
    "hidden": 20,
    "iterations": 1000,
    "rows": 0.75,
    "search": "blind",
    "features": 128,
    "hidden_steps": (0.17,),
    "output_step": 0.2,
    "output_candidates": 0,
    "window": 20,
    "bins": 0,
    "loss": "zero_one",
    "objective": "schedule",
    "balanced_share": 0.2,
    "weights": "real",
    "acceptance": "better",
    "pocket_every": 1,
    "tries": 1,
    "start": "gaussian",
    "centred_start": True,
    "hidden_values": "01",
    "adversarial_step": 0.0,
}
PAPER_2002_03444 = PAPER_2020 | {
    "objective": "balanced",
    "window": 10,
    "tries": 100,
    "start": "uniform",
}
PUBLISHED = {
    "paper_2020": PAPER_2020,
    "paper_2021": PAPER_2020
    | {
        "votes": 8,
        "objective": "plain",
        "output_step": 0.17,
        "window": 10,
        "acceptance": "not_worse",
        "pocket_every": 50,
        "centred_start": False,
        "hidden_values": "pm",
    },
    "paper_2002_03444": PAPER_2002_03444,
    "paper_2002_03444_linear": PAPER_2002_03444 | {"hidden": 0, "window": 20},
    "adversarial_linear": PAPER_2002_03444
    | {
        "votes": 100,
        "hidden": 0,
        "rows": 0.1,
        "window": 20,
        "tries": 1,
        "adversarial_step": 1.0,
    },
    "scdce": PAPER_2020 | {"loss": "cross_entropy"},
    "01bnn": PAPER_2020 | {"weights": "binary", "iterations": 10_000},
    "cebnn": PAPER_2020
    | {"weights": "binary", "iterations": 10_000, "loss": "cross_entropy"},
}


class ConfigTest(parameterized.TestCase):
    @parameterized.product(
        field=(
            "search",
            "loss",
            "objective",
            "weights",
            "acceptance",
            "start",
            "hidden_values",
        )
    )
    def test_unknown_names_are_refused_with_the_known_ones(self, field):
        known = getattr(Config(), field)
        with pytest.raises(ValueError, match=field) as error:
            Config(**{field: "unheard"})
        assert f"{field}='unheard'" in str(error.value)
        assert repr(known) in str(error.value)

    @parameterized.product(
        field=(
            "votes",
            "iterations",
            "features",
            "candidates",
            "pocket_every",
            "tries",
        ),
        value=(0, -3),
    )
    def test_counts_below_one_are_refused(self, field, value):
        self._refused({field: value}, f"{field}={value}: must be at least 1")

    @parameterized.parameters("hidden", "output_candidates", "window", "bins")
    def test_counts_below_zero_are_refused(self, field):
        self._refused({field: -1}, f"{field}=-1: must be at least 0")
        assert getattr(Config(**{field: 0}), field) == 0

    @parameterized.parameters(
        ("rows", 0.0, "in (0, 1]"),
        ("rows", -0.5, "in (0, 1]"),
        ("rows", 1.01, "in (0, 1]"),
        ("rows", float("nan"), "in (0, 1]"),
        ("balanced_share", -0.1, "in [0, 1]"),
        ("balanced_share", 1.5, "in [0, 1]"),
        ("output_step", 0.0, "above 0 and finite"),
        ("output_step", float("nan"), "above 0 and finite"),
        ("output_step", float("inf"), "above 0 and finite"),
        ("bins", 1, "0 or at least 2"),
        ("adversarial_step", -1.0, "at least 0 and finite"),
        ("adversarial_step", float("inf"), "at least 0 and finite"),
        ("hidden_steps", (), "a tuple of finite numbers above 0"),
        ("hidden_steps", (0.17, 0.0), "a tuple of finite numbers above 0"),
        ("hidden_steps", (0.17, float("nan")), "a tuple of finite numbers above 0"),
        ("hidden_steps", (0.17, float("inf")), "a tuple of finite numbers above 0"),
        ("hidden_steps", [0.17], "a tuple of finite numbers above 0"),
    )
    def test_numbers_out_of_range_are_refused(self, field, value, allowed):
        self._refused({field: value}, f"{field}={value!r}: must be {allowed}")

    @parameterized.parameters(
        {"rows": 1.0},
        {"balanced_share": 0.0},
        {"balanced_share": 1.0},
        {"features": 8, "candidates": 8},
        {"hidden": 0, "adversarial_step": 0.5},
    )
    def test_ends_of_ranges_are_allowed(self, **settings):
        Config(**settings)

    def test_more_candidates_than_features(self):
        self._refused(
            {"features": 5, "candidates": 6}, "candidates=6: must be at most features=5"
        )

    def test_adversarial_training_needs_a_linear_model(self):
        self._refused(
            {"hidden": 20, "adversarial_step": 1.0}, "adversarial_step", "not hidden=20"
        )

    def test_cross_entropy_needs_hidden_units(self):
        self._refused(
            {"hidden": 0, "loss": "cross_entropy"}, "loss='cross_entropy'", "hidden >="
        )

    def _refused(self, settings, *parts):
        with pytest.raises(ValueError, match=parts[0].split("=")[0]) as error:
            Config(**settings)
        for part in parts:
            assert part in str(error.value)

    def test_is_a_static_argument(self):
        assert hash(Config()) == hash(Config())
        with pytest.raises(dataclasses.FrozenInstanceError):
            Config().votes = 3


class PresetsTest(parameterized.TestCase):
    @parameterized.parameters(*coordinate_descent.PRESETS)
    def test_builds_equal_and_hashable_settings(self, name):
        build = coordinate_descent.PRESETS[name]
        assert isinstance(build(), Config)
        assert len({build(), build()}) == 1

    @parameterized.parameters(*PUBLISHED)
    def test_has_the_published_settings(self, name):
        config = dataclasses.asdict(coordinate_descent.PRESETS[name]())
        assert {field: config[field] for field in PUBLISHED[name]} == PUBLISHED[name]

    def test_default_is_the_plain_constructor(self):
        assert coordinate_descent.PRESETS["default"]() == Config()


if __name__ == "__main__":
    absltest.main()
