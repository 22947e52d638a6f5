# make demo · make test · make lint · make bench: each creates .venv on first use.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint bench clean

# The stamp is newer than setup.py once the environment matches it.
$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	touch $@

demo: $(VENV)/installed
	$(RUN) -m experiments.demo

test: $(VENV)/installed
	$(RUN) -m pytest -n auto --dist loadfile

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/installed
	$(RUN) -m benchmarks.coordinate_descent

clean:
	rm -rf $(VENV) build *.egg-info
