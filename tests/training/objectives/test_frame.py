"""What all objectives have in common."""

import jax
import jax.numpy as jnp
import pytest

from tests.training.objectives import twin
from zeroone_jax.models.network import Network
from zeroone_jax.training import objectives
from zeroone_jax.training.objectives import Batch, Model

METHODS = sorted(
    name
    for name in objectives.__all__
    if name not in ("Batch", "Info", "Model", "Objective")
)
REMEMBERING = {"instance_adaptive", "max_margin"}


@pytest.mark.parametrize("method", METHODS)
def test_float32_comes_back_and_memories_keep_their_shape(method):
    """Traced only, which is where strict types and shapes would be complained of."""
    objective = getattr(objectives, method)()
    assert objective == getattr(objectives, method)()
    assert hash(objective) == hash(getattr(objectives, method)())
    with jax.enable_x64(False):
        network = Network(twin.Module(), twin.SHAPE)
        params, statistics = jax.tree.map(
            lambda array: jnp.asarray(array, jnp.float32), twin.variables()
        )
        memory = objective.memory(twin.COUNT)
        assert (memory is not None) == (method in REMEMBERING)
        batch = Batch(
            jnp.asarray(twin.X, jnp.float32),
            jnp.asarray(twin.labels(twin.X), jnp.int32),
            jnp.asarray(0, jnp.int32),
            memory,
        )
        (loss, info), gradient = jax.eval_shape(
            lambda params: jax.value_and_grad(objective, 1, has_aux=True)(
                twin.KEY, params, Model(network, statistics), batch
            ),
            params,
        )
    scalar = jax.ShapeDtypeStruct((), jnp.float32)

    def kinds(tree):
        return jax.tree.map(lambda a: (a.shape, a.dtype), tree)

    assert kinds(loss) == kinds(scalar)
    assert kinds(gradient) == kinds(params)
    assert kinds(info.batch_stats) == kinds(statistics)
    assert kinds(info.memory) == kinds(memory)
    assert "accuracy" in info.metrics
    for metric in info.metrics.values():
        assert kinds(metric) == kinds(scalar)
