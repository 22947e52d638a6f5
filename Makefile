# make demo · test · lint · bench · notebooks: each creates .venv on first use.
# make peers adds the libraries we compare with, and compares.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test peers lint bench notebooks clean

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

demo: $(VENV)/installed
	$(RUN) -m experiments.demo

test: $(VENV)/installed
	$(RUN) -m pytest -n auto --dist loadfile

peers: $(VENV)/peers-installed
	$(RUN) -m pytest tests/peers

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/installed
	$(RUN) -m benchmarks.coordinate_descent

# Executes them, and stores them with their outputs.
notebooks: $(VENV)/installed
	$(RUN) -m colab.execute

clean:
	rm -rf $(VENV) build *.egg-info
