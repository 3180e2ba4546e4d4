# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom: no circles, ROS 2 in the nodes only, and small things start fast."""

from __future__ import annotations

import graphlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from source_tree import TREE, imports, sources

# Each package, and each module beside them, imports those before it alone. `loop-ros bench` is part
# of the command line.
ORDER = (
    'types', 'devices', 'cuda_graph', 'missing', 'plain_yaml', 'process_end',
    'profiles', 'progress', 'settings', 'distributed', 'planar', 'sim', 'layout', 'robot', 'theory',
    'checkpoint', 'models', 'planning', 'algorithms', 'learning', 'acting',
    'together', 'agent', 'runner', 'vector_runner', 'outlook', 'control', 'panel', 'bags',
    'snapshots', 'offline', 'nodes', 'cli',
)  # fmt: skip
# Beside loop_ros.nodes, the benchmarks that measure running nodes.
ROS_MODULES = tuple(
    f'loop_ros.bench.{name}' for name in ('bridge', 'latency', 'processes', 'realtime', 'soak')
)
ROS = ('rclpy', 'launch', 'launch_ros', 'ament_index_python', 'tf2_ros')


def modules() -> dict[str, set[str]]:
    """Return what each module of the package imports: other modules of it, packages of others."""
    files = {}
    for path in sources('loop_ros/*.py', 'sim/*.py', 'bench/*.py'):
        parts = path.relative_to(TREE).with_suffix('').parts
        name = '.'.join(parts if parts[0] == 'loop_ros' else ('loop_ros', *parts))
        files[name.removesuffix('.__init__')] = path

    def resolve(name: str) -> str:
        if not name.startswith('loop_ros'):
            return name.partition('.')[0]
        return name if name in files else name.rpartition('.')[0]

    return {name: {resolve(found) for found in imports(path)} for name, path in files.items()}


MODULES = modules()


def part(module: str) -> str:
    """Return the name by which ORDER knows a module."""
    name = module.split('.')[1]
    return 'cli' if name == 'bench' else name


def edges() -> Iterator[tuple[str, str]]:
    """Yield each module but the root with each other module of the package that it imports."""
    for module, imported in MODULES.items():
        for other in imported:
            if '.' in module and other.startswith('loop_ros.'):
                yield module, other


def needs_ros(module: str) -> bool:
    """Tell whether a module is one of those that may import ROS 2, or is ROS 2 itself."""
    name = module.partition('.')[0]
    return (
        module.startswith(('loop_ros.nodes', *ROS_MODULES))
        or name in ROS
        or name.endswith(('_msgs', '_srvs', '_interfaces'))
    )


def test_packages_import_those_before_them_only() -> None:
    assert {part(module) for module in MODULES if '.' in module} == set(ORDER), 'place it in ORDER'
    wrong = [
        f'{module} imports {other}'
        for module, other in edges()
        if ORDER.index(part(other)) > ORDER.index(part(module))
    ]
    assert not wrong, '\n'.join(wrong)


def test_no_modules_import_each_other() -> None:
    """Not within functions either, nor for types."""
    graph = {module: imported - {module} for module, imported in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


def test_only_nodes_import_ros() -> None:
    wrong = [
        f'{module} imports {other}'
        for module, imported in MODULES.items()
        for other in imported
        if needs_ros(other) and not needs_ros(module)
    ]
    assert not wrong, '\n'.join(wrong)
    assert set().union(*MODULES.values()) >= {'rclpy', 'std_msgs'}, 'they are seen where they are'


WITHOUT_ROS = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split()))  # None: importing it fails
import pytest
sys.exit(pytest.main(['--collect-only', '-qq', '-p', 'no:cacheprovider']))
"""


@pytest.mark.slow
def test_tests_are_found_where_ros_is_missing() -> None:
    imported = set().union(*MODULES.values())
    missing = ' '.join(name for name in imported if needs_ros(name) and '.' not in name)
    command = [sys.executable, '-c', WITHOUT_ROS, missing]
    result = subprocess.run(command, cwd=TREE, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout
    assert 'nodes/test_bridge.py needs rclpy' in result.stdout


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
    result = subprocess.run(
        [sys.executable, '-c', HEAVY.replace('{code}', code)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
