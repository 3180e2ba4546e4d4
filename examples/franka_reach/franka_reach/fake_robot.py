# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm that is not there: MuJoCo behind the topics of ros2_control. Knows no loop_ros."""

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from franka_reach.arm import JOINTS, STEP, Arm

NAMES = [f'panda_joint{i}' for i in range(1, 8)] + ['panda_finger_joint1', 'panda_finger_joint2']
COMMAND_TIMEOUT = 0.2  # s without a command, and the joints stop


class FakeRobot(Node):
    """Takes joint velocities, publishes /joint_states at 500 Hz; /reset sets a new /goal_pose."""

    goal_qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    def __init__(self, context: rclpy.Context | None = None) -> None:
        super().__init__('fake_robot', context=context)
        self.arm, self.command, self.commanded_at = Arm(), [0.0] * JOINTS, self.get_clock().now()
        self.joints = self.create_publisher(JointState, '/joint_states', 10)
        self.goal = self.create_publisher(PoseStamped, '/goal_pose', self.goal_qos)
        self.create_subscription(
            Float64MultiArray, '/velocity_controller/commands', self.on_command, 10
        )
        self.create_service(Trigger, '/reset', self.on_reset)
        self.create_timer(STEP, self.step)
        self.publish_goal()

    def on_command(self, message: Float64MultiArray) -> None:
        """Keep it until the next one."""
        self.command, self.commanded_at = message.data, self.get_clock().now()

    def on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Set a new goal; an arm that has not reached the old one goes home."""
        self.arm.reset()
        self.publish_goal()
        response.success = True
        return response

    def publish_goal(self) -> None:
        """Where the hand is to go, in the frame of the base."""
        message = PoseStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = 'panda_link0'
        position = message.pose.position
        position.x, position.y, position.z = map(float, self.arm.goal)
        message.pose.orientation.w = 1.0
        self.goal.publish(message)

    def step(self) -> None:
        """2 ms of simulation, then where the joints are."""
        now = self.get_clock().now()
        if (now - self.commanded_at).nanoseconds > COMMAND_TIMEOUT * 1e9:
            self.command = [0.0] * JOINTS
        self.arm.step(self.command)
        positions, velocities = self.arm.positions.tolist(), self.arm.velocities.tolist()
        message = JointState(name=NAMES, position=positions, velocity=velocities)
        message.header.stamp = now.to_msg()
        self.joints.publish(message)


def main() -> None:
    """Run it: python3 -m franka_reach.fake_robot."""
    rclpy.init()
    try:
        rclpy.spin(FakeRobot())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
