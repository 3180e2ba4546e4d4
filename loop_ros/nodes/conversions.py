# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""numpy on one side, messages on the other; every check of what arrives is here.

All functions raise ValueError with the offending field's name when a message is unusable.
"""

from __future__ import annotations

import array
import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, UInt8MultiArray

from loop_ros import layout, planar
from loop_ros.sim.task import Task
from loop_ros.types import Array, Rows, Transition

ODOM_FRAME = 'odom'
BASE_FRAME = 'base_link'
NANOSECONDS = 1_000_000_000


def time_to_msg(nanoseconds: int) -> Time:
    """Nanoseconds since the clock's zero as a stamp, or the stamp that is nearest to them."""
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=min(max(sec, -(2**31)), 2**31 - 1), nanosec=nanosec)


def time_from_msg(stamp: Time) -> int:
    """A stamp in nanoseconds; integers, so that equal stamps compare equal."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def odometry_to_msg(
    observation: Array,
    task: Task,
    nanoseconds: int,
    frame: str = ODOM_FRAME,
    base: str = BASE_FRAME,
) -> Odometry:
    """A planar observation [O] as pose in the frame `odom` and twist in `base_link` (REP 105).

    What the task does not observe is 0.
    """
    value = dict.fromkeys(planar.FIELDS, 0.0)
    value.update(zip(task.observation_labels, observation.tolist(), strict=True))
    message = Odometry(child_frame_id=base)
    message.header.frame_id = frame
    message.header.stamp = time_to_msg(nanoseconds)
    message.pose.pose.position.x = value['x']
    message.pose.pose.position.y = value['y']
    orientation = message.pose.pose.orientation
    orientation.z, orientation.w = planar.quaternion_from_yaw(value['yaw'])
    message.twist.twist.linear.x = value['v_x']
    message.twist.twist.linear.y = value['v_y']
    message.twist.twist.angular.z = value['yaw_rate']
    return message


def odometry_from_msg(
    message: Odometry, task: Task, frame: str = ODOM_FRAME, base: str = BASE_FRAME
) -> Array:
    """The observation [O] in a planar odometry; frames, numbers and a yaw's norm are checked."""
    if message.header.frame_id != frame:
        raise ValueError(
            f"header.frame_id is '{message.header.frame_id}', expected '{frame}': the parameter "
            'odom_frame names it'
        )
    if message.child_frame_id != base:
        remedy = 'the parameter base_frame names it'
        if message.child_frame_id == frame:
            remedy = "a twist in the world's frame is none of the robot's"
        raise ValueError(
            f"child_frame_id is '{message.child_frame_id}', expected '{base}': {remedy}"
        )
    q = message.pose.pose.orientation
    yaw = float(planar.yaw_from_quaternion(q.x, q.y, q.z, q.w))
    if math.isnan(yaw) and 'yaw' in task.observation_labels:
        norm = math.hypot(q.x, q.y, q.z, q.w)
        raise ValueError(f'pose.orientation has the norm {norm}, expected 1')
    value = {
        'x': message.pose.pose.position.x,
        'y': message.pose.pose.position.y,
        'yaw': yaw,
        'v_x': message.twist.twist.linear.x,
        'v_y': message.twist.twist.linear.y,
        'yaw_rate': message.twist.twist.angular.z,
    }
    return finite('odometry', task.observation_labels, [value[n] for n in task.observation_labels])


def observation_from_msg(
    message: Odometry | JointState,
    task: Task,
    frame: str = ODOM_FRAME,
    base: str = BASE_FRAME,
) -> Array:
    """The observation [O] in whichever of the two messages a robot's state comes."""
    if isinstance(message, Odometry):
        return odometry_from_msg(message, task, frame, base)
    return state_from_msg(message, task)


def state_to_msg(observation: Array, task: Task, nanoseconds: int) -> JointState:
    """An observation [O] as a stamped, labelled vector (the positions of a JointState)."""
    message = JointState(name=list(task.observation_labels), position=observation.tolist())
    message.header.stamp = time_to_msg(nanoseconds)
    return message


def state_from_msg(message: JointState, task: Task) -> Array:
    """The observation [O] in a labelled vector, whatever its order."""
    index = layout.indices(message.name, task.observation_labels)
    values = _values('position', message.position, len(message.name))
    return finite('position', task.observation_labels, [values[i] for i in index])


def command_to_msg(action: Array, task: Task, nanoseconds: int) -> JointState:
    """An action [A] as named joints; NaN where a joint is not commanded through an interface."""
    arrays: dict[str, list[float]] = {}
    for index, interface in enumerate(task.action_interfaces):
        column = arrays.setdefault(interface, [math.nan] * len(action))
        column[index] = float(action[index])
    message = JointState(name=list(task.action_labels), **arrays)
    message.header.stamp = time_to_msg(nanoseconds)
    return message


def command_from_msg(message: JointState, task: Task) -> Array:
    """The action [A] in a command, whatever the order of its joints; limits are not applied."""
    index = layout.indices(message.name, task.action_labels)
    values = [
        _values(interface, getattr(message, interface), len(message.name))[i]
        for i, interface in zip(index, task.action_interfaces, strict=True)
    ]
    return finite('command', task.action_labels, values)


def transition_to_msg(transition: Transition, task: Task) -> Float64MultiArray:
    """A transition as a labelled array."""
    fields = layout.transition_layout(task)
    return labelled_to_msg(fields.table(Rows.of([transition])), fields.fields)


def transition_from_msg(message: Float64MultiArray, task: Task) -> Transition:
    """The transition in a labelled array; labels and lengths are checked."""
    fields = layout.transition_layout(task)
    return fields.transition(labelled_from_msg(message, fields.fields))


def telemetry_to_msg(values: dict[str, float]) -> Float64MultiArray:
    """Telemetry by field name; a field without a figure is NaN."""
    row = np.array([values.get(name, math.nan) for name in layout.TELEMETRY_FIELDS])
    return labelled_to_msg(row, layout.TELEMETRY_LAYOUT)


def telemetry_from_msg(message: Float64MultiArray) -> dict[str, float]:
    """Telemetry by field name."""
    values = labelled_from_msg(message, layout.TELEMETRY_LAYOUT)
    return dict(zip(layout.TELEMETRY_FIELDS, values.tolist(), strict=True))


def labelled_to_msg(values: Array, fields: layout.Layout) -> Float64MultiArray:
    """A float64 vector with one labelled dimension per field."""
    message = Float64MultiArray(data=array.array('d', values.tobytes()))
    message.layout.dim = [
        MultiArrayDimension(label=label, size=size, stride=size) for label, size in fields
    ]
    return message


def labelled_from_msg(message: Float64MultiArray, fields: layout.Layout) -> Array:
    """The vector of a labelled array after a check of its labels and lengths."""
    found = [(dimension.label, int(dimension.size)) for dimension in message.layout.dim]
    values = np.array(message.data, dtype=np.float64)[message.layout.data_offset :]
    layout.check_layout(found, fields, len(values))
    return values


def weights_to_msg(data: bytes) -> UInt8MultiArray:
    """One safetensors file."""
    return UInt8MultiArray(data=array.array('B', data))


def weights_from_msg(message: UInt8MultiArray) -> bytes:
    """The bytes of a safetensors file; they are checked where they are loaded."""
    return bytes(message.data)


def finite(what: str, labels: Sequence[str], values: Sequence[float]) -> Array:
    """The values as float64; ValueError that names the first one which no float32 can hold well."""
    for label, value in zip(labels, values, strict=True):
        if not abs(value) <= layout.LARGEST:
            raise ValueError(f"{what} '{label}' is {value}")
    return np.array(values, dtype=np.float64)


def _values(field: str, values: Sequence[float], length: int) -> Sequence[float]:
    if len(values) != length:
        raise ValueError(f'{field} has {len(values)} values for {length} names')
    return values
