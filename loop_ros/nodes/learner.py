# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions in, weights out."""

from __future__ import annotations

import os
from pathlib import Path

from std_msgs.msg import Float64MultiArray, UInt8MultiArray, UInt32

from loop_ros.agent import Agent
from loop_ros.checkpoint.files import METADATA_FILE
from loop_ros.control.learn_worker import LONG_BACKLOG, LearnWorker
from loop_ros.control.sequence import SequenceCheck
from loop_ros.nodes import conversions, qos, views
from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.figures import Figures
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
        self.parameters = AgentParameters.declare(self)
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
        self.sequence = SequenceCheck()
        self.refused = 0
        self.weights_publisher = self.advertise(UInt8MultiArray, 'weights', qos.WEIGHTS)
        self.backlog_publisher = self.advertise(UInt32, 'backlog', qos.STATE)
        self.figures = Figures(self, 'learner/telemetry/', FIGURES)
        self.worker.start(self._make_agent)

    def activate(self) -> None:
        """Subscribe."""
        self.subscribe(Float64MultiArray, 'transition', self._on_transition, qos.TRANSITION)
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
        self.worker = self._make_worker()

    def _make_worker(self) -> LearnWorker:
        return LearnWorker(
            self.folder,
            self.save_period,
            self.publish_period,
            self._publish,
            lambda text: self.warn('worker', text),
        )

    def _make_agent(self) -> Agent:
        resume = self.folder is not None and (self.folder / METADATA_FILE).is_file()
        agent = self.parameters.make(self.folder if resume else None)
        origin = f'from {self.parameters.checkpoint}' if self.parameters.checkpoint else 'untrained'
        if resume:
            origin = f'resumed from {self.folder}'
        self.get_logger().info(
            f'{agent.task.name}: {origin}, {agent.num_steps} steps, weights version {agent.version}'
        )
        return agent

    def _on_transition(self, message: Float64MultiArray) -> None:
        """Check and queue; learning happens elsewhere."""
        try:
            transition = conversions.transition_from_msg(message, self.task)
        except ValueError as error:
            self._refuse(str(error))
            return
        gaps = self.sequence.gaps
        if self.sequence.accept(transition) and not self.worker.put(transition):
            self._refuse(f'{self.worker.backlog} others wait to be learned')
        if self.sequence.gaps > gaps:
            self.warn(
                'gap',
                f'gap before episode {transition.episode} step {transition.step}: '
                f'{self.sequence.missing} transitions missing so far',
            )

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self.warn('refused', f'transition refused ({self.refused} so far): {reason}')

    def _publish(self, weights: bytes) -> None:
        self.weights_publisher.publish(conversions.weights_to_msg(weights))

    def _publish_backlog(self) -> None:
        """A simulation that runs as fast as it goes waits for this."""
        self.backlog_publisher.publish(UInt32(data=self.worker.backlog))

    def _diagnose(self) -> None:
        if self.worker.failure is not None:
            raise RuntimeError('the learner thread ended') from self.worker.failure
        backlog = self.worker.backlog
        if self.worker.not_saved:
            level, text = views.WARN, self.worker.not_saved
        elif backlog > LONG_BACKLOG:
            level, text = views.WARN, f'learning is {backlog} transitions behind'
            self.warn('backlog', f'{text}; nothing is lost')
        elif self.sequence.gaps:
            level, text = views.WARN, f'{self.sequence.missing} transitions missing'
        else:
            level, text = views.OK, 'learning'
        values = {
            **self.sequence.counts(),
            'refused': self.refused,
            'learned': self.worker.learned,
            'kept without an update': self.worker.skipped,
            'backlog': backlog,
            'weights version': self.worker.version,
            **self.worker.report,
        }
        self.publish_diagnostics('learning', self.parameters.task.name, level, text, values)
        counts = self.worker.learned, backlog, self.worker.version
        named = zip(('learned', 'backlog', 'weights_version'), counts, strict=True)
        self.figures.publish({**self.worker.report, **dict(named)})
