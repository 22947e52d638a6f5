"""A JAX model as a torch module, for attacks written in torch (AutoAttack)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses
from zeroone_jax.attacks.adapters.peers import padded
from zeroone_jax.extras import imported
from zeroone_jax.types import Array, LogitsFn


def torch_callable(logits_fn: LogitsFn, channels_first: bool = True) -> Any:
    """Makes a torch module, through which torch's autograd can go once.

    Batches are filled up to a power of two, so that XLA compiles few sizes: the model
    must treat images independently. Everything is computed in JAX's default float
    type, on its default device.

    Args:
        logits_fn: images [n, ...] in [0,1] to logits [n, k]; single numbers [n] or
            [n, 1] become two logits.
        channels_first: whether torch's images are [n, c, h, w] and are to be turned
            to [n, h, w, c]. Otherwise images of any shape go through as they are.

    Returns:
        A `torch.nn.Module` from images to logits, in the images' type and on their
        device.

    Raises:
        ImportError: torch is not installed.
    """
    torch = imported("torch", "torch", "peers")

    def model(x: Array) -> Array:
        if channels_first:
            x = jnp.transpose(x, (0, 2, 3, 1))
        return losses.as_logits(logits_fn(x))

    forward = jax.jit(model)
    # The second output is a pytree of what the backward pass needs.
    forward_and_pullback = jax.jit(lambda x: jax.vjp(model, x))
    pull_back = jax.jit(lambda pullback, cotangent: pullback(cotangent)[0])

    def to_jax(tensor: Any) -> Array:
        # A copy: torch may change the tensor in place.
        return jnp.array(padded(tensor.detach().cpu().numpy()))

    def to_torch(array: Array, like: Any) -> Any:
        rows = np.array(array)[: len(like)]
        return torch.from_numpy(rows).to(dtype=like.dtype, device=like.device)

    function: Any = torch.autograd.Function
    module: Any = torch.nn.Module

    class Bridge(function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            if not ctx.needs_input_grad[0]:
                return to_torch(forward(to_jax(x)), x)
            logits, ctx.pullback = forward_and_pullback(to_jax(x))
            return to_torch(logits, x)

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            rows = to_jax(cotangent).at[len(cotangent) :].set(0)
            return to_torch(pull_back(ctx.pullback, rows), cotangent)

    class Module(module):
        def forward(self, x: Any) -> Any:
            if len(x) == 0:
                classes = jax.eval_shape(
                    model, jax.ShapeDtypeStruct((1, *x.shape[1:]), jnp.float32)
                ).shape[1]
                return x.new_zeros((0, classes))
            return Bridge.apply(x)

    return Module().eval()
