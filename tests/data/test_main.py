import pytest

from zeroone_jax.data.__main__ import main


def test_prepares(data_dir, capsys):
    assert main(["prepare", "mnist", "--data_dir", str(data_dir)]) == 0
    assert capsys.readouterr().out == f"{data_dir}/mnist/3.0.1\n"


def test_manual_dir(data_dir, tmp_path):
    manual = data_dir / "downloads" / "manual"
    root = tmp_path / "root"
    arguments = [f"--data_dir={root}", f"--manual_dir={manual}"]
    assert main(["prepare", "cifar10", *arguments]) == 0
    assert (root / "cifar10" / "3.0.2" / "dataset_info.json").is_file()


def test_without_source(tmp_path, small_mnist, capsys):
    assert main(["prepare", "mnist", "--data_dir", str(tmp_path)]) == 1
    assert "place train-images-idx3-ubyte.gz" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["prepare"], ["prepare", "cifar11"]])
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    if len(arguments) == 2:
        assert "'cifar10', 'mnist', 'fashion_mnist'" in capsys.readouterr().err
