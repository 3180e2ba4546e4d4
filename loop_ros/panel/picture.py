# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The top view as SVG: where the robot has been, its plan, what else was compared.

Where a task has no plane, the simulator's own picture.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape

import numpy as np

from loop_ros.control.supervisor import SHIFTED
from loop_ros.panel.history import Snapshot
from loop_ros.sim.drawing import Circle, Drawing
from loop_ros.types import Array

MARGIN = 1.15  # of the picture around what is in it
LEAST = 1.5  # m from the middle to the edge, at least
JUMP, LEAST_JUMP = 4.0, 0.2  # times a step, and m: the robot was put there
GRID = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)  # m between lines


def top_view(seen: Snapshot, drawing: Drawing, preview: float | None) -> str:
    """An SVG in the frame of the poses, x to the right; `preview` is a d0 whose plan is drawn too.

    Classes, not colours: the page's style says what a level or an unsafe candidate looks like.
    """
    circles = drawing.circles
    if drawing.around is not None and seen.observation is not None:
        circles = (*circles, *drawing.around(seen.observation))
    x, y, reach = _frame(seen, drawing)
    # y grows upwards in ROS, downwards in SVG: the group is mirrored.
    parts = [
        f'<svg class="top-view" viewBox="{x - reach:.4g} {-y - reach:.4g} {2 * reach:.4g} '
        f'{2 * reach:.4g}" role="img" aria-label="The robot from above">',
        '<g transform="scale(1,-1)" fill="none" vector-effect="non-scaling-stroke">',
        *_grid(x, y, reach),
        *_world(circles),
        *_driven(seen.driven),
        *_futures(seen, preview),
        *_robot(seen, reach),
        '</g></svg>',
    ]
    return ''.join(parts)


def photograph(jpeg: bytes) -> str:
    """A JPEG file as an image of the page."""
    data = base64.b64encode(jpeg).decode()
    return f'<img class="top-view" alt="The simulation" src="data:image/jpeg;base64,{data}">'


def _frame(seen: Snapshot, drawing: Drawing) -> tuple[float, float, float]:
    """Middle and reach (m): the task's circles where it has some, else what was driven."""
    points = [np.zeros((0, 2))]
    for circle in drawing.circles:
        r = circle.radius
        points.append(np.array([[circle.x - r, circle.y - r], [circle.x + r, circle.y + r]]))
    robot = seen.driven[-1:, :2]
    points += [robot] if drawing.circles else [seen.driven[:, :2]]
    if seen.outlook is not None and not drawing.circles:
        points.append(seen.outlook.poses[..., :2].reshape(-1, 2))
    everything = np.concatenate(points)
    if not len(everything):
        return 0.0, 0.0, LEAST
    low, high = everything.min(axis=0), everything.max(axis=0)
    middle = (low + high) / 2
    return float(middle[0]), float(middle[1]), max(LEAST, MARGIN * float((high - low).max()) / 2)


def _grid(x: float, y: float, reach: float) -> Iterator[str]:
    step = next((size for size in GRID if 2 * reach / size <= 10), GRID[-1])
    for at in np.arange(np.ceil((x - reach) / step), (x + reach) / step) * step:
        yield f'<path class="grid" d="M{at:.4g},{y - reach:.4g}V{y + reach:.4g}"/>'
    for at in np.arange(np.ceil((y - reach) / step), (y + reach) / step) * step:
        yield f'<path class="grid" d="M{x - reach:.4g},{at:.4g}H{x + reach:.4g}"/>'


def _world(circles: tuple[Circle, ...]) -> Iterator[str]:
    for circle in circles:
        kind = 'limit' if circle.limit else 'goal' if circle.goal else 'track'
        yield (
            f'<circle class="{kind}" cx="{circle.x:.4g}" cy="{circle.y:.4g}" '
            f'r="{circle.radius:.4g}"/>'
        )


def _driven(poses: Array) -> Iterator[str]:
    """In pieces: between episodes a robot is somewhere else at once."""
    if len(poses) > 1:
        steps = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
        jumps = np.flatnonzero(steps > max(JUMP * float(np.median(steps)), LEAST_JUMP))
        for piece in np.split(poses, jumps + 1):
            yield from _line(piece, 'driven')


def _futures(seen: Snapshot, preview: float | None) -> Iterator[str]:
    """Candidates under all else, then the previewed plan, then the plan."""
    outlook = seen.outlook
    if outlook is None or not outlook.poses.size:
        return
    rows = range(len(outlook.returns))[outlook.candidates]
    returns = outlook.returns[outlook.candidates]
    spread = float(np.ptp(returns)) if len(returns) else 0.0
    for row in rows:
        kind = 'unsafe' if outlook.costs[row] > outlook.d0 else 'safe'
        share = (outlook.returns[row] - returns.min()) / spread if spread else 1.0
        yield from _line(outlook.poses[row], f'candidate {kind}', 0.15 + 0.6 * float(share))
    if preview is not None and len(outlook.thresholds):
        nearest = int(np.abs(outlook.thresholds - preview).argmin())
        yield from _line(outlook.poses[1 + nearest], 'preview')
    kind = 'plan' if seen.level <= SHIFTED else 'plan not-driven'
    yield from _line(outlook.poses[0], f'{kind} level-{seen.level}')
    for pose, cost in zip(outlook.poses[0][1:], outlook.step_costs[0], strict=True):
        if cost > 0:
            yield f'<circle class="costly" cx="{pose[0]:.4g}" cy="{pose[1]:.4g}" r="0.02"/>'


def _line(poses: Array, kind: str, opacity: float = 1.0) -> Iterator[str]:
    if len(poses) > 1 and np.isfinite(poses).all():
        points = ' '.join(f'{x:.3f},{y:.3f}' for x, y in poses[:, :2].tolist())
        faint = f' opacity="{opacity:.2f}"' if opacity < 1 else ''
        yield f'<polyline class="{escape(kind)}" points="{points}"{faint}/>'


def _robot(seen: Snapshot, reach: float) -> Iterator[str]:
    """An arrow of a size that is seen, whatever the robot's."""
    if len(seen.driven):
        x, y, yaw = seen.driven[-1].tolist()
        yield (
            f'<path class="robot level-{seen.level}" transform="translate({x:.4g},{y:.4g}) '
            f'rotate({np.degrees(yaw):.4g}) scale({reach / 12:.4g})" '
            'd="M1,0L-0.7,0.6L-0.4,0L-0.7,-0.6Z"/>'
        )
