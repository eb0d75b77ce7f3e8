# make install · make demo · make test · make lint · make bench · make gpu-check · make gpu-test ·
# make results · make docs
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint bench gpu-check gpu-test results docs

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

# These two also run without .venv, with a PYTHON that has torch, torchvision, timm, numpy, OpenCV,
# Pillow and segment-anything; for the tests pytest, pytest-timeout and hypothesis, too.
ANYWHERE := PYTHONPATH=.:tracker:models $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

# Measures the GPU path in less than twelve minutes; `make gpu-check ARGS=--dry-run` needs no GPU.
gpu-check:
	$(ANYWHERE) -m benchmarks.gpu_check $(ARGS)

# The tests that need a GPU, and the kernels' tests, which run without one, too, but slowly.
GPU_TESTS := tests/vmos/test_kernels.py tests/hqsam/test_kernels.py \
	tests/hqtrack/compute/test_acceleration.py tests/hqtrack/compute/test_graphs.py \
	tests/hqtrack/test_segmenter.py tests/hqtrack/test_refiner.py
gpu-test:
	$(ANYWHERE) -m pytest -m gpu $(GPU_TESTS)

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
