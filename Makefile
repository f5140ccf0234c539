# Two commands matter: `make lectures` and `make test`.  Both set up .venv first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BUILD := build/lectures
FIGURES := figures
LECTURES := $(sort $(wildcard lectures/[0-9][0-9]*_*.ipynb))
SOLUTIONS := $(sort $(wildcard lectures/solutions/[0-9][0-9]*_*.ipynb))

# Greek and Russian letters are printed, and read from files and paths, whatever the locale.  Python
# 3.11 reads the path of an editable installation by the locale even in its UTF-8 mode.
export PYTHONUTF8 := 1
ifneq (,$(filter C POSIX,$(LC_ALL)))
export LC_ALL := C.UTF-8
endif

.DEFAULT_GOAL := help
.PHONY: help setup lectures figures lab test lowest newest proofs verify handout grade bite again homes nightly \
  mutants kill fuzz gpu quality photographs evaluate package benchmark refresh constraints lock site browser clean

help: ## this list
	@grep -hE '^[a-z ]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## create .venv with the pinned versions of constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) scripts/environment.py $(VENV) lectures,test

# The lectures run two at a time, each with one thread; OMP_NUM_THREADS=2 in front overrides that,
# and then threads that wait must sleep: they would take the core of those that work.
lectures figures handout grade test lowest newest bite again fuzz refresh: export OMP_NUM_THREADS ?= 1
lectures figures handout grade test lowest newest bite again fuzz refresh: export OMP_WAIT_POLICY ?= passive

lectures: setup ## run the lectures from top to bottom, write figures/ and HTML pages
	@$(BIN)/python scripts/lectures.py --pages '$(BUILD)' --figures '$(FIGURES)' $(ARGS)

figures: lectures ## the same: every figure is drawn by the lecture that shows it

photographs: setup ## photographs of 256 x 256, restored and drawn; the README's figure; about 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/photographs.py

evaluate: setup ## the tables over held-out images (fetches CIFAR-10); resumes; about an hour
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/evaluate.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/recommendations.py

# Sphinx has an environment of its own, which sees what .venv has.
SITE := build/site-env

site: $(SITE)/.ready ## the lectures, the reference and the ledger as a web site, in build/site/html
	@OMP_NUM_THREADS=1 $(SITE)/bin/python docs/build.py

$(SITE)/.ready: docs/requirements.txt scripts/borrow.py $(READY)
	$(PYTHON) scripts/borrow.py $(SITE) $(BIN)/python -r docs/requirements.txt
	@touch $@

# Debian's chromium, driven by playwright; a check that cannot be made fails, nothing is skipped.
BROWSER := build/browser-env

browser: site $(BROWSER)/.ready ## the site and the sliders in a real browser (needs Debian's chromium)
	@$(BIN)/python scripts/chromium.py
	OMP_NUM_THREADS=1 $(BROWSER)/bin/python -m pytest -m browser -n 2 --dist worksteal tests/browser

$(BROWSER)/.ready: tests/browser/requirements.txt scripts/borrow.py $(READY)
	$(PYTHON) scripts/borrow.py $(BROWSER) $(BIN)/python -r tests/browser/requirements.txt
	@touch $@

lab: setup ## open JupyterLab on the lectures
	$(BIN)/jupyter lab lectures

PARALLEL := -n auto --maxprocesses 4

test: setup ## ruff, mypy, unit and property tests, doctests, and every output of the lectures
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PARALLEL)
	$(BIN)/python -m pytest $(PARALLEL) --dist loadfile --nbval lectures

lowest newest: ## the tests with the oldest dependencies that pyproject.toml allows, or the newest
	@mkdir -p build
	sed -nE '$($@)' pyproject.toml > build/$@.txt
	$(PYTHON) -m venv build/$@
	build/$@/bin/python -m pip install --disable-pip-version-check --constraint build/$@.txt \
	  --editable '.[lectures,test]'
	build/$@/bin/python -m pytest $(PARALLEL)

lowest = s/^ +"([a-z-]+)>=([0-9.]+)".*/\1==\2/p
newest =

proofs: ## the theorem, checked by Coq: build, kernel check, axioms, wrong versions (needs 2 Debian packages)
	$(PYTHON) scripts/proofs.py
	$(PYTHON) scripts/proofs.py --wrong

verify: setup ## the equation ledger: error, wrong version, proof of each statement (ID="E1 S06": in full)
	PYTHONPATH=tests $(BIN)/python -m ledger $(ID)

handout: setup ## student copies of the lectures, without outputs and solutions, in build/handout
	$(BIN)/python scripts/handout.py $(ARGS)

grade: setup ## marks of the notebooks below FOLDER=..., as CSV and HTML: lectures/GRADING.md
	@$(BIN)/ddrm-edu grade $(ARGS) -- "$$FOLDER"

bite: setup ## plant thirty errors in the library: does a lecture fail? About 10 minutes
	$(BIN)/python scripts/bite.py $(LIST)

package: setup ## build sdist and wheel, install them and git's state in new environments, use each
	$(BIN)/python scripts/package.py

fuzz: setup ## bad arguments for every public callable: all refused in a sentence? About 15 minutes
	$(BIN)/python scripts/fuzz.py $(ARGS)

nightly: setup ## the property tests with new examples, 2,000 each: about an hour
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -m 'not gpu' tests

mutants: setup $(VENV)/.mutants ## change the library's numbers one by one: are the tests red? 1 hour, resumes
	$(BIN)/python scripts/mutants.py

$(VENV)/.mutants: $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[mutants]'
	@touch $@

kill: setup ## kill a training at every write: is anything lost? About 3 minutes
	$(BIN)/python scripts/kill.py $(ARGS)

gpu: setup ## the tests that need a CUDA device; writes benchmarks/results/gpu-*.json
	$(BIN)/python -m pytest -m gpu -s tests/test_gpu.py

quality: setup ## restoration quality on held-out images; fetches the two data sets (200 MB)
	$(BIN)/python benchmarks/quality.py natural
	$(BIN)/python benchmarks/quality.py fashion

benchmark: setup ## time and memory beside what they cannot be without; on a quiet machine, about 20 minutes
	for each in startup exact_laws threads; do $(BIN)/python benchmarks/$$each.py || exit 1; done
	for each in restore operators; do $(BIN)/python benchmarks/$$each.py $(ARGS) || exit 1; done

refresh: setup ## store new outputs in the lectures after an intended change; then look at them
	DDRM_EDU_FIGURES='$(CURDIR)/figures' $(BIN)/python scripts/refresh.py $(LECTURES) $(SOLUTIONS)

homes: setup ## the table of where each statement of the lecture lives, lectures/HOMES.md
	$(BIN)/python scripts/homes.py

again: setup ## run every cell of the lectures once more after the last one: about 6 minutes
	$(BIN)/python scripts/again.py $(LECTURES)

constraints: setup ## pin the versions that are installed now
	{ sed -n '/^#/p' constraints.txt; \
	  $(BIN)/python -m pip freeze --all --exclude-editable | sed '/^pip==/d; s/+cpu$$//'; } \
	  > constraints.new
	mv constraints.new constraints.txt

# The pins need 3.11.5, and the oldest Python of a lock is one with which all of it can be had.
lock: ## the hashes of all that constraints.txt may bring in, on any system: requirements.lock
	@mkdir -p build
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	{ sed -n '/^#/p' requirements.lock; \
	  build/lock/bin/uv pip compile pyproject.toml --extra lectures --extra test --quiet \
	  --constraint constraints.txt --generate-hashes --universal --python-version 3.11.5 \
	  --no-header --no-annotate; } > build/lock/requirements.lock
	mv build/lock/requirements.lock requirements.lock

clean: ## remove everything that make made
	rm -rf $(VENV) build
