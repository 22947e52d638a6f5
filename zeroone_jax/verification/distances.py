"""The distance from an image to the nearest point that 01 networks label otherwise.

For one network the search ends with the exact distance. For an ensemble, the distances
of the single votes give a certificate at once: to change the majority, k votes must
flip, and no point nearer than the k-th smallest of these distances flips k votes. The
distances of pairs of votes then bound the search over all votes.
"""

import dataclasses
import itertools
import time
from typing import Literal, NamedTuple

import numpy as np

from zeroone_jax import checks
from zeroone_jax.verification.cells import Target
from zeroone_jax.verification.linf import Linf
from zeroone_jax.verification.nearest import Boxed, Free, Solver
from zeroone_jax.verification.networks import Floats, Image, Networks
from zeroone_jax.verification.search import Found, Limits, Search

_PAIRED = 16
"""Pairs are looked at among so many of the cheapest votes at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured, and for how long.

    Attributes:
        norm: how distance is measured, "l2" or "linf".
        box: whether points must lie in [0,1].
        limit: how far a pixel may move at most, > 0: distances in L2 are then those
            of adversaries inside the ball of Linf. None for any. Needs the box.
        margin: how far a witness must be behind every hyperplane that it crosses, and
            before every other, in L2: > 0. Float32 scores of our networks are off by up
            to 3.3e-6.
        joint: whether votes are searched together. Without it each is searched alone,
            which is quicker and gives a certificate, not the exact distance.
        seconds: how long an image may take, > 0.
        nodes: how many nodes of a search's tree may be opened, >= 1.
    """

    norm: Literal["l2", "linf"] = "l2"
    box: bool = True
    limit: float | None = None
    margin: float = 1e-5
    joint: bool = True
    seconds: float = 60.0
    nodes: int = 10_000_000

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        if self.norm not in ("l2", "linf"):
            raise ValueError(f"norm is {self.norm!r}, but must be 'l2' or 'linf'")
        checks.positive(margin=self.margin, seconds=self.seconds)
        if self.limit is not None:
            checks.positive(limit=self.limit)
            if self.norm != "l2" or not self.box:
                raise ValueError("limit is for the norm 'l2' in the box only")
        if self.nodes < 1:
            raise ValueError(f"nodes is {self.nodes}, but must be at least 1")


class Distance(NamedTuple):
    """What is known of one image's distance, a row of `many.Distances`.

    Attributes:
        lower: no nearer point is labelled otherwise, whatever the margin.
        infimum: points labelled otherwise come as near as this, on the hyperplanes.
        upper: the witness's distance.
        witness: float [d].
        nodes: how many nodes were opened.
        seconds: how long it took.
    """

    lower: float
    infimum: float
    upper: float
    witness: Floats
    nodes: int
    seconds: float


def solver_for(networks: Networks, config: Config, x: Floats | None) -> Solver:
    """Makes what finds nearest points: for an image, float [d], or without the box."""
    if config.norm == "linf":
        return Linf(networks.normals, x)
    if x is None:
        return Free(networks.normals)
    return Boxed(networks.normals, x, config.limit)


class Meter:
    """Measures images of one ensemble."""

    def __init__(self, networks: Networks, config: Config) -> None:
        """Prepares what all images share."""
        self._networks, self._config = networks, config
        self._free = solver_for(networks, config, None)

    def __call__(self, x: Floats, label: int) -> Distance:
        """Measures an image, float [d] in [0,1], until the search or its time is over.

        The distance is 0 where the networks say another label already than 0 or 1,
        the one that is to go.
        """
        began = time.monotonic()
        image = Image.of(self._networks, x)
        if image.label != label:
            return Distance(0.0, 0.0, 0.0, x, 0, time.monotonic() - began)
        limits = Limits(self._config.nodes, began + self._config.seconds)
        found = self._found(image, x, limits)
        witness = x if found.witness is None else x + found.witness
        if self._config.box:
            witness = np.clip(witness, 0, 1)
        took = time.monotonic() - began
        return Distance(*found[:3], witness, found.nodes, took)

    def _found(self, image: Image, x: Floats, limits: Limits) -> Found:
        """Searches votes alone, then in pairs, then all together."""

        def search(target: Target, prices: Floats | None = None) -> Search:
            return Search(target, solver, self._config.margin, prices, relaxed)

        solver, relaxed = self._free, None
        if self._config.box:
            solver = solver_for(self._networks, self._config, x)
            # In Linf the box makes a search no slower.
            relaxed = self._free if self._config.norm == "l2" else None
        target = Target.majority(image)
        prices = np.zeros((len(image.standing),) * 2)
        standing = np.flatnonzero(image.standing)
        alone: dict[int, Found] = {}
        for vote in map(int, standing):
            alone[vote] = search(Target.all_of(image, vote)).run(limits)
            prices[vote, vote] = alone[vote].lower
        if len(image.standing) == 1:
            return alone[0]
        costs = np.diag(prices)
        cheapest = standing[np.argsort(costs[standing], kind="stable")]
        prices = np.maximum(prices, np.maximum(costs[:, None], costs[None, :]))
        nodes = sum(found.nodes for found in alone.values())
        # The cells of the cheapest votes together are a first witness.
        needed = cheapest[: image.flips]
        cells = np.array([alone[vote].cell for vote in needed])
        first = np.where((cells == 1).any(axis=0), 1, cells.min(axis=0))
        if self._config.joint:
            paired = cheapest[: max(_PAIRED, image.flips)]
            for pair in itertools.combinations(map(int, paired), 2):
                if limits.reached(0):
                    break
                both = search(Target.all_of(image, *pair), prices).run(limits)
                prices[pair] = prices[pair[::-1]] = max(both.lower, prices[pair])
                nodes += both.nodes
        majority = search(target, prices)
        majority.offer(first)
        if not self._config.joint:
            limits = Limits(0, limits.until)
        found = majority.run(limits)
        least = float(costs[needed].max())
        return found._replace(
            lower=min(max(found.lower, least), found.infimum), nodes=nodes + found.nodes
        )
