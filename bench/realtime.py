# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the planner hold the control period? Launches the drift car in real time and listens.

Gives p50 and p99 of the planning time, the share of each level, and the periods without a fresh
plan in time (the planner's own count). Needs `ros2` on the PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from loop_ros.bench.processes import Diagnostics, launched, talker
from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles
from loop_ros.nodes.conversions import telemetry_from_msg

TITLE = 'The drift car in real time: does the planner hold the control period?'
START_AND_END = 60.0  # s that the launch may take around the measurement
MANY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


def report(rows: list[dict[str, float]], diagnostics: dict[str, dict[str, str]]) -> Row:
    """Figures over the commands that answered a state."""
    fresh = [row for row in rows if row['level'] == 0]
    times = 1e3 * np.array([row['plan_s'] for row in fresh])
    levels = [int(row['level']) for row in rows]
    planner, learner = diagnostics.get('planner', {}), diagnostics.get('learner', {})
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
    arguments = ['step_mode:=realtime', f'duration:={options.seconds:g}', *options.launch_arguments]
    rows: list[dict[str, float]] = []
    with talker('realtime_bench') as ros, launched(arguments, sys.stderr) as process:
        ros.create_subscription(
            Float64MultiArray,
            'planner/telemetry',
            lambda message: rows.append(telemetry_from_msg(message)),
            MANY,
        )
        diagnostics = Diagnostics(ros)
        end = time.monotonic() + options.seconds + START_AND_END
        with contextlib.suppress(KeyboardInterrupt):  # what was measured until then counts
            while process.poll() is None and time.monotonic() < end:
                ros.spin_for(0.1)
    first = next((i for i, row in enumerate(rows) if row['level'] == 0), 0)
    last = max((i for i, row in enumerate(rows) if row['level'] < 3), default=-1)
    return [report(rows[first : last + 1], diagnostics.values)]
