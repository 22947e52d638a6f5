"""Networks trained in seconds on real images, in JAX and as the same torch modules."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from zeroone_jax import data, losses, models
from zeroone_jax.models import Ensemble

_TEST_IMAGES = 1000
_BATCH = 100


class Trained(NamedTuple):
    """A network twice.

    Attributes:
        logits_fn: f32 [n, h, w, c] to logits [n, k].
        torch_module: the same weights, f32 [n, c, h, w] to logits [n, k].
        x: f32 [1000, h, w, c], the first test images.
        y: i32 [1000], their labels.
    """

    logits_fn: models.Classifier
    torch_module: Any
    x: jax.Array
    y: jax.Array


def sigmoid_mlp(train, test):
    x, y = images(train)
    ensemble = Ensemble(models.build("mlp_sigmoid20", x.shape[1:], 2), 8)
    variables = fit(ensemble, x, y, epochs=15, rate=2e-3)
    return _trained(ensemble, variables, torch_mlp(ensemble, variables), test)


def small_cnn(train, test):
    x, y = images(train)
    ensemble = Ensemble(models.build("lenet", x.shape[1:], 2), 1)
    variables = fit(ensemble, x[:4000], y[:4000], epochs=4, rate=2e-3)
    return _trained(ensemble, variables, torch_cnn(ensemble, variables), test)


def mlp_10(train, test):
    x, y = images(train)
    ensemble = Ensemble(models.build("mlp_relu200", x.shape[1:], 10), 1)
    variables = fit(ensemble, x[:10_000], y[:10_000], epochs=4, rate=1e-3)
    return _trained(ensemble, variables, torch_mlp(ensemble, variables), test)


def cnn_10(train, test, epsilon=None):
    """LeNet on ten classes; with an epsilon trained on PGD's adversaries in Linf."""
    x, y = images(train)
    ensemble = Ensemble(models.build("lenet", x.shape[1:], 10), 1)
    variables = fit(ensemble, x[:10_000], y[:10_000], epochs=4, rate=1e-3)
    if epsilon is not None:
        variables = fit_pgd(ensemble, variables, x[:10_000], y[:10_000], epsilon)
    return _trained(ensemble, variables, torch_cnn(ensemble, variables), test)


def images(split):
    return jnp.asarray(split.images, jnp.float32) / 255, jnp.asarray(split.labels)


def fit(ensemble, x, y, epochs, rate):
    """Trains by Adam on the cross-entropy of every member."""
    params = ensemble.init(jax.random.key(0))
    return _fit(ensemble, params, x, y, epochs, rate, lambda loss, params, x, y: x)


def fit_pgd(ensemble, params, x, y, epsilon, epochs=4, rate=1e-3, moves=7):
    """Goes on with adversaries of the network as it is then, as Madry et al. 2018 do.

    They are sought from the image, by steps of a quarter of the radius.
    """

    def worst(loss, params, x, y):
        slope = jax.grad(loss, argnums=1)

        def move(_, point):
            moved = point + epsilon / 4 * jnp.sign(slope(params, point, y))
            return jnp.clip(jnp.clip(moved, x - epsilon, x + epsilon), 0, 1)

        return jax.lax.fori_loop(0, moves, move, x)

    return _fit(ensemble, params, x, y, epochs, rate, worst)


def _fit(ensemble, params, x, y, epochs, rate, seen):
    """Trains by Adam on what is `seen` in the place of a batch's images."""
    optimizer = optax.adam(rate)

    def loss(params, x, y):
        logits = ensemble.members_logits(params, x)
        of_members = jax.vmap(losses.cross_entropy, (0, None))(logits, y)
        return of_members.mean(axis=1).sum()

    @jax.jit
    def step(params, state, x, y):
        x = seen(loss, params, x, y)
        update, state = optimizer.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, update), state

    state = optimizer.init(params)
    # Adam's bias correction raises a float to a whole number.
    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(epochs):
            for rows in data.epoch_batches(jax.random.key(1), epoch, len(x), _BATCH):
                params, state = step(params, state, x[rows], y[rows])
    return params


def torch_mlp(ensemble, variables):
    """The ensemble as a torch module."""
    import torch

    module = ensemble.network.module
    units = {"sigmoid": torch.sigmoid, "relu": torch.relu}[module.activation]
    depth = len(module.hidden)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = _parameters(torch, variables.params)

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


def torch_cnn(ensemble, variables):
    """The network as a torch module."""
    import torch
    from torch.nn import functional

    module = ensemble.network.module
    convolutions, depth = len(module.channels), len(module.hidden)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = _parameters(
                torch, jax.tree.map(lambda a: a[0], variables.params)
            )

        def forward(self, value):
            for layer in range(convolutions):
                kernel, bias = self.weights[2 * layer : 2 * layer + 2]
                value = functional.conv2d(
                    value,
                    kernel.permute(3, 2, 0, 1),
                    bias,
                    padding=module.padding,
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


def _trained(ensemble, variables, module, test):
    x, y = images(test)
    model = ensemble.bind(variables)
    if ensemble.members == 1:
        model = ensemble.network.bind(jax.tree.map(lambda a: a[0], variables))
    return Trained(model, module, x[:_TEST_IMAGES], y[:_TEST_IMAGES])
