# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CSV files of the FrictionMaps recordings to a bag with the topics that such a car has.

    python to_bag.py DS1 [DS2 ...] --out bags

Numbers are left as they were recorded, wrong ones too (the odometry's twist, an IMU in degrees per
second): to know better is the robot file's part, as for any other bag.
"""

from __future__ import annotations

import argparse
import csv
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

ACKERMANN = 'ackermann_msgs/msg/AckermannDrive'
STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(
    {
        **get_types_from_msg(
            'float32 steering_angle\nfloat32 steering_angle_velocity\nfloat32 speed\n'
            'float32 acceleration\nfloat32 jerk\n',
            ACKERMANN,
        ),
        **get_types_from_msg(
            'std_msgs/Header header\nackermann_msgs/AckermannDrive drive\n', f'{ACKERMANN}Stamped'
        ),
    }
)
T = STORE.types
VECTOR, QUATERNION = T['geometry_msgs/msg/Vector3'], T['geometry_msgs/msg/Quaternion']
Row = dict[str, str]


def numbers(row: Row, names: str) -> list[float]:
    """The columns of so many names."""
    return [float(row[name]) for name in names.split()]


def odometry(row: Row, header: Any) -> Any:
    """Pose and twist as the VESC's driver, or the particle filter, published them."""
    point = T['geometry_msgs/msg/Point'](*numbers(row, 'x y'), 0.0)
    pose = T['geometry_msgs/msg/Pose'](point, QUATERNION(*numbers(row, 'q.x q.y q.z q.w')))
    twist = T['geometry_msgs/msg/Twist'](
        VECTOR(*numbers(row, 'vx vy vz')), VECTOR(*numbers(row, 'wx wy wz'))
    )
    return T['nav_msgs/msg/Odometry'](
        header,
        'base_link',
        T['geometry_msgs/msg/PoseWithCovariance'](pose, np.zeros(36)),
        T['geometry_msgs/msg/TwistWithCovariance'](twist, np.zeros(36)),
    )


def imu(row: Row, header: Any) -> Any:
    """Rates in deg/s and accelerations in g."""
    orientation = QUATERNION(*numbers(row, 'q.x q.y q.z q.w'))
    rates, accelerations = VECTOR(*numbers(row, 'wx wy wz')), VECTOR(*numbers(row, 'ax ay az'))
    none = np.zeros(9)
    return T['sensor_msgs/msg/Imu'](header, orientation, none, rates, none, accelerations, none)


def drive(row: Row, header: Any) -> Any:
    """Speed in m/s and steering angle in rad, as commanded."""
    speed, steering = numbers(row, 'V delta')
    return T[f'{ACKERMANN}Stamped'](header, T[ACKERMANN](steering, 0.0, speed, 0.0, 0.0))


SOURCES = {  # file: topic, type, frame, message of a row
    'odomData': ('/odom', 'nav_msgs/msg/Odometry', 'odom', odometry),
    'pfOdomData': ('/pf/pose/odom', 'nav_msgs/msg/Odometry', 'map', odometry),
    'imuData': ('/imu', 'sensor_msgs/msg/Imu', 'imu', imu),
    'commandData': ('/drive', f'{ACKERMANN}Stamped', 'base_link', drive),
}
Message = tuple[int, str, bytes]  # ns, topic, data


def messages(folder: Path, name: str) -> Iterator[Message]:
    """A file's rows; they have one time each, which is stamp and time of receipt."""
    topic, kind, frame, convert = SOURCES[name]
    with (folder / f'{name}.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            sec, nanosec = int(row['s']), int(row['ns'])
            stamp = T['builtin_interfaces/msg/Time'](sec, nanosec)
            message = convert(row, T['std_msgs/msg/Header'](stamp, frame))
            yield sec * 10**9 + nanosec, topic, bytes(STORE.serialize_cdr(message, kind))


def convert(folder: Path, bag: Path) -> int:
    """Write a folder's four files as a bag; returns the number of messages."""
    count = 0
    with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind, typestore=STORE)
            for topic, kind, _, _ in SOURCES.values()
        }
        for time, topic, data in heapq.merge(*(messages(folder, name) for name in SOURCES)):
            writer.write(topics[topic], time, data)
            count += 1
    return count


def main() -> None:
    """Convert the folders that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folders', type=Path, nargs='+', help='DS1 ..., with four CSV files each')
    parser.add_argument('--out', type=Path, required=True, help='folder for the bags')
    options = parser.parse_args()
    for folder in options.folders:
        print(f'{options.out / folder.name}: {convert(folder, options.out / folder.name)} messages')


if __name__ == '__main__':
    main()
