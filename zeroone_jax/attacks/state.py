"""What goes from step to step of every attack, and what comes out."""

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import each
from zeroone_jax.types import Array, Key


class AttackResult(NamedTuple):
    """What an attack found.

    Attributes:
        adversary: float [n, ...] in [0,1], x's shape and type. Where `success` is
            False: the point that came nearest to success, inside the ball, for attacks
            in a ball; the image itself for attacks that look for the least distance.
        success: bool [n], whether the adversary's label, by the caller's function, is
            wrong (of a targeted attack: is the target).
        distance: float [n], the size of `adversary - x` in the attack's norm; 0 where
            the image itself was an adversary, infinite where there is no success. NaN
            where the model has no label for the image itself (`losses.labels`): such
            an image is not attacked.
        queries: i32 [n], how often the model was asked about the image; a forward pass
            counts one, together with its gradient if that was taken.
    """

    adversary: Array
    success: Array
    distance: Array
    queries: Array


class Course(NamedTuple):
    """An attack's result, and what was seen on the way.

    Attributes:
        result: the `AttackResult`.
        unlabelled: bool [n], whether the model had no label for the image or for the
            point that came out.
        seen: what the observer gathered, arrays [n, ...]; None without one.
    """

    result: AttackResult
    unlabelled: Array
    seen: Any = None


class State(NamedTuple):
    """What the loop and every attack share. Attacks add to it in `memory`.

    Attributes:
        x: float [n, ...], the images.
        y: i32 [n], their labels, or the targets.
        adversary: float [n, ...], the best so far, as in `AttackResult`.
        found: bool [n], whether `adversary` is one.
        active: bool [n], whether the image is still searched for. `step` leaves the
            others as they are.
        queries: i32 [n], so far.
        iteration: i32 [], steps done.
        memory: a pytree of arrays of the attack's own; random keys are not kept in it
            but made anew by `image_keys` and `iteration`.
    """

    x: Array
    y: Array
    adversary: Array
    found: Array
    active: Array
    queries: Array
    iteration: Array
    memory: Any

    @classmethod
    def beginning(
        cls,
        x: Array,
        y: Array,
        memory: Any,
        adversary: Array | None = None,
        queries: int = 0,
    ) -> Self:
        """Makes the state in which nothing is found and every image is active.

        Args:
            x: float [n, ...], the images.
            y: i32 [n], their labels, or the targets.
            memory: the attack's own arrays.
            adversary: float [n, ...], the first points; the images, by default.
            queries: how often each image was asked about already.
        """
        none = jnp.zeros(x.shape[:1], bool)
        asked = jnp.full(x.shape[:1], queries, jnp.int32)
        first = x if adversary is None else adversary
        zero = jnp.asarray(0, jnp.int32)
        return cls(x, y, first, none, ~none, asked, zero, memory)

    def onward(
        self,
        point: Array,
        better: Array,
        found: Array,
        active: Array,
        memory: Any,
        cost: int | Array = 1,
    ) -> Self:
        """The state after a step of the active images.

        Args:
            point: float [n, ...], what was looked at.
            better: bool [n], where it is the best so far.
            found: bool [n], whether the best is an adversary now.
            active: bool [n], whether the image is searched for further.
            memory: the attack's own arrays.
            cost: i32 [n] or [], the queries that the step took of an active image.
        """
        asked = jnp.where(self.active, jnp.asarray(cost, jnp.int32), 0)
        return self._replace(
            adversary=where(better, point, self.adversary),
            found=found,
            active=active,
            queries=self.queries + asked,
            iteration=self.iteration + 1,
            memory=memory,
        )


def image_keys(
    key: Key, x: Array, y: Array, stream: int | Array | None = None
) -> Array:
    """Gives every image a random key of its own.

    Args:
        key: a random key.
        x: float [n, ...].
        y: i32 [n].
        stream: i32 [], the number of a restart or a step, for keys of its own.

    Returns:
        keys [n]: `key` with a fingerprint of the image's bits and of its label folded
        in. The same image with the same label has the same key, wherever it stands.
    """
    bits = jax.lax.bitcast_convert_type(
        x.astype(jnp.float32).reshape(len(x), -1), jnp.uint32
    )
    # Every pixel's place and bits are mixed (by MurmurHash3's last step) before they
    # are added: of black and white images most bits are 0. Sums in uint32 are the same
    # in any order.
    place = jnp.arange(bits.shape[1], dtype=jnp.uint32) * jnp.uint32(2654435761)
    mixed = bits ^ place[None, :]
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    total = jnp.sum(mixed ^ (mixed >> 16), axis=1, dtype=jnp.uint32)
    numbers = [total, y.astype(jnp.uint32)]
    if stream is not None:
        numbers.append(jnp.full_like(total, stream))
    folded = jnp.stack(numbers)
    # In a loop, for each cipher takes the compiler a tenth of a second.
    return loops.fori_loop(
        0,
        len(numbers),
        lambda i, keys: jax.vmap(jax.random.fold_in)(keys, folded[i]),
        jnp.broadcast_to(key, total.shape),
    )


def where(chosen: Array, new: Any, old: Any) -> Any:
    """Takes the new values of the images chosen, bool [n], and the old of the rest.

    Args:
        chosen: bool [n].
        new: a pytree of arrays [n, ...].
        old: a pytree of the same shapes.

    Returns:
        A pytree of the same shapes.
    """
    return jax.tree.map(lambda a, b: jnp.where(each(chosen, a), a, b), new, old)
