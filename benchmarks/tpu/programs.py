"""What the launchers run, as programs to compile: from a name to what is lowered.

Shapes are those of the real data; there is no data, and nothing is computed. Attacks
meet 1,000 images, by labels those of 01 networks of 8 votes, otherwise of a small CNN.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.tpu import topology
from experiments.configs import attack as attack_configs
from experiments.configs import network_presets
from experiments.configs.network import Experiment
from zeroone_jax import attacks, coordinate_descent, devices, models, training
from zeroone_jax.attacks import rows, run
from zeroone_jax.coordinate_descent import ensemble
from zeroone_jax.models import zero_one
from zeroone_jax.training import loop, objectives

KEY = jax.random.key(0)
IMAGES = 1000
_CIFAR10, _MNIST = (32, 32, 3), (28, 28, 1)
_TRAINED_ON = 50_000
_OF_SIGNS = ("hyperplane_crossing", "surrogate_gradient")


@dataclasses.dataclass(frozen=True)
class Program:
    """Something to compile.

    Attributes:
        chips: over how many it is spread.
        lower: traces and lowers it for these chips.
    """

    chips: int
    lower: Callable[[list[Any]], jax.stages.Lowered]


def programs() -> Mapping[str, Program]:
    """Every program by its name, the cheapest to compile first."""
    found = {name: Program(4, lower) for name, lower in _attacks()}
    for preset in ("default", "paper_2020"):
        for what in ("init", "segment"):
            lower = functools.partial(_descent, preset, 100, what)
            found[f"descent/{preset}/{what}"] = Program(4, lower)
    resnet20 = network_presets.capacity("resnet20")
    for name, objective in _objectives():
        experiment = dataclasses.replace(resnet20, objective=objective)
        lower = functools.partial(update, experiment, _CIFAR10)
        found[f"train/resnet20/{name}"] = Program(4, lower)
    for chips in (4, 16):
        lower = functools.partial(update, network_presets.main(), _CIFAR10)
        found[f"train/main/{chips}_chips"] = Program(chips, lower)
    return found


def quick() -> Mapping[str, Program]:
    """One program of each kind, small: what a test compiles."""
    small = Experiment(network="lenet_valid")
    config = coordinate_descent.Config(votes=4, hidden=4, features=16, candidates=4)
    found = {
        "pgd": functools.partial(attacked, "pgd", attacks.pgd(epsilon=0.3), images=8),
        "hop_skip_jump": functools.partial(
            attacked, "hop_skip_jump", attacks.hop_skip_jump(), images=8
        ),
        "descent": functools.partial(descent, config, 256, "segment"),
        "update": functools.partial(update, small, _MNIST),
    }
    return {name: Program(4, lower) for name, lower in found.items()}


def _attacks() -> Iterator[tuple[str, Callable[[list[Any]], jax.stages.Lowered]]]:
    """Every attack of the launcher, and what of the suites is another program."""
    seen: list[attacks.Attack] = []
    for name, preset in attack_configs.PRESETS.items():
        todo: Any = preset().attack
        for title, attack in _single(name, todo):
            if attack not in seen:
                seen.append(attack)
                yield f"attack/{title}", functools.partial(attacked, title, attack)


def _single(name: str, todo: Any) -> Iterator[tuple[str, attacks.Attack]]:
    """The attacks of a suite and of suites in it; verification is none."""
    if isinstance(todo, attack_configs.Suite):
        todo = todo.build()
    if isinstance(todo, attacks.Attack):
        yield name, todo
    elif isinstance(todo, attacks.suite.Suite):
        for stage in todo.stages:
            yield from _single(f"{name}/{stage.name}", stage.attack)


def attacked(
    name: str, attack: attacks.Attack, chips: list[Any], images: int = IMAGES
) -> jax.stages.Lowered:
    """Lowers an attack on images that are spread over chips."""
    mesh = devices.mesh("images", chips)
    by_signs = attack.needs == "labels" or name in _OF_SIGNS
    classifier = _votes() if by_signs else _small_cnn()
    fn = attacks.as_label_fn(classifier) if attack.needs == "labels" else classifier
    x = jnp.zeros((images, *classifier.image_shape))
    y = jnp.zeros(images, jnp.int32)
    settled, model = attack.settled(x), attack.model(fn, x)
    if attack.as_rows:
        settled, model, x, _ = rows.laid_out(settled, model, x, None)
    batch = run.Batch(settled, x, y, None, jnp.ones(images, bool))
    laid = jax.tree.map(
        lambda leaf: (topology.rows if leaf.ndim else topology.whole)(leaf, mesh), batch
    )
    key, model = topology.whole((KEY, model), mesh)
    return run.on_devices.lower((mesh, "images"), key, model, laid, None, False)


def _votes(votes: int = 8) -> Any:
    """01 networks for CIFAR-10 class 0 against 1."""
    inputs, hidden = int(np.prod(_CIFAR10)), 20
    shapes = ((hidden, inputs), (hidden,), (hidden,), ())
    params = zero_one.Params(*(jnp.zeros((votes, *shape)) for shape in shapes))
    return zero_one.Vote(params, _CIFAR10)


def _small_cnn() -> Any:
    network = models.build("small_cnn", _MNIST, 10)
    shapes = jax.eval_shape(network.init, KEY)
    return network.bind(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))


def _descent(
    preset: str, votes: int, what: str, chips: list[Any]
) -> jax.stages.Lowered:
    config = dataclasses.replace(coordinate_descent.PRESETS[preset](), votes=votes)
    return descent(config, 10_000, what, chips)


def descent(
    config: coordinate_descent.Config, rows: int, what: str, chips: list[Any]
) -> jax.stages.Lowered:
    """Lowers coordinate descent on two classes of CIFAR-10: "init" or a "segment"."""
    mesh = devices.mesh("votes", chips)
    program, tuning = coordinate_descent.split(config)
    inputs = int(np.prod(_CIFAR10))
    data = coordinate_descent.Problem(
        jax.ShapeDtypeStruct((inputs, rows), jnp.float32),
        jax.ShapeDtypeStruct((inputs,), jnp.float32),
        jax.ShapeDtypeStruct((rows,), jnp.int32),
    )
    runs = ensemble.Runs(
        KEY[None],
        jax.tree.map(lambda leaf: leaf[None], tuning),
        data,
        jnp.ones(config.votes, jnp.int32),
    )
    runs = topology.whole(runs, mesh)
    if what == "init":
        return ensemble.init.lower(runs, program, mesh)
    search = jax.eval_shape(lambda runs: ensemble.init(runs, program, mesh), runs)
    return ensemble.segment.lower(runs, topology.whole(search, mesh), program, mesh)


def _objectives() -> Iterator[tuple[str, objectives.Objective]]:
    """Every objective by its name, with its own settings, which are CIFAR-10's."""
    plain: dict[str, Any] = {"gaussian_noise": {"sigma": 0.1}}
    for name in objectives.__all__:
        make = getattr(objectives, name)
        if name[0].islower():
            yield name, make(**plain.get(name, {}))


def update(
    experiment: Experiment,
    shape: tuple[int, int, int],
    chips: list[Any],
    count: int = _TRAINED_ON,
) -> jax.stages.Lowered:
    """Lowers the loop over a segment's updates, whose body is one update."""
    mesh = devices.mesh("batch", chips)
    dtype = jnp.bfloat16 if experiment.dtype == "bfloat16" else None
    network = models.build(experiment.network, shape, 10, dtype)
    objective, config = experiment.objective, experiment.training
    state = jax.eval_shape(
        lambda key: training.init(key, network, objective, count, config), KEY
    )
    order = jax.ShapeDtypeStruct(
        (count // config.batch_size, config.batch_size), jnp.int32
    )
    images = jax.ShapeDtypeStruct((count, *shape), jnp.uint8)
    labels = jax.ShapeDtypeStruct((count,), jnp.int32)
    number = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = topology.whole(
        (KEY, state, images, labels, order, None, number, number), mesh
    )
    with jax.set_mesh(mesh):
        return loop.segment.lower(*arguments, network, objective, config)
