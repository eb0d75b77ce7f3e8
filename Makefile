# make install · make demo · make test · make lint · make bench · make results · make docs
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint bench results docs

install: .venv/installed

# Updates the virtual environment if a file that defines its content has changed.
.venv/installed: setup.py setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python -m hqtrack.demo

# One process per core, each with one thread; the tests of a file stay together.
test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 \
		--dist loadgroup --no-loadscope-reorder

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Takes about ten minutes on two cores; `hqtrack bench` alone takes half a minute.
bench: install
	$(BIN)/hqtrack bench
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.objects
	$(BIN)/python -m benchmarks.memory

# Updates the table in README.md from the annotated sequences in SEQUENCES. Takes 20 minutes on two
# cores.
SEQUENCES ?= ../shared/data/sequences
results: install
	$(BIN)/python -m benchmarks.quality --data $(SEQUENCES)

# Builds the site into site/.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
