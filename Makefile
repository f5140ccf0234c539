# Two commands matter: `make lectures` and `make test`.  Both set up .venv first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BUILD := build/lectures
LECTURES := $(sort $(wildcard lectures/[0-9][0-9]_*.ipynb))
SOLUTIONS := $(sort $(wildcard lectures/solutions/[0-9][0-9]_*.ipynb))

.DEFAULT_GOAL := help
.PHONY: help setup lectures figures lab test lowest newest proofs verify handout grade bite fuzz homes nightly \
  mutants gpu quality benchmark refresh constraints clean always

help: ## this list
	@grep -hE '^[a-z ]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## create .venv with the pinned versions of constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV): about 2 minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[lectures,test]'
	@touch $@

# The lectures run two at a time, each with one thread; OMP_NUM_THREADS=2 in front overrides that,
# and then threads that wait must sleep: they would take the core of those that work.
lectures figures handout grade test lowest newest bite fuzz refresh: export OMP_NUM_THREADS ?= 1
lectures figures handout grade test lowest newest bite fuzz refresh: export OMP_WAIT_POLICY ?= passive

lectures: setup ## run the lectures from top to bottom, write figures/ and HTML pages
	@$(MAKE) --no-print-directory -j 2 $(LECTURES:lectures/%.ipynb=$(BUILD)/%.html)
	@echo
	@echo "Made:"
	@ls -1 $(BUILD)/*.html figures/*.png | sed 's/^/  /'
	@echo "Read the lectures in a browser: open $(BUILD)/00_start_here.html"
	@echo "  (its formulas are set by MathJax from the web; in JupyterLab they need no network)"
	@echo "Run them yourself: make lab"

figures: lectures ## the same: every figure is drawn by the lecture that shows it

$(BUILD)/%.html: lectures/%.ipynb always
	@mkdir -p $(BUILD)
	@DDRM_EDU_FIGURES=$(CURDIR)/figures PYTHONPATH=scripts:$$PYTHONPATH \
	  $(BIN)/jupyter nbconvert --log-level WARN --execute \
	  --ExecutePreprocessor.kernel_manager_class=kernels.Manager \
	  --to html --template described --TemplateExporter.extra_template_basedirs=scripts/templates \
	  --output-dir $(BUILD) $<
	@echo "ran $<"

lab: setup ## open JupyterLab on the lectures
	$(BIN)/jupyter lab lectures

PARALLEL := -n auto --maxprocesses 4

test: setup ## ruff, mypy, unit and property tests, doctests, and every output of the lectures
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
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
	$(BIN)/python scripts/bite.py

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

gpu: setup ## the tests that need a CUDA device; writes benchmarks/results/gpu-*.json
	$(BIN)/python -m pytest -m gpu -s tests/test_gpu.py

quality: setup ## restoration quality on held-out images; fetches the two data sets (200 MB)
	$(BIN)/python benchmarks/quality.py natural
	$(BIN)/python benchmarks/quality.py fashion

benchmark: setup ## time and memory beside what they cannot be without; on a quiet machine, about 20 minutes
	for each in startup exact_laws threads; do $(BIN)/python benchmarks/$$each.py || exit 1; done
	for each in restore operators; do $(BIN)/python benchmarks/$$each.py $(ARGS) || exit 1; done

refresh: setup ## store new outputs in the lectures after an intended change; then look at them
	DDRM_EDU_FIGURES=$(CURDIR)/figures $(BIN)/python scripts/refresh.py $(LECTURES) $(SOLUTIONS)

homes: setup ## the table of where each statement of the lecture lives, lectures/HOMES.md
	$(BIN)/python scripts/homes.py

constraints: setup ## pin the versions that are installed now
	{ sed -n '/^#/p' constraints.txt; \
	  $(BIN)/python -m pip freeze --all --exclude-editable | sed '/^pip==/d; s/+cpu$$//'; } \
	  > constraints.new
	mv constraints.new constraints.txt

clean: ## remove everything that make made
	rm -rf $(VENV) build
