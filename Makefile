# `make help` lists the commands. Everything runs in .venv, made on first use.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON  ?= python3
WORKERS ?= 2
PORT    ?= 8000
SOLUTIONS ?= 1
ARITHMETIC ?= plain avx2

BIN       := .venv/bin
INSTALLED := .venv/.installed
NOTEBOOKS := $(wildcard book/*.ipynb)

# Stamps are named after a checksum of what they depend on, so that a fresh checkout, a touched file or a
# deleted one is judged by content and not by dates.
checksum = $(shell find $(1) -type f -not -path '*/__pycache__/*' -not -path '*/.*' -exec cksum {} + \
             2>/dev/null | LC_ALL=C sort -k3 | cksum | cut -d' ' -f1)

# The pages lead to the repository that REPOSITORY_URL names.
HOME_OF  := $(shell printf %s '$(REPOSITORY_URL)' | cksum | cut -d' ' -f1)

# A notebook's outputs depend on its own code, which the execution cache watches, and on these, which it does not.
EXECUTED := _build/.executed-$(call checksum,cwn_lite book/results book/costs requirements.txt)
BUILT    := _build/.built-$(call checksum,cwn_lite book CHANGELOG.md _config.yml _toc.yml requirements.txt)-$(HOME_OF)

# The book without solutions is built from a copy that has none, beside the other one.
COURSE         := _build/course
COURSE_BUILT   := _build/.course-$(call checksum,cwn_lite book CHANGELOG.md _config.yml _toc.yml requirements.txt)

# A file stays with one process, which takes the next when it is done; conftest.py puts the long ones first.
PYTEST := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
NBVAL  := --nbval --nbval-current-env --nbval-cell-timeout 120

.PHONY: help book pdf zip test arithmetic serve lint fmt refresh readme clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "Settings: PYTHON=python3.12 (for .venv), WORKERS=2 (processes), PORT=8000 (serve), SOLUTIONS=0 (book)," \
	  "ARITHMETIC=plain (arithmetic)"

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "The book's locked packages need Python 3.11 or newer; '$(PYTHON)' is" \
	       "$$($(PYTHON) --version 2>/dev/null || echo 'not there'). Name another: make $(or $(MAKECMDGOALS),book) PYTHON=python3.12"; \
	  exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv"; $(PYTHON) -m venv .venv; }
	@echo "Installing requirements.txt into .venv (some minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt \
	  | { grep --line-buffered -v '^Requirement already satisfied' || true; }
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

ifeq ($(SOLUTIONS),0)
book: $(COURSE_BUILT)
	@echo
	@echo "The book without solutions: file://$(CURDIR)/$(COURSE)/_build/html/index.html"
else
book: $(BUILT) ## execute the notebooks and build the pages (SOLUTIONS=0: without solutions, for a graded course)
	@echo
	@echo "The book: file://$(CURDIR)/_build/html/index.html"
	@echo "     or:  make serve"
endif

$(EXECUTED): | $(INSTALLED)
	@rm -rf _build/.jupyter_cache _build/.doctrees _build/.executed-*
	@mkdir -p _build && touch $@

$(BUILT): $(EXECUTED) | $(INSTALLED)
	@rm -rf _build/html _build/.built-*
	$(BIN)/python book/_ext/execute.py --workers $(WORKERS) $(NOTEBOOKS)
	$(BIN)/jupyter-book build . -W -n --keep-going
	$(BIN)/python book/_ext/front_door.py _build/html
	@touch $@

# Links to the repository would lead to the solutions, so that its address is withheld.
$(COURSE_BUILT): | $(INSTALLED)
	@rm -rf $(COURSE) _build/.course-*
	$(BIN)/python book/_ext/course.py write $(COURSE)
	$(BIN)/python $(COURSE)/book/_ext/execute.py --workers $(WORKERS) $(addprefix $(COURSE)/,$(NOTEBOOKS))
	env -u REPOSITORY_URL $(BIN)/jupyter-book build $(COURSE) -W -n --keep-going
	@mkdir -p $(COURSE)/_build/html && cp book/assets/front-door.html $(COURSE)/_build/html/index.html
	$(BIN)/python book/_ext/course.py check $(COURSE)/_build/html
	@touch $@

# Both lie in the site, whose front page links them from then on.
pdf: $(BUILT) | $(INSTALLED) ## the whole book as _build/html/book.pdf, printed by a browser
	$(BIN)/python book/_ext/one_pdf.py _build/html
	$(BIN)/python book/_ext/downloads.py offer _build/html

zip: $(BUILT) | $(INSTALLED) ## the whole site as _build/html/book.zip, which needs no network
	$(BIN)/python book/_ext/downloads.py pack _build/html

test: $(BUILT) | $(INSTALLED) ## run every tier: units, doctests, lab, the executed book, pages in a browser
	$(BIN)/python -m pytest $(PYTEST) tests cwn_lite

# What notebooks print may not depend on the processor's arithmetic. The build runs them on the processor's own kernels,
# and tests hold what it prints against what is stored; here they run on the plainest kernels, which every processor has,
# and on a third kind.
arithmetic: $(INSTALLED) ## run the notebooks once more on each of two other kinds of arithmetic
	for kind in $(ARITHMETIC); do $(BIN)/python -m pytest $(PYTEST) $(NBVAL) --arithmetic $$kind $(NOTEBOOKS); done

serve: book ## show the book at http://127.0.0.1:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lint: $(INSTALLED) ## style, format, types, and what may go wrong in workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github

fmt: $(INSTALLED) ## put code and notebooks into the house's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

refresh: $(INSTALLED) ## run the notebooks in place and keep their text outputs
	$(BIN)/python book/_ext/refresh.py $(NOTEBOOKS)

readme: $(INSTALLED) ## redraw the README's picture and its table of results
	$(BIN)/python book/_ext/hero.py
	$(BIN)/python book/_ext/readme.py

clean: ## remove what was built (.venv stays)
	rm -rf _build build .pytest_cache .mypy_cache .hypothesis
	find . \( -name __pycache__ -o -name .ruff_cache \) -not -path './.venv/*' -type d -prune -exec rm -rf {} +
