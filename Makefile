# Two commands do everything: `make study` shows what this is, `make test` checks it.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
OUT ?= runs/demo-quick
# processes that share the test files among them; each works with one thread
TESTERS ?= 2

.PHONY: study test lint types imports unit docs bench pictures clean

study: $(VENV)/installed
	$(BIN)/mfcl demo demo
	$(BIN)/mfcl study demo --preset quick --out $(OUT)
	$(BIN)/mfcl report $(OUT) --with-audio

test: lint types imports unit

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

imports: $(VENV)/installed-dev
	$(BIN)/lint-imports

unit: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile

docs: $(VENV)/installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/docs
	@echo build/docs/index.html

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks --json runs/bench.json

pictures: $(VENV)/installed-dev
	$(BIN)/python examples/make_pictures.py $(OUT) docs/pictures
	$(BIN)/python examples/make_explorer_pictures.py $(OUT) docs/pictures --label digit
	$(BIN)/python examples/make_method_picture.py docs/pictures/method.svg

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

# pip older than 25.1 knows no dependency groups, so it is brought up to date first
$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --group docs
	touch $@

clean: # results in runs/ stay: they cannot be had again in a moment
	rm -rf $(VENV) demo
