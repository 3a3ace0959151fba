# Everything happens in .venv; once installed, nothing here needs the network.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test test-slow test-operations test-wheel test-container test-containers attacks torture bench gpu docs dist lint lock format clean

run: .venv/installed  ## install, then train, save and benchmark on the embedded corpus
	$(BIN)/nerbench run

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: .venv/installed-dev  ## run the tests
	$(BIN)/pytest -n 3  # two cores: a third process works while others wait for servers and children

test-slow: .venv/installed-dev  ## run the tests that take more than a few seconds
	$(BIN)/pytest -m slow

# Servers and workers that are killed, cancelled and restarted; prints the figures of docs/how-to/operate.md.
test-operations: .venv/installed-dev  ## kill, cancel and restart servers, workers and runs
	$(BIN)/pytest -m operations -n 2 -rP

# Side by side with the peers, interleaved; MINILM names a pretrained encoder's folder. Half an hour on two cores;
# what it prints is kept in var/bench.txt. The encoder gets a random head for the evaluation.
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

# Every attack on servers, stores and files, those of other users included where it runs as root.
attacks: .venv/installed-dev  ## send hostile input to servers, stores and files
	$(BIN)/pytest -m attacks tests

# Kills processes and spoils requests by the hundred, and prints what was lost: nothing.
torture: .venv/installed-dev  ## kill processes and fail requests thousands of times
	@$(MAKE) --no-print-directory .venv-ministack/installed || echo "without ministack, its runs are skipped" >&2
	$(BIN)/pytest -m torture tests/torture

# At most ten minutes on a machine with a CUDA device, without the network; the figures are in var/gpu.
gpu: .venv/installed-dev  ## test, train, benchmark and measure on a GPU
	@$(BIN)/python tests/benchmarks/gpu_figures.py

# The site in var/site. Nothing is fetched while it is built.
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

# uv.lock is the lock; `uv lock --upgrade` takes newer versions. constraints.txt is derived from it, for pip, and so are the
# hashes that the container image is installed by. torch and its CUDA libraries are apart: the CPU image takes torch from an index that publishes no hashes to compile from.
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

# The wheel in an empty environment outside the checkout. NERBENCH_PYTHONS=python3.11,python3.12,python3.13 names
# interpreters; what the wheel needs then comes from the package index, and uv and pipx install the source tree, too.
test-wheel: .venv/installed-dev .venv-lock/installed  ## test the wheel in an empty environment
	$(BIN)/pytest -m "wheel or not wheel" tests/wheel

# The container image, built from the package indexes and run, by docker, podman or buildah. Without a registry, and as
# root, debootstrap and buildah make the base image. What is skipped is in the last lines.
test-container: .venv/installed-dev .venv-kubernetes/installed  ## build the container image and run it
	$(BIN)/pytest -m container -n 0 -rsP tests/deployments

test-containers: test-container  ## the same

# Kubernetes' schemas, and Prefect's worker for it, which is not in the environment of the tests.
.venv-kubernetes/installed:
	$(PYTHON) -m venv .venv-kubernetes
	.venv-kubernetes/bin/pip install --quiet -c constraints.txt kubernetes-validate==1.37.0 prefect-kubernetes==0.8.0
	@touch $@

clean:  ## remove environments, caches and builds
	rm -rf build dist .venv .venv-ministack .venv-audit .venv-lock .venv-docs .venv-kubernetes .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nerbench needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# The stamps are newer than what was installed from, so that a second call installs nothing.
.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ .venv/installed

# mypy and editors do not know setuptools' package-dir: here `nerbench` is one folder of links.
.venv/typing: | .venv/bin/python
	mkdir -p $@/nerbench
	ln -sfn $(CURDIR)/nerbench/* $(CURDIR)/artifacts $(CURDIR)/deployments $(CURDIR)/flows $(CURDIR)/tasks $@/nerbench/

# A second S3 server, in an environment of its own: s3fs needs another botocore.
.venv-ministack/installed:
	$(PYTHON) -m venv .venv-ministack
	.venv-ministack/bin/pip install --quiet ministack==1.5.33
	@touch $@
