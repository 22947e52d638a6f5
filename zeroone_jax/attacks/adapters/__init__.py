"""Bridges: our models for other libraries' attacks, others' models for ours.

The other libraries (foolbox, adversarial-robustness-toolbox, torch) are imported when
a bridge to them is made, and come with the extra "peers".
"""

from zeroone_jax.attacks.adapters.art import art_classifier
from zeroone_jax.attacks.adapters.foolbox import foolbox_model
from zeroone_jax.attacks.adapters.foreign import foreign
from zeroone_jax.attacks.adapters.torch import torch_callable

__all__ = ["art_classifier", "foolbox_model", "foreign", "torch_callable"]
