"""scikit-learn's models as paper A's tables take them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import attacked_models
from experiments.reproductions.paper_a import classical
from zeroone_jax import data

pytest.importorskip("sklearn", reason="extra 'peers' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("name", "least"), [("linear_svm", 0.7), ("random_forest", 0.8)]
)
def test_models_label_as_scikit_learns(name, least, cifar10_0v1, monkeypatch):
    """They are trained on every fifth image, which takes a fifth of the time."""
    kept, fit = {}, classical._fitted

    def fitted(name, x, y):
        return kept.setdefault("model", fit(name, x[::5], y[::5]))

    monkeypatch.setattr(classical, "_fitted", fitted)
    model: attacked_models.Model = classical.Classical(name).model()
    x, y = data.as_features(cifar10_0v1[1])
    labels = np.asarray(jax.jit(model.label_fn)(jnp.asarray(x)))
    theirs = kept["model"].predict(x)
    assert np.mean(labels != theirs) < 0.001
    assert np.mean(labels == y) > least
    logits = np.asarray(model.logits_fn(jnp.asarray(x[:50])))
    said = logits.argmax(1) if logits.ndim == 2 else (logits > 0).astype(int)
    np.testing.assert_array_equal(said, labels[:50])
