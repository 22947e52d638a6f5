"""An objective is one file: launchers read its flags, store it and train by it."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command_line
from experiments.configs.network import Experiment
from zeroone_jax import losses, models, runs, tagged, training
from zeroone_jax.training.objectives import Info, Objective
from zeroone_jax.training.objectives.frame import accuracy


@tagged.register("tests.smoothed")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Smoothed(Objective):
    """Cross-entropy of softened labels.

    Attributes:
        share: of the label that is spread over all classes, in [0,1].
    """

    share: float = 0.1

    def __call__(self, key, params, model, batch):
        logits, model = model.train(key, params, batch.x)
        spread = -jnp.mean(jax.nn.log_softmax(logits), axis=1)
        kept = losses.cross_entropy(logits, batch.y)
        loss = jnp.mean((1 - self.share) * kept + self.share * spread)
        metrics = {"accuracy": accuracy(logits, batch.y)}
        return loss, Info(model.batch_stats, batch.memory, metrics)


def preset():
    """Softened labels."""
    return Experiment(objective=Smoothed())


def test_it_is_read_stored_and_trained_by():
    words = ["--config.objective.share=1/4", "--config.training.batch_size=8"]
    experiment = command_line.parse_settings({"smoothed": preset}, words)
    assert experiment.objective == Smoothed(share=0.25)
    stored = json.loads(json.dumps(runs.to_json(experiment)))
    assert stored["objective"] == {"type": "tests.smoothed", "share": 0.25}
    assert runs.from_json(stored) == experiment

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (24, 2, 2, 1), np.uint8)
    labels = np.asarray(images[:, 0, 0, 0] > 127, np.int32)
    seen = []
    training.fit(
        jax.random.key(0),
        models.build("mlp_sigmoid20", (2, 2, 1), classes=2),
        experiment.objective,
        images,
        labels,
        dataclasses.replace(experiment.training, epochs=20),
        on_segment=lambda _, told: seen.append(told.metrics["loss"]),
    )
    assert seen[-1] < seen[0]
