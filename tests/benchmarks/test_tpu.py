"""What is read off a compiled program, and that a TPU's compiler takes each kind."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks.tpu import environment, programs, reading, table, topology
from zeroone_jax import attacks, devices

ROOT = pathlib.Path(__file__).parents[2]

TEXT = """
  %sum.1 = (bf16[8,4]{1,0:T(8,128)(2,1)}, f32[]{:T(128)}) all-reduce(%a, %b), to=%add
  %begun = f32[3]{0} all-reduce-start(%c), to=%add
  %ended = f32[3]{0} all-reduce-done(%begun)
  ROOT %all = pred[5]{0} all-gather(%d), dimensions={0}
  %not = f32[7] fusion(%all-reduce.1), calls=%all-gather.2
"""


def test_collectives_in_a_text():
    assert reading.collectives(TEXT) == {
        "all-gather": {"count": 1, "bytes": 5},
        "all-reduce": {"count": 2, "bytes": 8 * 4 * 2 + 4 + 3 * 4},
    }


def test_figures_of_a_program():
    """A sum over four devices, which can be counted by hand."""
    mesh = devices.mesh("rows", jax.devices()[:4])
    x = topology.rows(jax.ShapeDtypeStruct((8, 1000), jnp.float32), mesh)
    lowered = jax.jit(lambda x: jnp.sum(x, axis=0)).lower(x)
    found = reading.figures(topology.compiled(lowered))
    assert found["fits"]
    assert found["bytes"] >= 2 * 1000 * 4 + 1000 * 4
    assert found["collectives"] == {"all-reduce": {"count": 1, "bytes": 4000}}
    (row,) = table.table([{"program": "sum", "chips": 4, **found}], 1).rows
    assert row[-2:] == ["1 all-reduce", "0.004"]


def test_what_does_not_fit():
    refused = topology.Compiled(None, "RESOURCE_EXHAUSTED: too large\n\nmuch", 2.0, 3.0)
    found = reading.figures(refused)
    assert not found["fits"]
    assert found["refusal"] == "RESOURCE_EXHAUSTED: too large"
    (row,) = table.table([{"program": "sum", "chips": 4, **found}], 1).rows
    assert row[2] == "no"


def test_stored_results():
    """They are of programs that there are, and none asks for float64."""
    names = {table.file_name(name): name for name in programs.programs()}
    for path in table.RESULTS.glob("*.json"):
        stored = json.loads(path.read_text())
        assert stored["program"] == names[path.stem]
        assert not stored["float64"]


@pytest.mark.parametrize(
    ("attack", "shape"),
    [
        (attacks.pgd(epsilon=0.3), (8, 784)),
        (attacks.square(epsilon=0.3), (8, 28, 28, 1)),
    ],
    ids=["rows", "images"],
)
def test_attacks_are_lowered_as_the_launchers_run_them(attack, shape):
    lowered = programs.attacked("any", attack, jax.devices()[:4], images=8)
    shapes = [leaf.shape for leaf in jax.tree.leaves(lowered.args_info)]
    assert shape in shapes


@pytest.mark.slow("starts a process")
def test_each_kind_compiles_for_a_tpu(tmp_path):
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("extra 'tpu-check' is not installed")
    # The compiler of the TPU does not know all flags of the processor's.
    variables = {**os.environ, **environment.INSTEAD_OF_A_TPU, "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "benchmarks.tpu", "--quick", f"--out={tmp_path}"]
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert found.keys() == programs.quick().keys()
    for one in found.values():
        assert one["fits"]
        assert not one["float64"]
    # Gradients are summed over chips; attacks and votes need nothing of each other
    # before the end.
    assert "all-reduce" in found["update"]["collectives"]
    assert not found["pgd"]["collectives"]
