# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of nodes share: install prefixes, checkpoints, nodes as processes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from source_tree import TREE

from loop_ros.agent import Agent
from loop_ros.settings import Settings
from loop_ros.sim import registry

# The standalone ros2 always, the real one where it is.
ROS2 = {
    'standalone': [sys.executable, '-m', 'ros2_standalone'],
    'real': [sys.executable, '-c', 'import sys; from ros2cli.cli import main; sys.exit(main())'],
}
PATIENCE = 30.0  # s; a wait ends with what it waits for
# No shared memory, which needs no network, and neighbours on the network are looked for.
BY_NETWORK = {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}
both_ros2 = pytest.mark.parametrize(
    'world',
    [
        'standalone',
        pytest.param(
            'real',
            marks=pytest.mark.skipif(
                importlib.util.find_spec('ros2launch') is None, reason='no real ros2 launch here'
            ),
        ),
    ],
)


def environment(prefix: Path) -> dict[str, str]:
    """Return an environment in which child processes find the package in the ament prefix."""
    return {
        **os.environ,
        'PATH': f'{prefix}/bin:{os.environ["PATH"]}',
        'AMENT_PREFIX_PATH': f'{prefix}:{os.environ["AMENT_PREFIX_PATH"]}',
    }


def make_prefix(folder: Path) -> Path:
    """An install prefix with this tree's launch files, configuration and executables."""
    share, lib = folder / 'share', folder / 'lib/loop_ros'
    index = share / 'ament_index/resource_index/packages'
    for path in (index, lib, share / 'loop_ros/launch', share / 'loop_ros/config'):
        path.mkdir(parents=True)
    (index / 'loop_ros').touch()
    for name in ('launch', 'config'):
        for file in (TREE / name).iterdir():
            (share / 'loop_ros' / name / file.name).symlink_to(file)
    for name in ('planner', 'fleet_planner', 'learner', 'bridge', 'robot', 'panel'):
        _script(lib / f'{name}_node', f'loop_ros.nodes.{name}_node')
    if shutil.which('ros2') is None:
        (folder / 'bin').mkdir()
        _script(folder / 'bin/ros2', 'ros2_standalone.__main__')
    return folder


def _script(path: Path, module: str) -> None:
    path.write_text(
        f'#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n'
    )
    path.chmod(0o755)


def make_checkpoint(folder: Path, seed: int = 0, **planner: Any) -> Path:
    """An agent with small untrained networks that plans as if they were trained."""
    small = {'ensemble.num_layers': 1, 'ensemble.width': 16, 'off_policy.width': 16}
    small.update({f'planner.{name}': value for name, value in planner.items()})
    agent = Agent(registry.task('drift_car'), Settings.load('drift_car').replace(small), seed=seed)
    agent.version = 1
    agent.save(folder)
    return folder


def until(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """The first truthy value of the condition, which a busy machine gets half a minute for."""
    timeout = max(timeout, PATIENCE)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f'{what}: not within {timeout} s')


class Process:
    """A child process whose output is kept."""

    def __init__(self, command: Sequence[str], log: Path, **kwargs: Any) -> None:
        self.log = log
        with log.open('wb') as file:
            self.popen = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **kwargs,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors='replace')

    def wait_for(self, text: str, timeout: float = 40.0) -> None:
        def seen() -> bool:
            assert text in self.output or self.popen.poll() is None, self.output
            return text in self.output

        try:
            until(seen, timeout, repr(text))
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.output}') from None

    def interrupt(self) -> int:
        """SIGINT; the exit code. A traceback or no exit fails the test."""
        self.popen.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self, within: float = PATIENCE) -> int:
        try:
            code = self.popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'no exit within {within} s\n{self.output}') from None
        assert 'Traceback' not in self.output, self.output
        return code

    def lines(self, start: str) -> list[str]:
        """The lines of the bridge that begin so, without the launch's prefix."""
        found = [line.partition('[bridge_node-1] ')[2] or line for line in self.output.splitlines()]
        return [line for line in found if line.startswith(start)]

    def kill(self) -> None:
        """End it and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def elsewhere(namespace: str, command: Sequence[str], log: Path) -> Process:
    """A process in a network namespace, which hears others by their network alone."""
    command = ['ip', 'netns', 'exec', namespace, *command]
    return Process(command, log, env=os.environ | BY_NETWORK)


def node_command(name: str, *arguments: str, **parameters: Any) -> list[str]:
    """The command line of an executable with parameters and further --ros-args."""
    command = [sys.executable, '-m', f'loop_ros.nodes.{name}_node', '--ros-args', *arguments]
    for key, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        command += ['-p', f'{key}:={text}']
    return command
