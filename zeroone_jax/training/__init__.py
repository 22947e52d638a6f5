"""Training of networks by gradients: adversaries, objectives, one loop."""

from zeroone_jax.training import objectives
from zeroone_jax.training.config import Config, steps_per_epoch
from zeroone_jax.training.loop import DivergedError, Progress, fit, variables
from zeroone_jax.training.optimizer import Adam, CyclicSgd, Optimizer, Sgd, Stepped
from zeroone_jax.training.sensible import sensible_adversary
from zeroone_jax.training.update import State, init, step

__all__ = [
    "Adam",
    "Config",
    "CyclicSgd",
    "DivergedError",
    "Optimizer",
    "Progress",
    "Sgd",
    "State",
    "Stepped",
    "fit",
    "init",
    "objectives",
    "sensible_adversary",
    "step",
    "steps_per_epoch",
    "variables",
]
