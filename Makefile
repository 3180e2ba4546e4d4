# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
#
#   make run ARGS="duration:=60 d0:=0.5"   drive the drift car (sets everything up first)
#   make test                              all tests, two at a time (ARGS go to pytest; -n 0: one)
#   make test ARGS="-m 'not slow'"         the quick ones
#   make check                             format, lint, types, spelling, package metadata, pages
#   make docs                              the pages as a site, in build/docs
#   make .venv                             the set-up alone
#   make omnisafe                          OmniSafe beside it, for ppo_lagrangian and cpo

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test check docs .venv .venv-dev omnisafe clean
ARGS ?=

help:
	@sed -n '4,10s/^# *//p' Makefile

.venv:
	@requirements/install.sh run

.venv-dev:
	@requirements/install.sh dev

omnisafe: .venv
	@requirements/omnisafe.sh

run: .venv
	@echo 'While it drives, in a second terminal:  . .venv/bin/activate && ros2 param set /planner d0 0.5'
	@. .venv/bin/activate && exec ros2 launch loop_ros drift_car.launch.py $(ARGS)

test: .venv-dev
	@. .venv/bin/activate && exec python -m pytest -n 2 --dist loadgroup $(ARGS)

check: .venv-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/codespell
	. .venv/bin/activate && python -m pytest -q test/core/test_package.py test/core/test_pages.py
	@$(MAKE) --no-print-directory docs

docs: .venv-dev
	@. .venv/bin/activate && python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

clean:
	rm -rf .venv .venv-omnisafe build install log
