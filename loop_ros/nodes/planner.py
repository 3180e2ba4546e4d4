# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State in, command out."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import torch
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from loop_ros.agent import Agent
from loop_ros.control.explanation import explain
from loop_ros.control.gate import Gate, State
from loop_ros.control.plan_worker import PlanWorker
from loop_ros.control.shadow import Shadow
from loop_ros.control.supervisor import Command, Supervisor
from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.checkpoint_parameter import CheckpointParameter
from loop_ros.nodes.flight_recording import FlightRecording
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.outlooks import SHARE, Outlooks
from loop_ros.nodes.parameters import (
    PlannerParameters,
    d0_is_ignored,
    declare,
    declare_clock,
    differences,
)
from loop_ros.nodes.plan_publisher import PlanPublisher
from loop_ros.nodes.scene import PERIOD as PICTURE_PERIOD
from loop_ros.nodes.supervision import Supervision, declare_limits
from loop_ros.nodes.weights import WeightsInbox, declare_trial
from loop_ros.planning.shared import SharedPasses
from loop_ros.settings import PlannerSettings, Settings

# Share of the control period after which a fallback goes out, so that it still arrives in time.
DEADLINE = 0.85
# Share of it that a plan's iterations may take in real time, unless `time_budget` says otherwise.
BUDGET = 0.75
SEED_STEP = 1000  # between robots of one process, as between those of fleet.launch.yaml
START_GRACE = 10.0  # s that the robot may take to come up before a warning


class PlannerNode(ManagedNode):
    """Publishes one command for each state, and what the supervisor has for the others."""

    def __init__(
        self, namespace: str = '', number: int = 0, passes: SharedPasses | None = None
    ) -> None:
        """Of robot `number` in this process, which may share its passes with the others."""
        super().__init__('planner', namespace)
        self.passes = passes
        given = AgentParameters.declare(self, live_checkpoint=True)
        self.parameters = dataclasses.replace(given, seed=given.seed + SEED_STEP * number)
        self.task = given.task
        self.realtime, speed = declare_clock(self)
        self.period = self.task.control_period / (speed or 1.0)  # s of wall time
        self.frames = (
            declare(self, 'odom_frame', conversions.ODOM_FRAME, 'frame of the pose'),
            declare(self, 'base_frame', conversions.BASE_FRAME, 'frame of the twist'),
        )
        self.odometry = declare(
            self,
            'odometry',
            self.task.odometry,
            'states come as nav_msgs/Odometry on odom, and not as a labelled JointState on state',
        )
        training = declare(self, 'training', False, 'explore, as the settings say')
        is_shadow = declare(
            self,
            'shadow',
            False,
            'plan beside another controller: subscribe to its commands, publish none, and publish '
            'the difference on shadow/difference',
        )
        limits = declare_limits(self, self.task, self.period, training or is_shadow)
        trial = declare_trial(self, self.period if self.realtime else math.inf)
        supervisor = Supervisor(limits, self.realtime)
        self.publisher = PlanPublisher(self, self.task, supervisor, self.frames, is_shadow)
        self.shadow = Shadow(self.task, self.publisher.publish_difference) if is_shadow else None
        self.recording = FlightRecording(
            self, self.parameters, self.period, training, lambda: trial.file
        )
        self.recorder = self.recording.recorder
        self.gate = Gate(supervisor, self._publish, trial.num_steps, is_shadow)
        if not is_shadow:  # which commands nothing
            self.supervision = Supervision(self, self.gate)
        spare = SHARE * self.period if self.realtime else math.inf
        self.outlooks = Outlooks(self, self.task, spare)
        self.scene = self.publisher.scene
        self.outlooks.on_view = self.scene.keep_outlook
        self.outlooks.is_watched = self.scene.shows_candidates
        observers = (self.recorder.keep_plan, self.scene.keep_plan, self.outlooks.observe)
        self.worker = PlanWorker(self.gate, trial, self._warn, training, self.shadow, observers)
        self.inbox = WeightsInbox(self, self.worker.load_weights, self.worker.refuse_weights)
        self.create_service(Trigger, '~/explain', self._on_explain)
        self.checkpoint_parameter = CheckpointParameter(self, self.task, self.worker.load_weights)
        saved = self.parameters.saved
        self.saved = saved.planner if saved is not None else None
        self.settings = self.parameters.settings or saved or Settings.for_task(self.task)
        self.planner_parameters = PlannerParameters(self, self.settings.planner, self._reconfigure)

    def configure(self) -> None:
        """Make the agent in its thread, then the topics."""
        self.dropped = 0
        self.publisher.advertise()
        self.outlooks.advertise(f'{self.publisher.prefix}outlook')
        self.recording.start()
        self.worker.start(self._make_agent)
        settings, version = self.planner_parameters.settings, self.worker.version
        weights = f'weights version {version}'
        if not version:
            weights = 'untrained: random actions until the learner sends its first weights'
        self.get_logger().info(
            f'{self.task.name}: {settings.algorithm} on {self.worker.device}, {weights}'
        )
        if self.saved is not None and (others := differences(settings, self.saved)):
            self.get_logger().info(f"other than the checkpoint's settings: {others}")
        if not settings.constrained:
            self.get_logger().warning(d0_is_ignored(settings))

    def activate(self) -> None:
        """Subscribe."""
        self.gate.open()
        message, topic = (Odometry, 'odom') if self.odometry else (JointState, 'state')
        self.state_topic = self.subscribe(message, topic, self._on_state, qos.STATE).topic_name
        self.paused = False
        self.subscribe(Bool, 'paused', self._on_paused, qos.STATUS)
        if self.shadow is not None:  # whatever the other's quality of service, it is heard
            self.subscribe(JointState, 'command', self._on_other, qos.STATE)
        else:
            self.subscribe(JointState, 'executed', self._on_executed, qos.COMMAND)
        self.inbox.open()
        self.deadline = self.every(self.period * DEADLINE, self._on_deadline)
        self.deadline.cancel()
        self.every(self.period / 2, self._watch)
        self.every(PICTURE_PERIOD, self.scene.draw)
        self.every(1.0, self._diagnose)

    def deactivate(self) -> None:
        """Leave the robot with the safe command, and wait until it has it."""
        self.gate.close(self.now())
        self.scene.draw()
        self.publisher.wait()

    def cleanup(self) -> None:
        """End the planner thread."""
        self.worker.stop()
        self.recording.stop()

    def _make_agent(self) -> Agent:
        """Called by the planner thread."""
        planner = self._in_time(self.planner_parameters.settings)
        settings = dataclasses.replace(self.settings, planner=planner)
        parameters = dataclasses.replace(self.parameters, settings=settings)
        try:
            agent = parameters.make(resume=False)
        except torch.OutOfMemoryError as error:
            self.get_logger().error(f'planning on the CPU: {error}')
            agent = dataclasses.replace(parameters, device='cpu').make(resume=False)
        if self.realtime:  # a process's first plan is slow; in lockstep it would use random numbers
            nowhere = np.zeros(len(self.task.observation_labels))
            agent.act_without_planning(nowhere)
            agent.act(nowhere, predict_next=True)
            agent.reset()
        if self.passes is not None:
            agent.planner = self.passes.join(agent.planner)
        self.recording.begin(agent)
        return agent

    def _reconfigure(self, settings: PlannerSettings) -> None:
        self.worker.configure(self._in_time(settings))

    def _in_time(self, settings: PlannerSettings) -> PlannerSettings:
        """In real time a plan without a budget of its own gets what the period allows."""
        if not self.realtime or settings.time_budget > 0:
            return settings
        return dataclasses.replace(settings, time_budget=BUDGET * self.period)

    def _on_state(self, message: Odometry | JointState) -> None:
        stamp = conversions.time_from_msg(message.header.stamp)
        if not self.gate.awaits(stamp):
            return
        try:
            observation = conversions.observation_from_msg(message, self.task, *self.frames)
        except ValueError as error:
            self.dropped += 1
            self.gate.refuse_state(str(error))
            self.warn(
                'state', f'state on {self.state_topic} dropped ({self.dropped} so far): {error}'
            )
            return
        state = self.gate.receive(stamp, observation)
        if state is not None:
            self.worker.plan(state)
            self.recorder.keep_state(state)
            if self.realtime:
                self.deadline.reset()

    def _publish(self, state: State, command: Command) -> None:
        """Called by the planner thread and by the executor's, in turns."""
        self.publisher.publish_command(state, command)
        self.recorder.keep_command(state, command, self.gate.statistics.missed)

    def _warn(self, subject: str, text: str) -> None:
        """What the planner thread has to say."""
        self.warn(subject, text)
        if subject == 'weights':
            self.recorder.trigger('refused_weights', text.replace(', version', ': version', 1))

    def _on_deadline(self) -> None:
        self.deadline.cancel()
        self.gate.expire()

    def _watch(self) -> None:
        """Twice a control period: without states, or without a planner thread, go safe."""
        if self.worker.failure is not None:
            self.recorder.trigger('stop', f'the planner thread ended: {self.worker.failure}')
            self.gate.close(self.now())
            raise RuntimeError('the planner thread ended') from self.worker.failure
        self.gate.watch(self.now())
        supervisor = self.gate.supervisor
        silence, timeout = supervisor.silence(time.monotonic()), supervisor.limits.state_timeout
        expected = self.dropped or supervisor.has_received_state or silence > START_GRACE
        if silence > timeout and expected and not self._is_paused():
            missing = f'no usable state on {self.state_topic} for {timeout} s'
            self.warn('stale', missing if self.shadow else f'{missing}: safe command')

    def _is_paused(self) -> bool:
        """Whether the robot's node said so; of one that has left, for a while."""
        silence = self.gate.supervisor.silence(time.monotonic())
        return self.paused and (silence <= START_GRACE or self.count_publishers('paused') > 0)

    def _on_paused(self, message: Bool) -> None:
        """Bridge or robot node say whether states are to be expected."""
        self.paused = self.recorder.paused = message.data

    def _on_other(self, message: JointState) -> None:
        """As a shadow: a command of the controller that drives."""
        try:
            action = conversions.command_from_msg(message, self.task)
            self.worker.watch_other(action)
            if self.gate.newest is not None:
                self.recorder.keep_executed(State(self.gate.newest.stamp, action))
        except ValueError as error:
            self.warn('other', f'a command of the other controller is left out: {error}')

    def _on_executed(self, message: JointState) -> None:
        """What a robot did in a state, where it says so: a human may have taken over."""
        try:
            action = conversions.command_from_msg(message, self.task)
        except ValueError as error:
            self.warn('executed', f'what the robot says that it did is left out: {error}')
            return
        stamp = conversions.time_from_msg(message.header.stamp)
        self.gate.executed_elsewhere(action, stamp)
        self.recorder.keep_executed(State(stamp, action))

    def _on_explain(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        command = self.publisher.last
        response.success, response.message = command is not None, 'no command so far'
        if command is not None:
            settings = self.planner_parameters.settings
            response.message = explain(command, settings, self.task)
        return response

    def _diagnose(self) -> None:
        level, text = self.publisher.status()
        if self._is_paused():
            level, text = views.OK, 'between episodes'
        if problem := self.gate.clock.problem(time.monotonic(), self.realtime):
            level, text = max(level, views.WARN), f'{text}; {problem}'
            self.warn('clock', problem)
        values = {
            **self.gate.statistics.report(),
            'state rate (Hz)': self.gate.clock.rate,
            'states between control periods': self.gate.clock.skipped,
            'jumps of the clock': self.gate.clock.jumps,
            'level': self.publisher.level,
            'reason': self.publisher.reason,
            'dropped states': self.dropped,
            'weights version': self.worker.version,
            'trial of weights': self.worker.verdict,
            'd0': _d0(self.planner_parameters.settings),
            'device': self.worker.device,
            'outlooks left out for want of time': self.outlooks.skipped,
            **({'robots in a pass': self.passes.robots} if self.passes else {}),
            **(self.shadow.metrics() if self.shadow else {}),
            **self.recording.metrics(),
        }
        self.publish_diagnostics('planning', self.task.name, level, text, values)


def _d0(settings: PlannerSettings) -> str:
    heeded = '' if settings.constrained else f', ignored by {settings.algorithm}'
    return f'{settings.d0:g}{heeded}'
