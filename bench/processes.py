# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes, and a node of the benchmark's own to talk with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

import loop_ros
from loop_ros.nodes import qos

NAMESPACE = '/loop_ros_bench'  # away from a robot that may be in the same ROS domain
START_TIMEOUT = 60.0  # s
STOP_TIMEOUT = 10.0  # s
LAUNCH_STOP_TIMEOUT = 30.0  # s


class Talker(Node):
    """The benchmark's node, in a context of its own so that Ctrl-C stays Python's."""

    def __init__(self, name: str) -> None:
        self._own = Context()
        rclpy.init(args=[], context=self._own)  # NAME:=VALUE is the launch's, no remapping
        super().__init__(name, context=self._own, namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor(context=self._own)
        self._executor.add_node(self)

    def spin_for(self, seconds: float) -> None:
        """Handle messages for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def spin_until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Handle messages until the condition holds; TimeoutError where that takes too long."""
        end = time.perf_counter() + timeout
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(f'{what}: not within {timeout:g} s')
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """End node and context."""
        self._executor.shutdown(timeout_sec=1.0)
        self.destroy_node()
        rclpy.try_shutdown(context=self._own)


class Diagnostics:
    """The last diagnostics of each node in the benchmark's namespace: values by its name."""

    def __init__(self, ros: Talker) -> None:
        self.values: dict[str, dict[str, str]] = {}
        ros.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            namespace, _, name = status.name.partition(':')[0].rpartition('/')
            if namespace == NAMESPACE:
                self.values[name] = {pair.key: pair.value for pair in status.values}


@contextlib.contextmanager
def talker(name: str) -> Iterator[Talker]:
    """A talker for the length of a `with`."""
    made = Talker(name)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def node(name: str, **parameters: Any) -> Iterator[Callable[[], None]]:
    """A node of this package as a process in the benchmark's namespace.

    Yields a check that raises ChildProcessError, with the node's last words, once it has ended.
    """
    command = [sys.executable, '-m', f'loop_ros.nodes.{name}_node', '--ros-args']
    command += ['-r', f'__ns:={NAMESPACE}']
    for key, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        command += ['-p', f'{key}:={text}']
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=_environment(), start_new_session=True
        )

        def check() -> None:
            if process.poll() is not None:
                log.seek(0)
                words = log.read().decode(errors='replace').strip().rpartition('\n')[2]
                raise ChildProcessError(f'{name}_node ended ({process.returncode}): {words}')

        try:
            yield check
        finally:
            _stop(process)


@contextlib.contextmanager
def launched(arguments: Sequence[str], output: IO[Any]) -> Iterator[subprocess.Popen[bytes]]:
    """The drift car's launch in the benchmark's namespace, its words into `output`.

    Interrupted at the end where it still runs; ChildProcessError where it ended with an error.
    """
    namespace = f'namespace:={NAMESPACE[1:]}'
    command = ['ros2', 'launch', 'loop_ros', 'drift_car.launch.py', namespace, *arguments]
    process = subprocess.Popen(
        command, stdout=output, stderr=output, env=_environment(), start_new_session=True
    )
    try:
        yield process
    finally:
        code = process.poll()
        if code is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(LAUNCH_STOP_TIMEOUT)
    if code:
        raise ChildProcessError(f'the launch ended with exit code {code}')


def _environment() -> dict[str, str]:
    """This process's own, with the package that it runs found first."""
    paths = [str(Path(loop_ros.__file__).parents[1]), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(path for path in paths if path)}


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
