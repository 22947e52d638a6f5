"""Half of the sweep `smoke`, on images that are smaller still."""

import dataclasses
import pathlib
from collections.abc import Sequence

from experiments import run_directory, train_zero_one
from experiments.command_line import parse_settings
from experiments.configs.zero_one import PRESETS
from experiments.sweeps import presets as sweeps
from experiments.sweeps.definition import Run, Sweep
from experiments.sweeps.language import product


def smoke(images: str) -> Sweep:
    """Takes the first six runs, and replaces their images by those of an .npz."""
    sweep = sweeps.smoke()
    overrides = product([{"data.name": images}], sweep.overrides[:6])
    return dataclasses.replace(sweep, overrides=overrides)


def train_here(runs: Sequence[Run]) -> None:
    """Trains the 01 networks of runs one by one, in this process."""
    for run in runs:
        words = [word for word in run.job.command if "--config" in word]
        experiment = parse_settings(PRESETS, words)
        path = pathlib.Path(run.job.run_dir)
        with run_directory.opened_at(path, run.config, resume=False) as opened:
            train_zero_one.train(experiment, opened, checkpoint_every=200)
