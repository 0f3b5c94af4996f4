# `make quickstart` sets everything up and runs the main job; `make test` sets up and passes the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: quickstart test test-slow lint bench bench-peers clean

quickstart: $(VENV)/installed
	$(BIN)/halideflow run configs/quickstart.yaml

# Files of tests side by side on all cores, each process in one thread.
test: $(VENV)/installed-dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev bench-peers
	@for script in $$(grep -l __main__ benchmarks/*.py); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Peers that clash with our own requirements, or are no use to us otherwise, have environments of
# their own: .venv-peers-NAME from benchmarks/peers/NAME.txt.
PEERS := $(patsubst benchmarks/peers/%.txt,.venv-peers-%/installed,$(wildcard benchmarks/peers/*.txt))

bench-peers: $(VENV)/installed-dev $(PEERS)
	$(BIN)/pip install --quiet -c constraints.txt montydb

.venv-peers-%/installed: benchmarks/peers/%.txt
	test -d $(@D) || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet -r $<
	touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .venv-peers-* build *.egg-info
