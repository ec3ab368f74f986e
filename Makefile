# `make` lists the targets. Needs Python >= 3.11, make and a package index.
# PyPI's torch for Linux brings CUDA along (several GB). Without a GPU, take the smaller build:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make run

PYTHON ?= python3
ARGS ?=
TORCH := torch==2.13.0
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help run test crash-test lint types fix bench-index bench-answers bench-llm train-reader lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: $(INSTALLED) ## open the chat page over the example papers (ARGS="--port 8000")
	$(BIN)/citewell ui --example $(ARGS)

test: $(INSTALLED) ## run the tests (ARGS="-k retrieval")
	$(BIN)/pytest $(ARGS)

crash-test: $(INSTALLED) ## kill a process at work again and again, a few minutes long (ARGS="--kills 1000 --seed 1")
	$(BIN)/python tests/crash.py $(ARGS)
	$(BIN)/python tests/crash.py --graph --kills 100

lint: $(INSTALLED) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## check types
	$(BIN)/mypy

fix: $(INSTALLED) ## correct the style where ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-index: $(INSTALLED) ## measure the index on a large file (DATA=papers.jsonl.gz, ARGS="--passages 1000000")
	@test -n "$(DATA)" || { echo "Name a file of papers, some 100,000 of them: make bench-index DATA=papers.jsonl.gz"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock \
		--no-build-isolation --editable '.[bench]'
	$(BIN)/python -m eval.bench.index_scale "$(DATA)" --rival $(ARGS)

bench-answers: $(INSTALLED) ## measure how long answers take (DATA=papers.jsonl.gz, a large file)
	@test -n "$(DATA)" || { echo "Name a file of papers, some 100,000 of them: make bench-answers DATA=papers.jsonl.gz"; exit 1; }
	$(BIN)/python -m eval.bench.answer_latency "$(DATA)" $(ARGS)

bench-llm: $(INSTALLED) ## measure what Citewell adds to a language model's time (ARGS="--rounds 9"; 4 GB of memory)
	$(BIN)/python -m eval.bench.llm_overhead $(ARGS)

# glibc gives the memory of every pass back to the system and asks for it again; kept, a step takes 54 ms per example
# instead of 76 (two cores). Other C libraries pass these settings over.
train-reader: $(INSTALLED) ## train the evidence reader (DATA=train.jsonl DEV=dev.jsonl OUT=folder, ARGS="--epochs 3")
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo "Name labelled abstracts and a folder: make train-reader DATA=train.jsonl DEV=dev.jsonl OUT=run1"; exit 1; }
	MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 \
		$(BIN)/python -m rag.evidence.training "$(DATA)" $(if $(DEV),--dev "$(DEV)") --out "$(OUT)" $(ARGS)

lock: | check-python ## pin the newest allowed versions in requirements.lock
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/pip" install '$(TORCH)' --editable '.[dev]'; \
	{ \
		echo '# Exact versions of everything Citewell runs and is tested with. Made by: make lock'; \
		echo '# Local version labels (+cpu) are left out and CUDA packages are not listed, so that each machine'; \
		echo '# may take the build of torch it has. Install: pip install -r requirements.lock && pip install --no-deps -e .'; \
		"$$folder/venv/bin/pip" freeze --all --exclude citewell --exclude pip \
			| grep -v -i -E '^(nvidia-|cuda-|triton=)' | sed -E 's/\+[a-z0-9.]+$$//' | LC_ALL=C sort -f; \
	} > "$$folder/requirements.lock"; \
	cp "$$folder/requirements.lock" requirements.lock

clean: ## remove the environment and the caches, not your indexes
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find index rag ui eval tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again whenever the pins or the project file change; an interrupted installation is not taken for done.
$(INSTALLED): requirements.lock pyproject.toml | check-python
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: check-python
check-python:
	@command -v $(PYTHON) > /dev/null \
		|| { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Citewell needs Python 3.11 or newer, and this is $$($(PYTHON) --version). Name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null \
		|| { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
