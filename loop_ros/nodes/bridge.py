# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot: command in, state and transitions out."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.parameters import declare
from loop_ros.nodes.simulation import Simulation
from loop_ros.nodes.statistics import RunStatistics
from loop_ros.nodes.supervisor import SupervisedNode
from loop_ros.sim import registry
from loop_ros.sim.task import Array

REPEAT_PERIOD = 0.2  # s; the state goes out again while a command is awaited
START_GRACE = 10.0  # s that the other nodes may take to come up before a warning


class BridgeNode(SupervisedNode):
    """Steps an environment, in lockstep with the planner or by the clock on the wall."""

    def __init__(self) -> None:
        super().__init__('bridge')
        name = declare(self, 'task', 'drift_car', 'robot and job', choices=registry.names())
        self.task = registry.task(name)
        self.seed = declare(self, 'seed', 0, 'episode e starts from the seed seed + e', minimum=0)
        self.realtime = (
            declare(
                self,
                'step_mode',
                'lockstep',
                'lockstep: a step waits for the command that answers its state; '
                'realtime: it takes the newest command',
                choices=('lockstep', 'realtime'),
            )
            == 'realtime'
        )
        self.speed = declare(
            self,
            'speed',
            1.0,
            'simulated seconds per second, at most; 0: as fast as it goes (lockstep only)',
            minimum=0,
            maximum=1000,
        )
        if self.realtime and self.speed == 0:
            raise ValueError('speed: 0 (as fast as it goes) needs step_mode lockstep')
        self._declare_limits()
        self.safe_command = np.array(self.task.safe_command)
        self.statistics = RunStatistics()

    def _declare_limits(self) -> None:
        """Parameters of how long and for whom to wait."""
        self.command_timeout = declare(
            self,
            'command_timeout',
            0.5,
            'without a command for so long: realtime takes the safe command, lockstep warns',
            minimum=0.01,
            maximum=3600,
            unit='s',
        )
        self.duration = declare(
            self,
            'duration',
            0.0,
            'end after so long on the wall clock; 0: never',
            minimum=0,
            maximum=1e9,
            unit='s',
        )
        self.transition_listeners = declare(
            self,
            'transition_listeners',
            0,
            'begin only when so many (learner, recorder) listen to the topic transition',
            minimum=0,
            maximum=100,
        )

    def configure(self) -> None:
        """Make the environment and the topics."""
        self.simulation = Simulation(self.task, registry.make(self.task.name), self.seed)
        self.statistics = RunStatistics()
        self.dropped = self.refused = self.timeouts = 0
        self.begun = False
        message, topic = (Odometry, 'odom') if self.task.odometry else (JointState, 'state')
        self.state_publisher = self.advertise(message, topic, qos.STATE)
        self.transition_publisher = self.advertise(Float64MultiArray, 'transition', qos.TRANSITION)
        # Relative, so that two stacks in two namespaces each have a clock; nodes that use
        # simulated time in a namespace need the remapping /clock:=clock (see launch/).
        self.clock_publisher = self.advertise(Clock, 'clock', qos.CLOCK)
        self.diagnostics_publisher = self.advertise(
            DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS
        )
        self.reset_service = self.create_service(Trigger, '~/reset', self._on_reset)

    def activate(self) -> None:
        """Begin."""
        self.started = self.last_command = self.last_sent = time.monotonic()
        self.answer: Array | None = None  # to the state that is out
        self.newest = self.safe_command
        self.connected = self.due = False
        self.command_topic = self.listen(
            JointState, 'command', self._on_command, qos.COMMAND
        ).topic_name
        self.listen(Float64MultiArray, 'planner/telemetry', self._on_telemetry, qos.TELEMETRY)
        if self.speed > 0:
            self.every(self.task.control_period / self.speed, self._tick)
        self.every(REPEAT_PERIOD / 2, self._watch)
        self.every(1.0, self._diagnose)
        self._send_state()

    def cleanup(self) -> None:
        """Say how it went."""
        print(self.statistics.summary(), flush=True)
        self.destroy_service(self.reset_service)

    def _on_command(self, message: JointState) -> None:
        self.last_command = time.monotonic()
        answers = conversions.time_from_msg(message.header.stamp) == self.simulation.stamp
        if not self.realtime and (not answers or self.answer is not None):
            self.dropped += self.begun  # before that the same answer comes repeatedly
            return
        try:
            self.newest = conversions.command_from_msg(message, self.task)
        except ValueError as error:
            self.refused += 1
            self.newest = self.safe_command
            self.warn('command', f'command on {self.command_topic} refused, safe instead: {error}')
        if answers:
            self.answer, self.connected = self.newest, True
            if not self.realtime and (self.due or self.speed == 0):
                self._step(self.answer)

    def _tick(self) -> None:
        """One control period of the wall clock, scaled by `speed`, is over."""
        if not self.connected or not self.begun:
            return  # the clock starts with the first answer, so that nothing is learned before it
        if not self.realtime:
            if self.answer is not None:
                self._step(self.answer)
            else:
                self.due = True
        elif time.monotonic() - self.last_command > self.command_timeout:
            self.timeouts += 1
            self._warn_waiting('safe command')
            self._step(self.safe_command)
        else:
            self._step(self.newest)

    def _step(self, action: Array) -> None:
        if not self.begun:
            return
        self.answer, self.due = None, False
        transition = self.simulation.step(action)
        self.transition_publisher.publish(conversions.transition_to_msg(transition, self.task))
        line = self.statistics.step(transition, self.task.metrics(transition.next_observation))
        if line is not None:
            print(line, flush=True)
        self._send_state()

    def _send_state(self) -> None:
        stamp = self.simulation.stamp
        convert = conversions.odometry_to_msg if self.task.odometry else conversions.state_to_msg
        self.clock_publisher.publish(Clock(clock=conversions.time_to_msg(stamp)))
        self.state_publisher.publish(convert(self.simulation.observation, self.task, stamp))
        self.last_sent = time.monotonic()

    def _watch(self) -> None:
        """Repeat an unanswered state, begin when all listeners are there, end in time."""
        now = time.monotonic()
        if self.duration and now - self.started >= self.duration:
            self.finished = True
            return
        if not self.begun:
            self._begin()
        if self.realtime and self.connected and self.begun:
            return
        idle = self.answer is None or not self.begun
        if idle and now - self.last_sent >= REPEAT_PERIOD:
            self._send_state()
            silent = now - self.last_command > self.command_timeout
            if silent and (self.connected or self._is_late_start()):
                self._warn_waiting('waiting')

    def _begin(self) -> None:
        """Step for the first time once everybody who must not miss a transition listens."""
        publisher = self.transition_publisher
        self.begun = publisher.get_subscription_count() >= self.transition_listeners
        if not self.begun and self._is_late_start():
            self.warn('begin', f'waiting for a learner or recorder on {publisher.topic_name}')
        elif self.begun and self.answer is not None and not self.realtime:
            self._step(self.answer)

    def _is_late_start(self) -> bool:
        return time.monotonic() - self.started > START_GRACE

    def _warn_waiting(self, consequence: str) -> None:
        self.warn(
            'waiting',
            f'no command on {self.command_topic} for {self.command_timeout} s: {consequence}',
        )

    def _on_telemetry(self, message: Float64MultiArray) -> None:
        try:
            telemetry = conversions.telemetry_from_msg(message)
        except ValueError as error:
            self.warn('telemetry', f'telemetry dropped: {error}')
            return
        self.statistics.plan(telemetry['plan_s'], telemetry['d0'])

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulation.end_episode()
        response.success = True
        response.message = f'episode {self.simulation.episode} ends with the running step'
        return response

    def _diagnose(self) -> None:
        waiting = time.monotonic() - self.last_command > self.command_timeout
        level = views.WARN if waiting else views.OK
        text = f'no command on {self.command_topic}' if waiting else 'running'
        values = {
            'episode': self.simulation.episode,
            'step': self.simulation.step_number,
            'clipped commands': self.simulation.clipped,
            'dropped commands': self.dropped,
            'refused commands': self.refused,
            'steps without command': self.timeouts,
        }
        name = f'{self.get_fully_qualified_name()}: simulation'
        stamp = int(self.get_clock().now().nanoseconds)
        self.diagnostics_publisher.publish(
            views.diagnostics_to_msg(name, self.task.name, level, text, values, stamp)
        )
