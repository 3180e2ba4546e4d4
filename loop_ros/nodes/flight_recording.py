# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flight recorder in ROS: its parameters, ~/snapshot, and what it knows of the node."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger as TriggerService

from loop_ros.agent import Agent
from loop_ros.control.flight_recorder import FlightRecorder, Trigger
from loop_ros.control.snapshot_thread import SnapshotThread
from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import declare
from loop_ros.settings import Settings

_PLAIN = bool | int | float | str


def _prepare() -> None:
    """Before anything drives: importing takes others' time, and files change under a node."""
    from loop_ros.snapshots import environment, files  # noqa: F401

    environment.here()


def default_folder() -> str:
    """A folder for the user's own state, by the XDG base directory specification."""
    state = os.environ.get('XDG_STATE_HOME') or '~/.local/state'
    return f'{state}/loop_ros/snapshots'


class FlightRecording:
    """A recorder, the thread that writes its snapshots, and ~/snapshot."""

    def __init__(
        self,
        node: ManagedNode,
        parameters: AgentParameters,
        wall_period: float,
        explore: bool,
        weights: Callable[[], bytes | None],
    ) -> None:
        """Declare the parameters; `weights` as FlightRecorder has it."""
        self._node, self._parameters, self._explore = node, parameters, explore
        self._settings: Settings | None = None
        folder = declare(
            node,
            'snapshots',
            default_folder(),
            'folder of the flight recorder: what the planner did in the last minute, written at '
            'stops, holds and the like (docs/recorder.md); empty: nothing is recorded',
        )
        kept = declare(
            node,
            'snapshots_kept',
            10,
            'snapshots that stay in the folder, beside those that were asked for',
            minimum=1,
            maximum=100_000,
        )
        self._thread = SnapshotThread(
            Path(folder).expanduser().absolute(),
            kept,
            self._write,
            node.get_logger().info,
            node.warn,
        )
        self._is_on = bool(folder)
        self.recorder = FlightRecorder(wall_period, weights, self._thread.trigger, self._is_on)
        node.create_service(TriggerService, '~/snapshot', self._on_snapshot)

    def start(self) -> None:
        """The node is configured."""
        if self._is_on:
            self._thread.start(_prepare)

    def stop(self) -> None:
        """The node is cleaned up: what waits is written."""
        self._thread.stop()

    def begin(self, agent: Agent) -> None:
        """An agent was made; called in the planner thread."""
        self._settings = agent.settings
        self.recorder.begin(agent)

    def metrics(self) -> dict[str, Any]:
        """For diagnostics."""
        if not self._is_on:
            return {'snapshots': 'off'}
        thread = self._thread
        return {
            'snapshots': thread.written,
            'snapshots left out': thread.suppressed,
            'snapshots not written': thread.failed,
        }

    def _write(self, folder: Path, triggers: list[Trigger], pause: Callable[[], None]) -> None:
        """Called in the snapshot thread."""
        from loop_ros.snapshots import files

        assert self._settings is not None
        parameters: dict[str, Any] = self._node.get_parameters_by_prefix('')
        values = {name: found.value for name, found in sorted(parameters.items())}
        facts = files.Facts(
            task=self._parameters.task,
            task_name=values['task'],
            node=self._node.get_fully_qualified_name(),
            parameters={
                name: value if isinstance(value, _PLAIN) else list(value or ())
                for name, value in values.items()
            },
            settings=self._settings,
            seed=self._parameters.seed,
            is_shadow=bool(values['shadow']),
            explore=self._explore,
            num_threads=self._parameters.num_threads,
        )
        files.write(folder, facts, self.recorder.recording(), triggers, pause)

    def _on_snapshot(
        self, request: TriggerService.Request, response: TriggerService.Response
    ) -> TriggerService.Response:
        """Answers with the folder, which is there when it is whole."""
        response.success = self._is_on and self._settings is not None
        response.message = 'nothing was recorded so far'
        if not self._is_on:
            response.message = 'off: the parameter snapshots names no folder'
        if response.success:
            response.message = str(self._thread.ask(self.recorder.ask()))
        return response
