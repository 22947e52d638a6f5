"""Launchers: each reads a config, calls the library and fills a run directory.

In a checkout they are `python -m experiments.NAME`. The wheel has them inside the
library, as `python -m zeroone_jax.experiments.NAME`. Imports in here are relative, so
that both names work.
"""

import importlib.util

if importlib.util.find_spec("matplotlib") is None:
    raise ImportError("launchers draw figures: pip install 'zeroone_jax[data,plots]'")
