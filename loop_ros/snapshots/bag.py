# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded states and commands as a bag that `loop-ros replay` and `dataset` read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from loop_ros import planar
from loop_ros.bags.cdr import ARRAY, JOINTS, ODOMETRY, template_of
from loop_ros.layout import TELEMETRY_LAYOUT
from loop_ros.sim.task import Task
from loop_ros.snapshots.columns import METRICS, Columns, Commands, States
from loop_ros.types import Array, Integers

PIECE = 20  # messages between two pauses
_STORE = get_typestore(Stores.ROS2_HUMBLE)
_TYPES = _STORE.types
Messages = NDArray[np.uint8]  # [T, L]


def write(
    path: Path,
    task: Task,
    namespace: str,
    recorded: Columns,
    is_shadow: bool = False,
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Write a bag with the topics of a planner in a namespace; `pause` is called now and then.

    Beside a shadow the commands were another controller's.
    """
    states, executed, commands, _ = recorded
    said = actions(executed.stamp, executed.observation, task)
    root = namespace.rstrip('/')
    state = odometry(states, task) if task.odometry else joints(states, task)
    topics: list[tuple[str, str, Integers, Messages]] = [
        (f'{root}/odom', ODOMETRY, states.time, state)
        if task.odometry
        else (f'{root}/state', JOINTS, states.time, state),
        (f'{root}/planner/telemetry', ARRAY, commands.time, telemetry(commands)),
    ]
    if is_shadow:
        topics.append((f'{root}/command', JOINTS, executed.time, said))
    else:
        sent = actions(commands.stamp, commands.action, task)
        topics.append((f'{root}/command', JOINTS, commands.time, sent))
        topics.append((f'{root}/executed', JOINTS, executed.time, said))
    # Version 9 of metadata.yaml writes QoS in a way that Humble does not read.
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        merged: list[tuple[int, int, Connection, bytes]] = []
        for order, (topic, kind, times, messages) in enumerate(topics):
            channel = bag.add_connection(topic, kind, typestore=_STORE)
            rows = zip(times.tolist(), messages, strict=True)
            for count, (time, row) in enumerate(rows):
                merged.append((time, order, channel, row.tobytes()))
                if count % 100 == 0:
                    pause()
        merged.sort(key=lambda message: message[:2])
        for count, (time, _, channel, data) in enumerate(merged):
            if count % PIECE == 0:
                pause()
            bag.write(channel, time, data)


def odometry(states: States, task: Task) -> Messages:
    """Observations [T, O] as nav_msgs/Odometry."""
    zeros = np.zeros(36)
    vector, point = _TYPES['geometry_msgs/msg/Vector3'], _TYPES['geometry_msgs/msg/Point']
    turn = _TYPES['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0)
    pose = _TYPES['geometry_msgs/msg/Pose'](point(0.0, 0.0, 0.0), turn)
    twist = _TYPES['geometry_msgs/msg/Twist'](vector(0.0, 0.0, 0.0), vector(0.0, 0.0, 0.0))
    message = _TYPES[ODOMETRY](
        _header('odom'),
        'base_link',
        _TYPES['geometry_msgs/msg/PoseWithCovariance'](pose, zeros),
        _TYPES['geometry_msgs/msg/TwistWithCovariance'](twist, zeros),
    )
    observed = dict(zip(task.observation_labels, states.observation.T, strict=True))
    nothing = np.zeros(len(states.stamp))
    x, y, yaw, v_x, v_y, rate = (observed.get(name, nothing) for name in planar.FIELDS)
    poses = np.stack((x, y, nothing, nothing, nothing, np.sin(yaw / 2), np.cos(yaw / 2)), axis=1)
    twists = np.stack((v_x, v_y, nothing, nothing, nothing, rate), axis=1)
    return _filled(ODOMETRY, message, states.stamp, {'pose': poses, 'twist': twists})


def joints(states: States, task: Task) -> Messages:
    """Observations [T, O] as labelled sensor_msgs/JointState."""
    empty = np.zeros(0)
    size = len(task.observation_labels)
    names = list(task.observation_labels)
    message = _TYPES[JOINTS](_header(), names, np.zeros(size), empty, empty)
    return _filled(JOINTS, message, states.stamp, {'position': states.observation})


def actions(stamps: Integers, found: Array, task: Task) -> Messages:
    """Actions [T, A] as sensor_msgs/JointState; NaN where a joint has no such interface."""
    blocks: dict[str, Array] = {}
    for place, interface in enumerate(task.action_interfaces):
        block = blocks.setdefault(interface, np.full(found.shape, np.nan))
        block[:, place] = found[:, place]
    size = len(task.action_labels)
    fields = [
        np.zeros(size if name in blocks else 0) for name in ('position', 'velocity', 'effort')
    ]
    message = _TYPES[JOINTS](_header(), list(task.action_labels), *fields)
    return _filled(JOINTS, message, stamps, blocks)


def telemetry(commands: Commands) -> Messages:
    """Levels and metrics as the labelled array of `planner/telemetry`."""
    dimension, layout = (
        _TYPES[f'std_msgs/msg/MultiArray{part}'] for part in ('Dimension', 'Layout')
    )
    dims = [dimension(label, size, size) for label, size in TELEMETRY_LAYOUT]
    message = _TYPES[ARRAY](layout(dims, 0), np.zeros(len(dims)))
    columns = {
        'stamp': commands.stamp / 1e9,
        'level': commands.level,
        **dict(zip(METRICS, commands.metrics.T, strict=True)),
    }
    table = np.stack([columns[label] for label, _ in TELEMETRY_LAYOUT], axis=1)
    return _filled(ARRAY, message, None, {'data': table})


def _header(frame: str = '') -> Any:
    return _TYPES['std_msgs/msg/Header'](_TYPES['builtin_interfaces/msg/Time'](0, 0), frame)


def _filled(kind: str, message: Any, stamps: Integers | None, blocks: dict[str, Array]) -> Messages:
    """A message for each row, equal in everything but stamp and numbers."""
    found = template_of(kind, bytes(_STORE.serialize_cdr(message, kind)))
    count = len(next(iter(blocks.values())))
    rows = np.tile(found.pattern, (count, 1))
    for name, values in blocks.items():
        offset, size = found.blocks[name]
        numbers = np.ascontiguousarray(values, dtype='<f8').reshape(count, size)
        rows[:, offset : offset + 8 * size] = numbers.view(np.uint8)
    if stamps is not None and found.stamp is not None:
        pairs = np.stack(np.divmod(stamps, 1_000_000_000), axis=1).astype('<u4')
        rows[:, found.stamp : found.stamp + 8] = pairs.view(np.uint8)
    return rows
