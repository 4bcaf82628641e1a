# make run      installs into .venv and opens the wizard; off a terminal it trains presets/bert-tiny.toml
# make test     lint and every test that can run on this machine
# make soak     the long campaigns        make bench   prints the figures        make lint   ruff, mypy, import-linter
#
# ARGS="..."        passed on, as in make run ARGS="runs" or make test ARGS="-k preset"
# PYTHON=python3.12 the Python to build .venv with (3.11 or newer)
# BERT_TUI_TORCH_INDEX=...  an extra package index for torch, such as PyTorch's own for CPUs (README.md)
# EXTRAS=           leave out torch: for machines that train only in containers
SHELL := /bin/bash
PYTHON ?= python3
EXTRAS ?= local
ARGS ?=
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --prefer-binary -c constraints.txt \
	$(if $(BERT_TUI_TORCH_INDEX),--extra-index-url $(BERT_TUI_TORCH_INDEX))
comma := ,

.PHONY: run test soak bench lint
.DEFAULT_GOAL := run

run: .venv/installed
	@if [ -n "$(strip $(ARGS))" ]; then exec $(BIN)/bert-tui $(ARGS); \
	elif [ -t 0 ] && [ -t 1 ]; then $(BIN)/bert-tui || case $$? in 3|5) ;; *) exit $$?;; esac; \
	else exec $(BIN)/bert-tui run presets/bert-tiny.toml --plain; fi

test: lint
	$(BIN)/python -m pytest -m "not soak and not benchmark" $(ARGS)

soak: .venv/installed-dev
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: .venv/installed-dev
	$(BIN)/python -m pytest -m benchmark -s $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). On Debian or Ubuntu type:" \
		"sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or newer is needed." \
		"Name another, as in: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module." \
		"On Debian or Ubuntu type: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing bert-tui into .venv (once; $(if $(EXTRAS),with torch,without torch))"
	$(INSTALL) -e '.$(if $(EXTRAS),[$(EXTRAS)])'
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing bert-tui and its test tools into .venv (once)"
	$(INSTALL) -e '.[dev$(if $(EXTRAS),$(comma)$(EXTRAS))]'
	@touch $@ .venv/installed
