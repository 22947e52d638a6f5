"""The substitute-model attack: learn to imitate labels, attack the imitation, transfer.

Papernot et al. 2017 with the settings of paper A (docs/papers.md, A4). The target
gives labels only. A small network is trained on them, round after round, on images that
its own gradients point out; adversaries of that network are then shown to the target.

The target is called outside of jit with exactly the images that it must label, so it
may be any function of arrays, other libraries' included. The rest is compiled once,
whatever the number of images. With a target that JAX can trace, a caller may jit the
whole attack.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks import substitute
from zeroone_jax.attacks.substitute import PAPER, Substitute
from zeroone_jax.types import Array, Key, LabelFn


class State(NamedTuple):
    """What the rounds hand on.

    Attributes:
        params: the substitute's (kernel, bias) of each layer.
        optimizer: Adam's state.
        images: float [m, ...], what is trained on; they may leave the box.
        labels: i32 [m], the target's.
        round: i32 [], rounds done.
        queries: i32 [], labels asked of the target so far to train on.
    """

    params: Any
    optimizer: Any
    images: Array
    labels: Array
    round: Array
    queries: Array


class Record(NamedTuple):
    """What a round came to; of the whole attack, with a leading axis [rounds].

    Attributes:
        agreement: float [], the share of evaluation images that the substitute labels
            as the target does.
        substitute_accuracy: float [], the share that it labels right.
        target_accuracy: float [], the share that the target labels right.
        adversarial_accuracy: float [epsilons], the share of the substitute's
            adversaries that the target labels right: what the paper plots.
        queries: i32 [], labels asked of the target so far to train on. Those asked to
            fill this record do not count.
    """

    agreement: Array
    substitute_accuracy: Array
    target_accuracy: Array
    adversarial_accuracy: Array
    queries: Array


def substitute_attack(
    key: Key,
    label_fn: LabelFn,
    queries: Array,
    x: Array,
    y: Array,
    query_labels: Array | None = None,
    classes: int = 2,
    settings: Substitute = PAPER,
) -> Record:
    """Attacks a target through a substitute, and records every round.

    Args:
        key: a random key.
        label_fn: the target: float [m, ...] to labels int [m].
        queries: float [m, ...] in [0,1], the images that the substitute starts from.
        x: float [n, ...] in [0,1], the images to find adversaries of: others.
        y: i32 [n], their true labels.
        query_labels: i32 [m], the target's labels of `queries`; None to ask for them.
        classes: how many there are.
        settings: the settings.

    Returns:
        The `Record` of every round, stacked: [rounds] and [rounds, epsilons].

    Raises:
        TypeError: labels or images have a wrong type.
        ValueError: or a wrong shape or value.
    """
    x = checks.images("x", x)
    y = checks.labels(y, len(x), classes).astype(jnp.int32)
    queries = checks.images("queries", queries)
    if x.shape[1:] != queries.shape[1:]:
        raise ValueError(f"x has shape {x.shape}, but queries have {queries.shape}")
    state = init(key, label_fn, queries, query_labels, classes, settings)
    target_labels = ask(label_fn, x, classes)
    records: list[Record] = []
    for _ in range(settings.rounds):
        if records:
            state = augment(key, label_fn, state, classes, settings)
        state = train(key, state, settings)
        records.append(
            evaluate(label_fn, state, x, y, target_labels, classes, settings)
        )
    return jax.tree.map(lambda *values: jnp.stack(values), *records)


def init(
    key: Key,
    label_fn: LabelFn,
    queries: Array,
    query_labels: Array | None = None,
    classes: int = 2,
    settings: Substitute = PAPER,
) -> State:
    """Makes an untrained substitute, and labels the first images.

    The arguments are those of `substitute_attack`.
    """
    checks.key(key)
    queries = checks.images("queries", queries)
    if len(queries) > settings.limit:
        raise ValueError(
            f"there are {len(queries)} queries, but limit is {settings.limit}"
        )
    if classes < 2:
        raise ValueError(f"classes is {classes}, but must be at least 2")
    asked = 0
    if query_labels is None:
        query_labels = ask(label_fn, queries, classes)
        asked = len(queries)
    query_labels = checks.labels(query_labels, len(queries), classes)
    params = substitute.init(
        jax.random.fold_in(key, 0), queries[0].size, classes, settings, queries.dtype
    )
    return State(
        params,
        substitute.optimizer(settings).init(params),
        queries,
        query_labels.astype(jnp.int32),
        jnp.asarray(0, jnp.int32),
        jnp.asarray(asked, jnp.int32),
    )


def train(key: Key, state: State, settings: Substitute) -> State:
    """Trains the substitute for a round's epochs, on from where it is.

    Args:
        key: the attack's key.
        state: the state.
        settings: the settings.

    Returns:
        The state with other weights, and one more round done.
    """
    missing = settings.limit - len(state.images)
    images = jnp.pad(state.images, [(0, missing)] + [(0, 0)] * (state.images.ndim - 1))
    params, optimizer = substitute.fit(
        settings,
        jax.random.fold_in(jax.random.fold_in(key, 1), state.round),
        state.params,
        state.optimizer,
        images,
        jnp.pad(state.labels, (0, missing)),
        jnp.asarray(len(state.images), jnp.int32),
    )
    return state._replace(params=params, optimizer=optimizer, round=state.round + 1)


def augment(
    key: Key, label_fn: LabelFn, state: State, classes: int, settings: Substitute
) -> State:
    """Adds an image to every image, or puts it in its place; asks for its label.

    The new image is `x + s lambda sign(d logit_y / d x)`, with y the target's label of
    x, lambda the setting `augmentation` and s one sign for all, drawn for each round.

    Args:
        key: the attack's key.
        label_fn: the target.
        state: the state.
        classes: how many there are.
        settings: the settings.

    Returns:
        The state with other images and labels, and as many more queries as new ones.
    """
    round_key = jax.random.fold_in(jax.random.fold_in(key, 2), state.round)
    sign = jax.random.rademacher(round_key, (), state.images.dtype)
    signs = substitute.logit_signs(state.params, state.images, state.labels)
    images = state.images + sign * settings.augmentation * signs
    labels = ask(label_fn, images, classes)
    queries = state.queries + len(images)
    if 2 * len(images) <= settings.limit:
        images = jnp.concatenate([state.images, images])
        labels = jnp.concatenate([state.labels, labels])
    return state._replace(images=images, labels=labels, queries=queries)


def adversaries(state: State, x: Array, y: Array, epsilon: float) -> Array:
    """Finds the substitute's adversaries by FGSM with the true labels, clipped.

    Args:
        state: the state.
        x: float [n, ...] in [0,1].
        y: i32 [n], true labels.
        epsilon: how far to go in each pixel.

    Returns:
        float [n, ...] in [0,1].
    """
    return jnp.clip(x + epsilon * substitute.loss_signs(state.params, x, y), 0, 1)


def evaluate(
    label_fn: LabelFn,
    state: State,
    x: Array,
    y: Array,
    target_labels: Array,
    classes: int,
    settings: Substitute,
) -> Record:
    """Measures the substitute, and what its adversaries do to the target.

    Args:
        label_fn: the target.
        state: the state.
        x: float [n, ...] in [0,1].
        y: i32 [n], true labels.
        target_labels: i32 [n], the target's labels of x.
        classes: how many there are.
        settings: the settings.

    Returns:
        The round's `Record`.
    """
    labels = losses.labels(substitute.logits(state.params, x))
    adversarial = [
        jnp.mean(ask(label_fn, adversaries(state, x, y, epsilon), classes) == y)
        for epsilon in settings.epsilons
    ]
    return Record(
        agreement=jnp.mean(labels == target_labels),
        substitute_accuracy=jnp.mean(labels == y),
        target_accuracy=jnp.mean(target_labels == y),
        adversarial_accuracy=jnp.stack(adversarial),
        queries=state.queries,
    )


def ask(label_fn: LabelFn, x: Array, classes: int) -> Array:
    """Asks the target for labels, i32 [n], and checks what it says.

    Raises:
        TypeError: it does not return whole numbers.
        ValueError: it returns a wrong shape, or a label not in 0..classes-1.
    """
    answer = jnp.asarray(label_fn(x))
    if not jnp.issubdtype(answer.dtype, jnp.integer):
        raise TypeError(
            f"the target returns {answer.dtype}{list(answer.shape)}, but must return "
            "labels: wrap logits as attacks.as_label_fn(logits_fn)"
        )
    if answer.shape != (len(x),):
        raise ValueError(
            f"the target returns labels of shape {answer.shape} for {len(x)} images"
        )
    checks.labels(answer, len(x), classes)
    return answer.astype(jnp.int32)
