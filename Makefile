# Two commands: `make figures` regenerates every figure and claim, `make test` passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
# one process more than there are cores, since some tests wait for Slurm or for a kill; no more than five
PYTEST := pytest --numprocesses $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 5)))
# modules are compiled when they are first imported, since most of those that are installed never are; and kept so, as a
# process that has to compile them anew takes twice as long to start
unexport PYTHONDONTWRITEBYTECODE
INSTALL := pip install --disable-pip-version-check --quiet --no-compile
export PATH := $(CURDIR)/.venv/bin:$(PATH)

figures: .venv/ready
	snakemake --cores $(CORES)
	@$(MAKE) --no-print-directory conclusion REPORT=results/report.html GIVEN=

smoke: .venv/ready
	snakemake --cores $(CORES) --config scale=smoke
	@$(MAKE) --no-print-directory conclusion REPORT=results/smoke.html GIVEN="--config scale=smoke"

# more seeds for undecided claims, cheapest decision first: make decide HOURS=2
HOURS ?= 1
decide: .venv/ready
	agentomy decide --hours $(HOURS) --cores $(CORES)

# the claims on the terminal, one HTML file with every figure and table, and a copy of the explorer
conclusion:
	@snakemake --cores 1 --quiet all $(GIVEN) -- claims explorer_copy
	@snakemake --cores 1 --quiet all $(GIVEN) --report $(REPORT)
	@echo "every figure and the claims are in $(REPORT)"

test:
	$(MAKE) --no-print-directory --jobs 4 --output-sync .venv/cluster/ready .venv/docs/ready lint
	$(PYTEST)

# the parts alone, without what starts Snakemake, draws, opens a browser or trains for seconds: between edits
test-quick: .venv/ready-dev
	$(PYTEST) -m "not long and not slow" $(addprefix tests/,agents environments foundation lenses networks papers) --ignore-glob '*/test_draw*'

# what is worth hours: kills at many more moments, and new examples of every property
test-long: .venv/ready-dev
	$(PYTEST) -m "long or hypothesis" --hypothesis-profile new

# on a Slurm and an object storage of this machine, both on loopback
test-cluster: .venv/ready-dev .venv/cluster/ready
	$(PYTEST) tests/cluster

lint: .venv/ready-dev
	ruff check workflow tests docs
	ruff format --check workflow tests docs
	snakefmt --check Snakefile rules
	lint-imports --no-cache
	python -m agentomy.pipeline.source.refusals
	snakemake --lint

format: .venv/ready-dev
	ruff check --fix workflow tests docs
	ruff format workflow tests docs
	snakefmt Snakefile rules

# measured speeds; see docs/performance.md
bench: .venv/ready-dev
	python -m tests.bench.speeds
	python -m tests.bench.path_speeds
	python -m tests.bench.path_speeds_dqn
	python -m tests.bench.maze_speeds
	python -m tests.bench.l3d_speeds
	python -m tests.bench.nld_speeds
	python -m tests.bench.graph
	python -m tests.bench.reruns
	python -m tests.bench.tables
	python -m tests.bench.jobs
	python -m tests.bench.twm_speeds
	python -m tests.bench.rendering
	python -m tests.bench.svd --snapshots 500 --parameters 200000

# the studies' claims too, if a run is named, and its verdicts are kept in docs/runs:
# make docs RUN="results/laptop --commit 0123456 --date 2026-01-31 --machine 'two cores'"
# a run whose verdicts are only to be shown beside those: the same after `agentomy decide`, or a workstation's
# make docs BESIDE="results/workstation --commit 0123456 --date 2026-01-31 --machine 'eight cores' --note 'path: TD3 alone'"
docs: .venv/ready-dev
	python docs/artifacts.py > docs/artifacts.md
	python docs/study_file.py > docs/study-file.md
	python docs/functions.py lenses > docs/lenses.md
	python docs/functions.py agents > docs/agents.md
	python docs/schema.py > workflow/studies/schema.json
	python docs/dependencies.py > docs/dependencies.md
	python docs/trust.py > docs/trust.md
	python docs/citation.py > CITATION.cff
	$(if $(RUN),python docs/record.py $(RUN))
	$(if $(BESIDE),python docs/record.py $(BESIDE))
	python docs/verdicts.py
	python docs/pages.py $(RUN)
	python docs/quoted.py
	$(if $(RUN),python docs/costs.py $(RUN))
	$(if $(RUN),python docs/explorer_pictures.py $(firstword $(RUN)))
	@$(MAKE) --no-print-directory site

# the pages as a site, which opens at site/index.html and needs no network. The report of a run and its copy of the explorer are
# copied into it if they exist; another run's: make docs REPORT=results/smoke.html EXPLORER=results/smoke/explorer.html
REPORT ?= results/report.html
EXPLORER ?= $(or $(firstword $(RUN)),results/laptop)/explorer.html
site: .venv/ready-dev .venv/docs/ready
	rm -rf site
	PYTHONPATH=.venv/docs python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --conf-dir docs/site \
		--doctree-dir .venv/docs/doctrees --define report=$(wildcard $(REPORT)) --define explorer=$(wildcard $(EXPLORER)) . site
	@echo "the documentation is in site/index.html"

.venv/bin/pip:
	$(PYTHON) -m venv .venv || { echo "make: no venv module for $(PYTHON); install it with: apt install python3-venv"; rm -rf .venv; exit 1; }

.venv/ready: .venv/bin/pip envs/requirements.txt pyproject.toml
	$(INSTALL) --requirement envs/requirements.txt
	$(INSTALL) --no-deps --editable .
	touch $@

.venv/ready-dev: .venv/ready .venv/system-packages envs/requirements-dev.txt
	$(INSTALL) --requirement envs/requirements-dev.txt
	touch $@

.venv/system-packages: .venv/bin/pip tests/system-packages.sh
	tests/system-packages.sh
	touch $@

# in a folder of their own: among the other packages, plugins slow down every start of Snakemake. Where they cannot be
# installed, their tests are skipped.
.venv/cluster/ready: .venv/ready envs/requirements-slurm.txt envs/requirements-s3.txt tests/cluster/requirements.txt
	rm -rf .venv/cluster
	$(INSTALL) --no-deps --target .venv/cluster \
		--requirement envs/requirements-slurm.txt --requirement envs/requirements-s3.txt \
		--requirement tests/cluster/requirements.txt && touch $@ || rm -rf .venv/cluster

# likewise: what the site needs would only make the environment of the jobs larger
.venv/docs/ready: .venv/ready envs/requirements-docs.txt
	rm -rf .venv/docs
	$(INSTALL) --no-deps --target .venv/docs --requirement envs/requirements-docs.txt \
		&& touch $@ || rm -rf .venv/docs

.PHONY: figures smoke decide conclusion test test-quick test-long test-cluster lint format bench docs site
