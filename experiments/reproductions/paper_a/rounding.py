"""Which 01 networks hang on rounding: what a millionth of the bias changes (A6)."""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command_line
from experiments.reproductions.paper_a.distortion import sign_networks
from experiments.reproductions.paper_a.targets import TargetRun, targets
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import data, runs
from zeroone_jax.evaluation import tables
from zeroone_jax.models import zero_one

_MODELS = "authors", "mlp01", "mlp01-blind", "scdce"
_SHIFT = 1e-6


@dataclasses.dataclass(frozen=True)
class RoundingRun(TargetRun):
    """The look at one ensemble of 01 networks."""

    def settings(self) -> dict[str, Any]:
        """The model's."""
        return {"model": self.target.settings(), "shift": _SHIFT}

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Counts labels in float64, with the bias shifted, and in float32."""
        began = time.monotonic()
        with jax.enable_x64(self.target.double):
            model = self.target.model(place)
            networks = sign_networks(self.target, model)
        if networks is None:
            raise AssertionError(f"{self.method} is no sign network")
        training, test = (
            data.as_features(
                command_line.load(
                    model.source.name, split, model.source.classes, place.data_dir
                )
            )
            for split in ("train", "test")
        )
        with jax.enable_x64(True):
            found = counted(
                zero_one.astype(networks, jnp.dtype(jnp.float64)), training[0], *test
            )
        run.finish(
            {
                "config": self.settings(),
                "votes": found,
                "seconds": round(time.monotonic() - began, 1),
                "session": run.sessions()[-1],
            }
        )


def counted(
    networks: zero_one.Params, training: np.ndarray, x: np.ndarray, y: np.ndarray
) -> dict[str, list[float]]:
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
    shifted = [
        _labels(dataclasses.replace(networks, b2=networks.b2 + shift), x)
        for shift in (_SHIFT, -_SHIFT)
    ]
    single = zero_one.astype(networks, jnp.dtype(jnp.float32))
    usual = _labels(single, x)
    backwards = dataclasses.replace(
        single, w1=single.w1[:, ::-1], b1=single.b1[:, ::-1], w2=single.w2[:, ::-1]
    )
    share = zero_one.margins(
        networks, jnp.asarray(training, networks.w1.dtype), (_SHIFT,)
    ).share
    return {
        "accuracy": _means(exact == y[None, :]),
        "near": np.round(np.asarray(share)[:, 0], 5).tolist(),
        "higher": _means(shifted[0] == y[None, :]),
        "lower": _means(shifted[1] == y[None, :]),
        "float32": _means(usual != exact),
        "order": _means(usual != _labels(backwards, x)),
    }


def _labels(networks: zero_one.Params, x: np.ndarray) -> np.ndarray:
    """Labels of every vote, and last of the majority: int [votes + 1, n]."""
    votes = zero_one.votes(networks, jnp.asarray(x, networks.w1.dtype))
    together = zero_one.majority(votes)
    return np.concatenate([np.asarray(votes), np.asarray(together)[None, :]])


def _means(array: np.ndarray) -> list[float]:
    return np.round(array.mean(axis=1), 5).tolist()


def rounding_runs(scale: Scale) -> Sequence[RoundingRun]:
    """Lists the ensembles of 01 networks of a scale."""
    return [
        RoundingRun(target.label, target)
        for target in targets(scale)
        if target.label in _MODELS
    ]


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table: of each model the majority, and votes that rounding changes.

    Args:
        results: of each model.
        folder: where to write.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    rows = [row for name, (found,) in results.items() for row in _rows(name, found)]
    header = [
        "network",
        "training images with a score below 1e-6",
        "test, float64",
        "output bias + 1e-6",
        "output bias - 1e-6",
        "labels float32 changes",
        "and the units in another order",
    ]
    title = "Which networks hang on rounding: majorities, and the votes that do"
    return write_table(tables.Table(title, header, rows), folder)


def _rows(name: str, found: Mapping[str, Any]) -> list[list[Any]]:
    votes = found["votes"]
    count = len(votes["near"])
    rows = []
    for place in range(count + 1):
        majority = place == count
        near = 0.0 if majority else votes["near"][place]
        accuracies = [votes[key][place] for key in ("accuracy", "higher", "lower")]
        shares = [votes[key][place] for key in ("float32", "order")]
        if majority or near or any(shares) or len(set(accuracies)) > 1:
            who = "majority" if majority else f"vote {place + 1}"
            first = "-" if majority else f"{near:.1%}"
            changed = (f"{share:.1%}" for share in shares)
            rows.append([f"{name}, {who}", first, *accuracies, *changed])
    return rows


ROUNDING = Reproduction(rounding_runs, report)
