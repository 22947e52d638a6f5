import dataclasses

import jax
import numpy as np
from absl.testing import absltest, parameterized

from zeroone_jax.coordinate_descent import Config, split

TUNED = {
    "iterations": 70,
    "balanced_share": 0.5,
    "ramp": 0.1,
    "hidden_steps": (0.5, 0.1),
    "output_step": 0.3,
    "rows": 0.1,
    "adversarial_step": 0.5,
}
LINEAR = Config(hidden=0, adversarial_step=1.0)


class SplitTest(parameterized.TestCase):
    def test_tuning_holds_the_numbers(self):
        config = Config(
            iterations=50,
            balanced_share=0.5,
            ramp=0.3,
            hidden_steps=(0.17, 0.6, 0.1),
            output_step=0.3,
            rows=0.29,
        )
        _, tuning = split(config)
        counts = ("iterations", "balanced", "ramp")
        assert tuning[:3] == (50, 25, 15)
        np.testing.assert_array_equal(
            tuning.hidden_steps, np.array([0.17, 0.6, 0.1], np.float32)
        )
        np.testing.assert_allclose(tuning.reach, 0.6 * 255, rtol=1e-6)
        assert tuning.output_step == np.float32(0.3)
        assert tuning.rows == (29, 100)
        assert tuning.adversarial_shift == 0
        assert split(LINEAR)[1].adversarial_shift == 255
        kinds = {
            field: leaf.dtype
            for field, leaf in tuning._asdict().items()
            if field != "rows"
        }
        assert {kinds.pop(field) for field in counts} == {np.dtype(np.int32)}
        assert set(kinds.values()) == {np.dtype(np.float32)}
        assert {part.dtype for part in tuning.rows} == {np.dtype(np.int32)}

    def test_program_holds_counts_and_names(self):
        program, _ = split(Config(iterations=50, balanced_share=0.5))
        values = dataclasses.astuple(program)
        assert {type(value) for value in values} == {int, str, bool}
        assert program.hidden_steps == 2
        assert program.begins_balanced
        assert not program.adversarial
        assert split(LINEAR)[0].adversarial

    def test_runs_that_differ_in_numbers_share_a_program(self):
        tuned = dataclasses.replace(LINEAR, **TUNED)
        assert split(tuned)[0] == split(LINEAR)[0]
        assert hash(split(tuned)[0]) == hash(split(LINEAR)[0])
        shapes = [
            jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), split(config)[1])
            for config in (tuned, LINEAR)
        ]
        assert shapes[0] == shapes[1]

    @parameterized.parameters(
        {"hidden_steps": (0.17,)}, {"votes": 3}, {"adversarial_step": 0.0}
    )
    def test_programs_differ_in_all_else(self, **changes):
        other = dataclasses.replace(LINEAR, **changes)
        assert split(other)[0] != split(LINEAR)[0]


if __name__ == "__main__":
    absltest.main()
