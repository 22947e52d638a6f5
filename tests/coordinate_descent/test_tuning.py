import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from zeroone_jax.coordinate_descent import TUNED, Config, program_of
from zeroone_jax.coordinate_descent.tuning import tuning_of


class TuningTest(parameterized.TestCase):
    def test_holds_the_settings_values(self):
        config = Config(hidden_steps=(0.17, 0.6, 0.1), output_step=0.3, rows=0.29)
        tuning = tuning_of(config)
        np.testing.assert_array_equal(
            tuning.hidden_steps, np.array([0.17, 0.6, 0.1], np.float32)
        )
        np.testing.assert_allclose(tuning.reach, 0.6 * 255, rtol=1e-6)
        assert tuning.output_step == np.float32(0.3)
        assert tuning.rows == (29, 100)
        kinds = {
            field: leaf.dtype
            for field, leaf in tuning._asdict().items()
            if field != "rows"
        }
        assert set(kinds.values()) == {np.dtype(np.float32)}
        assert {part.dtype for part in tuning.rows} == {np.dtype(np.int32)}

    def test_programs_differ_in_all_else(self):
        config = Config()
        tuned = Config(hidden_steps=(0.5, 0.1), output_step=0.3, rows=0.1)
        assert program_of(config) == program_of(tuned)
        assert {
            field.name
            for field in dataclasses.fields(Config)
            if getattr(config, field.name) != getattr(tuned, field.name)
        } == set(TUNED)
        for other in (Config(hidden_steps=(0.17,)), Config(votes=3)):
            assert program_of(other) != program_of(config)


if __name__ == "__main__":
    absltest.main()
