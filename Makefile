# Everything happens in .venv, made from constraints.txt; a fresh machine needs python3 (>= 3.11) and make, nothing else.
PYTHON ?= python3
BIN = .venv/bin
STAMP = .venv/installed

.PHONY: verify test proofs lint bench docs notebooks lab readme figures experiments mutation clean

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

docs: $(STAMP)  ## build the documentation into build/docs, warnings being errors; DDFM_DOCS=quick runs no notebook
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

notebooks: $(STAMP)  ## make each notebook's .ipynb from its .md
	$(BIN)/python -m notebooks

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab]'
	cd notebooks && ../$(BIN)/jupyter lab

readme: $(STAMP)  ## write today's ledger into README.md
	$(BIN)/ddfm verify --profile default --data digits --markdown README.md

figures: $(STAMP)  ## build the paper's figures, captions and tables into paper_figures/out
	$(BIN)/python -m paper_figures

experiments: $(STAMP)  ## dense against experts on real images (fetches 230 MB), compared with the kept result; ddfm check of these
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[experiments]'
	mkdir -p build
	$(BIN)/python -m toy_models.multimodal --preset small --out build/multimodal.json \
	    --compare toy_models/results/multimodal.json
	$(BIN)/python -m toy_models.multimodal check --preset small --out build/multimodal_check.json

mutation: $(STAMP)  ## edit every formula in every small way and see a test fail; takes hours, goes on where it was stopped
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutation]'
	$(BIN)/python -m mutmut run --max-children 2
	$(BIN)/python tests/mutation.py

# The constraints pin what was tested; pyproject's own ranges stay wide.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf .venv build mutants dist docs/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
