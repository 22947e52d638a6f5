"""A captured function: the same answers, compared by what it does, arrays apart."""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from zeroone_jax import tracing

X = jnp.asarray(np.random.default_rng(0).uniform(size=(5, 4)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32)

GLOBAL = W


def of_a_global(x):
    return jax.nn.relu(jnp.matmul(x, GLOBAL))


@flax.struct.dataclass
class Struct:
    w: jax.Array

    def __call__(self, x):
        return jnp.matmul(x, self.w)


class Module(nnx.Module):
    def __init__(self):
        self.linear = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return jax.nn.relu(self.norm(self.linear(x)))


class Bound:
    def __init__(self, w):
        self.w = w

    def logits(self, x):
        return jnp.matmul(x, self.w)


def linen(w):
    return jax.tree_util.Partial(
        lambda params, x, *, train: nn.Dense(3).apply(params, x * (2 if train else 1)),
        {"params": {"kernel": w, "bias": jnp.zeros(3)}},
        train=False,
    )


def jitted_inside(w):
    inner = jax.jit(lambda x: jax.nn.relu(jnp.matmul(x, w)))
    return lambda x: jnp.tanh(inner(x)) + inner(2 * x)


def of_numpy(w):
    w = np.asarray(w)
    return lambda x: jnp.matmul(x, w) + np.arange(len(x), dtype=np.float32)[:, None]


MAKERS = {
    "closure": lambda w: lambda x: jnp.matmul(x, w),
    "partial": linen,
    "struct": Struct,
    "bound method": lambda w: Bound(w).logits,
    "jitted inside": jitted_inside,
    "numpy": of_numpy,
    "scan": lambda w: (
        lambda x: jax.lax.scan(
            lambda sum, row: (sum + jnp.matmul(row, w), None), jnp.zeros(3), x
        )[0][None].repeat(len(x), 0)
    ),
}


@jax.jit
def used(model, x):
    """For the images, for fewer of them, and its slope."""
    slope = jax.grad(lambda x: jnp.sum(jnp.sin(model(x))))(x)
    return model(x), model(x[:2]), slope


def assert_is(captured, function):
    wanted = used.__wrapped__(function, X)
    for found, expected in zip(used(captured, X), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_other_arrays_compile_nothing(maker):
    first, second = maker(W), maker(W * 3 - 1)
    assert_is(tracing.capture(first, X), first)
    compiled = used._cache_size()
    assert_is(tracing.capture(second, X), second)
    assert used._cache_size() == compiled


def made_anew(weights, biases):
    """Makes its arrays at each trace, so that no object is met twice."""

    def model(x):
        for weight, bias in zip(weights, biases, strict=True):
            x = jnp.tanh(x @ weight.astype(np.float32) + bias.astype(np.float32)[None])
        return x

    return model


def test_arrays_that_are_equal_in_the_first_model_are_told_apart():
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(4, 4)) for _ in range(3)]
    zeros = [np.zeros(4)] * 3
    first = made_anew(weights, zeros)
    second = made_anew(weights, [rng.normal(size=4) for _ in range(3)])
    assert_is(tracing.capture(first, X), first)
    assert_is(tracing.capture(second, X), second)
    assert_is(tracing.capture(first, X), first)


@pytest.mark.parametrize(
    "spread",
    [
        lambda bias, n: np.tile(bias, (n, 1)),
        lambda bias, n: np.repeat(bias[0], n).reshape(3, n).T,
        lambda bias, n: np.repeat(bias[0], n),
        lambda bias, n: (bias / n).astype(np.float32),
    ],
    ids=["rows", "columns", "flat", "values"],
)
def test_arrays_that_hang_on_the_number_of_images_are_told_apart(spread):
    def of(bias):
        def model(x):
            array = jnp.asarray(spread(bias, len(x)))
            return jnp.matmul(x, W) + jnp.sum(array) + array.reshape(-1)[:3][None]

        return model

    for bias in np.random.default_rng(3).normal(size=(3, 1, 3)).astype(np.float32):
        assert_is(tracing.capture(of(bias), X), of(bias))


def test_a_function_of_one_number_of_images_is_captured():
    def model(x):
        return jnp.reshape(x, X.shape) @ W + np.ones(len(X), np.float32)[:, None]

    np.testing.assert_allclose(tracing.capture(model, X)(X), model(X), rtol=1e-6)


def test_a_rebound_global_is_noticed(monkeypatch):
    assert_is(tracing.capture(of_a_global, X), of_a_global)
    compiled = used._cache_size()
    monkeypatch.setitem(globals(), "GLOBAL", W * -2)
    assert_is(tracing.capture(of_a_global, X), of_a_global)
    assert used._cache_size() == compiled


def test_a_module_changed_in_place_is_noticed():
    model = Module()
    model.eval()
    assert_is(tracing.capture(model, X), model)
    compiled = used._cache_size()
    model.linear.kernel[...] = W
    assert_is(tracing.capture(model, X), model)
    assert used._cache_size() == compiled


def test_numpy_weights_changed_in_place_are_noticed():
    weights = np.array(W)

    def model(x):
        return jnp.matmul(x, weights)

    assert_is(tracing.capture(model, X), model)
    weights[:] = -weights
    assert_is(tracing.capture(model, X), model)


def with_rule(slope):
    @jax.custom_vjp
    def double(x):
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, g: (g * slope,))
    return lambda x: double(jnp.matmul(x, W))


def test_rules_of_derivation_are_told_apart():
    for slope in (3.0, jnp.full((1, 3), 3.0), jnp.full((1, 3), 5.0)):
        assert_is(tracing.capture(with_rule(slope), X), with_rule(slope))
    same = [tracing.capture(with_rule(jnp.full((1, 3), 3.0)), X) for _ in range(2)]
    assert jax.tree.structure(same[0]) == jax.tree.structure(same[1])


def test_what_differs_is_told_apart():
    models = [
        lambda x: x * 2,
        lambda x: x * 3,
        lambda x: x + 2,
        lambda x: (x * 2).astype(jnp.bfloat16),
        lambda x: jax.lax.cond(jnp.sum(x) > 0, lambda: x, lambda: 2 * x),
        lambda x: jax.lax.cond(jnp.sum(x) > 0, lambda: x, lambda: 3 * x),
        lambda x: x * jnp.nan,
    ]
    programs = {tracing.capture(model, X).program for model in models}
    assert len(programs) == len(models)
    again = tracing.capture(lambda x: x * jnp.nan, X).program
    assert again in programs


def test_within_a_users_own_jit():
    @jax.jit
    def whole(w, x):
        return used(tracing.capture(lambda x: jnp.matmul(x, w), x), x)[0]

    np.testing.assert_allclose(whole(W, X), jnp.matmul(X, W), rtol=1e-6)


def test_labels_of_a_function_with_rules_have_no_slope():
    ruled = with_rule(jnp.full((1, 3), 3.0))
    labels = tracing.capture(lambda x: jnp.argmax(ruled(x), axis=1), X)
    np.testing.assert_array_equal(labels(X), jnp.argmax(ruled(X), axis=1))


def test_captured_twice_is_captured_once():
    captured = tracing.capture(of_a_global, X)
    assert tracing.capture(captured, X) is captured


def test_no_function_is_refused():
    with pytest.raises(TypeError, match="the model is 3, but must be a function"):
        tracing.capture(3, X)
