"""Sharpens adversaries of 01 networks: to the nearest point of their cells, and on."""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks import AttackResult
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.sign_network import networks as networks_of
from zeroone_jax.attacks.state import where
from zeroone_jax.models import zero_one
from zeroone_jax.types import Key
from zeroone_jax.verification.cells import Target, cell_of, half_spaces, polished
from zeroone_jax.verification.distances import Config, solver_for
from zeroone_jax.verification.nearest import Free, Solver
from zeroone_jax.verification.networks import Floats, Image, Networks


@dataclasses.dataclass(frozen=True, kw_only=True)
class CellPolishing:
    """Moves adversaries to the nearest point of their own cell, then of better ones.

    It is called like an attack, with the adversaries of any attack as `start`. The cell
    of an adversary is the set of points with all units on the same sides; its nearest
    point to the image is found exactly. Then the units that limit this point are tried
    on their other side, one at a time, as long as that comes nearer.

    Attributes:
        norm: "l2" or "linf".
        margin: how far behind every hyperplane the result has to be, > 0, in L2.
    """

    norm: Literal["l2", "linf"] = "l2"
    margin: float = 1e-5

    def __post_init__(self) -> None:
        self._config()

    def __call__(
        self,
        key: Key,
        fn: object,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
    ) -> AttackResult:
        """Sharpens adversaries.

        Args:
            key: not used, nothing is random; attacks are called so.
            fn: `zero_one.Vote`, or the networks' `zero_one.Params`.
            x: float [n, ...] in [0,1], the images.
            y: int [n], their labels.
            start: float [n, ...] in [0,1], adversaries; others are told as no success.

        Returns:
            The `AttackResult`: nowhere farther than `start`, and checked by the
            networks in their own dtype. A query each for the start and the result.

        Raises:
            TypeError: the function is another.
            ValueError: there is no start, or an argument has a wrong shape or value.
        """
        checks.key(key)
        params = networks_of(fn)
        networks = Networks.of(params)
        quick = Free(networks.normals)
        x = checks.images("x", x)
        y = checks.labels(y, len(x), 2)
        if start is None:
            raise ValueError("start is None, but must hold the adversaries to sharpen")
        given = checks.images("start", start, x.shape).astype(x.dtype)
        images, starts = (
            np.asarray(a, np.float64).reshape(len(x), -1) for a in (x, given)
        )
        sharpened = [
            self._sharpened(networks, quick, *image)
            for image in zip(images, starts, np.asarray(y), strict=True)
        ]
        moved = jnp.asarray(sharpened, x.dtype).reshape(x.shape)
        before, after = (size(point - x, self.norm) for point in (given, moved))
        wrong_before, wrong_after = (
            zero_one.predict(params, point.astype(params.w1.dtype)) != y
            for point in (given, moved)
        )
        better = wrong_after & ((after < before) | ~wrong_before)
        success = wrong_before | better
        adversary = where(success, where(better, moved, given), x)
        return AttackResult(
            adversary,
            success,
            jnp.where(success, jnp.where(better, after, before), jnp.inf),
            jnp.full(len(x), 2, jnp.int32),
        )

    def _config(self) -> Config:
        return Config(norm=self.norm, margin=self.margin)

    def _sharpened(
        self, networks: Networks, quick: Solver, x: Floats, start: Floats, label: int
    ) -> Floats:
        """The best point found; the start itself where there is none."""
        image = Image.of(networks, x)
        if image.label != label:
            return x
        solver = solver_for(networks, self._config(), x)
        cell = cell_of(image.beyond(networks.normals @ (start - x)))
        found = polished(Target.majority(image), solver, self.margin, cell, quick)
        if found is None:
            return start
        _, units, inside = found
        move = solver.move(*half_spaces(image, units, self.margin)[:2], inside)
        return np.clip(x + move, 0, 1)
