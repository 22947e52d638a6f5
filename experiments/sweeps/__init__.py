"""Sweeps: many runs of a launcher, by engines that others wrote.

language     writes lists of overrides
definition   what a sweep is, and its runs, checked before any begins
process      the processes of runs, wherever an engine has put them
engines      who distributes the processes: this machine, Ray, Slurm
board        what is shown meanwhile
report       what came out: a table, and a figure for every swept field
"""
