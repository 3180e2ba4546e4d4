# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State in, command out."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from loop_ros.agent import Agent
from loop_ros.control.explanation import explain
from loop_ros.control.plan_worker import Answer, PlanWorker
from loop_ros.control.shadow import Shadow
from loop_ros.control.supervisor import STOP
from loop_ros.control.trial import WeightsTrial
from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import PlannerParameters, declare
from loop_ros.nodes.speaker import Speaker
from loop_ros.nodes.supervision import Supervision
from loop_ros.nodes.weights import WeightsInbox
from loop_ros.settings import PlannerSettings

# Share of the control period after which a fallback goes out, so that it still arrives in time.
DEADLINE = 0.85
# Share of it that a plan's iterations may take in real time, unless `time_budget` says otherwise.
BUDGET = 0.75
START_GRACE = 10.0  # s that the robot may take to come up before a warning


class PlannerNode(ManagedNode):
    """Publishes one command for each state, and what the supervisor has for the others."""

    def __init__(self) -> None:
        super().__init__('planner')
        self.parameters = AgentParameters.declare(self)
        self.task = self.parameters.task
        self.realtime = (
            declare(
                self,
                'step_mode',
                'lockstep',
                'lockstep: every state waits for its plan; realtime: a late plan is replaced',
                choices=('lockstep', 'realtime'),
            )
            == 'realtime'
        )
        speed = declare(
            self,
            'speed',
            1.0,
            'simulated seconds per second, as the bridge has it; 1 on a robot',
            minimum=0,
            maximum=1000,
        )
        if self.realtime and speed == 0:
            raise ValueError('speed: 0 (as fast as it goes) needs step_mode lockstep')
        self.period = self.task.control_period / (speed or 1.0)  # s of wall time
        self.training = declare(self, 'training', False, 'explore, as the settings say')
        self.odom_frame = declare(self, 'odom_frame', conversions.ODOM_FRAME, 'frame of the pose')
        self.base_frame = declare(self, 'base_frame', conversions.BASE_FRAME, 'frame of the twist')
        self.shadow = declare(
            self,
            'shadow',
            False,
            'plan beside another controller: hear its commands, publish none, and tell the '
            'difference on shadow/difference',
        )
        self.speaker = Speaker(self, self.task, self.odom_frame, self.shadow)
        self.supervision = Supervision(
            self,
            self.task,
            self.period,
            self.realtime,
            self.training or self.shadow,
            self._halt,
            lambda: self.worker.release(),
            self.shadow,
        )
        self.supervisor = self.supervision.supervisor
        self._declare_trial()
        self.comparison = Shadow(self.task, self.speaker.tell) if self.shadow else None
        self.last: Answer | None = None  # what ~/explain is asked about
        self.worker = self._make_worker()
        self.inbox = WeightsInbox(
            self,
            lambda data: self.worker.load_weights(data),
            lambda error: self._on_weights(self.weights_version, str(error)),
        )
        self.create_service(Trigger, '~/explain', self._on_explain)
        self.planner_parameters = PlannerParameters(
            self, self.parameters.settings.planner, self._reconfigure
        )

    def _declare_trial(self) -> None:
        self.trial_steps = declare(
            self,
            'trial_steps',
            100,
            "the robot's last steps on which new weights are tried before they are taken, and "
            'again as many under them; 0: they are taken untried',
            minimum=0,
            maximum=100_000,
        )
        self.trial_tolerance = declare(
            self,
            'trial_tolerance',
            2.0,
            'errors of new weights that are borne, as a multiple of those of the present ones',
            minimum=1,
            maximum=1e6,
        )

    def configure(self) -> None:
        """Make the agent in its thread, then the topics."""
        self.dropped = 0
        self.last = None
        self.weights_version = 0
        self.device = self.parameters.device
        self._advertise()
        self.worker.start(self._make_agent)
        settings = self.planner_parameters.settings
        self.worker.constrain(settings.constrained)
        weights = f'weights version {self.weights_version}'
        if not self.weights_version:
            weights = 'untrained: random actions until the learner sends its first weights'
        self.get_logger().info(
            f'{self.task.name}: {settings.algorithm} on {self.device}, {weights}'
        )

    def activate(self) -> None:
        """Listen."""
        self.worker.begin()
        message, topic = (Odometry, 'odom') if self.task.odometry else (JointState, 'state')
        self.state_topic = self.listen(message, topic, self._on_state, qos.STATE).topic_name
        if self.shadow:
            self.listen(JointState, 'command', self._on_other, qos.COMMAND)
        self.inbox.open()
        self.deadline = self.every(self.period * DEADLINE, self._on_deadline)
        self.deadline.cancel()
        self.every(self.period / 2, self._watch)
        self.every(1.0, self._diagnose)

    def deactivate(self) -> None:
        """Leave the robot with the safe command."""
        self.worker.last_word(self._now())

    def cleanup(self) -> None:
        """End the planner thread."""
        self.worker.stop()
        self.worker = self._make_worker()

    def _make_worker(self) -> PlanWorker:
        return PlanWorker(
            self.task,
            self.supervisor,
            self._publish,
            self._on_weights,
            self._on_move,
            WeightsTrial(self.trial_steps, self.trial_tolerance, self.period),
            self.training,
            self.realtime,
            self.comparison,
        )

    def _make_agent(self) -> Agent:
        planner = self._in_time(self.planner_parameters.settings)
        settings = dataclasses.replace(self.parameters.settings, planner=planner)
        parameters = dataclasses.replace(self.parameters, settings=settings)
        try:
            agent = parameters.make(resume=False)
        except torch.OutOfMemoryError as error:
            self._on_move(str(error))
            agent = dataclasses.replace(parameters, device='cpu').make(resume=False)
        self.weights_version = agent.version
        if self.realtime:  # a process's first plan is slow; in lockstep it would use random numbers
            nowhere = np.zeros(len(self.task.observation_labels))
            agent.act_without_planning(nowhere)
            agent.act(nowhere, foretell=True)
            agent.reset()
        return agent

    def _advertise(self) -> None:
        self.diagnostics_publisher = self.advertise(
            DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS
        )
        self.speaker.advertise()
        self.supervision.advertise()

    def _reconfigure(self, settings: PlannerSettings) -> None:
        self.worker.constrain(settings.constrained)
        self.worker.configure(self._in_time(settings))

    def _in_time(self, settings: PlannerSettings) -> PlannerSettings:
        """In real time a plan without a budget of its own gets what the period allows."""
        if not self.realtime or settings.time_budget > 0:
            return settings
        return dataclasses.replace(settings, time_budget=BUDGET * self.period)

    def _on_state(self, message: Odometry | JointState) -> None:
        try:
            if self.task.odometry:
                observation = conversions.odometry_from_msg(
                    message, self.task, self.odom_frame, self.base_frame
                )
            else:
                observation = conversions.state_from_msg(message, self.task)
        except ValueError as error:
            self.dropped += 1
            self.worker.refuse_state(str(error))
            self.warn(
                'state', f'state on {self.state_topic} dropped ({self.dropped} so far): {error}'
            )
            return
        stamp = conversions.time_from_msg(message.header.stamp)
        if self.worker.receive(stamp, observation) and self.realtime:
            self.deadline.reset()

    def _halt(self, reason: str) -> None:
        if self.active:
            self.worker.halt(reason, self._now())
        else:
            self.supervisor.latch(reason)

    def _on_deadline(self) -> None:
        self.deadline.cancel()
        self.worker.expire()

    def _watch(self) -> None:
        """Twice a control period: without states, or without a planner thread, go safe."""
        if self.worker.failure is not None:
            self.worker.last_word(self._now())
            raise RuntimeError('the planner thread ended') from self.worker.failure
        self.worker.watch(self._now())
        silence = self.supervisor.silence(time.monotonic())
        timeout = self.supervisor.limits.state_timeout
        expected = self.dropped or self.supervisor.met or silence > START_GRACE
        if silence > timeout and expected:
            missing = f'no usable state on {self.state_topic} for {timeout} s'
            self.warn('stale', f'{missing}: safe command')

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_weights(self, version: int, refusal: str) -> None:
        """The version in use; called by the planner thread too."""
        self.weights_version = version
        if refusal:
            self.warn('weights', f'weights refused, version {version} stays: {refusal}')

    def _on_move(self, reason: str) -> None:
        """Called by the planner thread."""
        self.device = 'cpu'
        self.get_logger().error(f'planning goes on on the CPU: {reason}')

    def _on_other(self, message: JointState) -> None:
        """As a shadow: a command of the controller that drives."""
        try:
            self.worker.watch_other(conversions.command_from_msg(message, self.task))
        except ValueError as error:
            self.warn('other', f'a command of the other controller is left out: {error}')

    def _publish(self, answer: Answer) -> None:
        """Called by the planner thread and by the executor's, in turns."""
        level, _, reason, _ = answer.command
        if not self.active and level != STOP:
            return  # a plan that was under way when the node was deactivated
        self.speaker.say(answer)
        self.supervision.tell(level, reason)
        self.last = answer

    def _on_explain(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.last is not None
        response.message = 'no command so far'
        if self.last is not None:
            settings = self.planner_parameters.settings
            response.message = explain(self.last.command, settings, self.task)
        return response

    def _diagnose(self) -> None:
        level, text = self.supervision.status()
        values = {
            **self.worker.statistics.report(),
            'level': self.supervision.level,
            'reason': self.supervision.reason,
            'dropped states': self.dropped,
            'weights version': self.weights_version,
            'd0': self.planner_parameters.settings.d0,
            'device': self.device,
            **(self.comparison.figures() if self.comparison else {}),
        }
        name = f'{self.get_fully_qualified_name()}: planning'
        self.diagnostics_publisher.publish(
            views.diagnostics_to_msg(name, self.task.name, level, text, values, self._now())
        )
