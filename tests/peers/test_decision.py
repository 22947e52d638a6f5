"""HopSkipJump and the Boundary Attack against ART's, at equal queries."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, data
from zeroone_jax.attacks.adapters import art_classifier
from zeroone_jax.models import zero_one

evasion = pytest.importorskip(
    "art.attacks.evasion", reason="extra 'peers' is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = 50
KEY = jax.random.key(0)


@pytest.fixture(scope="module", params=["zero_one", "sigmoid_mlp", "small_cnn"])
def target(request):
    """A label function, and images it labels right with a start for each."""
    if request.param == "zero_one":
        params = request.getfixturevalue("zero_one_8")
        x, y = data.as_features(request.getfixturevalue("cifar10_0v1")[1])
        label_fn = jax.tree_util.Partial(zero_one.predict, params)
    else:
        network = request.getfixturevalue(request.param)
        x, y = network.x, network.y
        label_fn = attacks.as_label_fn(network.logits_fn)
    x, y = jnp.asarray(x[:1000]), jnp.asarray(y[:1000])
    labels = label_fn(x)
    right = jnp.flatnonzero(labels == y)[:IMAGES]
    # A random image of the other class for each, the same for both libraries.
    start = attacks.random_start(KEY, x[right], y[right], x, labels)
    return label_fn, x[right], y[right], start


def compare(make_attack, peer_class, settings, target):
    label_fn, x, y, start = target
    classifier = art_classifier(label_fn, x.shape[1:], 2)
    predict, asked = classifier.predict, []
    classifier.predict = lambda points, **rest: (
        asked.append(len(points)) or predict(points, **rest)
    )
    peer = peer_class(classifier, targeted=False, verbose=False, **settings)
    np.random.seed(0)  # noqa: NPY002 - the peer draws from numpy's global state
    theirs = peer.generate(np.asarray(x), x_adv_init=np.asarray(start))
    theirs = np.linalg.norm((theirs - np.asarray(x)).reshape(IMAGES, -1), axis=1)
    queries = sum(asked) // IMAGES
    out = make_attack(max_queries=queries)(KEY, label_fn, x, y, start)
    assert out.success.all()
    assert (label_fn(out.adversary) != y).all()
    assert (out.queries <= queries).all()
    return np.median(out.distance), np.median(theirs)


def test_hop_skip_jump_comes_no_less_near_than_art(target):
    settings = {"norm": 2, "max_iter": 12, "init_eval": 100, "max_eval": 10_000}
    ours, theirs = compare(attacks.hop_skip_jump, evasion.HopSkipJump, settings, target)
    assert ours <= theirs


def test_the_boundary_attack_comes_no_less_near_than_art(target):
    settings = {
        "delta": 0.01,
        "epsilon": 0.01,
        "max_iter": 30,
        "num_trial": 100,
        "sample_size": 100,
        "min_epsilon": 0.0,
    }
    make_attack = functools.partial(attacks.boundary, iterations=1000)
    ours, theirs = compare(make_attack, evasion.BoundaryAttack, settings, target)
    assert ours <= theirs
