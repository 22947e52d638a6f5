"""One of two processes that `test_hosts` starts: trains, attacks, keeps what came out.

    python host_worker.py PORT PROCESS FOLDER TASK

TASK is "whole" or "resume". The functions are those that the test calls alone.
"""

import os
import pathlib
import signal
import sys

import jax
import numpy as np

from zeroone_jax import coordinate_descent, devices, hosts, models, runs, training
from zeroone_jax.training import objectives

# Not a key: nothing may be computed before the processes have met.
SEED = 7
CONFIG = coordinate_descent.Config(
    votes=3,
    hidden=4,
    iterations=coordinate_descent.SEGMENT + 20,
    features=6,
    candidates=2,
    bins=64,
)
TRAINING = training.Config(epochs=5, batch_size=6, optimizer=training.Sgd())


def problem():
    """Rows of 8-bit numbers whose label is the sign of a sum, but for some."""
    generator = np.random.default_rng(3)
    levels = generator.integers(0, 256, (60, 9))
    y = (levels[:, :4].sum(1) > levels[:, 4:8].sum(1)).astype(np.int32)
    y[:6] = 1 - y[:6]
    return (levels / np.float32(255)).astype(np.float32), y


def opened(folder, resume=False, settings=None):
    return runs.RunDirectory(
        folder, settings or {"seed": 7}, resume=resume, revision="test"
    )


def descend(folder, resume=False, on_saved=None):
    """Coordinate descent with a checkpoint after each segment."""
    x, y = problem()
    with opened(folder, resume) as run:
        key = jax.random.key(SEED)
        (state,) = coordinate_descent.Grid([key], x, y, [CONFIG]).init()
        state = run.restore(state) or state

        def on_segment(state, history):
            step = int(state.iteration)
            run.append_metrics([{"step": step}])
            run.save(step, state)
            if on_saved is not None:
                on_saved(step)

        result = coordinate_descent.fit(
            key, x, y, CONFIG, state=state, on_segment=on_segment
        )
        run.finish({"iteration": int(result.state.iteration)})
        return result.params


def train(chosen):
    """20 updates of a network, whose batches of 6 may not go evenly."""
    x, y = problem()
    images = np.concatenate([x, x[:, :3]], axis=1).reshape(-1, 2, 2, 3)[:24]
    network = models.build("mlp_sigmoid20", (2, 2, 3), classes=2)
    objective = objectives.projected_gradient(epsilon=0.1, step_size=0.05, steps=2)
    state = training.fit(
        jax.random.key(SEED),
        network,
        objective,
        images,
        y[:24],
        TRAINING,
        devices=chosen,
    )
    assert int(state.step) == 20
    return devices.own(training.variables(state)).params


def keep(path, tree):
    if hosts.is_first():
        np.savez(path, *map(np.asarray, jax.tree.leaves(tree)))


def refused(folder):
    """What every process is told of a directory that cannot be opened."""
    try:
        opened(folder, resume=True, settings={"seed": 8})
    except runs.RunError as error:
        return str(error)
    raise AssertionError("it was opened")


def main(port, process, folder, task):
    hosts.connect(f"localhost:{port}", 2, process, seconds=60)
    assert jax.process_count() == 2
    assert jax.device_count() == 8
    if task == "resume":
        keep(folder / "resumed.npz", descend(folder / "alone", resume=True))
        return
    keep(folder / "descent.npz", descend(folder / "whole"))
    (folder / f"refused-{process}").write_text(refused(folder / "whole"))
    keep(folder / "trained.npz", train(jax.devices()))
    found = hosts.from_first(lambda: {"process": process}, runs.RunError)
    assert found == {"process": 0}

    def kill(step):
        hosts.wait(f"saved {step}")
        os.kill(os.getpid(), signal.SIGKILL)

    descend(folder / "killed", on_saved=kill)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 4)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    main(int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4])
