"""A toy model, and toy attacks whose successes are known by hand."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, losses
from zeroone_jax.attacks.suite_run import Stage

KEY = jax.random.key(0)
N, D = 20, 6
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (N, D)), jnp.float32)
W = jnp.linspace(-1.0, 1.0, D)


def model(x):
    """Three classes; class 2 never."""
    score = jnp.matmul(x - 0.5, W, precision="highest")
    return jnp.stack([-score, score, jnp.full_like(score, -9.0)], axis=1)


Y = losses.labels(model(X)).at[0].add(1) % 2
RIGHT = np.arange(1, N)


class Nothing(NamedTuple):
    """An `Info` of nothing."""


class Shift(attacks.Attack):
    """Turns images with `x[which] > above` by moving along the slope, `far` enough."""

    which: int = 0
    above: float = 0.0
    far: float = 0.2
    needs: ClassVar = "logits"
    norms: ClassVar = ("linf", "l2")
    in_ball: ClassVar = False

    def init(self, key, fn, x, y, start=None):
        nothing = jnp.zeros(len(x), bool)
        zero = jnp.zeros(len(x), jnp.int32)
        return attacks.State(
            x, y, x, nothing, ~nothing, zero, jnp.asarray(0, jnp.int32), ()
        )

    def step(self, key, fn, state):
        sign = jnp.where(state.y == 1, -1.0, 1.0)[:, None]
        point = jnp.clip(state.x + self.far * sign * jnp.sign(W)[None], 0, 1)
        wrong = self.broken(self.labels(fn, point), state.y)
        found = wrong & state.active & (state.x[:, self.which] > self.above)
        return state._replace(
            adversary=jnp.where(found[:, None], point, state.adversary),
            found=found,
            active=jnp.zeros_like(state.active),
            queries=state.queries + 1,
            iteration=state.iteration + 1,
        ), Nothing()


def breaks(which, above, far=0.3):
    """Which images that attack breaks, by hand."""
    x = np.asarray(X)
    sign = np.where(np.asarray(Y) == 1, -1.0, 1.0)[:, None]
    point = np.clip(x + far * sign * np.sign(np.asarray(W)), 0, 1)
    wrong = np.asarray(losses.labels(model(jnp.asarray(point, jnp.float32)))) != Y
    return np.array(wrong & (x[:, which] > above))


ONE = Stage(name="one", attack=Shift(which=0, above=0.5, far=0.3))
TWO = Stage(name="two", attack=Shift(which=1, above=0.5, far=0.3), black_box=True)
NEAR = Stage(name="near", attack=Shift(which=2, above=0.5, far=0.25))
