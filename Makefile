# make run: the app.  make test: every check.  Both do all the set-up on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8501
# Files in the order of their names: by their number of tests, the slow ones with few tests would come last and leave a core idle.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# Where it is set, every process that a test starts compiles the application anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check unit docs clean

run: $(VENV)/installed
	$(BIN)/python -m streamlit run streamlit_app.py --server.port $(PORT)

test: check
	$(PYTEST) --ignore tests/browser
	$(PYTEST) tests/browser

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(VENV)/installed-dev
	$(PYTEST) --ignore tests/browser

docs: $(VENV)/installed
	$(BIN)/python -m cortex kinds --markdown > docs/nodes.md
	$(BIN)/python -m cortex guide --language en > docs/guide.md
	$(BIN)/python -m cortex guide --language zh > docs/guide.zh.md

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "CortexNodus needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 run"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/installed
