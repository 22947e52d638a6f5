"""Bad input is refused, with what was given and what is allowed in the message."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import checks
from zeroone_jax.attacks import arguments

X = jnp.full((2, 3), 0.5)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X.at[1, 2].set(1.5), ValueError, r"x\[1, 2\] is 1\.5 \(1 such values\)"),
        (X.at[0, 0].set(-1e-6), ValueError, r"x must be in \[0,1\], but x\[0, 0\]"),
        (X.at[0].set(jnp.nan), ValueError, r"x\[0, 0\] is nan \(3 such values\)"),
        (X[0], ValueError, r"x has shape \(3,\), but must be \[n, \.\.\.\]"),
        (X[:0], ValueError, r"x has shape \(0, 3\)"),
        (jnp.ones((2, 3), jnp.uint8), TypeError, "x is uint8, but must be a float"),
        ([[0.5]], TypeError, "x is list"),
    ],
)
def test_images(x, error, message):
    with pytest.raises(error, match=message):
        checks.images("x", x)


def test_images_of_another_shape():
    with pytest.raises(ValueError, match=r"start has shape \(2, 3\), but x has \(3,"):
        checks.images("start", X, (3, 3))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (jnp.array([0, 3]), ValueError, r"y holds 3, but must be in 0\.\.2"),
        (jnp.array([-1, 0]), ValueError, r"y holds -1, but must be in 0\.\.2"),
        (jnp.array([0]), ValueError, r"y has shape \(1,\), but there are 2 images"),
        (jnp.array([0.0, 1.0]), TypeError, "y is float32, but must be an integer"),
        ([0, 1], TypeError, "y is list"),
    ],
)
def test_labels(y, error, message):
    with pytest.raises(error, match=message):
        checks.labels(y, 2, 3)


def test_labels_without_known_classes():
    with pytest.raises(ValueError, match=r"y holds -2, but must be in 0\.\.$"):
        checks.labels(jnp.array([5, -2]), 2, None)
    assert checks.labels(jnp.array([5, 2]), 2, None).shape == (2,)


def test_good_arrays_come_back_as_jax_arrays():
    x = checks.images("x", np.zeros((2, 3), np.float32), (2, 3))
    y = checks.labels(np.array([0, 1], np.uint8), 2, 2)
    assert isinstance(x, jax.Array)
    assert isinstance(y, jax.Array)


def test_traced_values_are_not_looked_at():
    jax.jit(lambda x, y: (checks.images("x", x), checks.labels(y, 2, 3)))(
        X + 5, jnp.array([7, 8])
    )
    with pytest.raises(ValueError, match="y has shape"):
        jax.jit(lambda y: checks.labels(y, 2, 3))(jnp.array([1]))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (0, "key is 0, but must be made by jax.random.key"),
        (np.zeros(2, np.uint32), "must be made by jax.random.key"),
        (jax.random.PRNGKey(0), "must be made by jax.random.key"),
        (jax.random.split(jax.random.key(0)), r"key has shape \(2,\), but one key"),
    ],
)
def test_keys(key, message):
    with pytest.raises(TypeError, match=message):
        checks.key(key)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda x: jnp.zeros(len(x), jnp.int32),
            TypeError,
            r"pgd needs gradients of logits, but .* labels \(int32\[2\]\)",
        ),
        (lambda x: x[:1], ValueError, r"shape \(1, 3\) for 2 images"),
        (lambda x: jnp.sum(x), ValueError, r"shape \(\) for 2 images"),
        (lambda x: x[:, None], ValueError, "must be "),
        (lambda x: (x, x), TypeError, "must return one array"),
        (lambda x: x > 0, TypeError, "returns bool, but must return logits"),
        ("model", TypeError, "the model is 'model', but must be a function"),
    ],
)
def test_logits_functions(function, error, message):
    with pytest.raises(error, match=message):
        arguments.model(function, X, "logits", "pgd")


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: x, TypeError, r"returns float32\[2, 3\]: wrap logits as"),
        (
            lambda x: jnp.zeros((len(x), 1), jnp.int32),
            ValueError,
            r"labels of shape \(2, 1\) for 2 images, but must return \[2\]",
        ),
        (None, TypeError, "the model is None"),
    ],
)
def test_label_functions(function, error, message):
    with pytest.raises(error, match=message):
        arguments.model(function, X, "labels", "boundary")


@pytest.mark.parametrize(
    ("outputs", "classes"), [((2,), 2), ((2, 1), 2), ((2, 2), 2), ((2, 7), 7)]
)
def test_classes_are_counted(outputs, classes):
    found = arguments.model(lambda x: jnp.zeros(outputs), X, "logits", "pgd")
    assert found == classes


def test_starts_that_are_no_adversaries_are_named():
    arguments.adversarial_start(jnp.zeros(5, bool))
    with pytest.raises(ValueError, match=r"2 starting points .* images 1, 3. Give"):
        arguments.adversarial_start(jnp.array([False, True, False, True]))
    with pytest.raises(ValueError, match=r"12 starting .* 8, 9 …. Give"):
        arguments.adversarial_start(jnp.ones(12, bool))


@pytest.mark.parametrize("number", [0, -1.0, float("nan"), float("inf")])
def test_numbers_that_must_be_positive(number):
    checks.positive(step_size=0.1)
    with pytest.raises(ValueError, match=r"step_size is .*, but must be above 0"):
        checks.positive(step_size=number)


@pytest.mark.parametrize("number", [0, -1, 1.5, 2.0])
def test_numbers_that_must_be_counts(number):
    checks.counts(iterations=1, restarts=np.int32(3))
    with pytest.raises(ValueError, match=r"iterations is .* of at least 1"):
        checks.counts(iterations=number)


def test_choices():
    checks.one_of("norm", "l2", ("l1", "l2"))
    with pytest.raises(ValueError, match=r"norm is 'l1', but must be one of 'l2'$"):
        checks.one_of("norm", "l1", ("l2",))
