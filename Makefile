# Everything runs in .venv, which is made with the first target that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check format bench bench-searching clean

# Tune a small network on real images and write a report; run it twice to see a search continue.
demo: $(VENV)/.demo
	$(BIN)/choritsu demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the claims about speed rest on.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/checker.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/checkpoints.py

# How good suggestions are, beside those of the peers that are installed; an hour or two. It goes on where it was left.
bench-searching: $(VENV)/.dev
	$(BIN)/python -m benchmarks.searching run --trials 50 --seeds 5 \
		--players choritsu-random choritsu-bayes optuna-tpe optuna-gp hyperopt-tpe smac-hpo keras-tuner-bayes hebo
	$(BIN)/python -m benchmarks.searching report --curves searching.svg
	$(BIN)/python -m benchmarks.searching budgets

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[keras,sklearn]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) -e '.[dev]'
	touch $@ $(VENV)/.demo
