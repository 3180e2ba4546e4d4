# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot that is not there: ir-sim behind a car's topics. Knows no loop_ros."""

import math

import rclpy
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState, LaserScan
from std_srvs.srv import Trigger

from ackermann_lidar.world import STEP, World

COMMAND_TIMEOUT = 0.5  # s without a command, and the wheels stop
WHEELBASE = 0.3  # m


class FakeRobot(Node):
    """Takes /cmd_vel; publishes /odom, /joint_states and /scan at 20 Hz; /reset sets a new goal.

    ackermann_msgs is not everywhere: the command is a Twist whose angular.z is the steering angle
    (rad), as other planners publish it for cars.
    """

    goal_qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    def __init__(self, context: rclpy.Context | None = None) -> None:
        super().__init__('fake_robot', context=context)
        self.world, self.command, self.commanded_at = World(), Twist(), self.get_clock().now()
        self.odom = self.create_publisher(Odometry, '/odom', 10)
        self.joints = self.create_publisher(JointState, '/joint_states', 10)
        self.scan = self.create_publisher(LaserScan, '/scan', qos_profile_sensor_data)
        self.goal = self.create_publisher(PoseStamped, '/goal_pose', self.goal_qos)
        self.create_subscription(Twist, '/cmd_vel', self.on_command, 10)
        self.create_service(Trigger, '/reset', self.on_reset)
        self.create_timer(STEP, self.step)
        self.publish_goal()

    def on_command(self, message: Twist) -> None:
        """Keep it until the next one."""
        self.command, self.commanded_at = message, self.get_clock().now()

    def on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Set a new goal; a robot that touches something is put elsewhere."""
        self.world.reset()
        self.publish_goal()
        response.success = True
        return response

    def publish_goal(self) -> None:
        """Where the robot is to go, in the frame of the odometry."""
        message = PoseStamped()
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), 'odom'
        message.pose.position.x, message.pose.position.y = map(float, self.world.goal)
        message.pose.orientation.w = 1.0
        self.goal.publish(message)

    def step(self) -> None:
        """50 ms of simulation, then odometry, steering and scan."""
        now = self.get_clock().now()
        if (now - self.commanded_at).nanoseconds > COMMAND_TIMEOUT * 1e9:
            self.command = Twist()
        self.world.step(self.command.linear.x, self.command.angular.z)
        odom = Odometry(child_frame_id='base_link')
        odom.header.stamp, odom.header.frame_id = now.to_msg(), 'odom'
        x, y, yaw = map(float, self.world.pose)
        odom.pose.pose.position.x, odom.pose.pose.position.y = x, y
        odom.pose.pose.orientation.z = math.sin(yaw / 2)
        odom.pose.pose.orientation.w = math.cos(yaw / 2)
        speed, steering = map(float, self.world.velocity)
        odom.twist.twist.linear.x = speed
        odom.twist.twist.angular.z = speed * math.tan(steering) / WHEELBASE
        self.odom.publish(odom)
        joints = JointState(name=['steering_joint'], position=[steering])
        joints.header.stamp = now.to_msg()
        self.joints.publish(joints)
        seen = self.world.scan()
        scan = LaserScan(ranges=seen['ranges'].tolist())
        scan.header.stamp, scan.header.frame_id = now.to_msg(), 'laser'
        scan.angle_min, scan.angle_max = seen['angle_min'], seen['angle_max']
        scan.angle_increment, scan.scan_time = seen['angle_increment'], STEP
        scan.range_min, scan.range_max = float(seen['range_min']), float(seen['range_max'])
        self.scan.publish(scan)


def main() -> None:
    """Run it: python3 -m ackermann_lidar.fake_robot."""
    rclpy.init()
    try:
        rclpy.spin(FakeRobot())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
