# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the planner hold the control period? Launches the drift car in real time and listens.

Gives p50 and p99 of the planning time, the share of each level, and the periods without a fresh
plan in time (the planner's own count). Needs `ros2` on the PATH.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles
from loop_ros.nodes.conversions import telemetry_from_msg

TITLE = 'The drift car in real time: does the planner hold the control period?'
START_AND_END = 60.0  # s that the launch may take around the measurement
MANY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


class Listener(Node):
    """Keeps telemetry and the planner's last diagnostics."""

    def __init__(self) -> None:
        super().__init__('realtime_bench')
        self.rows: list[dict[str, float]] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.create_subscription(Float64MultiArray, 'planner/telemetry', self._on_telemetry, MANY)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)

    def _on_telemetry(self, message: Float64MultiArray) -> None:
        self.rows.append(telemetry_from_msg(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}


def report(rows: list[dict[str, float]], diagnostics: dict[str, dict[str, str]]) -> Row:
    """Figures over the commands that answered a state."""
    fresh = [row for row in rows if row['level'] == 0]
    times = 1e3 * np.array([row['plan_s'] for row in fresh])
    levels = [int(row['level']) for row in rows]
    planner = diagnostics.get('/planner: planning', {})
    learner = diagnostics.get('/learner: learning', {})
    p50, p99 = percentiles(times)
    return {
        'commands': len(rows),
        'p50_ms': p50,
        'p99_ms': p99,
        'max_ms': float(times.max(initial=0.0)),
        'iterations': sum(row['iterations'] for row in fresh) / max(1, len(fresh)),
        **{f'level_{level}': levels.count(level) for level in range(5)},
        'missed_periods': int(planner.get('missed periods', -1)),
        'plans': int(planner.get('plans', -1)),
        'learned': int(learner.get('learned', 0)),
        'backlog': int(learner.get('backlog', 0)),
    }


def run(options: argparse.Namespace) -> list[Row]:
    """One row; options: seconds, launch_arguments. ChildProcessError where the launch fails."""
    command = ['ros2', 'launch', 'loop_ros', 'drift_car.launch.py', 'step_mode:=realtime']
    command += [f'duration:={options.seconds:g}', *options.launch_arguments]
    rclpy.init()
    listener, executor = Listener(), SingleThreadedExecutor()
    executor.add_node(listener)
    process = subprocess.Popen(command, start_new_session=True, stdout=2)  # keeps stdout for rows
    end = time.monotonic() + options.seconds + START_AND_END
    try:
        while process.poll() is None and time.monotonic() < end and rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)
        listener.destroy_node()
        rclpy.try_shutdown()
    if code:
        raise ChildProcessError(f'the launch ended with exit code {code}')
    first = next((i for i, row in enumerate(listener.rows) if row['level'] == 0), 0)
    last = max((i for i, row in enumerate(listener.rows) if row['level'] < 3), default=-1)
    return [report(listener.rows[first : last + 1], listener.diagnostics)]
