# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The browser panel as a node: it hears the stack and serves a page; without it nothing changes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes import conversions, outlook_message, qos
from loop_ros.nodes.bag_process import BagProcess
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import declare
from loop_ros.nodes.steering import Steering
from loop_ros.panel.access import is_local
from loop_ros.panel.history import History, Status
from loop_ros.panel.server import PanelServer
from loop_ros.sim import registry
from loop_ros.types import Array

STATE_PERIOD = 0.03  # s between two states that are drawn


class PanelNode(ManagedNode):
    """Subscribes to what the stack publishes anyway."""

    def __init__(self) -> None:
        super().__init__('panel')
        name = declare(self, 'task', 'drift_car', 'robot and job: a name, or package.module:TASK')
        self.task = registry.task(name)
        self.odometry = declare(
            self, 'odometry', self.task.odometry, "as the planner's parameter of that name"
        )
        host = declare(
            self,
            'host',
            '127.0.0.1',
            'address to listen on; any but one of this machine alone asks for a token',
        )
        port = declare(
            self, 'port', 8080, 'port to listen on; 0: a free one', minimum=0, maximum=65535
        )
        token = declare(
            self, 'token', '', 'that opens the page; empty: made up where one is needed'
        )
        recordings = declare(self, 'recordings', 'recordings', 'folder of the bags that it records')
        kept = declare(
            self, 'checkpoints', '', 'folder whose checkpoints it offers; empty: the shipped one'
        )
        self.history = History()
        self.bag = BagProcess(Path(recordings).expanduser(), self.get_namespace())
        steering = Steering(self, self.bag, Path(kept).expanduser() if kept else None)
        self.server = PanelServer(self.history, steering, self.task, host, port, token)
        self.get_logger().info(f'open {self.server.address}')
        if not is_local(host):
            self.get_logger().warning(
                f'whoever can reach {host} and has the token steers the robot; nothing is encrypted'
            )

    def activate(self) -> None:
        """Subscribe."""
        self.next_state = 0.0
        self.subscribe(Float64MultiArray, 'planner/telemetry', self._on_telemetry, qos.TELEMETRY)
        self.subscribe(Float64MultiArray, 'planner/outlook', self._on_outlook, qos.VIEW)
        self.subscribe(DiagnosticStatus, 'planner/supervisor', self._on_supervisor, qos.STATUS)
        self.subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS)
        message, topic = (Odometry, 'odom') if self.odometry else (JointState, 'state')
        self.subscribe(message, topic, self._on_state, qos.STATE)
        if not self.task.draws_plane:
            self.subscribe(CompressedImage, 'image/compressed', self._on_image, qos.STATE)

    def deactivate(self) -> None:
        """Finish a bag."""
        if path := self.bag.stop():
            self.get_logger().info(f'recorded {path}')

    def _on_telemetry(self, message: Float64MultiArray) -> None:
        try:
            self.history.add_telemetry(conversions.telemetry_from_msg(message))
        except ValueError as error:
            self.warn('telemetry', f'planner/telemetry is left out: {error}')

    def _on_outlook(self, message: Float64MultiArray) -> None:
        try:
            self.history.add_outlook(outlook_message.from_msg(message, self.task))
        except ValueError as error:
            self.warn('outlook', f'planner/outlook is left out: {error}')

    def _on_state(self, message: Odometry | JointState) -> None:
        if time.monotonic() < self.next_state:
            return
        self.next_state = time.monotonic() + STATE_PERIOD
        try:
            observation = conversions.observation_from_msg(message, self.task)
        except ValueError as error:
            self.warn('state', f'a state is left out: {error}')
            return
        self.history.add_state(observation, self._pose(observation))

    def _on_image(self, message: CompressedImage) -> None:
        if message.format == 'jpeg':
            self.history.add_picture(bytes(message.data))

    def _pose(self, observation: Array) -> Array | None:
        """x, y (m), yaw (rad), where the task draws a plane."""
        if self.task.drawing.follows_robot:
            return np.zeros(3)
        return None if self.task.path is None else self.task.drawn_pose(observation)

    def _on_supervisor(self, message: DiagnosticStatus) -> None:
        said = _values(message)
        level = said.get('level', '')
        if level.isdecimal() and int(level) <= 4:
            latched = said.get('latched') == 'true'
            self.history.set_supervisor(int(level), said.get('reason', ''), latched)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        root = self.get_namespace().rstrip('/')
        for status in message.status:
            found = Status(status.level[0], status.message, _values(status))
            if status.name == f'{root}/planner: planning':
                self.history.set_planner(found)
            elif status.name == f'{root}/learner: learning':
                self.history.set_learner(found)


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}
