"""Notebooks run on small data, and are stored as they run."""

import ast
import pathlib

import nbformat
import pytest

from colab import execute
from zeroone_jax import data

NOTEBOOKS = sorted(execute.FOLDER.glob("*.ipynb"))
INSTALLS = """import sys

# On Colab, upload the wheel first, which `make wheel` builds.
if "google.colab" in sys.modules:
    %pip install --quiet zeroone_jax-*.whl"""

every_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]
)


@pytest.fixture(scope="module")
def prepared():
    """The kernels shall find their data ready."""
    try:
        for name in ("cifar10", "mnist"):
            data.load(name, "test")
    except data.NoSourceError as error:
        pytest.skip(str(error))


@pytest.mark.slow("starts notebooks")
@every_notebook
def test_runs_without_noise(path, prepared):
    notebook = execute.run(path, scale="smoke", timeout=300)
    assert execute.noise(notebook) == []
    assert all(cell.outputs for cell in shown(notebook))


@every_notebook
def test_is_stored_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].source == INSTALLS
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert execute.noise(notebook) == []
    assert all(cell.outputs for cell in shown(notebook))
    assert any("image/png" in output.data for output in outputs(notebook))
    assert path.stat().st_size < 1_500_000


@every_notebook
def test_hangs_on_no_machine_or_time(path):
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.metadata for cell in notebook.cells)
    assert notebook.metadata == execute.METADATA


def test_the_toy_moves():
    path = execute.FOLDER / "sensible_adversarial_training.ipynb"
    pages = [
        output.data.get("text/html", "")
        for output in outputs(nbformat.read(path, as_version=4))
    ]
    assert any("data:image/gif;base64," in page for page in pages)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (nbformat.v4.new_output("stream", name="stdout", text="fine"), 0),
        (nbformat.v4.new_output("stream", name="stderr", text="fetching"), 1),
        (nbformat.v4.new_output("stream", name="stdout", text="UserWarning: x"), 1),
        (nbformat.v4.new_output("error", ename="E", evalue="x", traceback=[]), 1),
    ],
)
def test_noise(output, found):
    cell = nbformat.v4.new_code_cell(outputs=[output])
    assert len(execute.noise(nbformat.v4.new_notebook(cells=[cell]))) == found


@pytest.mark.slow("starts notebooks")
def test_what_is_noisy_is_not_stored(tmp_path):
    path = noisy(tmp_path)
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="careful"):
        execute.main([path])
    assert path.read_bytes() == before


def noisy(folder: pathlib.Path) -> pathlib.Path:
    """Writes a notebook that warns."""
    cell = nbformat.v4.new_code_cell('import warnings\nwarnings.warn("careful")')
    path = folder / "noisy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def outputs(notebook):
    """What cells display, without streams."""
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type in ("execute_result", "display_data")
    ]


def shown(notebook):
    """The code cells that end with something to be seen."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and ends_with_value(cell.source)
    ]


def ends_with_value(source):
    """Whether the last statement is an expression, which a notebook shows."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith("%")]
    try:
        return isinstance(ast.parse("\n".join(lines)).body[-1], ast.Expr)
    except SyntaxError:
        return False
