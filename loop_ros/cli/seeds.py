# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same experiment under several seeds, in processes side by side."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Arguments = Callable[[int, Path], list[str]]  # (seed, folder) -> arguments of loop-ros


def seed_list(text: str) -> list[int]:
    """Seeds as '0..4' or '0,2,5'."""
    try:
        first, dots, last = text.partition('..')
        seeds = (
            list(range(int(first), int(last) + 1)) if dots else [int(s) for s in text.split(',')]
        )
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"'{text}': write 0..4 or 0,2,5")
    return seeds


def run(arguments: Arguments, seeds: list[int], steps: int, out: Path, jobs: int) -> int:
    """Run every seed in a folder seed_N of its own, `jobs` at a time; the first exit code not 0."""
    waiting, running, code = list(seeds), dict[int, subprocess.Popen[bytes]](), 0
    from loop_ros.progress import bars

    with bars() as progress:
        tasks = {seed: progress.add_task(f'seed {seed}', total=steps, metrics='') for seed in seeds}
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    seed = waiting.pop(0)
                    running[seed] = _start(arguments, seed, out)
                time.sleep(0.2)
                for seed in list(running):
                    progress.update(tasks[seed], completed=_steps(_folder(out, seed)))
                    if running[seed].poll() is not None:
                        ended = _end(seed, running.pop(seed), out)
                        code = code or ended
        except KeyboardInterrupt:  # the children evaluate what they have learned so far
            for child in running.values():
                child.send_signal(signal.SIGINT)
            for seed, child in running.items():
                child.wait()
                ended = _end(seed, child, out)
                code = code or ended
    return code


def _start(arguments: Arguments, seed: int, out: Path) -> subprocess.Popen[bytes]:
    folder = _folder(out, seed)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'loop_ros.cli.main', *arguments(seed, folder)]
    environment = {'OMP_NUM_THREADS': '1', **os.environ}
    with (folder / 'log.txt').open('wb') as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def _end(seed: int, child: subprocess.Popen[bytes], out: Path) -> int:
    if child.returncode:
        log = _folder(out, seed) / 'log.txt'
        lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        last = lines[-1] if lines else 'no message'
        print(f'seed {seed} failed: {last} ({log})', file=sys.stderr)
    return child.returncode


def _folder(out: Path, seed: int) -> Path:
    return out / f'seed_{seed}'


def _steps(folder: Path) -> int:
    """How far a run has come, by the last line of its table."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        with (folder / 'progress.csv').open('rb') as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
            lines = file.read().decode().splitlines()
        return int(float(lines[-1].split(',')[0]))
    return 0
