# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Python packages that look installed, and the task of docs/task.md."""

from __future__ import annotations

import re
from pathlib import Path

from source_tree import TREE

VALUES = {  # of a sound task; functions by name
    'name': "'{name}'",
    'observation_labels': "('x', 'v_x')",
    'action_labels': "('speed',)",
    'action_interfaces': "('velocity',)",
    'action_low': '(-1.0,)',
    'action_high': '(1.0,)',
    'control_period': '0.1',
    'max_episode_steps': '10',
    'safe_command': '(0.0,)',
    'default_d0': '1.5',
    'state_dim': '2',
    'encode': 'lambda observation: observation',
    'metrics': "lambda observation: {'place': float(observation[0])}",
}


def task_source(name: str, **values: str) -> str:
    """Python that makes TASK, with some fields written in another way."""
    fields = {**VALUES, **values}
    lines = [f'    {key}={value.replace("{name}", name)},' for key, value in fields.items()]
    return '\n'.join(['from loop_ros.sim.task import Task', 'TASK = Task(', *lines, ')'])


def install(folder: Path, package: str, source: str, points: dict[str, str]) -> None:
    """Write a package of one module `task` into a folder of installed ones, with entry points."""
    (folder / package).mkdir(parents=True)
    (folder / package / '__init__.py').touch()
    (folder / package / 'task.py').write_text(source)
    metadata = folder / f'{package}-1.2.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n')
    listed = ''.join(f'{name} = {target}\n' for name, target in points.items())
    (metadata / 'entry_points.txt').write_text(f'[loop_ros.tasks]\n{listed}')


def documented_task() -> str:
    """The file that docs/task.md shows."""
    text = (TREE / 'docs' / 'task.md').read_text(encoding='utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    return str(blocks[0])
