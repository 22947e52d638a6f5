"""Objectives of training, each `(key, params, model, batch) -> loss, info`.

`natural`, `gaussian_noise`, `projected_gradient` (Madry), `fast_gradient_sign`,
`noisy_fast_gradient` (N-FGSM), `gradient_alignment` (GradAlign), `weight_perturbation`
(AWP), `trades`, `mart`, `instance_adaptive` (IAAT), `friendly` (FAT), `max_margin`
(MMA), `certified_margin`, `sense` and `sense_trade` make objectives of their settings.

A new objective is a file with a registered dataclass, and its import here.
"""

import inspect

from zeroone_jax.training.objectives.adversarial import GaussianNoise as gaussian_noise
from zeroone_jax.training.objectives.adversarial import Mart as mart
from zeroone_jax.training.objectives.adversarial import Natural as natural
from zeroone_jax.training.objectives.adversarial import (
    ProjectedGradient as projected_gradient,
)
from zeroone_jax.training.objectives.adversarial import Trades as trades
from zeroone_jax.training.objectives.adversarial import fast_gradient_sign
from zeroone_jax.training.objectives.aligned_slopes import (
    GradientAlignment as gradient_alignment,
)
from zeroone_jax.training.objectives.frame import Batch, Info, Model, Objective
from zeroone_jax.training.objectives.individual import Friendly as friendly
from zeroone_jax.training.objectives.individual import (
    InstanceAdaptive as instance_adaptive,
)
from zeroone_jax.training.objectives.individual import MaxMargin as max_margin
from zeroone_jax.training.objectives.margin import CertifiedMargin as certified_margin
from zeroone_jax.training.objectives.moved_weights import (
    WeightPerturbation as weight_perturbation,
)
from zeroone_jax.training.objectives.noisy_step import (
    NoisyFastGradient as noisy_fast_gradient,
)
from zeroone_jax.training.objectives.sensible import Sense as sense
from zeroone_jax.training.objectives.sensible import SenseTrade as sense_trade

__all__ = sorted(
    name
    for name, value in globals().items()
    if not (name[0] == "_" or inspect.ismodule(value))
)
