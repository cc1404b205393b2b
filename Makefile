# The verbs of this project. Each makes what it needs first: uv, .venv, the detector, a LiveKit server.

# The first Python that is new enough; `make PYTHON=/path/to/python3.12 test` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
SPREAD := $(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder
ONCE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test commands rooms faults bench soak hold histories shapes errors check format setup lock bootstrap

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

bootstrap:
	@test -n "$(PYTHON)" || { echo "greenroom: Python 3.11 or later is needed: install it, or say make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py

setup: bootstrap ## fetch what is no Python package: face detector, LiveKit server
	@$(BIN)/greenroom setup

demo: bootstrap ## one real session, from a portrait to a live picture; ONCE=1 ends it and stops
	@$(BIN)/greenroom setup --quiet
	@$(BIN)/greenroom demo $(if $(ONCE),--once)

test: bootstrap ## run the tests on real parts, but for those of the next two; ARGS="-k name" chooses
	@$(BIN)/greenroom setup --quiet
	@PYTEST_PART=others $(SPREAD) $(ARGS)

commands: bootstrap ## the tests of what an operator types, deploys and upgrades: commands, the supervisor, compose, replay
	@$(BIN)/greenroom setup --quiet
	@PYTEST_PART=commands $(SPREAD) $(ARGS)

rooms: bootstrap ## the tests that watch avatars move and talk in real rooms, one after the other
	@$(BIN)/greenroom setup --quiet
	@PYTEST_PART=rooms $(BIN)/python -m pytest $(ARGS)

faults: bootstrap ## kill every part at every moment, print what held; ARGS="-k name" chooses
	@$(BIN)/greenroom setup --quiet
	@$(BIN)/python tests/faults/run.py $(ARGS)

bench: bootstrap ## what it costs, each figure beside its floor; ARGS="--only reads" chooses
	@$(BIN)/greenroom setup --quiet
	@$(BIN)/python -m bench $(ARGS)

soak: bootstrap ## five minutes of speech in a room, is there drift? ARGS="--minutes 30" for longer
	@$(BIN)/greenroom setup --quiet
	@$(BIN)/python -m bench.soak $(ARGS)

hold: bootstrap ## 200 sessions at once for five minutes, without pictures: what do they cost, is it flat?
	@$(BIN)/greenroom setup --quiet
	@$(BIN)/python -m bench.hold $(ARGS)

histories: bootstrap ## renew the committed workflow histories, after a change that no running session can meet
	@GREENROOM_TEST_RENEW_HISTORIES=1 $(BIN)/python -m pytest -q tests/replay

shapes: bootstrap ## with a release: commit what its steps say, so that the next version is held to it
	@GREENROOM_TEST_RENEW_SHAPES=1 $(BIN)/python -m pytest -q tests/contracts/test_one_version_back.py

errors: bootstrap ## write docs/errors.md, after a change of a failure code
	@$(BIN)/greenroom errors > docs/errors.md.new && mv docs/errors.md.new docs/errors.md

check: bootstrap ## format, lint, types, import contract
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: bootstrap ## format, and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: ## make the three lock files anew
	@test -n "$(PYTHON)" || { echo "greenroom: Python 3.11 or later is needed" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py lock
