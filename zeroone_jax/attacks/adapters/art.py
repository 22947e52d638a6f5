"""A JAX model as the adversarial-robustness-toolbox (ART) sees it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses
from zeroone_jax.attacks.adapters.peers import padded
from zeroone_jax.extras import imported
from zeroone_jax.types import Array, LabelFn, LogitsFn

_PACKAGE = "adversarial-robustness-toolbox"


def art_classifier(
    fn: LogitsFn | LabelFn, input_shape: tuple[int, ...], classes: int
) -> Any:
    """Makes an ART classifier with clip values (0, 1).

    Batches are filled up to a power of two, so that XLA compiles few sizes: the model
    must treat images independently.

    Args:
        fn: images f32 [n, ...] in [0,1] to labels i32 [n], or to logits [n, k], [n] or
            [n, 1].
        input_shape: of one image, channels last.
        classes: k, at least 2.

    Returns:
        Of labels, an ART `BlackBoxClassifier` that predicts one-hot rows; of logits, a
        classifier that predicts logits and knows their gradients and those of the
        cross-entropy.

    Raises:
        ImportError: ART is not installed.
        ValueError: the function gives another number of logits.
    """
    blackbox = imported("art.estimators.classification.blackbox", _PACKAGE, "peers")
    example = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    if jnp.issubdtype(jax.eval_shape(fn, example).dtype, jnp.integer):
        labels = _on_batches(jax.jit(fn))

        def one_hot(x: np.ndarray) -> np.ndarray:
            found = labels(x)
            if found.min() < 0:
                raise ValueError(
                    f"the function has no label for {(found < 0).sum()} of "
                    f"{len(found)} images, which ART cannot be told"
                )
            return np.eye(classes, dtype=np.float32)[found]

        return blackbox.BlackBoxClassifier(
            one_hot, input_shape, classes, clip_values=(0.0, 1.0)
        )

    def logits(x: Array) -> Array:
        return losses.as_logits(fn(x))

    given = jax.eval_shape(logits, example).shape[1]
    if given != classes:
        raise ValueError(f"the function gives {given} logits, not {classes}")
    return _classifier_class()(logits, input_shape, classes)


def _on_batches(function: Any) -> Any:
    """Makes a function of NumPy arrays [n, ...], any n, from a jitted one."""

    def on_batch(*arrays: np.ndarray) -> np.ndarray:
        rows = len(arrays[0])
        return np.array(function(*map(padded, arrays)))[:rows]

    return on_batch


def _classifier_class() -> Any:
    classifier = imported("art.estimators.classification.classifier", _PACKAGE, "peers")
    estimator = imported("art.estimators.estimator", _PACKAGE, "peers")

    class_gradients: Any = classifier.ClassGradientsMixin
    classifier_mixin: Any = classifier.ClassifierMixin
    loss_gradients: Any = estimator.LossGradientsMixin
    base: Any = estimator.BaseEstimator

    class JaxClassifier(class_gradients, classifier_mixin, loss_gradients, base):
        """Logits, their gradients, and those of the cross-entropy."""

        estimator_params = base.estimator_params + classifier_mixin.estimator_params

        def __init__(
            self, logits: LogitsFn, input_shape: tuple[int, ...], classes: int
        ) -> None:
            super().__init__(model=logits, clip_values=(0.0, 1.0))
            self.nb_classes = classes
            self._input_shape = input_shape

            def loss(x: Array, y: Array) -> Array:
                return losses.cross_entropy(logits(x), y)

            def of_class(x: Array, label: Array) -> Array:
                return jnp.sum(losses.of_class(logits(x), label))

            def of_all(x: Array) -> Array:
                one_by_one = jax.vmap(
                    lambda label: jax.grad(of_class)(
                        x, jnp.full(len(x), label, jnp.int32)
                    )
                )(jnp.arange(classes, dtype=jnp.int32))
                return jnp.moveaxis(one_by_one, 0, 1)

            self._logits = _on_batches(jax.jit(logits))
            self._loss = _on_batches(jax.jit(loss))
            self._loss_gradient = _on_batches(
                jax.jit(jax.grad(lambda x, y: jnp.sum(loss(x, y))))
            )
            self._class_gradient = _on_batches(jax.jit(jax.grad(of_class)))
            self._class_gradients = _on_batches(jax.jit(of_all))

        @property
        def input_shape(self) -> tuple[int, ...]:
            return self._input_shape

        def fit(self, x: np.ndarray, y: np.ndarray, **settings: Any) -> None:
            raise NotImplementedError("the model is trained already")

        def predict(self, x: np.ndarray, **settings: Any) -> np.ndarray:
            return self._logits(_floats(x))

        def compute_loss(
            self, x: np.ndarray, y: np.ndarray, **settings: Any
        ) -> np.ndarray:
            return self._loss(_floats(x), _labels(y))

        def loss_gradient(
            self, x: np.ndarray, y: np.ndarray, **settings: Any
        ) -> np.ndarray:
            return self._loss_gradient(_floats(x), _labels(y))

        def class_gradient(
            self, x: np.ndarray, label: Any = None, **settings: Any
        ) -> np.ndarray:
            """[n, k, ...], or of one class each, [n, 1, ...]."""
            x = _floats(x)
            if label is None:
                return self._class_gradients(x)
            each = np.broadcast_to(np.asarray(label, np.int32), len(x))
            return self._class_gradient(x, each)[:, None]

    return JaxClassifier


def _floats(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.float32)


def _labels(y: np.ndarray) -> np.ndarray:
    """Labels of one-hot rows, or labels as they are."""
    return np.asarray(np.argmax(y, axis=1) if y.ndim == 2 else y, np.int32)
