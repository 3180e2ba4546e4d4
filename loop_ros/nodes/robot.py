# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real robot: its messages to states, commands to its messages, and transitions to learn from."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.managed import TRANSITION_TIMEOUT, ManagedNode
from loop_ros.nodes.parameters import declare
from loop_ros.nodes.reset_service import ResetService
from loop_ros.nodes.robot_inputs import ForeignTopic
from loop_ros.nodes.robot_messages import interface, interfaces, template
from loop_ros.robot import command, description
from loop_ros.robot.session import CALLING, RUNNING, Session
from loop_ros.sim import registry
from loop_ros.types import Array

START_GRACE = 3.0  # s that a robot's topics may take to come up
LEAST_TIMEOUT = 0.2  # s without a command, by default: this, or five periods where they are longer
SLOW = 0.9  # of the control rate: below it an input is too slow to be news each period


class RobotNode(ManagedNode):
    """Stands where a bridge stands in a simulation; what it does is in `robot.session`."""

    def __init__(self) -> None:
        super().__init__('robot')
        path = declare(self, 'robot', '', 'the robot file (docs/robot.md)')
        name = declare(self, 'task', '', 'robot and job; empty: as the robot file says')
        if not path:
            raise ValueError('robot: name a robot file (docs/robot.md)')
        self.robot = description.load(path, registry.task(name) if name else None)
        self.task = self.robot.task
        timeout = declare(
            self,
            'command_timeout',
            max(LEAST_TIMEOUT, 5 * self.task.control_period),
            'without a command of the planner for so long the robot gets what its file says',
            minimum=0.01,
            maximum=3600,
            unit='s',
        )
        self.speed = declare(
            self, 'speed', 1.0, 'seconds of the robot per second', minimum=0.01, maximum=1000
        )
        self.shadow = declare(
            self, 'shadow', False, 'listen to the commands of another controller, and send none'
        )
        self.session = Session(self.robot, timeout, self.shadow)
        self.opened = contextlib.ExitStack()  # what `cleanup` gives back

    def configure(self) -> None:
        """Look for every type that the file names, and make the topics."""
        robot, output = self.robot, self.robot.command
        self.classes = interfaces(
            {name: (each.type, robot.where(each.line)) for name, each in robot.inputs.items()}
        )
        where = robot.where(output.line)
        self.message = template(output, self.task.control_period, where)
        if robot.takeover is not None:
            self.human_class = interface(robot.takeover.type, robot.where(robot.takeover.line))
        self.reset_service: ResetService | None = None
        if robot.episode.start == 'service':
            self.reset_service = ResetService(self, robot, self._on_reset)
            self.opened.callback(self.reset_service.close)
        self.states = self.advertise(JointState, 'state', qos.STATE)
        self.transitions = self.advertise(Float64MultiArray, 'transition', qos.TRANSITION)
        self.executed = self.advertise(JointState, 'executed', qos.COMMAND)
        self.taken_over = self.advertise(Bool, 'takeover', qos.STATUS)
        self.paused = self.advertise(Bool, 'paused', qos.STATUS)
        self.answers = (
            self.advertise(JointState, 'command', qos.COMMAND)
            if self.shadow
            else self.advertise(interface(output.type, where), output.topic, qos.COMMAND)
        )
        for name, callback in (('start_episode', self._on_start), ('end_episode', self._on_end)):
            service = self.create_service(Trigger, f'~/{name}', callback)
            self.opened.callback(self.destroy_service, service)
        self.get_logger().info(
            f'{self.task.name}: {len(robot.inputs)} inputs, commands on {output.topic} '
            f'({output.type}) at {output.rate:g} Hz, states at {1 / self.task.control_period:.3g} '
            f'Hz; episodes begin by {robot.episode.start}'
        )

    def activate(self) -> None:
        """Listen, and begin."""
        self.started, self.origin = time.monotonic(), self.now()
        self.stamp = self.refused = 0
        self.sent_at = -1.0
        self.was_human = False
        self.counted = 0.0, dict.fromkeys(self.classes, 0)
        self.problem = ''
        self.inputs = {
            name: ForeignTopic(
                self, self.classes[name], found.type, found.topic, partial(self._on_input, name)
            )
            for name, found in self.robot.inputs.items()
        }
        self.foreign = list(self.inputs.values())
        rules, output = self.robot.takeover, self.robot.command
        if rules is not None:
            self.foreign.append(
                ForeignTopic(self, self.human_class, rules.type, rules.topic, self._on_human)
            )
        if self.shadow:
            kind = interface(output.type, self.robot.where(output.line))
            self.foreign.append(ForeignTopic(self, kind, output.type, output.topic, self._on_other))
        else:
            self.subscribe(JointState, 'command', self._on_command, qos.COMMAND)
            self.every(1 / output.rate / self.speed, self._send_again)
        self.session.begin(self.time())
        self.taken_over.publish(Bool(data=False))
        self.was_paused: bool | None = None
        self._publish_pause()
        self.every(self.task.control_period / self.speed, self._tick)
        self.every(1.0, self._diagnose)
        self._prepare()

    def deactivate(self) -> None:
        """Leave the robot with the safe command; let nobody miss states or transitions."""
        self.paused.publish(Bool(data=True))
        if not self.shadow:
            self._publish(np.array(self.task.safe_command))
            self.wait_for_arrival(self.answers)
        self.wait_for_arrival(self.paused)
        self.wait_for_arrival(self.transitions, timeout=TRANSITION_TIMEOUT)

    def cleanup(self) -> None:
        """Take back services and client."""
        self.opened.close()

    def time(self) -> float:
        """Seconds of the robot's clock since it was activated; steady."""
        return (time.monotonic() - self.started) * self.speed

    def _on_input(self, name: str, message: Any, waited: float) -> None:
        self.session.assembler.put(name, message, self.time() - waited * self.speed)

    def _on_command(self, message: JointState) -> None:
        """The planner's: out at once."""
        try:
            action = conversions.command_from_msg(message, self.task)
        except ValueError as error:
            self.refused += 1
            self.warn('command', f'command refused ({self.refused} so far): {error}')
            return
        self.session.plan(action, self.time())
        if self.session.phase == RUNNING:
            self._send()

    def _on_human(self, message: Any, waited: float) -> None:
        """At once, too."""
        try:
            has_robot = self.session.human(message, self.time() - waited * self.speed)
        except ValueError as error:
            self.warn('human', f'{self.robot.takeover and self.robot.takeover.topic}: {error}')
            return
        if not self.shadow and (has_robot or self.was_human):
            self._send()

    def _on_other(self, message: Any, waited: float) -> None:
        """As a shadow: the other controller's command, for the planner to compare."""
        try:
            action = command.decode(self.robot.command.components, message, self.task)
        except ValueError as error:
            self.warn('other', f'a command of the other controller is left out: {error}')
            return
        self.session.drive(action, self.time())
        self.answers.publish(conversions.command_to_msg(action, self.task, self.stamp))

    def _on_start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.session.start(self.time())
        response.message = 'begins' if response.success else 'an episode is running'
        return response

    def _on_end(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.session.phase == RUNNING
        response.message = 'ends with the running period' if response.success else 'none is running'
        if response.success:
            self.session.end()
        return response

    def _tick(self) -> None:
        """One control period is over."""
        now, before = self.time(), self.session.phase
        tick = self.session.tick(now)
        if tick.executed is not None:
            said = conversions.command_to_msg(tick.executed, self.task, self.stamp)
            self.executed.publish(said)
        if tick.transition is not None:
            made = dataclasses.replace(tick.transition, stamp=self.stamp / 1e9)
            self.transitions.publish(conversions.transition_to_msg(made, self.task))
        if tick.state is not None:
            self.stamp = max(self.stamp + 1, self.origin + round(now * 1e9))
            self.states.publish(conversions.state_to_msg(tick.state, self.task, self.stamp))
        self._say_what_is_missing(tick.missing)
        self._publish_pause()
        if self.session.phase != before:
            self.get_logger().info(f'episode {self.session.episodes.episode}: {self.session.phase}')
            self._prepare()
            if not self.shadow:
                self._send()

    def _publish_pause(self) -> None:
        """Say whether states are to be expected, where that has changed."""
        paused = self.session.phase != RUNNING
        if paused != self.was_paused:
            self.was_paused = paused
            self.paused.publish(Bool(data=paused))

    def _prepare(self) -> None:
        """Call the service that an episode begins with."""
        if self.session.phase == CALLING and self.reset_service is not None:
            self.reset_service.call()

    def _on_reset(self, success: bool) -> None:
        self.session.called(success, self.time())

    def _send_again(self) -> None:
        """At the robot's own rate, also between commands and without any."""
        if self.time() - self.sent_at >= 0.9 / self.robot.command.rate:
            self._send()

    def _send(self) -> None:
        now = self.time()
        self._publish(self.session.command(now))
        self.sent_at = now
        human = self.session.has_human(now)
        if human != self.was_human:
            self.was_human = human
            self.taken_over.publish(Bool(data=human))
            self.get_logger().info('a human drives' if human else 'the planner drives again')

    def _publish(self, action: Array) -> None:
        """An action [A] as the robot's own message."""
        command.encode(self.robot.command.components, action, self.message)
        if hasattr(self.message, 'header'):
            self.message.header.stamp = self.get_clock().now().to_msg()
        self.answers.publish(self.message)

    def _say_what_is_missing(self, missing: str) -> None:
        """Everything at once, with its place in the file, after a while."""
        self.problem = missing
        if not missing or self.time() < START_GRACE * self.speed:
            return
        silent = [topic.problem() for topic in self.foreign]
        inputs, others = silent[: len(self.inputs)], list(filter(None, silent[len(self.inputs) :]))
        found = [*filter(None, inputs), *self.session.assembler.problems(self.time())]
        beside = ['and, which is no reason for it:', *others] if others else []
        self.warn('inputs', 'no observation:\n  ' + '\n  '.join([*(found or [missing]), *beside]))

    def _diagnose(self) -> None:
        now, session = self.time(), self.session
        for topic in self.foreign:
            topic.adapt()
        rates = self._rates(now)
        self._prepare()
        level, text = views.OK, session.phase
        control_rate = self.speed / self.task.control_period
        slow = [
            f"'{name}' comes at {rate:.3g} Hz, the control rate is {control_rate:.3g} Hz"
            for name, rate in rates.items()
            if math.isfinite(self.robot.inputs[name].max_age) and rate < SLOW * control_rate
        ]
        if self.problem:
            level, text = views.ERROR, self.problem
        elif session.is_silent(now):
            level, text = views.ERROR, 'no command of the planner'
        elif session.takeover is not None and session.takeover.lost(now):
            level, text = views.ERROR, 'the joystick fell silent with its deadman held'
            text = text if self.shadow else f'{text}: safe command'
        elif slow:
            level, text = views.WARN, '; '.join(slow)
        values = {
            'phase': session.phase,
            'episode': session.episodes.episode,
            'step': session.episodes.step,
            'gaps': session.episodes.gaps,
            'human drives': str(session.has_human(now)).lower(),
            'refused commands': self.refused,
            **{f'{name} (Hz)': rate for name, rate in rates.items()},
            **{f'{name}: age (s)': session.assembler.age(name, now) for name in self.inputs},
        }
        self.publish_diagnostics('robot', self.task.name, level, text, values)

    def _rates(self, now: float) -> dict[str, float]:
        """Messages a second of each input since the last time."""
        at, counts = self.counted
        self.counted = now, {name: topic.count for name, topic in self.inputs.items()}
        elapsed = max(now - at, 1e-3) / self.speed
        return {name: (self.counted[1][name] - counts[name]) / elapsed for name in self.inputs}
