"""Networks trained in seconds on real images, in JAX and as the same torch modules."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from zeroone_jax import data, losses
from zeroone_jax.models import cnn, mlp

_TEST_IMAGES = 1000
_BATCH = 100


class Trained(NamedTuple):
    """A network twice.

    Attributes:
        logits_fn: f32 [n, h, w, c] to logits [n, k]; a `jax.tree_util.Partial`.
        torch_module: the same weights, f32 [n, c, h, w] to logits [n, k].
        x: f32 [1000, h, w, c], the first test images.
        y: i32 [1000], their labels.
    """

    logits_fn: jax.tree_util.Partial
    torch_module: Any
    x: jax.Array
    y: jax.Array


def sigmoid_mlp(train, test):
    config = mlp.Config(members=8)
    x, y = images(train)
    params = mlp.init(jax.random.key(0), x[0].size, config)
    params = fit(params, mlp.members, x, y, epochs=15, rate=2e-3)
    return _trained(mlp.apply, params, torch_mlp(params), test)


def small_cnn(train, test):
    x, y = images(train)
    params = cnn.init(jax.random.key(0), x.shape[1:], cnn.LENET)

    def members(params, x):
        return cnn.apply(params, x)[None]

    params = fit(params, members, x[:4000], y[:4000], epochs=4, rate=2e-3)
    return _trained(cnn.apply, params, torch_cnn(params), test)


def mlp_10(train, test):
    x, y = images(train)
    config = mlp.Config(hidden=(200, 200), activation="relu", classes=10)
    params = mlp.init(jax.random.key(0), x[0].size, config)
    params = fit(params, mlp.members, x[:10_000], y[:10_000], epochs=4, rate=1e-3)
    return _trained(mlp.apply, params, torch_mlp(params), test)


def images(split):
    return jnp.asarray(split.images, jnp.float32) / 255, jnp.asarray(split.labels)


def fit(params, members, x, y, epochs, rate):
    """Trains by Adam on the cross-entropy of every member."""
    optimizer = optax.adam(rate)

    def loss(params, x, y):
        of_members = jax.vmap(losses.cross_entropy, (0, None))(members(params, x), y)
        return of_members.mean(axis=1).sum()

    @jax.jit
    def step(params, state, x, y):
        update, state = optimizer.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, update), state

    state = optimizer.init(params)
    # Adam's bias correction raises a float to a whole number.
    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(epochs):
            for rows in data.epoch_batches(jax.random.key(1), epoch, len(x), _BATCH):
                params, state = step(params, state, x[rows], y[rows])
    return params


def torch_mlp(params):
    """The ensemble as a torch module."""
    import torch

    units = {"sigmoid": torch.sigmoid, "relu": torch.relu}[params.config.activation]
    depth = len(params.config.hidden)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = _parameters(torch, params.layers)

        def forward(self, x):
            value = x.permute(0, 2, 3, 1).reshape(1, len(x), -1)
            for layer in range(depth + 1):
                kernel, bias = self.weights[2 * layer : 2 * layer + 2]
                value = value @ kernel + bias[:, None]
                if layer < depth:
                    value = units(value)
            if len(value) == 1:
                return value[0]
            members = torch.log_softmax(value, dim=2)
            return torch.logsumexp(members, dim=0) - np.log(len(value))

    return Module().eval()


def torch_cnn(params):
    """The network as a torch module."""
    import torch
    from torch.nn import functional

    convolutions, depth = len(params.config.channels), len(params.config.hidden)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = _parameters(torch, params.layers)

        def forward(self, value):
            for layer in range(convolutions):
                kernel, bias = self.weights[2 * layer : 2 * layer + 2]
                value = functional.conv2d(
                    value,
                    kernel.permute(3, 2, 0, 1),
                    bias,
                    padding=params.config.padding,
                )
                value = functional.max_pool2d(torch.relu(value), 2)
            value = value.permute(0, 2, 3, 1).reshape(len(value), -1)
            for layer in range(convolutions, convolutions + depth + 1):
                kernel, bias = self.weights[2 * layer : 2 * layer + 2]
                value = value @ kernel + bias
                if layer < convolutions + depth:
                    value = torch.relu(value)
            return value

    return Module().eval()


def _parameters(torch, layers):
    """Kernel and bias of each layer, in order."""
    return torch.nn.ParameterList(
        torch.nn.Parameter(
            torch.tensor(np.asarray(layers[name][part])), requires_grad=False
        )
        for name in sorted(layers)
        for part in ("kernel", "bias")
    )


def _trained(apply, params, module, test):
    x, y = images(test)
    logits_fn = jax.tree_util.Partial(apply, params)
    return Trained(logits_fn, module, x[:_TEST_IMAGES], y[:_TEST_IMAGES])
