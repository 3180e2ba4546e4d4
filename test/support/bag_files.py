# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags made of known transitions, states and commands."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from loop_ros.bags.reader import BagReader
from loop_ros.layout import transition_layout
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.types import Array, Rows, Transition

TASK = registry.task('drift_car')
STORE = get_typestore(Stores.ROS2_HUMBLE)
ARRAY = 'std_msgs/msg/Float64MultiArray'
JOINTS = 'sensor_msgs/msg/JointState'
ODOMETRY = 'nav_msgs/msg/Odometry'
T = STORE.types
SECOND = 10**9
Message = tuple[str, str, int, bytes]  # topic, type, ns, data


def drive(episodes: int = 3, steps: int = 5, seed: int = 0, task: Task = TASK) -> list[Transition]:
    """Transitions of random numbers, numbered and stamped as a bridge does."""
    rng = np.random.default_rng(seed)
    size = len(task.observation_labels)
    found = []
    for episode in range(episodes):
        observations = rng.normal(size=(steps + 1, size))
        for step in range(steps):
            found.append(
                Transition(
                    stamp=episode * (steps * task.control_period + 1) + step * task.control_period,
                    episode=episode,
                    step=step,
                    observation=observations[step],
                    action=rng.uniform(task.action_low, task.action_high),
                    reward=float(rng.normal()),
                    cost=float(rng.integers(2)),
                    next_observation=observations[step + 1],
                    terminated=episode % 2 == 1 and step == steps - 1,
                    truncated=episode % 2 == 0 and step == steps - 1,
                )
            )
    return found


def cdr(message: Any, kind: str, little_endian: bool = True) -> bytes:
    return bytes(STORE.serialize_cdr(message, kind, little_endian=little_endian))


def labelled(
    values: Array, layout: Sequence[tuple[str, int]], stride: int | None = None, unused: int = 0
) -> Any:
    """A labelled array, with `unused` numbers before the data."""
    dimensions = [
        T['std_msgs/msg/MultiArrayDimension'](label, size, size if stride is None else stride)
        for label, size in layout
    ]
    numbers = np.concatenate((np.full(unused, 7.0), values))
    return T[ARRAY](T['std_msgs/msg/MultiArrayLayout'](dimensions, unused), numbers)


def numbers(transition: Transition, task: Task = TASK) -> Array:
    """As they stand in a message, [D]."""
    return transition_layout(task).table(Rows.of([transition]))[0]


def transition_bytes(transition: Transition, task: Task = TASK, **options: Any) -> bytes:
    message = labelled(numbers(transition, task), transition_layout(task).fields)
    return cdr(message, ARRAY, **options)


def transition_messages(
    transitions: Iterable[Transition], topic: str = '/transition'
) -> list[Message]:
    return [
        (topic, ARRAY, SECOND + index * 35_000_000, transition_bytes(transition))
        for index, transition in enumerate(transitions)
    ]


def header(stamp: int, frame: str = '') -> Any:
    time = T['builtin_interfaces/msg/Time'](*divmod(stamp, SECOND))
    return T['std_msgs/msg/Header'](time, frame)


def joints(names: Sequence[str], stamp: int, **interfaces: Sequence[float]) -> bytes:
    fields = ('position', 'velocity', 'effort')
    arrays = [np.array(interfaces.get(name, ()), dtype=np.float64) for name in fields]
    return cdr(T[JOINTS](header(stamp), list(names), *arrays), JOINTS)


def command(action: Array, stamp: int) -> bytes:
    """Of the drift car: wheel speed as velocity, steering as position."""
    nan = float('nan')
    return joints(TASK.action_labels, stamp, velocity=[action[0], nan], position=[nan, action[1]])


def odometry(observation: Array, stamp: int) -> bytes:
    x, y, yaw, v_x, v_y, rate = observation.tolist()
    vector = T['geometry_msgs/msg/Vector3']
    pose = T['geometry_msgs/msg/Pose'](
        T['geometry_msgs/msg/Point'](x, y, 0.0),
        T['geometry_msgs/msg/Quaternion'](0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)),
    )
    twist = T['geometry_msgs/msg/Twist'](vector(v_x, v_y, 0.0), vector(0.0, 0.0, rate))
    return cdr(
        T[ODOMETRY](
            header(stamp, 'odom'),
            'base_link',
            T['geometry_msgs/msg/PoseWithCovariance'](pose, np.zeros(36)),
            T['geometry_msgs/msg/TwistWithCovariance'](twist, np.zeros(36)),
        ),
        ODOMETRY,
    )


def write_bag(
    path: Path, messages: Iterable[Message], sqlite: bool = False, **options: Any
) -> Path:
    """A bag by the rosbags library; options: compression, as (mode, format)."""
    plugin = StoragePlugin.SQLITE3 if sqlite else StoragePlugin.MCAP
    writer = Writer(path, version=8, storage_plugin=plugin)
    if 'compression' in options:
        writer.set_compression(*options['compression'])
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, time, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time, data)
    return path


def same(found: Transition, wanted: Transition, *ignored: str) -> bool:
    """Whether all fields are equal, but those that are ignored."""
    names = [name for name in Rows._fields if name not in ignored]
    return all(np.array_equal(getattr(found, n), getattr(wanted, n)) for n in names)


def unmoved(file: Path, to: Path) -> Path:
    """A copy, in the folder `to`, of a sqlite3 bag whose writer was killed; returns that file.

    That messages of id 31 on are deleted stands in the log beside it alone.
    """
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.execute('DELETE FROM messages WHERE id > 30')
    database.commit()
    shutil.copytree(file.parent, to)
    database.close()
    return to / file.name


WANTED = drive(6, 10)  # what the damaged bags of the tests held before


def read(file: Path) -> tuple[list[Transition], BagReader]:
    reader = BagReader([file], TASK)
    try:
        return list(reader), reader
    except ValueError as error:  # not even its topics are left, or its first bytes
        assert 'has no topic' in str(error) or 'is no MCAP file' in str(error)
        return [], reader
