"""The L2 attack of Carlini and Wagner 2017 (section VI A): Adam in tanh space.

The image is written as `(tanh(w) + 1) / 2`, so that there is no box, and
`|x' - x|^2 + c f(x')` is made small over w, with `f(x') = max(confidence - margin, 0)`;
a binary search over c looks for the smallest one that gives adversaries.
"""

import functools
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import linearize, shorten
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import Norm, each, finite, size
from zeroone_jax.attacks.shorten import Shortening
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LogitsFn, Number

# Black and white are brought this much nearer to grey, where tanh still is float.
_INSIDE = 1 - 1e-6
# Progress is looked at so many times in a descent; less than this is none (the
# authors' program).
_LOOKS_AT_PROGRESS = 10
_PROGRESS = 0.9999
# A descent that has not gone this share of its way has not begun, and is not given up.
_BEGUN = 0.1
# A move of all coordinates at once is no longer than this share of the distance.
_LONGEST_MOVE = 0.2
# The first c is no less and no more than these times the c of a linear model.
_LEAST_CONSTANT, _LARGEST_CONSTANT = 1e-5, 1e2


class Search(NamedTuple):
    """Where the search over c stands.

    Attributes:
        constant: float [n], c.
        low: float [n], the largest c that failed, first 0.
        high: float [n], the smallest c that gave an adversary, first infinite.
        works: bool [n], whether the c in hand gave one since progress was looked at.
        descents: i32 [n], how many c are done with.
        moves: i32 [n], moves of this descent.
        loss: float [n], when progress was last looked at.
    """

    constant: Array
    low: Array
    high: Array
    works: Array
    descents: Array
    moves: Array
    loss: Array


class Memory(NamedTuple):
    """The attack's own state.

    Attributes:
        first: float [n, ...], w, where each descent begins.
        variable: float [n, ...], w, not evaluated yet.
        optimizer: Adam's state, one for each image.
        steepness: float [n], the norm of the margin's slope at the image, without
            the coordinates in which it leads out of the box.
        search: the search over c.
        searching: bool [n], whether it goes on.
        shortening: what was found, and how far back the boundary lies, afterwards.
    """

    first: Array
    variable: Array
    optimizer: Any
    steepness: Array
    search: Search
    searching: Array
    shortening: Shortening


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], the objective; meaningless once the search is over.
        margin: float [n], by how much the adversary's side is ahead, less the
            confidence.
        constant: float [n], c.
    """

    loss: Array
    margin: Array
    constant: Array


class CarliniWagner(Attack, name="carlini_wagner"):
    """Weighs distance against the margin, by Adam, with a binary search over c.

    c grows tenfold until it gives an adversary; from then on it is halved between
    failure and success. At the end six queries follow the nearest adversary of all
    descents back to the boundary (`shorten`), and the perturbation returned is 1e-4
    longer than the shortest one found there. Each image has its own descents.

    Two things differ from the paper. Adam's first moves have the same length in every
    coordinate, so on large images they jump far beyond a near boundary, and may meet an
    adversary by chance whatever c is. Therefore a c counts as working only if an
    adversary was met in the last tenth of the moves, when the descent has settled. And
    once an adversary is known at a distance r, no move is longer than r / 5. Distances
    to random linear models of 3,072 coordinates are .03 % too long at the median; they
    would be 20 % too long without these two changes.

    An image that is wrong already, but by less than the confidence, is attacked like
    any other. If that fails, it is returned unchanged, as a success at distance 0.

    `start` replaces the image as the first point of every descent.

    Attributes:
        search_steps: how many c are tried.
        iterations: Adam's moves for each c at most.
        learning_rate: Adam's, in tanh space.
        initial_constant: the first c. For a model that is linear around the image, with
            slope g and a margin m to gain, c must be `2 m / |g|^2`. The first c is
            brought within 1e-5 and 100 times this number, for logits of an unusual
            scale.
        confidence: by how much the adversary's class must be ahead, >= 0.
        abort_early: whether a descent ends when a tenth of its moves has not lowered
            the image's objective by one part in 10,000. On a black or white image,
            where tanh is flat, a descent that has hardly begun goes on.
    """

    norm: Norm = "l2"
    search_steps: int = 9
    iterations: int = 1000
    learning_rate: Number = 0.01
    initial_constant: Number = 1e-3
    confidence: Number = 0.0
    abort_early: bool = True

    norms: ClassVar = ("l2",)
    any_layout: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(search_steps=self.search_steps, iterations=self.iterations)
        checks.positive(
            learning_rate=self.learning_rate,
            initial_constant=self.initial_constant,
        )
        checks.not_negative(confidence=self.confidence)

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts the first descent at the image, or at `start`."""
        del key
        zero = jnp.zeros(x.shape[:1], x.dtype)
        count = jnp.zeros(x.shape[:1], jnp.int32)
        shortening, z, slope = shorten.begin(functools.partial(self._margin, fn, y), x)
        outward = ((x <= 0) & (slope < 0)) | ((x >= 1) & (slope > 0))
        steepness = linearize.steepness(jnp.where(outward, 0, slope), "l2")
        search = Search(
            constant=self._first_constant(shortening, steepness),
            low=zero,
            high=zero + jnp.inf,
            works=jnp.zeros(x.shape[:1], bool),
            descents=count,
            moves=count,
            loss=zero + jnp.inf,
        )
        first = _variable(x if start is None else start)
        memory = Memory(
            first=first,
            variable=first,
            optimizer=self._fresh(x),
            steepness=steepness,
            search=search,
            searching=jnp.ones(x.shape[:1], bool),
            shortening=shortening,
        )
        state = State.beginning(x, y, memory, queries=1)
        # Of an image that is wrong already, at least itself is returned.
        return state._replace(found=self.broken(losses.labels(z), y))

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves it down or back."""
        x, y, memory = state.x, state.y, state.memory
        searching = state.active & memory.searching
        back = shorten.look_at(memory.shortening, x, state.adversary)

        def objective(variable: Array) -> tuple[Array, tuple[Array, ...]]:
            point = where(searching, _image(variable), back)
            margin, z = self._margin(fn, y, point)
            square = jnp.sum(jnp.square(point - x).reshape(len(x), -1), axis=1)
            missing = memory.shortening.aim - margin
            # Not `maximum`, on which libtpu 0.0.42 ends the process.
            shortfall = jnp.where(missing > 0, missing, 0)
            loss = square + memory.search.constant * shortfall
            return jnp.sum(loss), (loss, margin, z, point)

        gradient, (loss, margin, z, point) = loops.cond(
            jnp.any(searching),
            functools.partial(jax.grad(objective, has_aux=True), memory.variable),
            lambda: (jnp.zeros_like(x), objective(memory.variable)[1]),
        )
        broken = self.broken(losses.labels(z), y) & (margin >= 0)
        length = size(point - x, "l2")
        met, better = shorten.meet(
            memory.shortening, margin, searching & broken, length
        )
        found = state.found | better
        shortened, shortest = shorten.update(memory.shortening, margin, broken)
        shortening = where(state.active & ~searching, shortened, met)
        begun = length >= _BEGUN * self._way(memory)
        search, over = self._end_descent(memory.search, loss, broken, begun)
        variable, optimizer = where(
            over,
            (memory.first, self._fresh(x)),
            self._move(gradient, memory),
        )
        again = searching & (search.descents < self.search_steps)
        search, variable, optimizer = where(
            searching,
            (search, variable, optimizer),
            (memory.search, memory.variable, memory.optimizer),
        )
        taken = better | (state.active & ~searching & shortest)
        to_shorten = jnp.isfinite(shorten.kept_length(shortening))
        info = Info(loss, margin, memory.search.constant)
        return state.onward(
            point,
            taken,
            found,
            state.active & (again | (to_shorten & (shortening.left > 0))),
            Memory(
                memory.first,
                variable,
                optimizer,
                memory.steepness,
                search,
                jnp.where(state.active, again, memory.searching),
                shortening,
            ),
        ), info

    def look(self, fn: LogitsFn, x: Array, y: Array) -> tuple[Array, Array]:
        """Looks at images; those need no attack that are wrong by the confidence."""
        margin, z = self._margin(fn, y, x)
        labels = losses.labels(z)
        confident = (margin >= 0) | (self.confidence == 0)
        return labels, self.broken(labels, y) & confident

    def _margin(self, fn: LogitsFn, y: Array, points: Array) -> tuple[Array, Array]:
        """By how much the adversary's side is ahead, less the confidence; logits."""
        margin, z = shorten.margins(fn, points, y)
        return margin * (-1 if self.targeted else 1) - self.confidence, z

    def _first_constant(self, shortening: Shortening, steepness: Array) -> Array:
        """The first c, float [n], within reach of that of a linear model."""
        rise = shortening.aim - shortening.low_margin
        first = jnp.full_like(rise, self.initial_constant)
        sloping = jnp.where(steepness > 0, steepness, 1)
        linear = 2 * (rise / sloping) / sloping
        known = (rise > 0) & (steepness > 0) & (linear > 0) & jnp.isfinite(linear)
        near = jnp.clip(first, _LEAST_CONSTANT * linear, _LARGEST_CONSTANT * linear)
        return jnp.where(known, near, first)

    def _way(self, memory: Memory) -> Array:
        """How far the descent of a linear model leads for this c, float [n]."""
        rise = memory.shortening.aim - memory.shortening.low_margin
        sloping = jnp.where(memory.steepness > 0, memory.steepness, 1)
        whole = jnp.maximum(rise, 0) / sloping
        way = jnp.minimum(memory.search.constant * memory.steepness / 2, whole)
        return jnp.where(jnp.isfinite(way), way, 0)

    def _end_descent(
        self, search: Search, loss: Array, broken: Array, begun: Array
    ) -> tuple[Search, Array]:
        """Counts the move, and chooses the next c where the descent is over."""
        every = -(-self.iterations // _LOOKS_AT_PROGRESS)
        looked = search.moves % every == 0
        stalled = looked & ~(loss <= _PROGRESS * search.loss) & begun
        stalled &= self.abort_early
        moves = search.moves + 1
        over = stalled | (moves >= self.iterations)
        works = search.works | broken
        low = jnp.where(works, search.low, search.constant)
        high = jnp.where(works, search.constant, search.high)
        bracketed = jnp.isfinite(high)
        middle = (low + jnp.where(bracketed, high, low)) / 2
        chosen = Search(
            constant=jnp.where(bracketed, middle, search.constant * 10),
            low=low,
            high=high,
            works=jnp.zeros_like(works),
            descents=search.descents + 1,
            moves=jnp.zeros_like(moves),
            loss=jnp.full_like(loss, jnp.inf),
        )
        going = search._replace(
            works=works & ~looked,
            moves=moves,
            loss=jnp.where(looked, loss, search.loss),
        )
        return where(over, chosen, going), over

    def _fresh(self, x: Array) -> Any:
        return jax.vmap(optax.adam(self.learning_rate).init)(x)

    def _move(self, gradient: Array, memory: Memory) -> tuple[Array, Any]:
        # Adam's bias correction raises a float to a whole number.
        with jax.numpy_dtype_promotion("standard"):
            move, optimizer = jax.vmap(optax.adam(self.learning_rate).update)(
                finite(gradient), memory.optimizer
            )
        # dx/dw is 1/2 at most, where the image is grey.
        full = self.learning_rate / 2 * math.sqrt(math.prod(move.shape[1:]))
        share = jnp.minimum(_LONGEST_MOVE * memory.shortening.length / full, 1)
        return memory.variable + each(share, move) * move, optimizer


def _variable(image: Array) -> Array:
    """The w of an image [n, ...] in [0,1]."""
    return jnp.arctanh((2 * image - 1) * _INSIDE)


def _image(variable: Array) -> Array:
    """The image in (0,1) of a w."""
    return (jnp.tanh(variable) + 1) / 2
