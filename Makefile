# The commands of this project. Everything is installed into .venv and tests/js/node_modules, nothing outside but two caches:
# the Copilot runtime and the browser that the tests need. `make` alone lists the commands.
# `exec`: the shell would not hand on the signal that ends make, and leave what it has started.

VENV := .venv
BIN := $(VENV)/bin
JS := tests/js
LABEXTENSIONS := $(VENV)/share/jupyter/labextensions
COPILOT_NB := exec env PIP_CONSTRAINT=constraints.txt $(BIN)/copilot-nb

# Both do nothing where the right version is already there.
define PROVISION
@$(COPILOT_NB) install-runtime
@$(COPILOT_NB) install-model
endef

# Two at a time of what does not need each other. What a check prints is shown in one piece, an installation's progress at once.
define INSTALL_AND_LINT
@+$(MAKE) -s -j2 $(VENV)/.dev $(JS)/node_modules/.installed
@+$(MAKE) -s -j2 $(if $(filter output-sync,$(.FEATURES)),-Otarget) lint lint-js
endef

# A path from outside would shadow what .venv holds.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
MAKEFLAGS += --no-print-directory

ifeq ($(MAKELEVEL),0)
.NOTPARALLEL:  # one environment, one pip at a time
endif
.PHONY: help demo test browser check lint lint-js docs oldest bench lock clean

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/make \1: \2/p' Makefile

demo: $(VENV)/.demo $(VENV)/.lab  ## open the first notebook in JupyterLab (HEADLESS=1: run it without a browser)
	$(PROVISION)
	@exec $(BIN)/copilot-nb demo $(if $(filter-out 0,$(HEADLESS)),--headless)

test: browser  ## check the code and run all tests; installs what they need
	$(INSTALL_AND_LINT)
	$(PROVISION)
	@echo "Running all tests in three processes: about 12 minutes on two free cores"
	@CHROMIUM=$$($(BIN)/python tests/browser/ensure_browser.py) $(BIN)/python -m pytest -q -p tests.progress -n 3 --dist loadfile --no-loadscope-reorder

# First of all, so that nobody waits for an installation to be told that there is no browser.
browser: | $(BIN)/pip
	@$(BIN)/python tests/browser/ensure_browser.py >/dev/null

check: | $(BIN)/pip  ## the quick part of `make test`: format, lint, types and the quick unit tests
	$(INSTALL_AND_LINT)
	@$(BIN)/python -m pytest -q -m 'not slow' -n 2 tests/unit

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

# The page's scripts and styles: format, lint, types and unit tests. Biome looks for its settings where it runs.
lint-js: $(JS)/node_modules/.installed
	@cd $(JS) && exec node_modules/.bin/biome check --log-level=error --error-on-warnings . ../../copilot_nb/panels/static ../../labextension
	@$(JS)/node_modules/.bin/tsc -p $(JS)
	@cd $(JS) && exec node --disable-warning=MODULE_TYPELESS_PACKAGE_JSON --test --test-reporter=dot .

docs: $(VENV)/.dev  ## build the documentation site into build/site
	@$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/site
	@echo "Open build/site/index.html"

oldest: browser  ## test the extension in the oldest JupyterLab and Notebook that it promises (before a release)
	@rm -rf build/oldest && $(BIN)/python -m venv build/oldest
	@build/oldest/bin/python -m pip install -q -e . jupyterlab==4.2.0 notebook==7.2.0 axe-playwright-python hypothesis nbformat pytest
	@CHROMIUM=$$($(BIN)/python tests/browser/ensure_browser.py) build/oldest/bin/python -m pytest -q tests/browser/test_labextension.py

bench: $(VENV)/.dev  ## measure; results go to bench/results
	$(PROVISION)
	@$(BIN)/python -m bench

$(JS)/node_modules/.installed: $(JS)/package.json $(JS)/package-lock.json
	@node -e 'const [major, minor] = process.versions.node.split("."); process.exit(Number(major * 100 + +minor < 2019))' \
		|| { echo "the page's scripts are checked by Node.js 20.19 or newer, with npm: install it" >&2; exit 1; }
	@echo "Installing what checks the page's scripts into $(JS)/node_modules"
	@cd $(JS) && exec npm ci --silent
	@touch $@

# Installed anew when the requirements change.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/pip
	@exec $(BIN)/python .ci/install.py $*
	@touch $@

# pip copies the extension of JupyterLab when it installs the package: what was edited since is copied here.
$(VENV)/.lab: $(shell find labextension -type f) | $(BIN)/pip
	@mkdir -p $(LABEXTENSIONS) && rm -rf $(LABEXTENSIONS)/copilot-nb && cp -R labextension $(LABEXTENSIONS)/copilot-nb
	@touch $@

# pip is what venv writes last: a folder left half made by an interrupt is made again.
$(BIN)/pip:
	@for python in $(or $(PYTHON),python3.11 python3 python3.12 python3.13); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version)"; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "copilot-nb needs Python 3.11 or newer with venv: install python3.11 and python3.11-venv," \
		"or name one: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python" >&2; \
	exit 1

lock:  ## write constraints.txt anew, for the lowest Python promised (with any Python 3.11)
	@rm -rf build/lock && $(or $(PYTHON),python3.11) -m venv build/lock
	@build/lock/bin/python .ci/lock.py && rm -rf build/lock

clean:  ## remove .venv, caches and results
	@rm -rf $(VENV) $(JS)/node_modules .demo .mypy_cache .ruff_cache .pytest_cache bench/results
