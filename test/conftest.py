# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the environment, what is skipped where it cannot run, fixtures."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from domains import free_domain
from source_tree import TREE

if TYPE_CHECKING:
    from rclpy.context import Context

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile('no deadline', deadline=None)
hypothesis.settings.load_profile('no deadline')

HERE = Path(__file__).resolve().parent
# What files of tests import that is not everywhere; they are skipped where it is missing.
NEEDS = {
    'nodes/*': ('rclpy',),
    'nodes/test_launch_real.py': ('launch_pytest', 'launch_ros'),
    'bench/test_soak.py': ('rclpy',),
    'standalone/test_bag.py': ('rclpy',),
    'standalone/test_graph_commands.py': ('rclpy',),
    'cli/test_commands_of_pages.py': ('h5py', 'irsim', 'mujoco', 'plotly', 'safety_gymnasium'),
    'cli/test_explain.py': ('plotly',),
    'cli/test_replay.py': ('plotly',),
    'cli/test_report*': ('plotly',),
    'core/test_fused_ensemble.py': ('triton',),  # 286 MB: not part of the set-up
    'sim/test_safety_gym*': ('mujoco', 'safety_gymnasium'),
}


def _needs(path: Path) -> list[str]:
    name = path.relative_to(HERE if path.is_relative_to(HERE) else TREE).as_posix()
    return [part for pattern, parts in NEEDS.items() if fnmatch(name, pattern) for part in parts]


def _is_missing(name: str) -> bool:
    return importlib.util.find_spec(name) is None


class Skipped(pytest.Module):
    """A file that is not imported, for it would fail."""

    def collect(self) -> list[pytest.Item]:
        missing = ', '.join(filter(_is_missing, _needs(self.path)))
        pytest.skip(f'{self.path.relative_to(HERE)} needs {missing}')


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Skipped | None:
    if any(map(_is_missing, _needs(module_path))):
        return Skipped.from_parent(parent, path=module_path)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark with `ros` what needs ROS 2 as a whole file, and skip single tests with that mark.

    Where two processes share the tests, those with ROS 2 come first and all in one: they run
    against the clock, and their nodes hear each other. A busy machine can stall any of these, so
    each has a second attempt; the summary names those that needed it (`RERUN`).
    """
    has_reruns = bool(items) and items[0].config.pluginmanager.hasplugin('rerunfailures')
    for item in items:
        if 'rclpy' in _needs(item.path):
            item.add_marker('ros')
        elif item.get_closest_marker('ros') and _is_missing('rclpy'):
            item.add_marker(pytest.mark.skip('needs rclpy'))
        if item.get_closest_marker('ros'):
            item.add_marker(pytest.mark.xdist_group('ros'))
            if has_reruns:
                item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: item.get_closest_marker('ros') is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What does not run against the clock yields to what does."""
    is_shared = 'PYTEST_XDIST_WORKER' in os.environ
    if is_shared and not item.get_closest_marker('ros') and os.nice(0) == 0:
        os.nice(5)


def _set_environment() -> None:
    """Set what rclpy, torch and child processes read; done before any test module is imported."""
    prefixes = [prefix for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(':') if prefix]
    if sys.prefix not in prefixes:
        prefixes.insert(0, sys.prefix)
    os.environ['AMENT_PREFIX_PATH'] = ':'.join(prefixes)
    os.environ['ROS_DOMAIN_ID'] = str(free_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if not any((Path(prefix) / 'share/ros2launch').exists() for prefix in prefixes):
        os.environ['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
    # Child processes import this tree.
    paths = [str(TREE), str(TREE / 'standalone'), os.environ.get('PYTHONPATH', '')]
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    os.environ['PYTHONUNBUFFERED'] = '1'
    # Flight recorders write here, and not into the home of whoever runs the tests.
    state = tempfile.mkdtemp(prefix='loop_ros_tests_')
    atexit.register(shutil.rmtree, state, ignore_errors=True)
    os.environ['XDG_STATE_HOME'] = state
    # Two cores are shared by several processes in the tests that start nodes.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    if not _is_missing('triton'):
        import torch

        if not torch.cuda.is_available():
            os.environ['TRITON_INTERPRET'] = '1'  # read when triton is imported


_set_environment()


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the test a ROS domain of its own, for itself and for the processes it starts."""
    domain = free_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    yield domain


@pytest.fixture(scope='module')
def context() -> Iterator[Context]:
    """A context of rclpy for tests that make nodes of their own."""
    import rclpy  # not everywhere

    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint for tests of nodes."""
    from stack import make_checkpoint  # brings torch with it, after the environment is set

    return make_checkpoint(tmp_path_factory.mktemp('weights') / 'c')
