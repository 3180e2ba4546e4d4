# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot: command in, state and transitions out."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time

import numpy as np
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Bool, Float64MultiArray, UInt32
from std_srvs.srv import Trigger

from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.bridge_parameters import BridgeParameters
from loop_ros.nodes.managed import TRANSITION_TIMEOUT, ManagedNode, StartError
from loop_ros.nodes.transforms import Transforms
from loop_ros.sim.camera import open_environment
from loop_ros.sim.pictures import Broadcast
from loop_ros.sim.run_statistics import RunStatistics
from loop_ros.sim.simulation import Simulation, planner_cost
from loop_ros.types import Array

# As fast as it goes is as fast as the learner learns: so many transitions may wait for it, and
# after so long (s) without its word there is none.
LEARNER_BACKLOG, LEARNER_TIMEOUT = 10, 3.0
REPEAT_PERIOD = 0.2  # s; the state goes out again while a command is awaited
START_GRACE = 10.0  # s that the other nodes may take to come up before a warning
PROGRESS_PERIOD = 10.0  # s between log lines of an episode that takes long


class BridgeNode(ManagedNode):
    """Steps an environment, in lockstep with the planner or by the clock on the wall."""

    def __init__(self) -> None:
        super().__init__('bridge')
        self.parameters = BridgeParameters.declare(self)
        self.task = self.parameters.task
        self.safe_command = np.array(self.task.safe_command)
        self.statistics = RunStatistics()
        self.transforms = Transforms(self)
        self.opened = contextlib.ExitStack()  # what `cleanup` gives back

    def configure(self) -> None:
        """Make the environment and the topics."""
        view = self.parameters.view
        if self.parameters.images:
            view = dataclasses.replace(view, broadcast=self._broadcast())
        try:
            env, self.camera = open_environment(self.task, view, self.get_logger().warning)
        except (ImportError, ValueError) as error:
            raise StartError(str(error)) from None
        self.opened.callback(env.close)
        self.opened.callback(self.camera.close)
        self.simulation = Simulation(self.task, env, self.parameters.seed)
        self.statistics = RunStatistics()
        self.dropped = self.refused = self.timeouts = 0
        self.begun = False
        message, topic = (Odometry, 'odom') if self.task.odometry else (JointState, 'state')
        self.state_publisher = self.advertise(message, topic, qos.STATE)
        if self.task.odometry:
            self.transforms.advertise()
        self.paused = self.advertise(Bool, 'paused', qos.STATUS)
        self.transition_publisher = self.advertise(Float64MultiArray, 'transition', qos.TRANSITION)
        # Relative, so that two stacks in two namespaces each have a clock; nodes that use
        # simulated time in a namespace need the remapping /clock:=clock (see launch/).
        self.clock_publisher = self.advertise(Clock, 'clock', qos.CLOCK)
        reset = self.create_service(Trigger, '~/reset', self._on_reset)
        self.opened.callback(self.destroy_service, reset)
        self.get_logger().info(
            f'{self.task.name}: {len(self.task.observation_labels)} observations, '
            f'{len(self.task.action_labels)} actions, {1 / self.task.control_period:.3g} Hz, '
            f'episodes of {self.task.max_episode_steps} steps'
        )

    def activate(self) -> None:
        """Begin."""
        self.started = self.last_command = self.last_sent = time.monotonic()
        self.answer: Array | None = None  # to the state that is out
        self.newest = self.safe_command
        self.connected = self.due = False
        self.command_topic = self.subscribe(
            JointState, 'command', self._on_command, qos.COMMAND
        ).topic_name
        self.backlog, self.backlog_at = 0, -math.inf  # of the learner
        self.subscribe(UInt32, 'backlog', self._on_backlog, qos.STATE)
        self.subscribe(Float64MultiArray, 'planner/telemetry', self._on_telemetry, qos.TELEMETRY)
        if self.task.odometry:
            self.transforms.subscribe()
        if self.parameters.speed > 0:
            self.every(self.task.control_period / self.parameters.speed, self._tick)
        self.every(REPEAT_PERIOD / 2, self._watch)
        self.every(1.0, self._diagnose)
        self.reported = time.monotonic()
        self.paused.publish(Bool(data=False))
        self._send_state()
        self.camera.look(self.simulation.episode, self.simulation.step_number)

    def deactivate(self) -> None:
        """Let nobody miss states, and learner and recorder have the last transitions."""
        self.paused.publish(Bool(data=True))
        self.wait_for_arrival(self.paused)
        self.wait_for_arrival(self.transition_publisher, timeout=TRANSITION_TIMEOUT)

    def cleanup(self) -> None:
        """Say how it went, and end what was opened."""
        print(self.statistics.summary(), flush=True)
        self.opened.close()

    def _broadcast(self) -> Broadcast:
        """Pictures for viewers, by the topic's name and kind that image_transport has."""
        publisher = self.advertise(CompressedImage, 'image/compressed', qos.VIEW)

        def send(jpeg: bytes) -> None:
            message = CompressedImage(format='jpeg', data=jpeg)
            message.header.stamp = conversions.time_to_msg(self.simulation.stamp)
            publisher.publish(message)

        return Broadcast(send, lambda: publisher.get_subscription_count() > 0)

    def _on_command(self, message: JointState) -> None:
        self.last_command = time.monotonic()
        answers = conversions.time_from_msg(message.header.stamp) == self.simulation.stamp
        if not self.parameters.realtime and (not answers or self.answer is not None):
            # Before it has begun, and while the learner is waited for, the same answer comes again.
            self.dropped += self.begun and not (answers and self._is_learner_behind())
            return
        try:
            self.newest = conversions.command_from_msg(message, self.task)
        except ValueError as error:
            self.refused += 1
            self.newest = self.safe_command
            self.warn('command', f'command on {self.command_topic} refused, safe instead: {error}')
        if answers:
            self.answer, self.connected = self.newest, True
            if self.due and not self.parameters.realtime:
                self._step(self.answer)
            else:
                self._step_at_once()

    def _step_at_once(self) -> None:
        """As fast as it goes: answer by answer, unless the learner is behind."""
        if self.parameters.speed == 0 and self.answer is not None and not self._is_learner_behind():
            self._step(self.answer)

    def _is_learner_behind(self) -> bool:
        is_there = time.monotonic() - self.backlog_at < LEARNER_TIMEOUT
        return self.parameters.speed == 0 and is_there and self.backlog > LEARNER_BACKLOG

    def _on_backlog(self, message: UInt32) -> None:
        self.backlog, self.backlog_at = message.data, time.monotonic()
        self._step_at_once()

    def _tick(self) -> None:
        """One control period of the wall clock, scaled by `speed`, is over."""
        if not self.connected or not self.begun:
            return  # the clock starts with the first answer, so that nothing is learned before it
        if not self.parameters.realtime:
            if self.answer is not None:
                self._step(self.answer)
            else:
                self.due = True
        elif time.monotonic() - self.last_command > self.parameters.command_timeout:
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
        next_observation = transition.next_observation
        metrics = self.task.metrics(next_observation)
        line = self.statistics.step(transition, metrics, planner_cost(self.task, next_observation))
        if line is not None:
            print(line, flush=True)
            self.reported = time.monotonic()
        self._send_state()
        # While the planner thinks.
        self.camera.look(self.simulation.episode, self.simulation.step_number)

    def _send_state(self) -> None:
        stamp = self.simulation.stamp
        convert = conversions.odometry_to_msg if self.task.odometry else conversions.state_to_msg
        message = convert(self.simulation.observation, self.task, stamp)
        self.clock_publisher.publish(Clock(clock=conversions.time_to_msg(stamp)))
        self.state_publisher.publish(message)
        if isinstance(message, Odometry):
            self.transforms.publish(message)
        self.last_sent = time.monotonic()

    def _watch(self) -> None:
        """Repeat an unanswered state, begin when all subscribers are there, end in time."""
        now = time.monotonic()
        if self.parameters.duration and now - self.started >= self.parameters.duration:
            self.finished = True
            return
        if not self.begun:
            self._begin()
        if self.parameters.realtime and self.connected and self.begun:
            return
        self._step_at_once()  # where the learner has fallen silent
        idle = self.answer is None or not self.begun or self._is_learner_behind()
        if idle and now - self.last_sent >= REPEAT_PERIOD:
            self._send_state()
            silent = now - self.last_command > self.parameters.command_timeout
            if silent and (self.connected or self._is_late_start()):
                self._warn_waiting('waiting')

    def _begin(self) -> None:
        """Step for the first time once those who must not miss a transition have subscribed."""
        publisher = self.transition_publisher
        self.begun = publisher.get_subscription_count() >= self.parameters.transition_listeners
        if not self.begun and self._is_late_start():
            self.warn('begin', f'waiting for a learner or recorder on {publisher.topic_name}')
        elif self.begun and self.answer is not None and not self.parameters.realtime:
            self._step(self.answer)

    def _is_late_start(self) -> bool:
        return time.monotonic() - self.started > START_GRACE

    def _warn_waiting(self, consequence: str) -> None:
        silence = f'no command on {self.command_topic} for {self.parameters.command_timeout} s'
        self.warn('waiting', f'{silence}: {consequence}')

    def _on_telemetry(self, message: Float64MultiArray) -> None:
        try:
            telemetry = conversions.telemetry_from_msg(message)
        except ValueError as error:
            self.warn('telemetry', f'telemetry dropped: {error}')
            return
        planned = telemetry['iterations'] > 0  # else it was a random action, or the actor's
        self.statistics.plan(telemetry['plan_s'] if planned else math.nan, telemetry['d0'])

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulation.end_episode()
        response.success = True
        response.message = f'episode {self.simulation.episode} ends with the running step'
        return response

    def _report_progress(self) -> None:
        """In an episode of a minute, a line an episode would be long in coming."""
        step = self.simulation.step_number
        if step and time.monotonic() - self.reported >= PROGRESS_PERIOD:
            self.reported = time.monotonic()
            self.get_logger().info(
                f'episode {self.simulation.episode}, step {step} of at most '
                f'{self.task.max_episode_steps}: {self.statistics.progress()}'
            )

    def _diagnose(self) -> None:
        self._report_progress()
        waiting = time.monotonic() - self.last_command > self.parameters.command_timeout
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
        self.publish_diagnostics('simulation', self.task.name, level, text, values)
