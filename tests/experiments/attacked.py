"""An experiment of `experiments.attack` that takes moments."""

import dataclasses

from experiments.configs import attack as configs
from zeroone_jax import attacks

HOP_SKIP_JUMP = attacks.hop_skip_jump(iterations=2, initial_directions=20)


def experiment(networks, two_classes, attack=HOP_SKIP_JUMP, **changes):
    images = configs.Images(str(two_classes), count=7)
    made = configs.Experiment(
        attack=attack, model=str(networks), images=images, at_a_time=3
    )
    return dataclasses.replace(made, **changes)
