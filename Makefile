# Two commands do everything: `make demo` and `make test`. Each sets itself up from the lock files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.run-installed
DEV_STAMP := $(VENV)/.dev-installed

.PHONY: help demo test bench image audit wheels test-bigquery test-all setup setup-bigquery lint cover lock release prometheus browser docs rivals clean

help:            ## this text
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 12

demo: $(RUN_STAMP) $(if $(filter bigquery,$(WAREHOUSE)),$(DEV_STAMP) .bigquery/.installed) ## log a living Torn City: no key, no network (WAREHOUSE=bigquery: into an emulator)
ifeq ($(WAREHOUSE),bigquery)
	@$(BIN)/python scripts/bigquery_emulator.py demo/bigquery torn-demo.demo \
		$(BIN)/tcdatalogger demo --to demo/bigquery --warehouse bigquery://torn-demo/demo
else
	@$(BIN)/tcdatalogger demo $(if $(WAREHOUSE),--warehouse "$(WAREHOUSE)")
endif

test: $(DEV_STAMP)  ## all tests except the slow ones
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow" $(ARGS)

test-bigquery: $(DEV_STAMP) .bigquery/.installed ## every case of the tests of warehouses on the emulator (an hour)
	TCD_BIGQUERY_ALL=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/warehouses -k bigquery $(ARGS)

test-all: $(DEV_STAMP) ## every test; CI does the same with `make cover`
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

setup: $(DEV_STAMP) ## make .venv with everything in it

setup-bigquery: .bigquery/.installed ## build the BigQuery emulator of the tests, on Python 3.13 (PYTHON313=…)

.bigquery/.installed: requirements/bigquery-emulator.txt scripts/setup_bigquery.sh
	scripts/setup_bigquery.sh

lint: $(DEV_STAMP)  ## ruff, mypy, and the arrows between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

cover: $(DEV_STAMP) ## every test under coverage, subprocesses too, and its report
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/coverage run -m pytest -n 3 --dist worksteal $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report $$([ "$$(date +%s)" -lt "$${TCD_SLOW_TESTS_END:-9999999999}" ] || echo --fail-under=0)

prometheus: .tools/usr/bin/promtool ## fetch Debian's Prometheus for the tests of the alert rules; installs nothing

.tools/usr/bin/promtool:
	mkdir -p .tools/fetched
	cd .tools/fetched && apt-get download -qq prometheus
	dpkg -x .tools/fetched/prometheus_*.deb .tools
	rm -r .tools/fetched

browser: .tools/browser/chromium ## fetch Debian's Chromium for the tests of the pages; installs nothing

.tools/browser/chromium: scripts/fetch_browser.sh
	scripts/fetch_browser.sh

bench: $(DEV_STAMP) rivals ## run the benchmarks and write docs/performance.md (ten minutes; ARGS=--large: hours)
	$(BIN)/python benchmarks/report.py $(ARGS)

docs: $(RUN_STAMP) .tools/docs/.installed ## build the site of the documentation into .tools/site/html, strictly
	$(BIN)/python scripts/docs_site.py

rivals: .tools/rivals/.installed ## an environment with dlt, which benchmarks/peers.py compares with

.tools/rivals/.installed:
	$(PYTHON) -m venv .tools/rivals
	.tools/rivals/bin/python -m pip install --quiet --disable-pip-version-check 'dlt[duckdb,parquet]>=1.31,<2' orjson \
		$$($(BIN)/python -m pip freeze | grep -iE '^(duckdb|pyarrow)==')
	@touch $@

lock:            ## resolve the lock files anew (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --group build pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --group build --group dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --group build -c requirements/run.txt -o requirements/build.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes --no-annotate -c requirements/run.txt --extra bigquery --extra bucket --extra postgres pyproject.toml -o requirements/image.txt
	for each in audit docs release; do uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --group $$each -o requirements/$$each.txt; done
	uv pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes --no-annotate --override requirements/bigquery-emulator.in requirements/bigquery-emulator.in -o requirements/bigquery-emulator.txt

image: ## build the container image without a registry of images, and run it (as root, five minutes)
	python3 scripts/image.py $(ARGS)

audit: $(DEV_STAMP) .tools/audit/.installed ## licences, secrets, Dockerfile, Kubernetes, rules, dashboards, vulnerabilities
	$(BIN)/python scripts/audit.py

wheels: $(DEV_STAMP) .tools/release/.installed ## build what is published and run it on every Python that is here
	$(BIN)/python scripts/wheels.py

.tools/%/.installed: requirements/%.txt
	rm -rf .tools/$*
	$(PYTHON) -m venv .tools/$*
	.tools/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

release: $(DEV_STAMP) .tools/release/.installed ## check, build, describe and tag the version of the changelog (ARGS=--dry-run: no tag)
	$(BIN)/python scripts/release.py $(ARGS)

clean:           ## remove what the targets above made
	rm -rf $(VENV) .tools .bigquery demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TCdatalogger needs Python 3.11 or newer; say which one with PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
