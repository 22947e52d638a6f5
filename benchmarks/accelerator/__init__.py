"""What an accelerator does, the most telling first, in a stated number of minutes.

    python -m benchmarks.accelerator                  what is missing, in 12 minutes
    python -m benchmarks.accelerator --minutes=5
    python -m benchmarks.accelerator train_pgd        this alone
    python -m benchmarks.accelerator --smoke          everything tiny, on a CPU

Each result is kept in `results/accelerator.json` as it comes, by the hardware it was
measured on, and the next call goes on with what is missing there. Training leaves run
directories and compiled programs under `--folder`, and goes on from its last
checkpoint: take the folder along from one machine to the next. When the time is up,
whatever runs is stopped as by Ctrl-C, and a minute later in any case.
"""
