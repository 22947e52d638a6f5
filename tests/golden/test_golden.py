"""Results stay what they were: those in results/ were computed by the same code."""

import numpy as np
import pytest
from absl.testing import parameterized

from tests.golden import outputs

EXPECTED = np.load(outputs.PATH)
CASES = [
    (family, name) for family, (names, _) in outputs.FAMILIES.items() for name in names
]


class GoldenTest(parameterized.TestCase):
    @parameterized.parameters(*CASES)
    # XLA's settings decide the last bit.
    @pytest.mark.computes
    @pytest.mark.slow("compiles every attack and objective")
    def test_as_before(self, family, name):
        found = outputs.FAMILIES[family][1](name)
        for field, value in found.items():
            expected = EXPECTED[f"{family}/{name}/{field}"]
            value = np.asarray(value)
            message = f"{name}: {field}"
            if family == "descents" or value.dtype.kind in "bi":
                np.testing.assert_array_equal(value, expected, message)
            else:
                np.testing.assert_allclose(
                    value, expected, rtol=2e-6, atol=2e-7, err_msg=message
                )
