"""What the frame promises of every attack, on PGD and on a small attack of its own."""

import dataclasses
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from zeroone_jax import attacks, losses
from zeroone_jax.attacks import run
from zeroone_jax.attacks import state as frame

KEY = jax.random.key(3)
SHAPE = (2, 3, 2)
GENERATOR = np.random.default_rng(0)
PARAMS = (
    jnp.asarray(GENERATOR.normal(size=(12, 16)), jnp.float32),
    jnp.asarray(GENERATOR.normal(size=(16, 4)), jnp.float32),
)
N = 24
X = jnp.asarray(GENERATOR.uniform(size=(N, *SHAPE)), jnp.float32)


def apply(params, x):
    w1, w2 = (w.astype(x.dtype) for w in params)
    rows = x.reshape(len(x), -1) - 0.5
    inner = jnp.tanh(jnp.matmul(rows, w1, precision="highest"))
    return jnp.matmul(inner, w2, precision="highest")


def model(x):
    return apply(PARAMS, x)


# The first two labels are wrong already.
Y = losses.labels(model(X)).at[:2].add(1) % 4
PGD = attacks.pgd(epsilon=0.06, iterations=6, restarts=2)


class Nothing(NamedTuple):
    """An `Info` of nothing."""


class Jump(attacks.Attack):
    """Draws one point for each image and takes it, or `start`, if it is wrong."""

    starts: bool = False

    needs: ClassVar = "labels"
    norms: ClassVar = ("linf", "l2")
    in_ball: ClassVar = False
    starts_from_adversary: ClassVar = True

    def init(self, key, fn, x, y, start=None):
        nothing = jnp.zeros(len(x), bool)
        zero = jnp.zeros(len(x), jnp.int32)
        memory = x if start is None else start
        return attacks.State(
            x, y, x, nothing, ~nothing, zero, jnp.asarray(0, jnp.int32), memory
        )

    def step(self, key, fn, state):
        point = state.memory
        if not self.starts:
            keys = frame.image_keys(key, state.x, state.y)
            point = jax.vmap(lambda key: jax.random.uniform(key, SHAPE))(keys)
        found = self.broken(self.labels(fn, point), state.y) & state.active
        return state._replace(
            adversary=frame.where(found, point, state.adversary),
            found=found,
            active=jnp.zeros_like(state.active),
            queries=state.queries + state.active.astype(jnp.int32),
            iteration=state.iteration + 1,
        ), Nothing()


@pytest.fixture(scope="module")
def together():
    return PGD(KEY, model, X, Y)


def close(out, wanted):
    np.testing.assert_allclose(out.adversary, wanted.adversary, atol=1e-5)
    np.testing.assert_array_equal(out.success, wanted.success)
    np.testing.assert_allclose(out.distance, wanted.distance, atol=1e-5)
    np.testing.assert_array_equal(out.queries, wanted.queries)


def test_results_have_shapes_types_and_values(together):
    chex.assert_shape(together.adversary, X.shape)
    chex.assert_type(list(together), [jnp.float32, jnp.bool_, jnp.float32, jnp.int32])
    assert 3 < together.success.sum() < N
    assert jnp.all(jnp.isfinite(together.distance) == together.success)


def test_images_that_are_wrong_already_return_themselves(together):
    np.testing.assert_array_equal(together.adversary[:2], X[:2])
    np.testing.assert_array_equal(together.distance[:2], 0)
    np.testing.assert_array_equal(together.success[:2], True)
    np.testing.assert_array_equal(together.queries[:2], 1)
    assert jnp.all(together.distance[2:] > 0)


def test_all_wrong_already():
    out = PGD(KEY, model, X, (losses.labels(model(X)) + 1) % 4)
    np.testing.assert_array_equal(out.adversary, X)
    np.testing.assert_array_equal(out.queries, 1)


def test_success_is_what_the_function_says_one_at_a_time(together):
    for adversary, label, success in zip(
        together.adversary, Y, together.success, strict=True
    ):
        assert (losses.labels(model(adversary[None]))[0] != label) == success


def test_failure_of_a_search_for_the_least_distance():
    """A model of one class: nothing is ever found."""
    out = Jump()(KEY, lambda x: jnp.zeros(len(x), jnp.int32), X, jnp.zeros(N, int))
    np.testing.assert_array_equal(out.adversary, X)
    np.testing.assert_array_equal(out.success, False)
    np.testing.assert_array_equal(out.distance, np.inf)
    np.testing.assert_array_equal(out.queries, 3)


def test_order_does_not_matter(together):
    order = GENERATOR.permutation(N)
    back = np.argsort(order)
    out = PGD(KEY, model, X[order], Y[order])
    close(jax.tree.map(lambda a: a[back], out), together)


@pytest.mark.parametrize("chunk", [1, 7])
def test_chunks_do_not_matter(together, chunk):
    close(dataclasses.replace(PGD, chunk=chunk)(KEY, model, X, Y), together)


def test_batches_do_not_matter(together):
    few = PGD(KEY, model, X[5:9], Y[5:9])
    close(few, jax.tree.map(lambda a: a[5:9], together))


@pytest.mark.parametrize("names", [("images",), ("hosts", "chips")])
@pytest.mark.slow("compiles for eight devices")
def test_devices_do_not_matter(together, names):
    mesh = jax.make_mesh(
        (4,) if len(names) == 1 else (2, 2),
        names,
        axis_types=(AxisType.Auto,) * len(names),
    )
    sharding = NamedSharding(mesh, PartitionSpec(names if len(names) > 1 else names[0]))
    out = PGD(KEY, model, jax.device_put(X, sharding), jax.device_put(Y, sharding))
    assert len(out.adversary.sharding.device_set) == 4
    close(jax.device_get(out), jax.device_get(together))


def test_images_are_spread_however_many_there_are(together):
    few = PGD(KEY, model, X[:7], Y[:7], devices=jax.devices()[:3])
    assert len(few.adversary.sharding.device_set) == 3
    close(jax.device_get(few), jax.device_get(jax.tree.map(lambda a: a[:7], together)))


def test_equal_images_meet_equal_adversaries_and_others_other_numbers():
    jump = Jump()
    fn = attacks.as_label_fn(model)
    x = jnp.concatenate([X[4:5], X[4:6]])
    y = jnp.concatenate([Y[4:5], Y[4:6]])
    out = jump(KEY, fn, x, y)
    np.testing.assert_array_equal(out.adversary[0], out.adversary[1])
    other = jump(jax.random.key(4), fn, x, y)
    assert jnp.all(jnp.any(out.adversary != other.adversary, axis=(1, 2, 3)))


def draws_of_keys(x, y):
    keys = frame.image_keys(KEY, jnp.asarray(x), jnp.asarray(y))
    return np.asarray(jax.random.key_data(keys))


def test_similar_images_have_different_keys():
    """One white pixel on black, at any place; all places of two; one bit, one label."""
    single = np.eye(1024, dtype=np.float32)
    pairs = np.zeros((1000, 1024), np.float32)
    for row in pairs:
        row[GENERATOR.choice(1024, 2, replace=False)] = 1
    grey = np.full((600, 1024), 0.5, np.float32)
    for bit in range(600):
        grey[bit, bit] = np.nextafter(np.float32(0.5), np.float32(1))
    x = np.unique(np.concatenate([single, pairs, grey]), axis=0)
    keys = draws_of_keys(x, np.zeros(len(x), np.int32))
    assert len(np.unique(keys, axis=0)) == len(x)
    labels = draws_of_keys(np.repeat(single[:1], 10, 0), np.arange(10, dtype=np.int32))
    assert len(np.unique(labels, axis=0)) == 10


def test_one_compilation_for_all_parameters():
    traces = []

    def counted(params, x):
        traces.append(x)
        return apply(params, x)

    def attack(scale):
        params = jax.tree.map(lambda w: w * scale, PARAMS)
        return PGD(KEY, jax.tree_util.Partial(counted, params), X, Y)

    attack(1.0)
    first = len(traces)
    attack(2.0)
    # The second call asks once for the shape of what the model returns.
    assert len(traces) == first + 1
    doubled = jax.tree.map(lambda w: w * 3.0, PARAMS)
    close(attack(3.0), PGD(KEY, lambda x: apply(doubled, x), X, Y))


def test_the_same_function_is_compiled_once(together):
    before = run._in_chunks._cache_size()
    close(PGD(KEY, model, X, Y), together)
    assert run._in_chunks._cache_size() == before


def test_within_a_users_own_jit(together):
    @jax.jit
    def robust_accuracy(params, x, y):
        out = PGD(KEY, lambda x: apply(params, x), x, y)
        return out, 1 - jnp.mean(out.success)

    out, accuracy = robust_accuracy(PARAMS, X, Y)
    close(out, together)
    np.testing.assert_allclose(accuracy, 1 - together.success.mean(), rtol=1e-6)


def test_numpy_arrays_are_taken(together):
    close(PGD(KEY, model, np.asarray(X), np.asarray(Y, np.uint8)), together)


def test_float64():
    with jax.enable_x64(True):
        x = jnp.asarray(np.asarray(X), jnp.float64)
        out = PGD(KEY, model, x, Y)
        assert out.adversary.dtype == out.distance.dtype == jnp.float64
        assert 3 < out.success.sum() < N


def test_models_of_less_precision():
    def half(x):
        return model(x).astype(jnp.bfloat16)

    out = PGD(KEY, half, X, Y)
    assert out.adversary.dtype == jnp.float32
    assert out.success.sum() > 3


def test_starts_must_be_adversaries_where_the_attack_says_so():
    fn = attacks.as_label_fn(model)
    with pytest.raises(ValueError, match=f"{N - 2} starting points are no adversaries"):
        Jump(starts=True)(KEY, fn, X, Y, start=X)
    wrong = [int(jnp.argmax(losses.labels(model(X)) != label)) for label in Y]
    start = X[jnp.array(wrong)]
    out = Jump(starts=True)(KEY, fn, X, Y, start=start)
    np.testing.assert_array_equal(out.success, True)
    np.testing.assert_array_equal(out.adversary[2:], start[2:])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key": 0}, TypeError, "key is 0"),
        ({"x": X + 1}, ValueError, r"x must be in \[0,1\]"),
        ({"x": X[:0]}, ValueError, "x has shape"),
        ({"y": Y[1:]}, ValueError, r"y has shape \(23,\), but there are 24 images"),
        ({"y": Y + 1}, ValueError, r"y holds 4, but must be in 0\.\.3"),
        ({"start": X[1:]}, ValueError, r"start has shape \(23"),
        ({"start": X - 1}, ValueError, r"start must be in \[0,1\]"),
        (
            {"fn": attacks.as_label_fn(model)},
            TypeError,
            "pgd needs gradients of logits",
        ),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PGD(**({"key": KEY, "fn": model, "x": X, "y": Y} | arguments))


def test_logits_given_to_an_attack_of_labels_are_refused():
    with pytest.raises(TypeError, match=r"wrap logits as attacks\.as_label_fn"):
        Jump()(KEY, model, X, Y)


def test_single_numbers_as_labels():
    fn = attacks.as_label_fn(lambda x: x.reshape(len(x), -1)[:, 0] - 0.5)
    np.testing.assert_array_equal(fn(X), X[:, 0, 0, 0] > 0.5)


@pytest.mark.parametrize(
    "attack",
    [PGD, attacks.hop_skip_jump(max_queries=500)],
    ids=lambda attack: type(attack).__name__,
)
@pytest.mark.slow("compiles attacks of several sizes")
def test_memory_grows_with_the_chunk_not_with_images_or_queries(attack):
    fn = model if attack.needs == "logits" else attacks.as_label_fn(model)

    def working(images, chunk, **changes):
        changed = dataclasses.replace(attack, chunk=chunk, **changes)
        x = jax.ShapeDtypeStruct((images, *SHAPE), jnp.float32)
        y = jax.ShapeDtypeStruct((images,), jnp.int32)
        whole = jax.jit(lambda key, x, y: changed(key, fn, x, y))
        compiled = whole.lower(KEY, x, y).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small = working(64, 16)
    # What grows is the images in order and the results, some copies of each.
    assert working(1024, 16) - small < 8 * 4 * 960 * (X[0].size + 8)
    if attack.needs == "labels":
        assert working(64, 64) > 2 * small
        assert working(64, 16, max_queries=50_000) <= 1.01 * small
