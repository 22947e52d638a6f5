"""scikit-learn's baselines of 2002.03444 (A3): a linear SVM and a random forest.

They need the extra "peers". Each is trained anew where it is wanted, in seconds and to
the same model.
"""

import dataclasses
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import data
from zeroone_jax.attacks import adapters
from zeroone_jax.types import Array

from ... import attacked_models, command_line
from ...studies.study import not_installed
from ...studies.target import Foreign

Name: TypeAlias = Literal["linear_svm", "random_forest"]

_SETTINGS: dict[Name, dict[str, Any]] = {
    "linear_svm": {"C": 0.01, "random_state": 0},
    "random_forest": {"n_estimators": 100, "min_samples_leaf": 10, "random_state": 0},
}


@dataclasses.dataclass(frozen=True)
class Classical(Foreign):
    """A model of scikit-learn's, on CIFAR-10, class 0 against 1.

    Attributes:
        name: which.
    """

    name: Name

    def settings(self) -> dict[str, Any]:
        """What scikit-learn is given."""
        return {"trained": self.name, **_SETTINGS[self.name]}

    def missing(self) -> str:
        """Whether scikit-learn is here."""
        return not_installed("sklearn")

    def model(self) -> attacked_models.Model:
        """Trains it; a forest's logits are one-hot labels."""
        source = attacked_models.Source()
        split = command_line.load(source, "train")
        fitted = _fitted(self.name, *data.as_features(split))
        if self.name == "linear_svm":
            weights = jnp.asarray(fitted.coef_[0], jnp.float32)
            bias = jnp.asarray(fitted.intercept_[0], jnp.float32)
            logits_fn = jax.tree_util.Partial(_linear, weights, bias)
        else:
            label_fn = adapters.foreign(fitted.predict, layout="flat")
            logits_fn = jax.tree_util.Partial(_one_hot, jax.tree_util.Partial(label_fn))
        return attacked_models.Model(logits_fn, source, jnp.dtype(jnp.float32))


def _fitted(name: Name, x: np.ndarray, y: np.ndarray) -> Any:
    if name == "linear_svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(**_SETTINGS[name]).fit(x, y)
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**_SETTINGS[name]).fit(x, y)


def _linear(weights: Array, bias: Array, x: Array) -> Array:
    return x.reshape(len(x), -1) @ weights + bias


def _one_hot(label_fn: Any, x: Array) -> Array:
    return jax.nn.one_hot(label_fn(x), 2, dtype=x.dtype)
