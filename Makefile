# The two commands of a newcomer: `make demo` and `make test`. Everything is installed into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
PEERS := .venv-peers
ZOO := .venv-zoo

.PHONY: help demo test test-long bench bench-check lint types unit clean schemas fuzz check-aarch64 check-device-memory check-tensorrt-api check-tensorrt-build check-tensorrt-build-all soak peers check-zoo

help:
	@echo "make demo   set up .venv and run the whole chain on synthetic scenes"
	@echo "make test   set up .venv, check style and types, run the tests"
	@echo "make clean  remove .venv and caches"
	@echo "make bench  measure speed and memory beside their floors, into docs/; QUICK=--quick for 3 minutes; make bench-check compares"
	@echo "longer checks: make test-long, check-tensorrt-api, check-tensorrt-build, check-tensorrt-build-all, check-device-memory, check-aarch64, fuzz, soak, check-zoo; make peers for benchmarks/peers"

$(VENV)/.made:
	@for python in $(PYTHON) python3.12 python3.13 python3; do \
		if command -v $$python >/dev/null && $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv $(VENV) && touch $@ && exit 0; \
			echo "$$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
		fi; done; \
		echo "segeval needs Python 3.11 or newer: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1

# What the demo needs: segeval and ONNX Runtime.
$(RUNS): $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24' 'setuptools>=80' wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu]'
	@touch $@

# What the tests need beside it: mypy, pyright, selenium, OpenVINO, TensorRT-RTX and others.
$(STAMP): $(RUNS)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,dev]'
	@touch $@

demo: $(RUNS)
	$(BIN)/segeval demo

# Style, and that every editor can follow every import.
lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --level error

types: $(STAMP)
	$(BIN)/mypy -p segeval -p segeval_runner
	$(BIN)/mypy tests benchmarks

unit: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Types and imports are checked side by side; each takes one core.
test: $(STAMP)
	$(MAKE) -j2 --output-sync=target lint types
	$(MAKE) unit

# What takes long for what it shows: pages as large as they may be, real evaluations killed, commands that are soaked.
test-long: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m long

# Speed and memory beside the floor that the hardware sets, into docs/bench.json and the table of docs/speed.md;
# `make bench QUICK=--quick` in 3 minutes on an idle machine. bench-check fails where a ratio is a tenth larger than
# the stored one. Both on one thread.
bench: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.bench $(QUICK)

bench-check: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.bench --quick --check

# JSON schemas of every file, from the records; a test holds them current.
schemas: $(STAMP)
	$(BIN)/python -m segeval.evaluate.formats.schemas docs/schema

# pycuda is compiled from its sources the first time, which takes some minutes; no GPU is needed.
check-device-memory: $(STAMP)
	SEGEVAL_BUILD_PYCUDA=1 $(BIN)/python -m pytest tests/runner/cuda

# The bindings of every version of TensorRT, from PyPI, with stubs in place of TensorRT: no GPU is needed, but Python 3.8,
# 3.10 and 3.12, and a C compiler. docs/tensorrt.md says what this shows.
check-tensorrt-api: $(STAMP)
	$(BIN)/python -m tests.tensorrt_api.check

# NVIDIA's own parser and builder on the files that are deployed, without a GPU. docs/tensorrt.md has its table; with
# -all every calibration, batch size and GPU generation, too.
check-tensorrt-build: $(STAMP)
	$(BIN)/python -m tests.tensorrt_build.check

check-tensorrt-build-all: $(STAMP)
	$(BIN)/python -m tests.tensorrt_build.check --all

# Mutated bundles, replays and archives; docs/untrusted-files.md. The ordinary tests run 250 examples.
fuzz: $(STAMP)
	SEGEVAL_FUZZ_EXAMPLES=$${SEGEVAL_FUZZ_EXAMPLES:-10000} $(BIN)/python -m pytest -q tests/fuzz

# Commands killed at every moment and continued, files with a bit or digit changed; docs/soak.md.
soak: $(STAMP)
	$(BIN)/python -m tests.soak.check

# The runner on an emulated aarch64 processor; docs/aarch64.md. Needs root once, debootstrap and qemu-user-static.
check-aarch64: $(STAMP)
	$(BIN)/python benchmarks/aarch64.py

# adv-lib and torchattacks, beside what .venv has, for the comparisons of docs/attacks-compared.md. What they only
# import, or do not need here, is left out.
peers: $(STAMP)
	$(BIN)/python -m venv --without-pip $(PEERS)
	$(BIN)/python -m pip --python $(PEERS)/bin/python install --quiet --no-deps adv-lib==0.2.8 torchattacks==3.5.1
	$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		> $$($(PEERS)/bin/python -c 'import site; print(site.getsitepackages()[0])')/segeval.pth

# Networks that others wrote, through the whole chain; docs/zoo.md. An environment of its own: 6 GB.
check-zoo: $(ZOO)/.installed
	$(ZOO)/bin/python -m benchmarks.zoo.check --write

$(ZOO)/.installed: $(STAMP) constraints.txt benchmarks/zoo/requirements.txt benchmarks/zoo/openmmlab.txt
	$(BIN)/python -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --upgrade 'pip>=24' 'setuptools>=80' wheel
	sed '/^torch==/d' constraints.txt > $(ZOO)/constraints.txt
	$(ZOO)/bin/python -m pip install --quiet --constraint $(ZOO)/constraints.txt --requirement benchmarks/zoo/requirements.txt --editable '.[cpu,rtx,zoo]'
	$(ZOO)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/zoo/openmmlab.txt
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(ZOO) .venv-py38 .venv-trt-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info segeval-demo
