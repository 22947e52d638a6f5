"""Which 01 networks hang on rounding: what a millionth of the bias changes (A6)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import data
from zeroone_jax.models import zero_one

from ...studies.bench import Bench, each
from ...studies.columns import Columns, at, sheet
from ...studies.study import Row, Study
from .targets import targets

_MODELS = "authors", "mlp01", "mlp01-blind", "scdce"
_SHIFT = 1e-6


def _measured(bench: Bench, protocol: None) -> dict[str, Any]:
    """Counts labels in float64, with the bias shifted, and in float32."""
    del protocol
    bench.expect(1)
    networks = bench.subject.networks
    if networks is None:
        raise AssertionError(f"{bench.name} is no sign network")
    training, test = (
        data.as_features(bench.subject.split(name)) for name in ("train", "test")
    )
    with jax.enable_x64(True):
        double = zero_one.astype(networks, jnp.dtype(jnp.float64))
        found = bench.kept("votes", lambda: counted(double, training[0], *test))
    del found["seconds"]
    return {"votes": {name: values.tolist() for name, values in found.items()}}


def counted(
    networks: zero_one.Params, training: np.ndarray, x: np.ndarray, y: np.ndarray
) -> dict[str, np.ndarray]:
    """Counts what hangs on rounding; asks for float64 to be enabled.

    Args:
        networks: in float64, [votes, ...].
        training: float [m, d], training images.
        x: float [n, d], test images.
        y: int [n], their labels.

    Returns:
        For every vote, and last for the majority: the "accuracy" on test images,
        "higher" and "lower" that of an output bias a millionth higher and lower, and
        the shares of test labels that "float32" and, there, the units in another
        "order" change. For every vote, "near": the share of training images with
        a score of less than a millionth.
    """
    exact = _labels(networks, x)
    higher, lower = (
        _labels(dataclasses.replace(networks, b2=networks.b2 + shift), x)
        for shift in (_SHIFT, -_SHIFT)
    )
    single = zero_one.astype(networks, jnp.dtype(jnp.float32))
    usual = _labels(single, x)
    backwards = dataclasses.replace(
        single, w1=single.w1[:, ::-1], b1=single.b1[:, ::-1], w2=single.w2[:, ::-1]
    )
    share = zero_one.margins(
        networks, jnp.asarray(training, networks.w1.dtype), (_SHIFT,)
    ).share
    found = {
        "accuracy": np.mean(exact == y, axis=1),
        "near": np.asarray(share)[:, 0],
        "higher": np.mean(higher == y, axis=1),
        "lower": np.mean(lower == y, axis=1),
        "float32": np.mean(usual != exact, axis=1),
        "order": np.mean(usual != _labels(backwards, x), axis=1),
    }
    return {name: np.round(shares, 5) for name, shares in found.items()}


def _labels(networks: zero_one.Params, x: np.ndarray) -> np.ndarray:
    """Labels of every vote, and last of the majority: int [votes + 1, n]."""
    votes = zero_one.votes(networks, jnp.asarray(x, networks.w1.dtype))
    together = zero_one.majority(votes)
    return np.concatenate([np.asarray(votes), np.asarray(together)[None, :]])


def _voters(rows: Sequence[Row]) -> Iterator[Row]:
    """A row for each model's majority, and for the votes that rounding changes."""
    for row in rows:
        votes = {**row["votes"], "near": [*row["votes"]["near"], None]}
        for place, near in enumerate(votes["near"]):
            one = {name: shares[place] for name, shares in votes.items()}
            who = "majority" if near is None else f"vote {place + 1}"
            moved = len({one["accuracy"], one["higher"], one["lower"]}) > 1
            if near is None or near or moved or one["float32"] or one["order"]:
                yield {**one, "who": f"{row['method']}, {who}"}


_COLUMNS: Columns = {
    "network": at("who"),
    "training images with a score below 1e-6": lambda row: (
        "-" if row["near"] is None else f"{row['near']:.1%}"
    ),
    "test, float64": at("accuracy"),
    "output bias + 1e-6": at("higher"),
    "output bias - 1e-6": at("lower"),
    "labels float32 changes": lambda row: f"{row['float32']:.1%}",
    "and the units in another order": lambda row: f"{row['order']:.1%}",
}
_TITLE = "Which networks hang on rounding: majorities, and the votes that do"
ROUNDING = Study(
    runs=lambda scale: each(
        [target for target in targets(scale) if target.label in _MODELS],
        _measured,
        shift=_SHIFT,
    ),
    tables={"table.md": sheet(_TITLE, _COLUMNS, _voters)},
)
