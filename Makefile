# make demo · test · test-all · lint · docs · bench · notebooks: each creates .venv on first
# use.
# make peers adds the libraries we compare with, and compares.
# make tpu-check adds the compiler of the TPU, and compiles for one what is not yet.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-all peers tpu-check lint docs wheel bench notebooks clean

# The stamp is newer than setup.py once the environment matches it.
$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	touch $@

# Their own requirements, old or large, are not needed for their attacks.
$(VENV)/peers-installed: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps \
		pyautoattack==0.2.0 torchattacks==3.5.1
	touch $@

$(VENV)/tpu-check-installed: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[tpu-check]'
	touch $@

$(VENV)/docs-installed: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

demo: $(VENV)/installed
	$(RUN) -m experiments.demo

TOGETHER := -n auto --dist loadfile --no-loadscope-reorder

# What runs for a moment only is not worth optimising.
HARDLY_OPTIMISED := XLA_FLAGS="--xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true"

# Minutes: every algorithm at a small size, but no processes and no real training.
test: $(VENV)/installed
	$(HARDLY_OPTIMISED) $(RUN) -m pytest $(TOGETHER) -m "not slow" \
		--hypothesis-profile=quick

# The same with three times the examples, and all that `make test` leaves out.
test-all: $(VENV)/installed
	$(HARDLY_OPTIMISED) $(RUN) -m pytest $(TOGETHER) -m "not computes"
	$(RUN) -m pytest $(TOGETHER) -m computes

peers: $(VENV)/peers-installed
	$(RUN) -m pytest tests/peers

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

# The library alone, into dist/.
wheel: $(VENV)/installed
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

bench: $(VENV)/installed
	$(RUN) -m benchmarks.coordinate_descent

# Executes them, and stores them with their outputs.
notebooks: $(VENV)/installed
	$(RUN) -m colab.execute

clean:
	rm -rf $(VENV) .jax_cache build dist *.egg-info
