import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from zeroone_jax.coordinate_descent import Config, network, split
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.models import zero_one

COORDINATES, ROWS = 48, 300
LEVELS = np.random.default_rng(0).integers(0, 256, (COORDINATES, ROWS))
PIXELS = np.float32(LEVELS.T) / np.float32(255)


random_weights = jax.jit(
    network.random_weights, static_argnames=("coordinates", "program")
)


def near_thresholds(seed, config, leading=(), levels=LEVELS):
    """Random networks whose every threshold is half a unit from some row's value."""
    generator = np.random.default_rng(seed)
    units = max(config.hidden, 1)

    def weights(shape, norm):
        drawn = generator.normal(size=shape)
        if config.weights == "binary":
            return np.where(drawn > 0, 1, -1)
        length = np.linalg.norm(drawn, axis=-1, keepdims=True)
        return np.rint(drawn * norm / length).astype(int)

    def beside(values):
        row = generator.integers(values.shape[-1])
        return values[..., row] + generator.choice([-0.5, 0.5], values.shape[:-1])

    w1 = weights((*leading, units, levels.shape[0]), generator.uniform(200, 512))
    t1 = beside(w1 @ levels)
    if config.hidden == 0:
        w2, t2 = np.ones((*leading, 1)), np.full(leading, 0.5)
    else:
        w2 = weights((*leading, units), 256)
        hidden = w1 @ levels > t1[..., None]
        t2 = beside(np.einsum("...h,...hn->...n", w2, hidden))
    return Network(*(np.asarray(array, np.float64) for array in (w1, t1, w2, t2)))


def output_values(net, levels=LEVELS):
    """H.w2 - t2 in float64."""
    hidden = net.w1 @ levels > net.t1[..., None]
    return np.einsum("...h,...hn->...n", net.w2, hidden) - net.t2[..., None]


def single(net):
    return Network(*(jnp.asarray(array, jnp.float32) for array in net))


class RandomWeightsTest(parameterized.TestCase):
    @parameterized.product(start=("gaussian", "uniform"), coordinates=(50, 3072))
    def test_real_weights_are_whole_and_of_their_norm(self, start, coordinates):
        drawn = random_weights(
            jax.random.key(0), coordinates, split(Config(start=start))[0]
        )
        assert drawn.w1.shape == (20, coordinates)
        assert drawn.w2.shape == drawn.t1.shape == (20,)
        assert drawn.t2.shape == ()
        assert {array.dtype for array in drawn} == {jnp.dtype("float32")}
        for weights, norm in (
            (drawn.w1, network.HIDDEN_NORM),
            (drawn.w2, network.OUTPUT_NORM),
        ):
            weights = np.asarray(weights, np.float64)
            np.testing.assert_array_equal(weights, np.rint(weights))
            np.testing.assert_allclose(np.linalg.norm(weights, axis=-1), norm, atol=2)

    @parameterized.parameters(("gaussian", 3.0), ("uniform", 1.8))
    def test_follow_their_distribution(self, start, kurtosis):
        drawn = random_weights(jax.random.key(1), 3072, split(Config(start=start))[0])
        weights = np.asarray(drawn.w1, np.float64)
        weights /= weights.std()
        assert abs(weights.mean()) < 0.02
        assert abs(np.mean(weights**4) - kurtosis) < 0.1
        covariance = weights @ weights.T / 3072
        np.testing.assert_allclose(covariance, np.eye(20), atol=0.1)

    @parameterized.parameters("gaussian", "uniform")
    def test_binary_weights_are_signs(self, start):
        config = Config(weights="binary", start=start)
        drawn = random_weights(jax.random.key(2), 3072, split(config)[0])
        for weights in (drawn.w1, drawn.w2):
            assert set(np.unique(weights)) == {-1.0, 1.0}
        assert abs(np.mean(drawn.w1)) < 0.02

    @parameterized.parameters("real", "binary")
    def test_a_linear_network_copies_its_unit(self, weights):
        config = Config(hidden=0, weights=weights)
        drawn = random_weights(jax.random.key(3), 30, split(config)[0])
        assert drawn.w1.shape == (1, 30)
        hidden = np.array([[0.0, 1.0]])
        sums = np.asarray(drawn.w2, np.float64) @ hidden
        np.testing.assert_array_equal(sums > float(drawn.t2), [False, True])

    def test_keys_differ(self):
        keys = jax.random.split(jax.random.key(4), 5)
        drawn = [random_weights(key, 50, split(Config())[0]) for key in keys]
        assert len(np.unique([np.asarray(net.w1)[0] for net in drawn], axis=0)) == 5
        assert len(np.unique([net.w2 for net in drawn], axis=0)) == 5


class ValuesTest(parameterized.TestCase):
    def test_are_exact(self):
        net = near_thresholds(0, Config())
        weights = single(net)
        projection = network.project(weights.w1, jnp.asarray(LEVELS, jnp.float32))
        np.testing.assert_array_equal(projection, net.w1 @ LEVELS)
        hidden = network.hidden_values(projection, weights.t1)
        assert hidden.dtype == jnp.float32
        np.testing.assert_array_equal(hidden, net.w1 @ LEVELS > net.t1[:, None])
        sums = network.output_sums(weights.w2, hidden)
        np.testing.assert_array_equal(sums - weights.t2, output_values(net))
        np.testing.assert_allclose(
            network.norm(weights.w1), np.linalg.norm(net.w1, axis=1), rtol=1e-6
        )


class AsParamsTest(parameterized.TestCase):
    @parameterized.product(
        kind=((20, "zero_one"), (20, "cross_entropy"), (0, "zero_one")),
        weights=("real", "binary"),
        hidden_values=("01", "pm"),
    )
    def test_labels_equal_the_lattice_networks(self, kind, weights, hidden_values):
        hidden, loss = kind
        config = Config(
            hidden=hidden, loss=loss, weights=weights, hidden_values=hidden_values
        )
        net = near_thresholds(1, config, leading=(3,))
        params = network.as_params(single(net), split(config)[0])
        zero_one.check(params)
        assert params.hidden_values == hidden_values
        votes = zero_one.votes(params, PIXELS)
        np.testing.assert_array_equal(votes, output_values(net) > 0)
        assert 0 < np.mean(votes) < 1

    @parameterized.product(hidden=(20, 0), hidden_values=("01", "pm"))
    def test_real_weights_get_unit_norm(self, hidden, hidden_values):
        config = Config(hidden=hidden, hidden_values=hidden_values)
        params = network.as_params(
            single(near_thresholds(2, config, (3,))), split(config)[0]
        )
        for weights in (params.w1, params.w2):
            lengths = np.linalg.norm(np.asarray(weights, np.float64), axis=-1)
            np.testing.assert_allclose(lengths, 1, rtol=1e-6)

    def test_binary_weights_stay_signs(self):
        config = Config(weights="binary")
        net = near_thresholds(3, config, (3,))
        params = network.as_params(single(net), split(config)[0])
        np.testing.assert_array_equal(params.w1, net.w1)
        np.testing.assert_array_equal(params.w2, net.w2)

    @parameterized.parameters(("real", 256.0), ("binary", 1.0))
    def test_scores_of_cross_entropy_training_are_logits(self, weights, scale):
        config = Config(loss="cross_entropy", weights=weights)
        assert network.output_scale(split(config)[0]) == scale
        net = near_thresholds(4, config, (3,))
        scores = zero_one.scores(
            network.as_params(single(net), split(config)[0]), PIXELS
        )
        np.testing.assert_allclose(scores, output_values(net) / scale, atol=1e-5)

    def test_scores_of_both_hidden_values_are_proportional(self):
        net = near_thresholds(5, Config(), (3,))
        by_name = {
            name: zero_one.scores(
                network.as_params(single(net), Config(hidden_values=name)), PIXELS
            )
            for name in ("01", "pm")
        }
        np.testing.assert_allclose(
            by_name["pm"], by_name["01"] * np.float32(2 / np.sqrt(20)), atol=1e-6
        )

    @parameterized.parameters("01", "pm")
    def test_leading_axes(self, hidden_values):
        config = Config(hidden=5, hidden_values=hidden_values)
        net = near_thresholds(6, config, leading=(3, 2))
        params = network.as_params(single(net), split(config)[0])
        zero_one.check(params)
        assert params.w1.shape == (3, 2, 5, COORDINATES)
        one = network.as_params(single(Network(*(a[1] for a in net))), split(config)[0])
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1], b), params, one)
        np.testing.assert_array_equal(
            zero_one.votes(params, PIXELS), output_values(net) > 0
        )

    @parameterized.product(seed=(0, 1, 2), hidden=(20, 0))
    def test_no_image_comes_nearer_than_half_a_unit(self, seed, hidden):
        config = Config(hidden=hidden)
        net = near_thresholds(seed, config)
        params = network.as_params(single(net), split(config)[0])
        w1, b1 = np.asarray(params.w1, np.float64), np.asarray(params.b1, np.float64)
        unseen = np.random.default_rng(seed + 10).integers(0, 256, (COORDINATES, 5000))
        for levels in (LEVELS, unseen):
            distance = np.abs(w1 @ (levels / 255) + b1[:, None])
            half = 0.5 / (255 * np.linalg.norm(net.w1, axis=1))
            assert np.all(distance >= half[:, None] - 1e-7)
        at_the_rows = np.abs(w1 @ (LEVELS / 255) + b1[:, None]).min(axis=1)
        np.testing.assert_allclose(at_the_rows, half, atol=1e-7)


if __name__ == "__main__":
    absltest.main()
