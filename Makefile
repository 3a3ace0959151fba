# Packages are installed in .venv. After that, only the targets that say so need the network.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test test-slow test-operations test-wheel test-container test-containers attacks torture bench gpu docs dist lint lock format clean

run: .venv/installed  ## install, then train, save and benchmark on the embedded corpus
	$(BIN)/nerbench run

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: .venv/installed-dev  ## run the tests
	$(BIN)/pytest -n 3  # three processes on two cores: tests often wait for servers and children

test-slow: .venv/installed-dev  ## run the tests that take more than a few seconds
	$(BIN)/pytest -m slow

# Servers and workers that are killed, cancelled and restarted; prints the figures of docs/how-to/operate.md.
# Installs Ray from the package index.
test-operations: .venv/installed-dev .venv/installed-ray  ## kill, cancel and restart servers, workers and runs
	$(BIN)/pytest -m operations -n 2 -rP

# nerbench and other tools in turn. MINILM is the folder of a pretrained encoder, which gets a random head for the
# evaluation. Up to half an hour on two cores; the output is also in var/bench.txt.
bench: SHELL := /bin/bash
bench: .venv/installed-dev  ## compare the speed with other tools: make bench MINILM=FOLDER
	@test -n "$(MINILM)" || { echo "name a pretrained encoder: make bench MINILM=FOLDER" >&2; exit 2; }
	@mkdir -p var
	@set -eo pipefail; export MINILM=$(MINILM); { \
		$(BIN)/python tests/benchmarks/scoring_speed.py; \
		$(BIN)/python tests/benchmarks/evaluation_speed.py --model $(MINILM); \
		$(BIN)/python tests/benchmarks/corpus_memory.py; \
		$(BIN)/python tests/benchmarks/training_speed.py --rounds 3 --steps 30; \
		$(BIN)/python tests/benchmarks/fanout_speed.py; \
	} | tee var/bench.txt

# Every attack on servers, stores and files; as root, also those of other users.
attacks: .venv/installed-dev  ## send hostile input to servers, stores and files
	$(BIN)/pytest -m attacks tests

# Kills processes and breaks requests, hundreds of times each, and prints how much was lost.
torture: .venv/installed-dev  ## kill processes and fail requests thousands of times
	@$(MAKE) --no-print-directory .venv-ministack/installed || echo "without ministack, its runs are skipped" >&2
	$(BIN)/pytest -m torture tests/torture

# At most ten minutes on a machine with a CUDA device, without the network. Writes the figures to var/gpu.
gpu: .venv/installed-dev  ## test, train, benchmark and measure on a GPU
	@$(BIN)/python tests/benchmarks/gpu_figures.py

# Writes the site to var/site, without the network.
docs: .venv-docs/installed  ## build the documentation site
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

dist: .venv-lock/installed  ## build the source distribution and the wheel
	rm -rf dist
	.venv-lock/bin/uv build --quiet

.venv-docs/installed:
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet mkdocs-material==9.8.2 mkdocs==1.6.1
	@touch $@

lint: .venv/installed-dev .venv/typing  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint deployments/Dockerfile
	$(BIN)/mypy

# Updates uv.lock (`uv lock --upgrade` for newer versions), and from it constraints.txt for pip and the hashes for the
# container image. torch and its CUDA libraries have a separate file, because the index of the CPU image has no hashes.
lock: CUDA := ^(torch|triton|nvidia-|cuda-)
lock: .venv-lock/installed  ## update uv.lock, constraints.txt and the hashes for the container image
	.venv-lock/bin/uv lock --quiet
	echo '# The versions of uv.lock, which CI runs with, for pip; `make lock` writes this file.' > constraints.txt
	.venv-lock/bin/uv export --quiet --frozen --all-extras --no-hashes --no-emit-project --no-annotate --no-header \
		>> constraints.txt
	echo 'setuptools>=77' | .venv-lock/bin/uv pip compile pyproject.toml - -c constraints.txt --generate-hashes \
		--python-version 3.11 --universal \
		--no-emit-index-url --no-annotate --no-header --quiet --output-file .venv-lock/all.lock
	awk '/^[a-z]/ {cuda = $$0 ~ /$(CUDA)/} !cuda' .venv-lock/all.lock > deployments/requirements.lock
	awk '/^[a-z]/ {cuda = $$0 ~ /$(CUDA)/} cuda' .venv-lock/all.lock > deployments/torch-cuda.lock

.venv-lock/installed:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv==0.13.9
	@touch $@

format: .venv/installed-dev  ## apply the automatic fixes of ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installs the wheel in an empty environment outside the checkout. NERBENCH_PYTHONS=python3.11,python3.12,python3.13 names
# interpreters; then the dependencies come from the package index, and uv and pipx also install the source tree.
test-wheel: .venv/installed-dev .venv-lock/installed  ## test the wheel in an empty environment
	$(BIN)/pytest -m "wheel or not wheel" tests/wheel

# Builds the container image from the package indexes and runs it, with docker, podman or buildah. Without a registry,
# root can make the base image with debootstrap and buildah. The last lines of the output name skipped tests. DEVICE=cuda
# builds the image for CUDA, and runs it on the CPU.
test-container: .venv/installed-dev .venv-kubernetes/installed  ## build the container image and run it
	$(BIN)/pytest -m container -n 0 -rsP tests/deployments

test-containers: test-container  ## alias of test-container

# The schemas of Kubernetes, and Prefect's worker for it, which the environment of the tests lacks.
.venv-kubernetes/installed: .venv-lock/installed
	.venv-lock/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv-kubernetes
	.venv-lock/bin/uv pip install --quiet --python .venv-kubernetes -c constraints.txt \
		kubernetes-validate==1.37.0 prefect-kubernetes==0.8.0
	@touch $@

clean:  ## remove environments, caches and builds
	rm -rf build dist .venv .venv-ministack .venv-audit .venv-lock .venv-docs .venv-kubernetes .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nerbench needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# The stamps are newer than their prerequisites, so that a second call installs nothing.
.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ .venv/installed

# Ray takes a quarter of a gigabyte, and only the tests of operations use it.
.venv/installed-ray: pyproject.toml constraints.txt .venv/installed-dev
	$(BIN)/pip install --quiet -c constraints.txt -e '.[ray]'
	@touch $@ .venv/installed .venv/installed-dev

# A folder `nerbench` of links for mypy and editors, which do not read setuptools' package-dir.
.venv/typing: | .venv/bin/python
	mkdir -p $@/nerbench
	ln -sfn $(CURDIR)/nerbench/* $(CURDIR)/artifacts $(CURDIR)/deployments $(CURDIR)/flows $(CURDIR)/tasks $@/nerbench/

# A second S3 server, in a separate environment, because s3fs needs another botocore.
.venv-ministack/installed:
	$(PYTHON) -m venv .venv-ministack
	.venv-ministack/bin/pip install --quiet ministack==1.5.33
	@touch $@
