# make report   environment, default study, report             make report STUDY=name-or-path CORES=4
# make test     environment, all tests                         make check    style, types, workflow linter
# make lock     new versions: requirements/*.txt and envs/*.yaml
STUDY ?= quickstart
CORES ?= all
ENV := .venv
BIN := $(CURDIR)/$(ENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done)
export PATH := $(BIN):$(PATH)
.PHONY: report test check lock clean
.DELETE_ON_ERROR:

report: $(ENV)/run.stamp
	@python tools/clear_stale_lock.py
	@if [ -t 1 ]; then logger="--logger rich"; fi; \
	snakemake --cores $(CORES) --quiet reason $$logger --config "study=$(STUDY)"
	@name=$$(basename "$(STUDY)"); echo "Report: $(CURDIR)/results/$${name%.*}/report.html"

test: $(ENV)/develop.stamp
	pytest

check: $(ENV)/develop.stamp
	ruff check
	ruff format --check
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint

lock: $(ENV)/develop.stamp
	python tools/lock.py

clean:
	rm -rf $(ENV)

$(ENV)/run.stamp: requirements/run.txt
	$(call install,$<)
	@touch $@

$(ENV)/develop.stamp: requirements/develop.txt $(ENV)/run.stamp
	$(call install,$<)
	@touch $@

define install
@if [ -z "$(PYTHON)" ]; then \
	echo "Batchscope needs Python 3.11, 3.12 or 3.13; name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; fi
@test -x $(BIN)/python || "$(PYTHON)" -m venv $(ENV)
@echo "Installing $(1) into $(ENV) (the first time downloads about 1 GB and takes a few minutes)"
@python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(1)
endef
