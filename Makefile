# Everything happens in .venv, made from constraints.txt; a fresh machine needs python3 (>= 3.11) and make, nothing else.
PYTHON ?= python3
BIN = .venv/bin
STAMP = .venv/installed

.PHONY: verify test proofs lint bench readme clean

verify: $(STAMP)  ## fill the ledger C01-C22 with evidence
	$(BIN)/ddfm verify --profile default

test: $(STAMP)  ## run the tests on two processes
	$(BIN)/python -m pytest -n 2 --dist loadgroup

proofs: $(STAMP)  ## compile and audit the Rocq theorems (needs Coq 8.16 and MathComp 1.15)
	$(BIN)/python -m proofs.machine

lint: $(STAMP)  ## style, types, and the one-way imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## measure speed, as ratios in one run, into benchmarks/results
	$(BIN)/python -m benchmarks

readme: $(STAMP)  ## write today's ledger into README.md
	$(BIN)/ddfm verify --profile default --data digits --markdown README.md

# The constraints pin what was tested; pyproject's own ranges stay wide.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
