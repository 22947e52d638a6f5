"""Trains on images that do not fit into memory, beside the same from memory.

    python -m benchmarks.read_ahead                   3 GB of images, 2 GB of memory
    python -m benchmarks.read_ahead --gigabytes=.01   a trial

Writes a synthetic TFDS set of 64 x 64 colour images once, and trains ResNet-20 on it
for some updates, each time in a process of its own: from disk under a limit of memory
that the images exceed, and from memory without a limit. The rates, the first segment
left out, are kept in `results/read_ahead.json`.
"""

import argparse
import contextlib
import io
import json
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import numpy as np

from zeroone_jax import data, models, runs, training
from zeroone_jax.training import objectives

ROOT = pathlib.Path(__file__).parents[1]
SHAPE, CLASSES = (64, 64, 3), 10
CONFIG = training.Config(batch_size=32, segment=20)


class EnoughError(Exception):
    """Ends training after the updates that are timed."""


def write(folder: pathlib.Path, gigabytes: float) -> str:
    """Writes the set, unless it is there; returns its name."""
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets.core import registered, shuffle

    count = int(gigabytes * 1e9 / np.prod(SHAPE))
    name = f"synthetic_{count}"
    if (folder / name).exists():
        return name

    def examples() -> Iterator[tuple[int, dict[str, Any]]]:
        generator = np.random.default_rng(0)
        for row in range(count):
            picture = io.BytesIO()
            pixels = generator.integers(0, 256, SHAPE, np.uint8)
            Image.fromarray(pixels).save(picture, "PNG", compress_level=1)
            picture.seek(0)
            yield row, {"image": picture, "label": row % CLASSES}

    def info(builder: Any) -> Any:
        features = {
            "image": tfds.features.Image(shape=SHAPE),
            "label": tfds.features.ClassLabel(num_classes=CLASSES),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=builder, features=features)

    # Beyond a gigabyte it would shuffle by way of files, for which it needs TensorFlow.
    in_memory = mock.patch.object(shuffle, "MAX_MEM_BUFFER_SIZE", sys.maxsize)
    with in_memory, registered.skip_registration():
        kind = type(
            "Synthetic",
            (tfds.core.GeneratorBasedBuilder,),
            {
                "VERSION": tfds.core.Version("1.0.0"),
                "name": name,
                "_info": info,
                "_split_generators": lambda *_: {"train": examples()},
                "_generate_examples": None,
            },
        )
        tfds.display_progress_bar(False)
        with contextlib.redirect_stdout(io.StringIO()):
            kind(data_dir=folder, file_format="array_record").download_and_prepare()
    return name


def rate(folder: pathlib.Path, name: str, on_disk: bool, segments: int) -> Any:
    """Trains for some segments.

    Returns:
        Images a second but for the first segment, the losses, and the peak of memory.
    """
    load = data.open_split if on_disk else data.load
    split = load(name, "train", data_dir=folder)
    network = models.build("resnet20", SHAPE, CLASSES)
    times, losses = [], []

    def told(_: Any, progress: training.Progress) -> None:
        times.append(time.perf_counter())
        losses.append(progress.metrics["loss"])
        if len(times) > segments:
            raise EnoughError

    with contextlib.suppress(EnoughError):
        training.fit(
            jax.random.key(0),
            network,
            objectives.natural(),
            split.images,
            split.labels,
            CONFIG,
            on_segment=told,
        )
    images = (len(times) - 1) * CONFIG.segment * CONFIG.batch_size
    return {
        "images_per_second": images / (times[-1] - times[0]),
        "losses": losses,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Writes, trains twice, compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--limit", type=float, default=2.0, help="in gigabytes")
    parser.add_argument("--segments", type=int, default=5, help="that are timed")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "runs" / "images")
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "results" / "read_ahead.json"
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, kind = options.one
        print(json.dumps(rate(options.folder, name, kind == "disk", options.segments)))
        return
    name = write(options.folder, options.gigabytes)

    def limit() -> None:
        most = int(options.limit * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    found: dict[str, Any] = {}
    for kind in ("disk", "memory"):
        command = [sys.executable, "-m", "benchmarks.read_ahead", "--one", name, kind]
        command += [f"--folder={options.folder}", f"--segments={options.segments}"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=limit if kind == "disk" else None,
        )
        found[kind] = json.loads(done.stdout.splitlines()[-1])
        print(kind, json.dumps(found[kind]), flush=True)
    rates = [found[kind]["images_per_second"] for kind in ("disk", "memory")]
    runs.write_json(
        options.out,
        {
            "gigabytes": options.gigabytes,
            "limit_gigabytes": options.limit,
            **found,
            "ratio": rates[0] / rates[1],
            "same_losses": found["disk"]["losses"] == found["memory"]["losses"],
            **runs.session(runs.git_revision(pathlib.Path(__file__))),
        },
    )


if __name__ == "__main__":
    main()
