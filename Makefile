# `make check` is the one command to run before every commit; .ci/run runs the same on a clean clone.
.PHONY: check format

check:
	uv run ruff format --check .
	uv run ruff check .
	uv run mypy
	uv run pytest -n auto

format:
	uv run ruff format .
	uv run ruff check --fix .
