.PHONY: demo up test lint bench clean runtime dev
export PYTHON

# The story on real data: `make demo`, or `make demo ARGS=--once` to have it told and everything stopped again.
demo: runtime
	@.venv/bin/python manage.py demo $(ARGS)

# The portal on this machine, until Ctrl-C.
up: runtime
	@.venv/bin/python manage.py up $(ARGS)

# Each process has a PostgreSQL of its own; the tests of one file stay together. One more than cores: some tests wait.
test: dev
	@.ci/bootstrap browser; .venv/bin/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: dev
	@.ci/lint

bench: dev
	@.venv/bin/python manage.py bench $(ARGS)

# What can be made again. PORTAL_HOME (.portal) holds data and is never touched.
clean:
	@rm -rf .venv .*_cache .hypothesis .coverage; find . -name __pycache__ -prune -exec rm -rf {} +

runtime dev:
	@.ci/bootstrap $@
