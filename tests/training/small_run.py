"""Small networks and images, and a run of training that is a moment's work."""

import chex
import flax.linen as nn
import jax
import numpy as np

from zeroone_jax import training
from zeroone_jax.models.network import Network
from zeroone_jax.training import objectives

KEY = jax.random.key(7)
SHAPE, CLASSES, COUNT = (4, 3, 1), 3, 44
GENERATOR = np.random.default_rng(3)
IMAGES = GENERATOR.integers(0, 256, (COUNT, *SHAPE), np.uint8)
LABELS = GENERATOR.integers(0, CLASSES, COUNT).astype(np.int32)


class Linear(nn.Module):
    """Softmax regression."""

    @nn.compact
    def __call__(self, x, train):
        del train
        return nn.Dense(CLASSES, precision="highest")(x.reshape(len(x), -1))


class Deep(nn.Module):
    """With everything that has a state or a key."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(8)(x.reshape(len(x), -1))
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.Dropout(0.25, deterministic=not train)(x)
        return nn.Dense(CLASSES)(x)


LINEAR, DEEP = Network(Linear(), SHAPE), Network(Deep(), SHAPE)
SGD = training.Sgd(learning_rate=0.3, milestones=(1.5,), weight_decay=0.01)
CONFIG = training.Config(epochs=3, batch_size=8, optimizer=SGD, segment=3)
IAAT = objectives.instance_adaptive(
    epsilon=0.1, step_size=0.05, steps=2, radius_step=0.02, warm_up=1
)


def copied(state):
    return jax.tree.map(np.asarray, state)


def assert_same(state, expected, **tolerance):
    chex.assert_trees_all_close(copied(state), copied(expected), **tolerance)


def fit(network, objective, config, **settings):
    return training.fit(KEY, network, objective, IMAGES, LABELS, config, **settings)
