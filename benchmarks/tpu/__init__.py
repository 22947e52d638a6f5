"""Compiles for TPU v5e what the launchers run, on a machine without a TPU.

    python -m benchmarks.tpu                       every program, the cheapest first
    python -m benchmarks.tpu train/sense attack    those whose names begin so
    python -m benchmarks.tpu --minutes=20          begins nothing after 20 minutes
    python -m benchmarks.tpu --quick --out=DIR     one small program of each kind
    python -m benchmarks.tpu --table               the table of what is stored

Needs the extra "tpu-check" (`make tpu-check` installs it): libtpu holds the compiler
of the TPU, which needs no TPU itself. Each program leaves a file in `results/tpu/`, and
is not compiled again while that is there. Nothing is run: memory and collectives are
those of the compiled program; times on a TPU are not known.
"""
