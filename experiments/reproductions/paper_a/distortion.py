"""Paper A's table of least distortions (A4, A5), and what it leaves out (A6).

Each model is attacked as the paper did and as its authors did in 2021, then with
HopSkipJump's radius tuned, along gradients or by polishing where the model allows that,
and 01 networks and binarized ones are measured exactly.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import attack_task, attacked_models, command_line
from experiments.progress import Progress
from experiments.reproductions.paper_a.accuracy import right_of_all
from experiments.reproductions.paper_a.distortion_attacks import (
    PAPER_IMAGES,
    Images,
    Piece,
    Protocol,
    pieces,
    protocol,
)
from experiments.reproductions.paper_a.distortion_exact import measured, rounded
from experiments.reproductions.paper_a.distortion_pictures import keep
from experiments.reproductions.paper_a.targets import Target, TargetRun, targets
from experiments.reproductions.plan import Place, Scale, arrays_once
from zeroone_jax import attacks, models, runs
from zeroone_jax.data import catalog
from zeroone_jax.models import zero_one

_POOL = 1000
_KEY = 0


@dataclasses.dataclass(frozen=True)
class DistortionRun(TargetRun):
    """Attacks on one model.

    Attributes:
        scale: whose models label the common images rightly.
    """

    scale: Scale

    @property
    def protocol(self) -> Protocol:
        """How it is attacked."""
        return protocol(self.scale, self.target.convolutional)

    def settings(self) -> dict[str, Any]:
        """The model's, the protocol's, and which models the images are common to."""
        return {
            "model": self.target.settings(),
            "protocol": dataclasses.asdict(self.protocol),
            "among": [target.directory for target in targets(self.scale)],
        }

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Attacks, a piece after another, and measures."""
        with jax.enable_x64(self.target.double):
            model = self.target.model(place)
            indices = right_of_all(place, self.scale)[: self.protocol.images]
            images = {
                "paper": paper_images(model, place.data_dir),
                "common": common_images(model, indices, place.data_dir),
            }
            networks = sign_networks(self.target, model)
            planned = pieces(self.protocol, networks is None, networks is not None)
            found = self._found(run, planned, model, networks, images)
            shape = catalog.CATALOG[model.source.name].image_shape
            keep(run.path, shape, np.asarray(images["common"].x), found)
            # Of all sessions; training the model is not in it.
            seconds = sum(float(piece["seconds"]) for piece in found.values())
            exact = None
            if networks is not None:
                path = run.path / "exact.npz"
                exact = measured(path, networks, images["common"], self.protocol)
                seconds += exact["seconds"]
        run.finish(
            {
                "config": self.settings(),
                "indices": indices.tolist(),
                "norms": {piece.name: piece.norm for piece in planned},
                "pieces": {name: short(arrays) for name, arrays in found.items()},
                "exact": exact,
                "seconds": round(seconds, 1),
                "session": run.sessions()[-1],
            }
        )

    def _found(
        self,
        run: runs.RunDirectory,
        planned: Sequence[Piece],
        model: attacked_models.Model,
        networks: zero_one.Params | None,
        images: Mapping[str, Images],
    ) -> dict[str, dict[str, np.ndarray]]:
        """Makes the pieces that are not there yet, and gives what all found."""
        progress = Progress(f"attacking {self.method}", len(planned))
        found: dict[str, dict[str, np.ndarray]] = {}
        for number, piece in enumerate(planned, 1):
            path = run.path / f"piece-{piece.name.replace(' ', '-')}.npz"
            repeats = self.protocol.repeats
            make = functools.partial(
                attacked, piece, model, networks, images, repeats, found
            )
            found[piece.name] = arrays_once(path, make)
            median = np.median(found[piece.name]["distance"])
            progress.report(number, f"{piece.name}: median {median:.4g}")
        return found


def distortion_runs(scale: Scale) -> Sequence[DistortionRun]:
    """Lists the models of a scale."""
    found = [DistortionRun(target.label, target, scale) for target in targets(scale)]
    # Compiling takes most of a smoke test.
    return found[:1] if scale == "smoke" else found


def sign_networks(
    target: Target, model: attacked_models.Model
) -> zero_one.Params | None:
    """Gives a sign network's parameters as those of 01 networks, None of others."""
    del target
    return models.sign_networks(model.logits_fn)


def paper_images(model: attacked_models.Model, data_dir: str | None) -> Images:
    """Loads the paper's ten images for a model.

    Args:
        model: the model.
        data_dir: folder of prepared data sets; None for the usual one.
    """
    source = model.source
    test = command_line.load(source.name, "test", source.classes, data_dir)
    ten = attack_task.picked(test, np.array(PAPER_IMAGES))
    return Images(model.images(ten), jnp.asarray(ten.labels), None)


def common_images(
    model: attacked_models.Model, indices: np.ndarray, data_dir: str | None
) -> Images:
    """Loads images for a model, with training images of the other class to start from.

    Args:
        model: the model.
        indices: places among the test images.
        data_dir: folder of prepared data sets; None for the usual one.
    """
    source = model.source
    training, test = (
        command_line.load(source.name, split, source.classes, data_dir)
        for split in ("train", "test")
    )
    chosen = attack_task.picked(test, indices)
    x, y = model.images(chosen), jnp.asarray(chosen.labels)
    pool = model.images(attack_task.picked(training, slice(_POOL)))
    start = attacks.random_start(jax.random.key(_KEY), x, y, pool, model.label_fn(pool))
    return Images(x, y, start)


def attacked(
    piece: Piece,
    model: attacked_models.Model,
    networks: zero_one.Params | None,
    images: Mapping[str, Images],
    repeats: int,
    found: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Attacks a model.

    Args:
        piece: with what.
        model: the model.
        networks: it as a sign network, for polishing.
        images: the "paper"'s, where a piece wants them, and the "common" ones.
        repeats: of attacks on the paper's images.
        found: what earlier pieces gave, for polishing.

    Returns:
        The "norm"; "distance" and "queries", [n] or, of the paper's images,
        [repeats, n], infinite where there was no success; of the common images the
        "adversary" [n, ...], too.
    """
    if piece.polishes:
        made = _polished(piece, model, networks, images["common"], found)
    else:
        fn: Any = model.label_fn if piece.attack.needs == "labels" else model.logits_fn
        made = _attacked(piece, fn, images[piece.images], repeats)
    return {**made, "norm": np.array(piece.norm)}


def _attacked(
    piece: Piece, fn: Any, images: Images, repeats: int
) -> dict[str, np.ndarray]:
    """Attacks the common images once, or the paper's several times, from noise."""
    x, y, start = images
    if piece.images == "common":
        start = start if piece.attack.starts_from_adversary else None
        return _arrays(piece.attack(jax.random.key(_KEY), fn, x, y, start))
    results = [
        _arrays(piece.attack(jax.random.key(repeat), fn, x, y))
        for repeat in range(repeats)
    ]
    return {
        name: np.stack([one[name] for one in results])
        for name in ("distance", "queries")
    }


def _polished(
    piece: Piece,
    model: attacked_models.Model,
    networks: zero_one.Params | None,
    images: Images,
    found: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Polishes the nearest adversaries so far; the model itself has the last word."""
    so_far = [
        arrays
        for arrays in found.values()
        if "adversary" in arrays and arrays["norm"] == piece.norm
    ]
    nearest = np.argmin([arrays["distance"] for arrays in so_far], axis=0)
    adversaries = np.stack([arrays["adversary"] for arrays in so_far])
    start = jnp.asarray(adversaries[nearest, np.arange(len(nearest))])
    rows = len(images.x), -1
    result = piece.attack(
        jax.random.key(_KEY),
        networks,
        images.x.reshape(rows),
        images.y,
        start.reshape(rows),
    )
    labels = model.label_fn(result.adversary.reshape(images.x.shape))
    broken = np.asarray(result.success & (labels != images.y))
    made = _arrays(result)
    return {**made, "distance": np.where(broken, made["distance"], np.inf)}


def _arrays(result: attacks.AttackResult) -> dict[str, np.ndarray]:
    return {
        "distance": np.asarray(result.distance, np.float64),
        "queries": np.asarray(result.queries),
        "adversary": np.asarray(result.adversary),
    }


def short(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the results keep of a piece: no images.

    Args:
        arrays: what `attacked` gave.
    """
    return {
        "distance": rounded(arrays["distance"]),
        "queries": float(np.mean(arrays["queries"])),
    }
