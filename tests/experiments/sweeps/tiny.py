"""A launcher that costs nothing, and sweeps of it.

As a module it gives what a sweep must know of it. As a script it is the launcher: it
fills --run_dir with a summary, unless the folder of run directories holds a file named
"broken", or one named "slow", which makes it wait.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import pytest

from experiments.sweeps import definition
from experiments.sweeps.definition import Launcher, Sweep
from experiments.sweeps.language import Overrides, choices, product
from zeroone_jax import tagged

SCRIPT = """
import json, pathlib, sys, time

options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
run = pathlib.Path(options["run_dir"])
run.mkdir(parents=True, exist_ok=True)
with (run / "attempts").open("a") as attempts:
    attempts.write("x")
print("trying", flush=True)
while (run.parent / "slow").exists():
    time.sleep(0.02)
if (run.parent / "broken").exists() and options["config.seed"] == "1":
    sys.exit("no luck")
value = 10 * float(options["config.size"]) + int(options["config.seed"])
(run / "summary.json").write_text(json.dumps({"result": {"value": value}}))
"""


@tagged.register("tiny")
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings.

    Attributes:
        size: how large, in metres.
        name: a word.
        seed: of every draw.
    """

    size: float = 1.0
    name: str = "plain"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size={self.size}: must not be negative")


def plain() -> Settings:
    """The plain one."""
    return Settings()


def install(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets sweeps know the launcher, and `python -m` find it in a folder."""
    (folder / "tiny_launcher.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    launcher = Launcher({"plain": plain})
    monkeypatch.setitem(definition.LAUNCHERS, "tiny_launcher", launcher)


def sweep(overrides: Sequence[Overrides] | None = None, preset: str = "plain") -> Sweep:
    """Three seeds of two sizes, if nothing else is asked for."""
    if overrides is None:
        overrides = product(choices("size", [0.5, 2.0]), choices("seed", range(3)))
    return Sweep("tiny_launcher", preset, overrides, {"result (m)": "result.value"})
