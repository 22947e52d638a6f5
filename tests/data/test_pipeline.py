import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroone_jax import data

KEY = jax.random.key(0)
augment = jax.jit(data.augment, static_argnames=("padding", "flip"))


class TestLoad:
    def test_cifar10_0v1(self, cifar10_0v1):
        train, test = cifar10_0v1
        assert train.images.shape == (10_000, 32, 32, 3)
        assert test.images.shape == (2_000, 32, 32, 3)
        assert train.class_names == ("airplane", "automobile")
        # Labels 6 9 9 4 1 1 2 7 8 3 open CIFAR-10's training batches.
        assert train.indices[:3].tolist() == [4, 5, 29]
        assert train.labels[:3].tolist() == [1, 1, 0]
        assert np.bincount(train.labels).tolist() == [5_000, 5_000]
        assert (np.diff(train.indices) > 0).all()

    def test_cifar10_is_in_its_original_order(self, cifar10_0v1):
        whole = data.load("cifar10", "train")
        assert whole.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
        train, _ = cifar10_0v1
        np.testing.assert_array_equal(train.images, whole.images[train.indices])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("cifar11", "train"), "unknown data set 'cifar11': .*cifar10, mnist"),
            (("cifar10", "validation"), "no split 'validation': it has train, test"),
            (("cifar10", "train", (0, 10)), r"cifar10 has no class 10: .*9 \(truck\)"),
            (("cifar10", "train", (1,)), "at least two"),
        ],
    )
    def test_bad_requests_fetch_nothing(self, tmp_path, arguments, message):
        with pytest.raises(ValueError, match=message):
            data.load(*arguments, data_dir=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_data_dir_from_the_environment(self, data_dir, monkeypatch):
        monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
        assert len(data.load("mnist", "test").labels) == 20
        assert (data_dir / "mnist").is_dir()

    def test_second_load_needs_no_tfds(self, data_dir, monkeypatch):
        first = data.load("mnist", "train", data_dir=data_dir)
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        second = data.load("mnist", "train", data_dir=data_dir)
        np.testing.assert_array_equal(first.images, second.images)

    @pytest.mark.slow("starts processes")
    def test_import_is_light(self):
        program = (
            "import sys, zeroone_jax.data; "
            "print({'tensorflow', 'tensorflow_datasets'} & set(sys.modules))"
        )
        shown = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert shown.stdout.strip() == "set()"


class TestNoise:
    x = np.linspace(0, 1, 600, dtype=np.float32).reshape(100, 6)
    y = np.arange(100, dtype=np.int32) % 2

    @given(sigma=st.floats(0, 2), seed=st.integers(0, 1_000))
    def test_doubles(self, sigma, seed):
        x, y = data.add_gaussian_noise(jax.random.key(seed), self.x, self.y, sigma)
        assert (x.shape, x.dtype, y.dtype) == ((200, 6), jnp.float32, jnp.int32)
        np.testing.assert_array_equal(x[:100], self.x)
        np.testing.assert_array_equal(y, np.tile(self.y, 2))
        assert 0 <= x.min() <= x.max() <= 1

    def test_noise_has_the_given_deviation(self):
        x = np.full((2_000, 10), 0.5, np.float32)
        noisy, _ = data.add_gaussian_noise(KEY, x, np.zeros(2_000, np.int32), 0.05)
        difference = np.asarray(noisy[2_000:]) - x
        assert abs(difference.mean()) < 2e-3
        assert abs(difference.std() - 0.05) < 2e-3

    def test_depends_on_the_key_alone(self):
        first, _ = data.add_gaussian_noise(KEY, self.x, self.y, 0.1)
        again, _ = data.add_gaussian_noise(KEY, self.x, self.y, 0.1)
        other, _ = data.add_gaussian_noise(jax.random.key(1), self.x, self.y, 0.1)
        np.testing.assert_array_equal(first, again)
        assert (first[100:] != other[100:]).mean() > 0.5

    def test_inside_jit(self):
        jitted = jax.jit(data.add_gaussian_noise)
        x, _ = jitted(KEY, jnp.asarray(self.x), jnp.asarray(self.y), 0.1)
        outside, _ = data.add_gaussian_noise(KEY, self.x, self.y, 0.1)
        np.testing.assert_allclose(x, outside, atol=1e-6)

    @pytest.mark.parametrize(
        ("x", "y", "sigma", "message"),
        [
            (x + 1, y, 0.1, r"in \[0, 1\], not 1.0..2.0"),
            (x - 1, y, 0.1, r"in \[0, 1\], not -1.0..0.0"),
            (np.where(x > 0.5, np.nan, x), y, 0.1, "nan"),
            ((x * 255).astype(np.uint8), y, 0.1, "floats .*not uint8"),
            (x, y / 2, 0.1, "labels must be integers, not float64"),
            (x, y[:-1], 0.1, r"\[100, 6\] and \[99\]"),
            (x[:, 0], y, 0.1, r"\[100\] and \[100\]"),
            (x, y, -0.1, "sigma must not be negative, not -0.1"),
            (x, y, float("nan"), "sigma must not be negative, not nan"),
        ],
    )
    def test_refuses(self, x, y, sigma, message):
        with pytest.raises(ValueError, match=message):
            data.add_gaussian_noise(KEY, x, y, sigma)


class TestBatches:
    @given(
        n=st.sampled_from([1, 2, 7, 64]),
        batch_size=st.integers(1, 70),
        epoch=st.integers(0, 1_000),
    )
    def test_every_row_once(self, n, batch_size, epoch):
        batches = data.epoch_batches(KEY, epoch, n, batch_size)
        assert sorted(np.concatenate(batches).tolist()) == list(range(n))
        assert all(len(batch) == batch_size for batch in batches[:-1])
        assert 1 <= len(batches[-1]) <= batch_size
        assert all(batch.dtype == np.int32 for batch in batches)

    def test_pure_in_key_and_epoch(self):
        def order(key, epoch):
            return np.concatenate(data.epoch_batches(key, epoch, 64, 8)).tolist()

        assert order(KEY, 3) == order(KEY, 3)
        assert order(KEY, 3) != order(KEY, 4)
        assert order(KEY, 3) != order(jax.random.key(1), 3)

    @pytest.mark.parametrize(
        ("epoch", "n", "batch_size", "message"),
        [
            (0, 0, 1, "n must be at least 1, not 0"),
            (0, 1, 0, "batch_size must be at least 1, not 0"),
            (-1, 1, 1, "epoch must be at least 0, not -1"),
        ],
    )
    def test_refuses(self, epoch, n, batch_size, message):
        with pytest.raises(ValueError, match=message):
            data.epoch_batches(KEY, epoch, n, batch_size)


class TestAugment:
    images = np.random.default_rng(0).integers(0, 256, (300, 11, 10, 2), np.uint8)

    def oracle(self, image, padding):
        """Every crop and flip by numpy: (row, column, flip) to the result."""
        border = ((padding, padding), (padding, padding), (0, 0))
        padded = np.pad(image, border, mode="reflect")
        height, width, _ = image.shape
        places = range(2 * padding + 1)
        return {
            (row, column, flip): padded[row : row + height, column : column + width][
                :, :: -1 if flip else 1
            ]
            for row in places
            for column in places
            for flip in (False, True)
        }

    def draws(self, augmented, padding):
        """Which crop and flip each image got; fails if one got none of them."""
        found = []
        for image, result in zip(self.images, augmented, strict=True):
            candidates = self.oracle(image, padding).items()
            (draw,) = [
                draw for draw, wanted in candidates if np.array_equal(wanted, result)
            ]
            found.append(draw)
        return np.array(found)

    def test_is_a_reflected_crop_and_flip(self):
        augmented = augment(KEY, jnp.asarray(self.images))
        assert (augmented.shape, augmented.dtype) == (self.images.shape, jnp.uint8)
        rows, columns, flips = self.draws(np.asarray(augmented), padding=4).T
        # All nine shifts are drawn, each about 33 times, and half are flipped.
        for shifts in (rows, columns):
            counts = np.bincount(shifts, minlength=9)
            assert counts.min() > 15
            assert counts.max() < 60
        assert 110 < flips.sum() < 190
        # Independent draws agree by chance only, 1 in 9.
        assert (rows == columns).mean() < 0.2

    def test_an_image_does_not_depend_on_its_batch(self):
        images = jnp.asarray(self.images)
        np.testing.assert_array_equal(
            augment(KEY, images)[:10], augment(KEY, images[:10])
        )

    def test_without_padding_only_flips(self):
        augmented = augment(KEY, jnp.asarray(self.images), padding=0)
        assert 110 < self.draws(np.asarray(augmented), padding=0)[:, 2].sum() < 190

    def test_without_flips_only_shifts(self):
        """The shifts are those that flips would be drawn beside."""
        images = jnp.asarray(self.images)
        shifts, flips = (
            self.draws(np.asarray(augment(KEY, images, padding=1, flip=flip)), 1)
            for flip in (False, True)
        )
        assert not shifts[:, 2].any()
        np.testing.assert_array_equal(shifts[:, :2], flips[:, :2])

    def test_keeps_floats(self):
        images = jnp.asarray(self.images[:8], jnp.float32) / 255
        augmented = augment(KEY, images)
        as_bytes = augment(KEY, jnp.asarray(self.images[:8]))
        np.testing.assert_array_equal(
            augmented, jnp.asarray(as_bytes, jnp.float32) / 255
        )

    @pytest.mark.parametrize(
        ("shape", "padding", "message"),
        [
            ((2, 5, 6, 3), 5, r"padding must be in 0\.\.4 .* 5 x 6, not 5"),
            ((2, 5, 6, 3), -1, "not -1"),
            ((5, 6, 3), 2, r"must be \[n, h, w, c\], not \[5, 6, 3\]"),
        ],
    )
    def test_refuses(self, shape, padding, message):
        with pytest.raises(ValueError, match=message):
            data.augment(KEY, jnp.zeros(shape), padding)
