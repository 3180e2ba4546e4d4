# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The core runs without ROS, and starting something small does not start everything."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import loop_ros

TREE = Path(__file__).resolve().parents[2]
ROS = ('rclpy', 'rcl_interfaces', 'std_msgs', 'sensor_msgs', 'nav_msgs')
# What needs ROS; the rest of the package is the core.
OUTSIDE = (
    'loop_ros.nodes',
    *(f'loop_ros.bench.{name}' for name in ('bridge', 'latency', 'processes', 'realtime', 'soak')),
)


def core_modules() -> list[str]:
    """Every module of the package but what needs ROS."""
    found = pkgutil.walk_packages(loop_ros.__path__, 'loop_ros.')
    return [module.name for module in found if not module.name.startswith(OUTSIDE)]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, 'PYTHONPATH': str(TREE)}
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip


HOOK = f"""
import sys
class NoRos:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {ROS!r}:
            raise AssertionError('the core imports ' + name)
sys.meta_path.insert(0, NoRos())
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_the_core_imports_no_ros() -> None:
    modules = core_modules()
    expected = {'agent', 'runner', 'settings', 'planning.planner', 'algorithms.sac', 'cli.main'}
    expected |= {
        'sim.drift_car',
        'models.ensemble',
        'cli.experiment',
        'checkpoint.files',
        'bags.reader',
    }
    assert {f'loop_ros.{name}' for name in expected} <= set(modules)
    result = run(HOOK, *modules)
    assert result.returncode == 0, result.stderr


def test_the_hook_notices_ros() -> None:
    result = run(HOOK, 'rclpy')
    assert 'the core imports rclpy' in result.stderr


HEAVY = """
import sys
before = set(sys.modules)
{code}
heavy = {'torch', 'numpy', 'gymnasium', 'matplotlib', 'rclpy', 'scipy'} & {
    name.split('.')[0] for name in set(sys.modules) - before
}
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    'code',
    [
        'import loop_ros',
        'import loop_ros.settings',
        'import loop_ros.cli.main',
        'from loop_ros.cli.main import main\ntry:\n    main(["--help"])\n'
        'except SystemExit as end:\n    assert end.code == 0',
        'from loop_ros.cli.main import main\ntry:\n    main(["evaluate", "--help"])\n'
        'except SystemExit as end:\n    assert end.code == 0',
    ],
    ids=['package', 'settings', 'cli', 'help', 'evaluate-help'],
)
def test_small_things_start_without_torch(code: str) -> None:
    result = run(HEAVY.replace('{code}', code))
    assert result.returncode == 0, result.stderr
