"""Radii for sensible training: balls that a reference's border does not cut."""

import pathlib
from collections.abc import Callable

from jax.typing import ArrayLike

from zeroone_jax import checks, verification
from zeroone_jax.models import zero_one
from zeroone_jax.verification.networks import Floats

CERTIFICATE = verification.Config(joint=False, box=False, seconds=10.0)
"""Lower bounds in L2 of what each vote costs alone, in a fraction of the time."""


def sensible_radii(
    path: pathlib.Path,
    reference: zero_one.Params,
    x: ArrayLike,
    y: ArrayLike,
    *,
    share: float = 1.0,
    config: verification.Config = CERTIFICATE,
    workers: int = 1,
    report: Callable[[int], None] | None = None,
) -> Floats:
    """Gives each row the radius in which a reference keeps its label.

    Give them to `fit(radii=)` for a sensible certified 01 loss. In paper B the sensible
    adversary of (x, y) may go where the reference g still says y, within epsilon:
    S_g(x, y) = {x' in B_epsilon(x): g(x') = y}, and {x} where g is wrong at x
    (docs/papers.md, B1). Here it may go anywhere in the ball of radius min(epsilon,
    share d). d is a lower bound of the distance from x to the nearest point that g
    labels otherwise, and 0 where g is wrong. With a share of at most 1 the ball lies in
    S_g, so every row that is certified in it is right against the sensible adversary.
    S_g also has points outside of this ball; so this training asks for less than paper
    B's.

    Args:
        path: an .npz file that keeps the distances; an interrupted call goes on.
        reference: 01 networks of two classes, [votes, ...].
        x: float [n, d], or images [n, ...], in [0,1].
        y: int [n], labels 0 or 1.
        share: of the distance, above 0.
        config: how distances are measured, in the norm of the training's ball; their
            lower bounds are taken. By default certificates in L2, without the box.
        workers: how many processes share the rows, as for `verification.measure`.
        report: called with the number of rows done, after each.

    Returns:
        float64 [n], on the [0,1] pixel scale.

    Raises:
        ValueError: the share, the networks or the rows do not fit, or the file is
            damaged or of others.
    """
    checks.positive(share=share)
    found = verification.bounds(
        path, reference, x, y, config, workers=workers, report=report
    )
    return share * found.lower
