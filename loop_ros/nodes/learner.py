# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions in, weights out."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from std_msgs.msg import Float64MultiArray, UInt8MultiArray, UInt32

from loop_ros.agent import Agent
from loop_ros.checkpoint.files import METADATA_FILE
from loop_ros.control.intake import Intake, Source
from loop_ros.control.learn_worker import LONG_BACKLOG, LearnWorker
from loop_ros.learning import crew
from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.figures import Figures
from loop_ros.nodes.fleet_parameters import LeaveOut, declare_sources
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import declare

BACKLOG_PERIOD = 0.05  # s, between two words on what waits to be learned
# Of the algorithms' reports and of the node: a topic each, learner/telemetry/NAME.
FIGURES = (
    *('critic_loss', 'actor_loss', 'entropy', 'entropy_coef', 'value', 'weight'),
    *('model_loss', 'model_error', 'model_epochs', 'learned', 'backlog', 'weights_version'),
)
STOP_TIMEOUT = 4.0  # s, within the 5 s that a launch gives


class LearnerNode(ManagedNode):
    """Trains the agent on every transition that arrives, and shares and keeps what it learned."""

    def __init__(self) -> None:
        super().__init__('learner')
        parameters = AgentParameters.declare(self)
        self.parameters = dataclasses.replace(parameters, device=crew.join(parameters.device))
        self.sources = declare_sources(self)
        self.leave_out = LeaveOut(self, self.sources, self._leave_out)
        folder = declare(
            self,
            'checkpoint_dir',
            '',
            'folder to save into and to resume from, replay buffer included; empty: keep nothing',
        )
        self.folder = Path(folder).expanduser() if folder else None
        self.save_period = declare(
            self, 'save_period', 30.0, 'time between two saves', minimum=0.1, maximum=1e6, unit='s'
        )
        self.publish_period = declare(
            self,
            'publish_period',
            5.0,
            'longest time between two publications of weights while learning',
            minimum=0.1,
            maximum=1e6,
            unit='s',
        )
        niceness = declare(
            self,
            'nice',
            5,
            'how much this process yields the processor to the planner',
            minimum=0,
            maximum=19,
        )
        os.nice(niceness)
        self.worker = self._make_worker()

    def configure(self) -> None:
        """Make or resume the agent in its thread, then the topics."""
        self.task = self.parameters.task
        self.weights_publisher = self.advertise(UInt8MultiArray, 'weights', qos.WEIGHTS)
        self.backlog_publishers = {
            name: self.advertise(UInt32, _topic(name, 'backlog'), qos.STATE)
            for name in self.sources
        }
        self.figures = Figures(self, 'learner/telemetry/', FIGURES)
        self.worker.start(self._make_agent)

    def activate(self) -> None:
        """Subscribe."""
        for source in self.worker.intake.sources.values():
            self.subscribe(
                Float64MultiArray,
                _topic(source.name, 'transition'),
                functools.partial(self._on_transition, source),
                qos.TRANSITION,
            )
        self.every(BACKLOG_PERIOD, self._publish_backlog)
        self.every(1.0, self._diagnose)

    def cleanup(self) -> None:
        """Save, and end the learner thread."""
        if not self.worker.stop(STOP_TIMEOUT):
            self.get_logger().error('still training: what was learned since the last save is lost')
        elif self.worker.not_saved:
            self.get_logger().error(f'{self.worker.not_saved}: the last save stays')
        elif self.folder is not None and self.worker.failure is None:
            self.get_logger().info(f'saved in {self.folder}')
        try:
            if self.worker.failure is None:
                crew.dismiss()
        except ConnectionError as error:
            self.get_logger().error(f'{error}')
        self.worker = self._make_worker()

    def _make_worker(self) -> LearnWorker:
        intake = Intake(self.sources, 1.0 / self.parameters.task.control_period)
        intake.left_out = self.leave_out.names
        return LearnWorker(
            self.folder,
            self.save_period,
            self.publish_period,
            self._publish,
            lambda text: self.warn('worker', text),
            intake,
        )

    def _leave_out(self, names: frozenset[str]) -> None:
        self.worker.intake.left_out = names

    def _make_agent(self) -> Agent:
        resume = self.folder is not None and (self.folder / METADATA_FILE).is_file()
        agent = self.parameters.make(self.folder if resume else None)
        origin = f'from {self.parameters.checkpoint}' if self.parameters.checkpoint else 'untrained'
        if resume:
            origin = f'resumed from {self.folder}'
        self.get_logger().info(
            f'{agent.task.name}: {origin}, {agent.num_steps} steps, weights version {agent.version}'
        )
        agent.lead(self.get_parameter('task').value)
        return agent

    def _on_transition(self, source: Source, message: Float64MultiArray) -> None:
        """Check and queue; learning happens elsewhere."""
        try:
            transition = conversions.transition_from_msg(message, self.task)
        except ValueError as error:
            source.refused += 1
            self._refuse(source, source.refused, str(error))
            return
        sequence = source.sequence
        gaps = sequence.gaps
        if sequence.accept(transition) and not self.worker.put(transition, source.name):
            self._refuse(source, source.held_back, f'{len(source.queue)} others wait to be learned')
        if sequence.gaps > gaps:
            self.warn(
                f'gap {source.name}',
                f'{_of(source)}gap before episode {transition.episode} step {transition.step}: '
                f'{sequence.missing} transitions missing so far',
            )

    def _refuse(self, source: Source, count: int, reason: str) -> None:
        self.warn(
            f'refused {source.name}',
            f'{_of(source)}transition refused ({count} so far): {reason}',
        )

    def _publish(self, weights: bytes) -> None:
        self.weights_publisher.publish(conversions.weights_to_msg(weights))

    def _publish_backlog(self) -> None:
        """A simulation that runs as fast as it goes waits for this."""
        for name, publisher in self.backlog_publishers.items():
            publisher.publish(UInt32(data=len(self.worker.intake.sources[name].queue)))

    def _diagnose(self) -> None:
        if self.worker.failure is not None:
            raise RuntimeError('the learner thread ended') from self.worker.failure
        intake, task = self.worker.intake, self.parameters.task.name
        sources = list(intake.sources.values())
        counts = [source.counts() for source in sources]
        totals = {key: sum(count[key] for count in counts) for key in counts[0]}
        if self.worker.not_saved:
            level, text = views.WARN, self.worker.not_saved
        elif intake.lag > LONG_BACKLOG:
            level, text = views.WARN, f'learning is {intake.lag} transitions behind'
            self.warn('backlog', f'{text}; nothing is lost')
        elif totals['gaps']:
            level, text = views.WARN, f'{totals["missing"]} transitions missing'
        else:
            level, text = views.OK, 'learning'
        version = self.worker.version
        values = {**totals, 'weights version': version, **self.worker.report}
        self.publish_diagnostics('learning', task, level, text, values)
        if len(sources) > 1:
            self._diagnose_sources(task)
        figures = {**totals, 'weights_version': version}
        self.figures.publish({**self.worker.report, **figures})

    def _diagnose_sources(self, task: str) -> None:
        """A status for each robot, and a word on one that does not fit in with the others."""
        outliers = self.worker.intake.outliers()
        for name, source in self.worker.intake.sources.items():
            level, text = views.WARN, ''
            if name in self.worker.intake.left_out:
                text = 'left out of learning (parameter leave_out)'
            elif name in outliers:
                text = f"its model error is {outliers[name]:.1f} times the other robots'"
                self.warn(f'outlier {name}', f'{name}: {text}; leave_out leaves a robot out')
            elif source.floods:
                text = 'more transitions than its control rate explains: they are held back'
                self.warn(f'flood {name}', f'{name}: {text}')
            elif source.sequence.gaps:
                text = f'{source.sequence.missing} transitions missing'
            else:
                level, text = views.OK, 'learning' if source.learned else 'nothing came so far'
            values = {**source.counts(), 'model error': source.model_error}
            self.publish_diagnostics(name, task, level, text, values)


def _topic(name: str, topic: str) -> str:
    """Of a robot; the one robot of a stack has no name."""
    return f'{name}/{topic}' if name else topic


def _of(source: Source) -> str:
    """Whose warning it is."""
    return f'{source.name}: ' if source.name else ''
