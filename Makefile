# make report   environment, default study, report      make report STUDY=name-or-path CORES=4 MEMORY=8000 DEVICE=gpu ENGINE=jax
#               or of runs made elsewhere                make report RUNS=export.csv HISTORIES=chart.csv
# make test     environment, tests                      make check    style, types, workflow linter
#               with those of half a minute and more, of Slurm and of conda: all that CI runs       make test LONG=yes
# make lock     requirements/*.in to requirements/*.txt and envs/*.yaml
# make schemas  JSON Schemas for editors, the tables of config/README.md, docs/tables.md and the signatures of optimizers
# make gpu-check    Batchscope on an NVIDIA card, eight minutes (docs/gpu.md)     make gpu-check WHEELS=folder DEVICE=cpu PARTS=updates
# make gpu-wheels WHEELS=folder     what that needs on a machine without a network, less the packages THERE="numpy pandas"
# make reliability      what kills, full disks, damaged files and wrong clocks do to a study, in half an hour or more
# make benchmark        how fast all this is (docs/performance.md), in two hours or less; PARTS="updates starts" for some of it
STUDY ?= quickstart
CORES ?= $$(python tools/machine.py cores)
MEMORY ?= $$(python tools/machine.py memory)
LOCK = $(if $(filter jax,$(ENGINE)),jax$(if $(filter gpu,$(DEVICE)),-gpu),$(if $(filter gpu,$(DEVICE)),gpu,run))
BIN := $(CURDIR)/.venv/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && echo "$$p" && break; done)
INSTALL = @"$(or $(PYTHON),$(error Batchscope needs Python: install Python 3.12, or name one with PYTHON=/path/to/python3))" tools/install.py
export PATH := $(BIN):$(PATH)
.PHONY: report test check lock schemas gpu-check gpu-wheels reliability benchmark clean environment development

report: environment
	@python tools/clear_stale_lock.py
	@if [ -t 1 ]; then logger="--logger rich"; fi; \
	snakemake --cores $(CORES) --resources "mem_mb=$(MEMORY)" $(if $(filter gpu,$(DEVICE)),gpu=1) $$logger \
		--config "study=$(STUDY)" $(if $(RUNS),"runs=$(RUNS)") $(if $(HISTORIES),"histories=$(HISTORIES)") \
		$(if $(DEVICE),"device=$(DEVICE)") $(if $(ENGINE),"engine=$(ENGINE)")
	@echo "Report: $(CURDIR)/results/$$(python tools/report_name.py "$(STUDY)" "$(RUNS)")/report.html"

# What the tests start is compiled once: a container may ask Python to keep no bytecode, and pytest then rewrites all tests.
test: export PYTHONDONTWRITEBYTECODE =
test: development
	@echo "The longest tests come first: the first minutes show few dots."
	pytest -m "$(if $(filter yes,$(LONG)),,not long)"

check: development
	ruff check
	ruff format --check
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint

lock: development
	python tools/lock.py

schemas: development
	python tools/optimizer_signatures.py
	python tools/schemas.py

gpu-check:
	python3 tools/gpu_check.py $(if $(WHEELS),--wheels "$(WHEELS)") $(if $(OUT),--out "$(OUT)") $(if $(DEVICE),--device $(DEVICE)) $(PARTS)

gpu-wheels:
	python3.12 tools/gpu_wheels.py "$(WHEELS)" $(THERE)

reliability: development
	python benchmarks/reliability

benchmark: development
	python benchmarks/performance $(PARTS)

clean:
	rm -rf .venv .tools .cache

environment:
	$(INSTALL) requirements/$(LOCK).txt

development:
	$(INSTALL) requirements/develop.txt
