"""Our models in other libraries' hands, and a foreign model in ours."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses
from zeroone_jax.attacks import adapters
from zeroone_jax.models import Network, mlp

foolbox = pytest.importorskip("foolbox", reason="extra 'peers' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (4, 3, 2)
"""Height, width and channels, all different."""


def network(classes=3):
    """A function whose labels differ from image to image."""
    made = Network(mlp.Module(hidden=(9,), classes=classes), SHAPE)
    variables = jax.tree.map(lambda a: 4 * a, made.init(jax.random.key(0)))
    model = made.bind(variables)
    return lambda x: model(2 * x - 1)


def single(x):
    """One number for two classes."""
    z = network(2)(x)
    return z[:, 1] - z[:, 0]


def images(count, fn):
    x = jax.random.uniform(jax.random.key(1), (count, *SHAPE))
    return x, losses.labels(fn(x))


@pytest.mark.parametrize("fn", [network(), single], ids=["three", "single"])
def test_foolbox_attacks_as_we_do(fn):
    x, y = images(6, fn)
    model = adapters.foolbox_model(fn)
    np.testing.assert_allclose(model(x), losses.as_logits(fn(x)), atol=1e-6)
    theirs = foolbox.attacks.LinfFastGradientAttack()(model, x, y, epsilons=0.05)
    ours = attacks.fgsm(epsilon=0.05)(jax.random.key(0), fn, x, y)
    moved = ~np.asarray(ours.success) | np.asarray(theirs[2])
    np.testing.assert_allclose(theirs[1][moved], ours.adversary[moved], atol=1e-6)
    assert np.array_equal(theirs[2], ours.success)


def test_torch_bridge_gives_jax_logits_and_gradients():
    torch = pytest.importorskip("torch")
    fn = network()
    x, y = images(5, fn)
    module = adapters.torch_callable(fn)
    pixels = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).requires_grad_()
    logits = module(pixels)
    np.testing.assert_allclose(logits.detach().numpy(), fn(x), atol=1e-6)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(np.array(y)).long())
    loss.backward()
    expected = jax.grad(lambda x: losses.cross_entropy(fn(x), y).mean())(x)
    got = pixels.grad.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(module(pixels), logits)
        assert module(pixels[:0]).shape == (0, 3)
        flat = adapters.torch_callable(fn, channels_first=False)
        rows = torch.tensor(np.array(x))
        np.testing.assert_allclose(flat(rows).numpy(), fn(x), atol=1e-6)


def test_torch_bridge_compiles_few_sizes():
    torch = pytest.importorskip("torch")
    traced = []

    def fn(x):
        traced.append(len(x))
        return network()(x)

    module = adapters.torch_callable(fn)
    for count in (1, 2, 3, 5, 6, 7, 8):
        module(torch.rand(count, 2, 4, 3).requires_grad_()).sum().backward()
    assert sorted(set(traced)) == [1, 2, 4, 8]


def test_autoattack_attacks_a_jax_model(mlp_10):
    torch = pytest.importorskip("torch")
    pyautoattack = pytest.importorskip("pyautoattack")
    x = torch.tensor(np.asarray(mlp_10.x[:40])).permute(0, 3, 1, 2).contiguous()
    y = torch.tensor(np.asarray(mlp_10.y[:40])).long()

    def robust(model):
        attack = pyautoattack.AutoAttack(
            model, eps=0.03, version="custom", attacks=["apgd-ce"], seed=0
        )
        attack.apgd.n_iter, attack.apgd.n_restarts = 10, 1
        with torch.no_grad():
            return model(attack.run_standard_evaluation(x, y)[0]).argmax(1) == y

    native, bridged = (
        robust(model)
        for model in (mlp_10.torch_module, adapters.torch_callable(mlp_10.logits_fn))
    )
    assert (native != bridged).sum() <= 1
    assert 2 < native.sum() < 38


@pytest.mark.parametrize("fn", [network(), single], ids=["three", "single"])
def test_art_classifier_of_logits(fn):
    evasion = pytest.importorskip("art.attacks.evasion")
    x, y = images(5, fn)
    classes = losses.as_logits(fn(x)).shape[1]
    model = adapters.art_classifier(fn, SHAPE, classes)
    np.testing.assert_allclose(
        model.predict(np.asarray(x)), losses.as_logits(fn(x)), atol=1e-6
    )

    def loss(x):
        return losses.cross_entropy(fn(x), y).sum()

    one_hot = np.eye(classes)[np.asarray(y)]
    np.testing.assert_allclose(
        model.loss_gradient(np.asarray(x), one_hot), jax.grad(loss)(x), atol=1e-6
    )
    slopes = jax.jacrev(lambda x: losses.as_logits(fn(x)).sum(0))(x)
    np.testing.assert_allclose(
        model.class_gradient(np.asarray(x)), jnp.moveaxis(slopes, 0, 1), atol=1e-6
    )
    np.testing.assert_allclose(
        model.class_gradient(np.asarray(x), label=1), slopes[1][:, None], atol=1e-6
    )
    attack = evasion.FastGradientMethod(model, eps=0.05)
    ours = attacks.fgsm(epsilon=0.05)(jax.random.key(0), fn, x, y)
    np.testing.assert_allclose(
        attack.generate(np.asarray(x), np.asarray(y)), ours.adversary, atol=1e-6
    )
    for theirs in (
        evasion.DeepFool(model, max_iter=20, verbose=False),
        evasion.CarliniL2Method(model, max_iter=3, verbose=False),
    ):
        assert theirs.generate(np.asarray(x)).shape == x.shape


def test_art_classifier_of_labels():
    evasion = pytest.importorskip("art.attacks.evasion")
    fn = attacks.as_label_fn(network())
    x, y = images(3, network())
    model = adapters.art_classifier(fn, SHAPE, 3)
    one_hot = model.predict(np.asarray(x))
    np.testing.assert_array_equal(one_hot, np.eye(3)[np.asarray(y)])
    found = evasion.HopSkipJump(
        model, max_iter=2, max_eval=50, init_eval=10, verbose=False
    ).generate(np.asarray(x))
    assert np.all(np.asarray(fn(jnp.asarray(found))) != np.asarray(y))


def test_art_classifier_counts_the_logits():
    pytest.importorskip("art")
    with pytest.raises(ValueError, match="gives 3 logits, not 4"):
        adapters.art_classifier(network(), SHAPE, 4)


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("foolbox.models", lambda: adapters.foolbox_model(network())),
        ("torch", lambda: adapters.torch_callable(network())),
        (
            "art.estimators.classification.blackbox",
            lambda: adapters.art_classifier(network(), SHAPE, 3),
        ),
    ],
)
def test_a_missing_library_is_named_with_its_extra(module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"extra 'peers' .*zeroone_jax\[peers\]"):
        make()


def test_importing_adapters_imports_no_library():
    command = (
        "import sys, zeroone_jax.attacks.adapters; "
        "print({'torch', 'foolbox', 'art', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_our_decision_attack_on_a_support_vector_machine():
    svm = pytest.importorskip("sklearn.svm")
    generator = np.random.default_rng(0)
    weights = generator.normal(size=24)
    rows = generator.uniform(0.2, 0.8, (400, 24))
    machine = svm.LinearSVC(C=10).fit(rows, (rows @ weights > weights.sum() / 2) * 1)
    asked = []

    def predict(rows):
        asked.append(len(rows))
        return machine.predict(rows)

    fn = adapters.foreign(predict, layout="flat", dtype=np.float64)
    x = jnp.asarray(rows[:8], jnp.float32).reshape(8, *SHAPE)
    y = fn(x)
    attack = attacks.hop_skip_jump(norm="l2", iterations=30, radius=0.1)
    result = attack(jax.random.key(0), fn, x, y)
    assert bool(result.success.all())
    exact = np.abs(machine.decision_function(rows[:8])) / np.linalg.norm(machine.coef_)
    np.testing.assert_array_less(exact * (1 - 1e-3), np.asarray(result.distance))
    assert np.median(np.asarray(result.distance) / exact) < 1.05
    # Lanes that have finished are asked about too.
    assert sum(asked) >= int(result.queries.sum())
    adversary = np.asarray(result.adversary, np.float64).reshape(8, -1)
    assert np.all(machine.predict(adversary) != np.asarray(y))
