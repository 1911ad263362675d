.PHONY: demo up test lint bench messages clean runtime dev
export PYTHON

# The story on real data: `make demo`, or `make demo ARGS=--once` to have it told and everything stopped again.
demo: runtime
	@.venv/bin/python manage.py demo $(ARGS)

# The portal on this machine, until Ctrl-C.
up: runtime
	@.venv/bin/python manage.py up $(ARGS)

# Each process has a PostgreSQL of its own; the tests of one file stay together, and those in a browser. One more than cores: some tests wait.
test: dev
	@.ci/bootstrap browser; .venv/bin/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: dev
	@.ci/lint

bench: dev
	@.venv/bin/python manage.py bench $(ARGS)

# Bring the story's catalogues in line with the code; what is new waits there for its translation.
STORY := apps/analytics/story
messages: runtime
	@.venv/bin/pybabel -q extract --no-location -k say:1 -k many:1,2 -k case:1c,2,3 -o $(STORY)/story.pot $(STORY)
	@.venv/bin/pybabel -q update --no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -D story -i $(STORY)/story.pot -d $(STORY)/locale
	@sed -i -E '/^"(Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Generated-By):/d' \
		$(STORY)/locale/*/LC_MESSAGES/story.po
	@rm $(STORY)/story.pot

# What can be made again. PORTAL_HOME (.portal) holds data and is never touched.
clean:
	@rm -rf .venv .*_cache .hypothesis .coverage; find . -name __pycache__ -prune -exec rm -rf {} +

runtime dev:
	@.ci/bootstrap $@
