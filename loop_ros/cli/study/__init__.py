# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros study: every run of a YAML file, on this machine's processes or on Ray."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loop_ros.cli.arguments import positive

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.cli.study.cells import Cell
    from loop_ros.cli.study.definition import Study

UNFINISHED = 130  # exit code after Ctrl-C, as a shell has it


def add(commands: Any) -> None:
    """Add the command `study`."""
    parser = commands.add_parser(
        'study',
        help='run the tasks, algorithms, settings and seeds of a file',
        description='Each combination is one `loop-ros experiment`. Started again, it resumes '
        'where it was left. Without FILE: the studies that come with the package.',
    )
    parser.add_argument('file', nargs='?', metavar='FILE', help='a YAML file, or a name as fig6')
    parser.add_argument('--out', type=Path, help='folder for the results; default runs/NAME')
    parser.add_argument(
        '--jobs', type=positive, metavar='N', help='runs at a time; default: all cores, or all'
    )
    parser.add_argument(
        '--ray', metavar='ADDRESS', help="a Ray cluster's address, auto, or local: one started here"
    )
    parser.add_argument('--list', action='store_true', help='what is there to run and what is done')
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from loop_ros.cli.study import cells, definition, listing

    if options.file is None:
        listing.shipped()
        return 0
    study = definition.load(definition.find(options.file))
    out = options.out or Path('runs') / study.path.stem
    found = cells.cells(study, out.resolve() if options.ray else out)
    if options.list:
        listing.show(study, found, out)
        return 0
    waiting = [cell for cell in found if not cell.finished()]
    print(f'{len(found)} runs, {len(found) - len(waiting)} of them finished in {out}')
    _check_installation(study)
    code = _start(waiting, study.gpus, options)
    left = sum(not cell.finished() for cell in waiting)
    if left:
        print(f'{left} of {len(found)} are not finished: the same command resumes', file=sys.stderr)
    return code or (UNFINISHED if left else 0)


def _check_installation(study: Study) -> None:
    """ValueError or ImportError where a simulation or OmniSafe is missing."""
    from loop_ros.cli import omnisafe
    from loop_ros.sim import registry

    for name in dict.fromkeys(variant.task for variant in study.variants):
        registry.make(name).close()
    if any(variant.settings is None for variant in study.variants):
        omnisafe.python()


def _start(waiting: list[Cell], gpus: float, options: argparse.Namespace) -> int:
    from loop_ros.cli import processes, scheduler
    from loop_ros.cli.study import on_ray

    jobs = [cell.job for cell in waiting]
    cores = options.jobs or len(os.sched_getaffinity(0))
    if not jobs:
        return 0
    if not options.ray:
        return scheduler.run(jobs, processes.start, cores)
    at_a_time = options.jobs or len(jobs)  # Ray lets wait what it has no core for
    with on_ray.cluster(options.ray, cores, gpus) as start:
        return scheduler.run(jobs, start, at_a_time)
