"""Tables in the README are those of the stored results."""

import pathlib

from benchmarks import ensembles
from zeroone_jax.evaluation import tables

ROOT = pathlib.Path(__file__).parents[1]


def test_ensembles():
    stored = tables.markdown(ensembles.table(ROOT / "results" / "zero_one"))
    assert stored in (ROOT / "README.md").read_text(encoding="utf-8")
