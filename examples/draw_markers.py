# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The markers of a running stack from above, as a PNG: for machines without RViz.

    python examples/draw_markers.py picture.png

Subscribes as RViz does, for `--seconds`, then draws what RViz would show.
"""

from __future__ import annotations

import argparse
import math
import textwrap
import time
from functools import partial

import rclpy
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle, Rectangle
from matplotlib.transforms import Affine2D
from rclpy.qos import QoSProfile
from visualization_msgs.msg import Marker, MarkerArray

TOPICS = ('world_markers', 'candidate_markers', 'plan_markers')
RVIZ = QoSProfile(depth=5)
LATEST = 2.0  # s that it waits on for the messages of one moment
Shown = dict[tuple[str, str, int], Marker]  # by topic, namespace and number


def main() -> None:
    """Listen, then draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('out', help='the PNG')
    parser.add_argument('--seconds', type=float, default=3.0, help='for which it listens')
    parser.add_argument('--title', default='')
    parser.add_argument('--reach', type=float, help='m round the robot that are shown; all')
    options, ros = parser.parse_known_args()
    rclpy.init(args=ros)
    shown = listen(options.seconds)
    rclpy.shutdown()
    figure, axes = plt.subplots(figsize=(5, 5), layout='constrained')
    for order, marker in enumerate(shown.values()):
        draw(axes, marker, order)
    axes.margins(0.12)
    axes.autoscale_view()
    robot = next((m for m in shown.values() if m.ns == 'robot'), None)
    if options.reach and robot is not None:
        x, y = robot.pose.position.x, robot.pose.position.y
        axes.set_xlim(x - options.reach, x + options.reach)
        axes.set_ylim(y - options.reach, y + options.reach)
    axes.set(aspect='equal', title=options.title, xlabel='x, m', ylabel='y, m')
    figure.savefig(options.out, dpi=100)
    print(options.out, 'shows', ', '.join(sorted({marker.ns for marker in shown.values()})))


def listen(seconds: float) -> Shown:
    """What is there after so many seconds, in the order of the topics, all of one moment."""
    node, shown = rclpy.create_node('draw_markers'), {topic: {} for topic in TOPICS}
    for topic in TOPICS:
        node.create_subscription(MarkerArray, topic, partial(take, shown[topic], topic), RVIZ)
    end = time.monotonic() + seconds
    while time.monotonic() < end or (len(moments(shown)) > 1 and time.monotonic() < end + LATEST):
        rclpy.spin_once(node, timeout_sec=0.1)
    return {key: marker for topic in TOPICS for key, marker in shown[topic].items()}


def moments(shown: dict[str, Shown]) -> set[tuple[int, int]]:
    """The stamps of all that is shown."""
    stamps = (marker.header.stamp for each in shown.values() for marker in each.values())
    return {(stamp.sec, stamp.nanosec) for stamp in stamps}


def take(shown: Shown, topic: str, message: MarkerArray) -> None:
    """Add, replace and delete as a message says."""
    for marker in message.markers:
        key = topic, marker.ns, marker.id
        if marker.action == Marker.ADD:
            shown[key] = marker
        else:
            shown.pop(key, None)


def draw(axes: Axes, marker: Marker, order: int) -> None:
    """One marker; widths are those of the ground."""
    colour = rgba(marker.color)
    x, y = marker.pose.position.x, marker.pose.position.y
    q = marker.pose.orientation
    yaw = 2 * math.atan2(q.z, q.w)
    points = [(p.x, p.y) for p in marker.points]
    colours = [rgba(c) for c in marker.colors]
    style = {'zorder': order}
    if marker.type in (Marker.LINE_STRIP, Marker.LINE_LIST):
        step = 1 if marker.type == Marker.LINE_STRIP else 2
        lines = [points[i : i + 2] for i in range(0, len(points) - 1, step)]
        width = max(0.8, 120 * marker.scale.x)
        axes.add_collection(
            LineCollection(lines, colors=colours[::step] or [colour], linewidths=width, **style)
        )
    elif marker.type == Marker.SPHERE_LIST:
        for (px, py), c in zip(points, colours or [colour] * len(points), strict=True):
            axes.add_patch(Circle((px, py), marker.scale.x / 2, color=c, **style))
    elif marker.type == Marker.CYLINDER:
        axes.add_patch(Circle((x, y), marker.scale.x / 2, color=colour, **style))
    elif marker.type == Marker.CUBE:
        length, width = marker.scale.x, marker.scale.y
        place = Affine2D().rotate(yaw).translate(x, y) + axes.transData
        box = Rectangle((-length / 2, -width / 2), length, width, color=colour, **style)
        box.set_transform(place)
        axes.add_patch(box)
    elif marker.type == Marker.ARROW:
        tip = x + marker.scale.x * math.cos(yaw), y + marker.scale.x * math.sin(yaw)
        axes.annotate('', tip, (x, y), arrowprops={'color': colour, 'width': 2, 'headwidth': 8})
    elif marker.type == Marker.TEXT_VIEW_FACING:
        axes.text(
            x,
            y,
            textwrap.fill(marker.text, 40),
            color=colour,
            ha='center',
            fontsize=9,
            clip_on=True,
            zorder=99,
        )


def rgba(colour: object) -> tuple[float, ...]:
    """A message's colour as matplotlib has it."""
    return tuple(float(getattr(colour, part)) for part in 'rgba')


if __name__ == '__main__':
    main()
