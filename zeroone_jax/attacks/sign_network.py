"""White-box attacks on 01 networks, which see their weights.

The model attacked is `models.zero_one.Vote`, or the networks' `zero_one.Params` alone.
Inside, it is a `LogitsFn` like any other: its logits are the mean votes.
"""

import itertools
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import project, radius
from zeroone_jax.attacks.pgd import Info as GradientInfo
from zeroone_jax.attacks.pgd import ProjectedGradientDescent
from zeroone_jax.attacks.state import State, image_keys
from zeroone_jax.models import zero_one
from zeroone_jax.models.sign_networks import sign_networks
from zeroone_jax.types import Array, Key, Number


def networks(fn: Any) -> zero_one.Params:
    """Finds the networks that a model is made of.

    Args:
        fn: `zero_one.Vote`, `zero_one.Params`, or a binarized network.

    Returns:
        The networks.

    Raises:
        TypeError: the model is another.
    """
    found = sign_networks(fn)
    if found is not None:
        return found
    raise TypeError(
        f"the model is {fn!r}, but this attack needs a 01 network's weights: give it "
        "zero_one.Vote or zero_one.Params. Another network of signs needs no attack of "
        "its own: write its signs as models.sign, and take pgd or any attack that "
        "needs logits"
    )


class _SignNetworkAttack(Attack):
    """Takes networks where other attacks take functions."""

    # A function of rows would hide the weights.
    any_layout: ClassVar = False

    def model(self, fn: Any, x: Array | jax.ShapeDtypeStruct) -> Any:
        """The networks as a classifier, which has their weights."""
        return zero_one.Vote(networks(fn), x.shape[1:])

    def labels(self, fn: Any, x: Array) -> Array:
        """Labels i32 [n] of images [n, ...]."""
        return zero_one.predict(networks(fn), x)


class Crossing(NamedTuple):
    """The hyperplane attack's own state.

    Attributes:
        order: i32 [n, units], in which each image's units are crossed.
        loss: float [n], the highest margin of mean votes so far.
    """

    order: Array
    loss: Array


class CrossingInfo(NamedTuple):
    """What a step saw.

    Attributes:
        unit: i32 [n], which was crossed, counted through all votes.
        loss: float [n], the margin of mean votes behind its hyperplane.
    """

    unit: Array
    loss: Array


class HyperplaneCrossing(_SignNetworkAttack, name="hyperplane_crossing"):
    """Goes epsilon towards and through one hidden unit's hyperplane, then another's.

    Paper A's supplement: x' = x -+ epsilon sign(w_k), minus where unit k is on, and
    units k in random order until the networks err. It is not known whether
    the authors crossed the next unit from x or from x'; here it is from x, so that
    epsilon bounds the perturbation. The units of all votes (and classes) are in one
    order. A `start` is not used.

    Attributes:
        epsilon: how far each pixel goes, > 0, on the [0,1] scale.
    """

    epsilon: Number

    norms: ClassVar = ("linf",)
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.radius(self.norm, self.epsilon)

    def init(
        self, key: Key, fn: Any, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Draws the orders of the units."""
        units = networks(fn).b1.size
        order = jax.vmap(
            lambda key: jax.random.permutation(key, jnp.arange(units, dtype=jnp.int32))
        )(image_keys(key, x, y))
        memory = Crossing(order, jnp.full(x.shape[:1], -jnp.inf, x.dtype))
        return State.beginning(x, y, memory)

    def step(self, key: Key, fn: Any, state: State) -> tuple[State, CrossingInfo]:
        """Crosses one hyperplane of every active image."""
        params = networks(fn)
        x, memory = state.x, state.memory
        unit = memory.order[:, state.iteration]
        weights = params.w1.reshape(-1, x[0].size)[unit]
        projection = jnp.sum(weights * x.reshape(weights.shape), 1)
        projection += params.b1.reshape(-1)[unit]
        side = jnp.where(projection > 0, -1, 1).astype(x.dtype)
        away = (side[:, None] * jnp.sign(weights)).reshape(x.shape)
        moved = x + radius(self.epsilon, x) * away
        point = project(moved, x, self.epsilon, self.norm)
        scores = zero_one.vote_scores(params, point)
        loss = losses.margin(scores, state.y)
        loss = -loss if self.targeted else loss
        broken = self.broken(losses.labels(scores), state.y) & state.active
        better = broken | (state.active & (loss > memory.loss))
        found = state.found | broken
        iteration = state.iteration + 1
        return state.onward(
            point,
            better,
            found,
            state.active & ~found & (iteration < memory.order.shape[1]),
            memory._replace(loss=jnp.where(better, loss, memory.loss)),
        ), CrossingInfo(unit, loss)


class SurrogateGradient(
    _SignNetworkAttack, ProjectedGradientDescent, name="surrogate_gradient"
):
    """PGD along gradients of a stand-in, looking at the networks themselves.

    At every point the true mean vote decides whether the point is an adversary, and
    which point is the best so far. The gradient is that of
    `zero_one.straight_through_scores` or `zero_one.smooth_scores`, of a sharpness that
    grows through the schedule. Both together count as one query.

    Attributes:
        estimator: "smooth" or "straight_through".
        sharpness: a schedule of numbers, each above the last; the iterations of a
            restart are shared out evenly among them.
    """

    estimator: Literal["smooth", "straight_through"] = "smooth"
    sharpness: tuple[Number, ...] = (1.0, 4.0, 16.0, 64.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.one_of("estimator", self.estimator, ("smooth", "straight_through"))
        rising = (0.0, *self.sharpness)
        known = all(map(checks.is_known, self.sharpness))
        if len(rising) == 1 or not all(
            a < b < float("inf") for a, b in itertools.pairwise(rising if known else ())
        ):
            raise ValueError(
                f"sharpness is {self.sharpness}, but must be numbers above 0, each "
                "above the last"
            )

    def step(self, key: Key, fn: Any, state: State) -> tuple[State, GradientInfo]:
        """Looks at every active image's point, and moves it up the stand-in."""
        params = networks(fn)
        moves = self.iterations + 1
        stage = (state.iteration % moves) * len(self.sharpness) // moves
        schedule = [jnp.asarray(one, state.x.dtype) for one in self.sharpness]
        sharpness = jnp.stack(schedule)[stage]

        def scores(point: Array) -> Array:
            if self.estimator == "straight_through":
                return zero_one.straight_through_scores(params, point, sharpness)
            smooth = zero_one.smooth_scores(params, point, sharpness)
            # The bracket is exactly 0 and has the stand-in's slope.
            return zero_one.vote_scores(params, point) + (
                smooth - jax.lax.stop_gradient(smooth)
            )

        return super().step(key, scores, state)
