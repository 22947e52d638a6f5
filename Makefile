# make demo · test · test-all · lint · docs · bench · notebooks: each creates .venv on first
# use.
# make peers adds the libraries we compare with, and compares.
# make tpu-check adds the compiler of the TPU, and compiles for one what is not yet.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Most of what is installed is never imported; Python compiles what is.
QUIETLY := --quiet --disable-pip-version-check --no-compile

.PHONY: demo test test-all test-oldest test-newest peers tpu-check lint docs pages wheel \
	bench notebooks clean

# The stamp is newer than setup.py once the environment matches it.
$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install $(QUIETLY) --editable '.[test,dev]'
	touch $@

# Their own requirements, old or large, are not needed for their attacks.
$(VENV)/peers-installed: $(VENV)/installed
	$(RUN) -m pip install $(QUIETLY) --editable '.[peers]'
	$(RUN) -m pip install $(QUIETLY) --no-deps \
		adv-lib==0.2.8 pyautoattack==0.2.0 torchattacks==3.5.1
	touch $@

$(VENV)/tpu-check-installed: $(VENV)/installed
	$(RUN) -m pip install $(QUIETLY) --editable '.[tpu-check]'
	touch $@

$(VENV)/docs-installed: $(VENV)/installed
	$(RUN) -m pip install $(QUIETLY) --editable '.[docs]'
	touch $@

demo: $(VENV)/installed
	$(RUN) -m experiments.demo

TOGETHER := -n auto --dist loadfile --no-loadscope-reorder

# What runs for a moment only is not worth optimising.
HARDLY_OPTIMISED := XLA_FLAGS="--xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true"

QUICK := -m pytest $(TOGETHER) -m "not slow" --hypothesis-profile=quick

# Minutes: every algorithm at a small size, but no processes and no real training.
test: $(VENV)/installed
	$(HARDLY_OPTIMISED) $(RUN) $(QUICK)

# The same with three times the examples, and all that `make test` leaves out.
test-all: $(VENV)/installed
	$(HARDLY_OPTIMISED) $(RUN) -m pytest $(TOGETHER) -m "not computes"
	$(RUN) -m pytest $(TOGETHER) -m computes \
		$$(grep -rl --include='test_*.py' mark.computes tests | sort -r)

# The same as `make test`, in environments of their own: with the first version of each
# package that setup.py allows, and with the newest on another Python.
OLDEST_PYTHON ?= python3.11
NEWEST_PYTHON ?= python3.12

$(VENV)-oldest/installed: setup.py
	$(OLDEST_PYTHON) -m venv $(VENV)-oldest
	sed -n '/install_requires/,/\]/s/^ *"\(.*\)>=\(.*\)",/\1==\2/p' setup.py \
		> $(VENV)-oldest/constraints.txt
	$(VENV)-oldest/bin/python -m pip install $(QUIETLY) \
		--constraint $(VENV)-oldest/constraints.txt --editable '.[test]'
	touch $@

$(VENV)-newest/installed: setup.py
	$(NEWEST_PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install $(QUIETLY) \
		--editable '.[test]'
	touch $@

test-oldest: $(VENV)-oldest/installed
	$(HARDLY_OPTIMISED) $(VENV)-oldest/bin/python $(QUICK)

test-newest: $(VENV)-newest/installed
	$(HARDLY_OPTIMISED) $(VENV)-newest/bin/python $(QUICK)

# Pages that need a peer are skipped elsewhere.
PAGES := tests/test_documentation.py::test_code_runs_as_pasted

peers: $(VENV)/peers-installed
	$(RUN) -m pytest tests/peers "$(PAGES)[docs/guides/attack_your_own.md]"

# Hours, the first time; what results/tpu/ has is not compiled again.
tpu-check: $(VENV)/tpu-check-installed
	$(RUN) -m benchmarks.tpu

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The site, into build/site. Every warning, such as a link that leads nowhere, is an error.
docs: $(VENV)/docs-installed
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going docs build/site

# The tables of docs/results/, from results/.
pages: $(VENV)/installed
	$(RUN) -m benchmarks.pages

# The library and the launchers, into dist/.
wheel: $(VENV)/installed
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

bench: $(VENV)/installed
	$(RUN) -m benchmarks.coordinate_descent

# Executes them, and stores them with their outputs.
notebooks: $(VENV)/installed
	$(RUN) -m colab.execute

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest .jax_cache build dist *.egg-info
