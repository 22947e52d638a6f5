"""The sweep `smoke` on images that are smaller still."""

import dataclasses

from experiments.sweeps import presets as sweeps
from experiments.sweeps.definition import Sweep
from experiments.sweeps.language import product


def smoke(images: str) -> Sweep:
    """Replaces the images of every run by those of an .npz."""
    sweep = sweeps.smoke()
    overrides = product([{"data.name": images}], sweep.overrides)
    return dataclasses.replace(sweep, overrides=overrides)
