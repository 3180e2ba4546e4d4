# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package installs in all four ways: colcon with and without links, pip with and without."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from source_tree import TREE

pytestmark = pytest.mark.slow
NODES = ('planner_node', 'learner_node', 'bridge_node', 'robot_node')
# Run by the installed package's Python: where things are, and that they work.
PROBE = """
import json, tempfile, loop_ros
from pathlib import Path
from loop_ros.bench import workload
from loop_ros.checkpoint.files import resolve
from loop_ros.cli import new
from loop_ros.settings import Settings
from loop_ros.sim import registry
environment = registry.make('drift_car')
environment.reset(seed=0)
Settings.load('drift_car')
new.write('my_robot', 'other', Path(tempfile.mkdtemp()))
print(json.dumps({
    'package': loop_ros.__file__, 'sim': registry.__file__,
    'bench': workload.__file__, 'tasks': list(registry.names()),
    'weights': sorted(path.name for path in resolve('shipped', 'drift_car').iterdir()),
}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what git knows or would add, links as links: nothing is built in the tree."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True).stdout
    target = tmp_path / 'src' / 'loop_ros'
    for name in listed.splitlines():
        source = TREE / name
        if source.exists() and not name.startswith('standalone/'):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target


def run(*command: object, cwd: Path) -> str:
    """Run a command to its end and return its output; the output is shown where it fails."""
    environment = {**os.environ, 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    del environment['PYTHONPATH']  # what is installed is to be found, not this tree
    arguments = [str(part) for part in command]
    result = subprocess.run(
        arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 0, f'{" ".join(arguments)}\n{result.stdout}\n{result.stderr}'
    return result.stdout


def check_probe(output: str, expected: Path) -> None:
    """Check what PROBE printed: the code was loaded from below `expected`."""
    found = json.loads(output.splitlines()[-1])
    for part in ('package', 'sim', 'bench'):
        assert Path(found[part]).resolve().is_relative_to(expected.resolve())
    assert 'drift_car' in found['tasks']
    assert any(name.endswith('.safetensors') for name in found['weights'])


def check_share(prefix: Path) -> None:
    """Check what `ros2` looks for below the prefix of a package."""
    assert (prefix / 'share/ament_index/resource_index/packages/loop_ros').is_file()
    for name in ('package.xml', 'launch/drift_car.launch.py', 'config/drift_car.yaml'):
        installed = prefix / 'share/loop_ros' / name
        assert installed.read_bytes() == (TREE / name).read_bytes()


@pytest.mark.parametrize('options', [(), ('--symlink-install',)], ids=['plain', 'symlink'])
def test_colcon_build_and_test(copy: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    pytest.importorskip('colcon_ros')
    colcon = Path(sys.executable).with_name('colcon')
    run(colcon, 'build', *options, '--event-handlers', 'console_direct+', cwd=tmp_path)
    prefix = tmp_path / 'install/loop_ros'
    check_share(prefix)
    for node in NODES:
        assert os.access(prefix / 'lib/loop_ros' / node, os.X_OK)
    # As a user would: source the workspace, then run.
    script = '. install/setup.bash && exec "$0" -c "$1"'
    output = run('bash', '-c', script, sys.executable, PROBE, cwd=tmp_path)
    check_probe(output, copy if options else prefix)
    script = '. install/setup.bash && command -v loop-ros && "$0" "$(command -v loop-ros)" --help'
    output = run('bash', '-c', script, sys.executable, cwd=tmp_path)
    assert output.startswith(str(prefix / 'bin/loop-ros')) and 'experiment' in output
    one_file = ('--pytest-args', 'test/core/test_settings.py')
    run(colcon, 'test', '--packages-select', 'loop_ros', *one_file, cwd=tmp_path)
    result = run(colcon, 'test-result', '--all', cwd=tmp_path)
    assert re.search(r'Summary: [1-9]\d* tests, 0 errors, 0 failures', result), result


@pytest.mark.parametrize('options', [(), ('--editable',)], ids=['plain', 'editable'])
def test_pip_install(copy: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    prefix = tmp_path / 'venv'
    run(sys.executable, '-m', 'venv', '--without-pip', prefix, cwd=tmp_path)
    # The new environment borrows what is installed here. It comes last, and a .pth file below it is
    # not read: an editable install of this package here stays out of sight.
    (site,) = prefix.glob('lib/python*/site-packages')
    (site / 'borrowed.pth').write_text(sysconfig.get_path('purelib'))
    install = (prefix / 'bin/python', '-m', 'pip', 'install', '--no-deps', '--no-build-isolation')
    run(*install, '--ignore-installed', *options, copy, cwd=tmp_path)
    check_probe(run(prefix / 'bin/python', '-c', PROBE, cwd=tmp_path), copy if options else prefix)
    for script in (*NODES, 'loop-ros'):
        assert os.access(prefix / 'bin' / script, os.X_OK)
    if not options:  # an editable install has no data files; `make .venv` links them
        check_share(prefix)
    assert 'experiment' in run(prefix / 'bin/loop-ros', '--help', cwd=tmp_path)


WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
{code}
"""


@pytest.mark.parametrize(
    ('missing', 'code', 'sentence'),
    [
        (
            'safetensors',
            'from loop_ros.cli.main import main\nsys.exit(main(["evaluate", "drift_car"]))',
            "loop-ros: the Python package 'safetensors' is missing: pip install",
        ),
        (
            'sensor_msgs',
            'from loop_ros.nodes.planner_node import main\nsys.exit(main())',
            "error: the ROS package 'sensor_msgs' is missing: source your ROS 2",
        ),
    ],
)
def test_a_missing_package_is_one_sentence(missing: str, code: str, sentence: str) -> None:
    command = [sys.executable, '-c', WITHOUT.format(code=code), missing]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode in (1, 2)
    assert sentence in result.stderr and 'Traceback' not in result.stderr
