"""Others' results are complete, and say where they come from."""

import pytest

from experiments import published
from zeroone_jax.evaluation.plans import STRONGEST


@pytest.mark.parametrize("known", [published.CIFAR10_LINF, published.MNIST_LINF])
def test_every_published_network_has_the_honest_number(known):
    for method, results in known.items():
        natural, worst = (float(results[name].text) for name in ("natural", STRONGEST))
        assert 0 < worst < natural < 1, method


def test_every_source_is_named():
    sources = {
        result.source
        for results in published.CIFAR10_LINF.values()
        for result in results.values()
    }
    assert len(sources) == 4
    assert all(sources)
