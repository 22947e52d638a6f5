from collections.abc import Iterator

import pytest

from zeroone_jax.coordinate_descent import ensemble


@pytest.fixture(scope="module")
def short_segments() -> Iterator[None]:
    """Segments of 20 iterations, a tenth of the real ones.

    What is proved of many segments needs no long ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "SEGMENT", 20)
        # The jitted function would not notice the patch, nor its end.
        ensemble.segment.clear_cache()
        yield
    ensemble.segment.clear_cache()
