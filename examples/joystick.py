# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A joystick that is not there: holds its deadman and its axes for some seconds.

python3 joystick.py --axes 0.6 0 0 0.4 --seconds 5
"""

import argparse
import time

import rclpy
from sensor_msgs.msg import Joy

DEADMAN = 4  # its button, as in the robot files
PERIOD = 0.05  # s


def main() -> None:
    """Publish on /joy, and let go at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--axes', nargs='+', type=float, required=True)
    parser.add_argument('--seconds', type=float, default=5.0)
    options = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node('joystick')
    publisher = node.create_publisher(Joy, '/joy', 10)
    while not publisher.get_subscription_count():
        time.sleep(PERIOD)
    held = Joy(axes=options.axes, buttons=[0] * DEADMAN + [1])
    for _ in range(round(options.seconds / PERIOD)):
        publisher.publish(held)
        time.sleep(PERIOD)
    publisher.publish(Joy(axes=[0.0] * len(options.axes), buttons=[0] * (DEADMAN + 1)))
    time.sleep(1.0)  # until it has arrived
    rclpy.shutdown()


if __name__ == '__main__':
    main()
