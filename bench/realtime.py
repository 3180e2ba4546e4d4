# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the planner hold the control period? Launches the drift car in real time and listens.

    python bench/realtime.py --seconds 300 [--out realtime.json] [launch arguments, d0:=0.5 ...]

Prints p50 and p99 of the planning time, the share of each level, and the periods without a fresh
plan in time (the planner's own count). Needs `ros2` on the PATH.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes.conversions import telemetry_from_msg

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


def report(rows: list[dict[str, float]], diagnostics: dict[str, dict[str, str]]) -> dict:
    """Figures over the commands that answered a state."""
    times = np.array([row['plan_s'] for row in rows if row['level'] == 0])
    levels = [int(row['level']) for row in rows]
    planner = diagnostics.get('/planner: planning', {})
    learner = diagnostics.get('/learner: learning', {})
    p50, p99 = np.percentile(times, (50, 99)) * 1e3 if len(times) else (np.nan, np.nan)
    return {
        'commands': len(rows),
        'plan_ms_p50': round(float(p50), 2),
        'plan_ms_p99': round(float(p99), 2),
        'plan_ms_max': round(float(times.max() * 1e3), 2) if len(times) else None,
        'levels': {str(level): levels.count(level) for level in range(4)},
        'missed_periods': int(planner.get('missed periods', -1)),
        'plans': int(planner.get('plans', -1)),
        'learned': int(learner.get('learned', 0)),
        'backlog': int(learner.get('backlog', 0)),
    }


def main() -> int:
    """Measure; the exit code of the launch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=300.0, help='length of the measurement')
    parser.add_argument('--out', type=Path, help='write the figures as JSON')
    options, launch_arguments = parser.parse_known_args()
    command = ['ros2', 'launch', 'loop_ros', 'drift_car.launch.py', 'step_mode:=realtime']
    command += [f'duration:={options.seconds:g}', *launch_arguments]
    rclpy.init()
    listener, executor = Listener(), SingleThreadedExecutor()
    executor.add_node(listener)
    process = subprocess.Popen(command, start_new_session=True)
    end = time.monotonic() + options.seconds + 60
    try:
        while process.poll() is None and time.monotonic() < end and rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)
        listener.destroy_node()
        rclpy.try_shutdown()
    first = next((i for i, row in enumerate(listener.rows) if row['level'] == 0), 0)
    last = max((i for i, row in enumerate(listener.rows) if row['level'] < 3), default=-1)
    figures = report(listener.rows[first : last + 1], listener.diagnostics)
    print(json.dumps(figures))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    return code


if __name__ == '__main__':
    sys.exit(main())
