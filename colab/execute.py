"""Executes notebooks on fresh kernels and stores them with their outputs.

    make notebooks
    python -m colab.execute colab/attack_anything.ipynb

What hangs on the time or the machine is left out, so that a notebook that shows the
same as before is the same file. One that fails, or writes to standard error, is not
stored.
"""

import os
import pathlib
import sys
import tempfile

import nbclient
import nbformat
from traitlets.config import Config

from zeroone_jax import runs

FOLDER = pathlib.Path(__file__).parent
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def run(path: pathlib.Path, scale: str, timeout: int) -> nbformat.NotebookNode:
    """Executes a notebook on a fresh kernel, in a temporary working directory.

    Args:
        path: the notebook.
        scale: what the kernel's environment has as ZEROONE_SCALE.
        timeout: seconds that a cell may take.

    Returns:
        The notebook with its outputs, and without metadata of this run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
            # Sockets are files here: nobody else on the machine can listen in.
            config=Config(
                {"KernelManager": {"transport": "ipc", "ip": f"{folder}/socket"}}
            ),
        )
        client.execute(env={**os.environ, "ZEROONE_SCALE": scale})
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    return notebook


def noise(notebook: nbformat.NotebookNode) -> list[str]:
    """Lists what no reader should have to see: errors, and lines on standard error.

    Args:
        notebook: with its outputs.
    """
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"{output.ename}: {output.evalue}")
            elif output.output_type == "stream" and (
                output.name == "stderr" or "Warning" in output.text
            ):
                found.append(output.text)
    return found


def main(paths: list[pathlib.Path]) -> None:
    """Executes and stores notebooks.

    Args:
        paths: of the notebooks.

    Raises:
        SystemExit: one of them wrote to standard error.
    """
    for path in paths:
        print(path.name, flush=True)
        notebook = run(path, scale="full", timeout=1200)
        if found := noise(notebook):
            raise SystemExit("\n".join([f"{path} is not stored:", *found]))
        with runs.replacing(path) as partial:
            nbformat.write(notebook, partial)


if __name__ == "__main__":
    main(
        [pathlib.Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb"))
    )
