"""PGD and FGSM move as foolbox's do, step for step, from the same start."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses

foolbox = pytest.importorskip("foolbox", reason="extra 'peers' is not installed")
torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")

KEY = jax.random.key(0)
IMAGES = 24
RADII = {"linf": (0.06, 0.02), "l2": (1.0, 0.3)}


@pytest.fixture(params=["mlp_10", "small_cnn"])
def doubled(request):
    """A network in float64, where no sign of a gradient hangs on rounding."""
    trained = request.getfixturevalue(request.param)
    with jax.enable_x64(True):
        # Images of 256 levels have ties, which max-pooling breaks in its own way.
        noise = jax.random.uniform(jax.random.key(1), trained.x[:IMAGES].shape)
        images = 0.98 * trained.x[:IMAGES] + 0.02 * noise.astype(jnp.float32)
        wide = jax.tree.map(
            lambda a: a.astype(jnp.float64), (trained.logits_fn, images)
        )
        module = copy.deepcopy(trained.torch_module).double()
        yield *wide, trained.y[:IMAGES], module


def peer_points(module, x, y, start, norm, steps):
    """Where foolbox is after some steps from the start."""
    epsilon, step_size = RADII[norm]
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    attack = kind(steps=steps, abs_stepsize=step_size, random_start=True)
    import eagerpy

    def channels_first(images):
        return torch.tensor(np.moveaxis(np.asarray(images), 3, 1))

    attack.get_random_start = lambda *_: eagerpy.astensor(channels_first(start))
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    labels = torch.tensor(np.asarray(y, np.int64))
    points = attack.run(model, channels_first(x), labels, epsilon=epsilon)
    return np.moveaxis(points.detach().numpy(), 1, 3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_goes_where_foolbox_goes(doubled, norm):
    fn, x, y, module = doubled
    epsilon, step_size = RADII[norm]
    attack = attacks.pgd(
        norm=norm,
        epsilon=epsilon,
        step_size=step_size,
        iterations=6,
        fit_box=False,
        loss="cross_entropy",
        early_stop=False,
    )
    step = jax.jit(lambda state: attack.step(KEY, fn, state)[0])
    state = jax.jit(lambda x, y: attack.init(KEY, fn, x, y))(x, y)
    start = state.memory.point
    assert float(jnp.abs(start - x).max()) > 0
    for steps in range(1, 7):
        state = step(state)
        wanted = peer_points(module, x, y, start, norm, steps)
        np.testing.assert_allclose(state.memory.point, wanted, atol=1e-9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_goes_where_foolbox_goes(doubled, norm):
    fn, x, y, module = doubled
    epsilon, _ = RADII[norm]
    out = attacks.fgsm(norm=norm, epsilon=epsilon)(KEY, fn, x, y)
    kinds = {
        "linf": foolbox.attacks.LinfFastGradientAttack,
        "l2": foolbox.attacks.L2FastGradientAttack,
    }
    attack = kinds[norm](random_start=False)
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    images = torch.tensor(np.moveaxis(np.asarray(x), 3, 1))
    labels = torch.tensor(np.asarray(y, np.int64))
    points = attack.run(model, images, labels, epsilon=epsilon)
    wanted = np.moveaxis(points.detach().numpy(), 1, 3)
    right = np.asarray(losses.labels(fn(x)) == y)
    wrong = np.asarray(losses.labels(fn(jnp.asarray(wanted))) != y)
    np.testing.assert_array_equal(out.success, wrong | ~right)
    moved = right & wrong
    assert moved.sum() > 2
    np.testing.assert_allclose(out.adversary[moved], wanted[moved], atol=1e-9)
