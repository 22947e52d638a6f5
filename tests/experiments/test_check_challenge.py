"""The checker of adversaries, on networks and images that one can work out by hand."""

import hashlib
import io
import tarfile

import numpy as np
import pytest

from experiments import check_challenge

SIZE = 12
"""Values of an image of 2 x 2 pixels."""

NETWORKS = check_challenge.Networks(
    # Three votes look at the first value, the second and the third: 1 from the middle.
    w1=np.eye(3, SIZE)[:, None],
    b1=np.full((3, 1), -128 / 255),
    w2=np.ones((3, 1)),
    b2=np.zeros(3),
    scale=0.25,
)


def image(*values: int) -> np.ndarray:
    return np.array([*values, *[7] * (SIZE - len(values))])


IMAGES = np.stack([image(128, 200, 0), image(127, 200, 0), image(0, 0, 0)])


def test_labels_are_those_of_the_majority():
    """On a hyperplane a unit is on; two of three votes decide."""
    labels, clear = NETWORKS.look(IMAGES)
    assert labels.tolist() == [True, False, False]
    np.testing.assert_array_equal(clear, 0.25)


def test_what_is_no_adversary_is_noticed():
    moves = np.zeros((4, SIZE), int)
    moves[:2, 0] = -1, 1  # across, and across
    moves[2, 1] = 200  # one vote of three
    moves[3, :2] = 250, 250  # out of the box is what neither is
    index = np.array([0, 1, 2, 0])
    found = check_challenge.check(
        NETWORKS, IMAGES, np.array([1, 0, 0]), index, moves.astype(np.int16)
    )
    assert found.wrong.tolist() == [True, True, False, False]
    assert found.boxed.tolist() == [True, True, True, False]
    assert found.levels.tolist() == [1, 1, 200, 250]
    np.testing.assert_allclose(found.l2[:3], [1 / 255, 1 / 255, 200 / 255])
    # An image that was labelled wrongly has no adversary.
    wrong = check_challenge.check(
        NETWORKS, IMAGES, np.array([0, 0, 0]), index[:1], moves[:1]
    )
    assert not wrong.wrong.any()


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive as CIFAR-10's, of which three images are of classes 0 and 1."""
    rows = np.full((10_000, 1 + SIZE), 9, np.uint8)
    planes = IMAGES.reshape(3, -1, 3).transpose(0, 2, 1).reshape(3, -1)
    rows[[5, 6, 9]] = np.column_stack([[1, 0, 0], planes])
    content = rows.tobytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(check_challenge, "MD5", md5)
    path = tmp_path / "images.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("move", [-1, 1])
def test_the_command_tells_of_each_way(move, archive, tmp_path, capsys):
    networks = tmp_path / "networks.npz"
    named = NETWORKS._asdict()
    np.savez(networks, hidden_scale=named.pop("scale"), **named)
    adversaries = tmp_path / "adversaries.npz"
    moves = np.zeros((1, SIZE), np.int8)
    moves[0, 0] = move
    np.savez(adversaries, by_hand_index=np.array([0]), by_hand_moves=moves)
    arguments = {"images": archive, "networks": networks, "adversaries": adversaries}
    status = check_challenge.main([f"--{name}={at}" for name, at in arguments.items()])
    assert status == (0 if move < 0 else 1)
    text = capsys.readouterr().out
    assert "accuracy 1.0000 of 3 images" in text
    assert f"by_hand: 1 adversaries, {int(move < 0)} labelled wrongly" in text


def test_other_images_are_refused(archive):
    archive.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"does not hold CIFAR-10's test_batch\.bin"):
        check_challenge.read_images(archive)


def test_missing_files_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        check_challenge.main([f"--images={tmp_path / 'nowhere.bin'}"])
    assert "nowhere.bin is not there" in capsys.readouterr().err


@pytest.mark.slow("reads all adversaries that are kept")
def test_every_image_has_an_adversary(reference, cifar10_0v1):
    """What the repository keeps, beside the authors' networks and the real images."""
    networks = check_challenge.Networks.read(check_challenge.NETWORKS)
    test = cifar10_0v1[1]
    images = test.images.reshape(len(test.images), -1).astype(np.int64)
    right = np.flatnonzero(networks.look(images)[0] == (test.labels == 1))
    with np.load(check_challenge.ADVERSARIES) as stored:
        ways = [name.removesuffix("_moves") for name in stored if "moves" in name]
        for way in ways:
            index, moves = stored[f"{way}_index"], stored[f"{way}_moves"]
            found = check_challenge.check(networks, images, test.labels, index, moves)
            assert (found.wrong & found.boxed).all()
            if way == "crossed":
                near = index[found.levels <= 16]
                assert np.isin(right, near).sum() >= len(right) - 2
    assert {"crossed", "cgba"} <= set(ways)
