# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often a robot reached its goal and what it cost, minute by minute, from its bags.

python3 success.py BAG [BAG ...] --task diff_drive_lidar --out success.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from rosbags.highlevel import AnyReader

from loop_ros.bags.reader import BagReader
from loop_ros.sim import registry
from loop_ros.sim.task import Task


def attempts(bags: list[Path], task: Task) -> np.ndarray:
    """One row for each goal that was set: minute of its end, reached, steps, return, cost.

    An episode that was cut short by a missing message goes on with the next one.
    """
    rows, start = [], None
    total, cost, steps = 0.0, 0.0, 0
    for transition in BagReader(bags, task):
        start = transition.stamp if start is None else start
        total, cost, steps = total + transition.reward, cost + transition.cost, steps + 1
        is_over = transition.truncated and steps >= task.max_episode_steps
        if transition.terminated or is_over:
            reached = task.metrics(transition.next_observation)['reached']
            rows.append(((transition.stamp - start) / 60, reached, steps, total, cost))
            total, cost, steps = 0.0, 0.0, 0
    return np.array(rows)


def table(found: np.ndarray, minutes: float, period: float) -> list[tuple[float, ...]]:
    """Print a line for each so many minutes; returns end, success and cost per 100 steps."""
    print('minutes    goals  reached  cost per 100 steps  s to the goal')
    lines = []
    for start in np.arange(0.0, found[-1, 0] + 1e-9, minutes):
        part = found[(start <= found[:, 0]) & (found[:, 0] < start + minutes)]
        if not len(part):
            continue
        success, cost = part[:, 1].mean(), 100 * part[:, 4].sum() / part[:, 2].sum()
        lines.append((start + minutes, success, cost))
        taken = part[part[:, 1] > 0, 2].mean() * period if success else np.nan
        print(
            f'{start:4.1f}-{start + minutes:4.1f} {len(part):6d} {success:8.2f} '
            f'{cost:19.1f} {taken:14.1f}'
        )
    return lines


def odometry(bags: list[Path]) -> np.ndarray:
    """Where the robot was, x and y, if /odom was recorded; [n, 2]."""
    places = []
    with AnyReader(bags) as reader:
        wanted = [found for found in reader.connections if found.topic == '/odom']
        for connection, _, raw in reader.messages(connections=wanted) if wanted else ():
            position = reader.deserialize(raw, connection.msgtype).pose.pose.position
            places.append((position.x, position.y))
    return np.array(places).reshape(-1, 2)


def draw(lines: list[tuple[float, ...]], places: np.ndarray, out: Path) -> None:
    """Success and cost over time, and the way driven: light at first, dark at last."""
    figure, axes = plt.subplots(1, 2 if len(places) else 1, figsize=(11 if len(places) else 6, 4.5))
    axes = np.atleast_1d(axes)
    ends, success, cost = np.array(lines).T
    axes[0].plot(ends, success, 'o-', color='tab:blue')
    axes[0].set(xlabel='minutes of robot time', ylabel='goals reached', ylim=(-0.03, 1.03))
    other = axes[0].twinx()
    other.plot(ends, cost, 's--', color='tab:red')
    other.set_ylabel('cost per 100 steps', color='tab:red')
    other.set_ylim(bottom=0)
    if len(places):
        colours = np.linspace(0.2, 1.0, len(places))
        axes[1].scatter(*places.T, c=colours, cmap='Blues', vmin=0, vmax=1, s=1)
        axes[1].set(xlabel='x (m)', ylabel='y (m)', aspect='equal')
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    """Read, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('bags', nargs='+', type=Path)
    parser.add_argument('--task', required=True)
    parser.add_argument('--minutes', type=float, default=2.5, help='in a line of the table')
    parser.add_argument('--out', type=Path, default=Path('success.png'))
    options = parser.parse_args()
    task = registry.task(options.task)
    lines = table(attempts(options.bags, task), options.minutes, task.control_period)
    draw(lines, odometry(options.bags), options.out)


if __name__ == '__main__':
    main()
