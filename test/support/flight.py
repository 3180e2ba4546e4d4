# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A planner without ROS that drives the simulated car, with a flight recorder behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import supervised
import tiny
from stack import until

from loop_ros.agent import Agent
from loop_ros.control.flight_recorder import FlightRecorder, Trigger
from loop_ros.control.gate import Gate, State
from loop_ros.control.plan_worker import PlanWorker
from loop_ros.control.supervisor import Command
from loop_ros.control.trial import WeightsTrial
from loop_ros.sim import registry
from loop_ros.snapshots import files

PERIOD = supervised.PERIOD


class Flight:
    """As the node wires it, in lockstep."""

    def __init__(self, agent: Agent, explore: bool = False, trial_steps: int = 0) -> None:
        self.agent, self.explore = agent, explore
        self.triggers: list[Trigger] = []
        self.warnings: list[tuple[str, str]] = []
        self.commands: list[Command] = []
        self.trial = WeightsTrial(trial_steps, 2.0)
        self.recorder = FlightRecorder(1.0, lambda: self.trial.file, self.triggers.append)
        self.gate = Gate(supervised.supervisor(realtime=False), self._publish, trial_steps)
        self.worker = PlanWorker(
            self.gate,
            self.trial,
            lambda *warning: self.warnings.append(warning),
            explore,
            observers=[self.recorder.keep_plan],
        )
        self.env = registry.make('drift_car')
        self.observation, _ = self.env.reset(seed=0)
        self.stamp = PERIOD
        self.worker.start(self._make)
        self.gate.open()

    def _make(self) -> Agent:
        self.recorder.begin(self.agent)
        return self.agent

    def _publish(self, state: State, command: Command) -> None:
        self.commands.append(command)
        self.recorder.keep_command(state, command, self.gate.statistics.missed)

    def drive(self, steps: int) -> None:
        for _ in range(steps):
            count, self.stamp = len(self.commands), self.stamp + PERIOD
            state = self.gate.receive(self.stamp, self.observation)
            assert state is not None
            self.worker.plan(state)
            self.recorder.keep_state(state)
            until(lambda: len(self.commands) > count, 10, 'a command')  # noqa: B023
            self.observation = self.env.step(self.commands[-1].action)[0]

    def load(self, weights: bytes) -> None:
        """Have weights taken, or refused, after the next plan."""
        count, file = len(self.warnings), self.trial.file
        self.worker.load_weights(weights)
        self.drive(1)
        until(lambda: len(self.warnings) > count or self.trial.file is not file, 10, 'weights')

    def configure(self, **changes: Any) -> None:
        self.worker.configure(dataclasses.replace(self.agent.settings.planner, **changes))

    def write(self, folder: Path, triggers: Sequence[Trigger] = ()) -> Path:
        """End, and write a snapshot."""
        self.worker.stop()
        facts = files.Facts(
            task=tiny.TASK,
            task_name='drift_car',
            node='/red/planner',
            parameters={'distrust_band': 4.0},
            settings=self.agent.settings,
            seed=0,
            is_shadow=False,
            explore=self.explore,
            num_threads=1,
        )
        chosen = list(triggers) or self.triggers[:1] or [self.recorder.ask()]
        files.write(folder, facts, self.recorder.recording(), chosen)
        return folder


def write_stopped(folder: Path, steps: int, after: int) -> Path:
    """The snapshot of a car that an operator stopped, and of some states after it."""
    flight = Flight(tiny.trained())
    flight.drive(steps)
    flight.gate.stop('operator stop', flight.stamp)
    flight.drive(after)
    return flight.write(folder)


def versions(count: int) -> list[bytes]:
    """Files of weights, each of its own version and numbers."""
    found = []
    for version in range(2, 2 + count):
        agent = tiny.trained(seed=version)
        agent.version = version
        found.append(agent.weights())
    return found


def rewritten(folder: Path, name: str, row: int, value: Any) -> None:
    """Change a number of a snapshot's columns, digests included."""
    from loop_ros import checkpoint

    metadata = checkpoint.read_metadata(folder, checkpoint.SNAPSHOT_FILE)
    data = {key: checkpoint.read_file(folder, metadata, key) for key in metadata['files']}
    tensors, _ = checkpoint.unpack(data['ticks'], 'ticks')
    tensors[name].numpy()[row] = np.asarray(value)
    data['ticks'] = checkpoint.pack(tensors, {})
    rest = {key: value for key, value in metadata.items() if key not in ('format', 'files')}
    checkpoint.write(folder, data, rest, checkpoint.SNAPSHOT_FILE)
