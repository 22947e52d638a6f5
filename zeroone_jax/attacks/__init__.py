"""Attacks on image classifiers: each a callable of one convention, whole under jit.

`attack = hop_skip_jump(norm="l2")` makes an attack of its settings, and
`attack(key, fn, x, y, start=None)` attacks images x with labels y of the model fn and
gives an `AttackResult`. See `attack.Attack`. `suite` has plans of several attacks, such
as `suite.standard("linf", 8 / 255)`.

Three things about models of your own. On processors, a convolution with channels first
(`jax.lax.conv`, and what torch's networks become) takes 3 to 13 times as long inside an
attack's loop as `models.convolve`, which wants channels last. A network of signs needs
slopes: write `models.sign(x)`, and any attack by gradients sees its units. A function
outside of JAX is attacked through `adapters.foreign`, and is asked about no image that
is done.
"""

import inspect

from zeroone_jax.attacks import suite
from zeroone_jax.attacks.apgd import AutoPGD as apgd
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.boundary import Boundary as boundary
from zeroone_jax.attacks.carlini_wagner import CarliniWagner as carlini_wagner
from zeroone_jax.attacks.cgba import CurvatureAware as cgba
from zeroone_jax.attacks.ddn import DecoupledDirectionNorm as ddn
from zeroone_jax.attacks.deep_fool import DeepFool as deep_fool
from zeroone_jax.attacks.expectation import expectation
from zeroone_jax.attacks.fab import FastAdaptiveBoundary as fab
from zeroone_jax.attacks.fmn import FastMinimumNorm as fmn
from zeroone_jax.attacks.geoda import Geometric as geoda
from zeroone_jax.attacks.hop_skip_jump import HopSkipJump as hop_skip_jump
from zeroone_jax.attacks.minimal_apgd import MinimalAutoPGD as minimal_apgd
from zeroone_jax.attacks.pdgd import PrimalDualGradient as pdgd
from zeroone_jax.attacks.pdpgd import PrimalDualProximalGradient as pdpgd
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.attacks.pgd import ProjectedGradientDescent as pgd
from zeroone_jax.attacks.pgd import fast_gradient_sign_method as fgsm
from zeroone_jax.attacks.predict import as_label_fn, predict
from zeroone_jax.attacks.ray_s import RayS as ray_s
from zeroone_jax.attacks.sigma_zero import SigmaZero as sigma_zero
from zeroone_jax.attacks.sign_network import HyperplaneCrossing as hyperplane_crossing
from zeroone_jax.attacks.sign_network import SurrogateGradient as surrogate_gradient
from zeroone_jax.attacks.sign_opt import SignOPT as sign_opt
from zeroone_jax.attacks.spsa import SimultaneousPerturbation as spsa
from zeroone_jax.attacks.square import Square as square
from zeroone_jax.attacks.starts import nearest_start, random_start
from zeroone_jax.attacks.state import AttackResult, Course, State
from zeroone_jax.attacks.substitute import Substitute
from zeroone_jax.attacks.super_deep_fool import SuperDeepFool as super_deep_fool
from zeroone_jax.attacks.surfree import SurFree as surfree
from zeroone_jax.attacks.transfer import substitute_attack

__all__ = sorted(
    name
    for name, value in globals().items()
    if name == "suite" or not (name[0] == "_" or inspect.ismodule(value))
)
