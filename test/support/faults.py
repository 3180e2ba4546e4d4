# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: a stack whose processes may die, and what must hold then."""

from __future__ import annotations

import signal
from itertools import groupby
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from stack import Process, node_command, until
from std_msgs.msg import Float64MultiArray

from loop_ros.agent import Agent
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.learning.transitions import as_batch
from loop_ros.nodes import conversions, qos
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.types import Transition

CAR = registry.task('drift_car')
# Small networks and few updates, for the processor is shared; but for a training of the ensemble
# that takes a moment, so that a kill can come in it.
PROFILE = """
planner: {num_samples: 16, num_iterations: 1, min_safe: 1}
ensemble:
  {num_layers: 1, width: 16, train_every: 100, max_epochs: 1000, max_updates: 600, patience: 1000}
off_policy: {width: 16, batch_size: 16, update_every: 20}
learning: {random_steps: 50}
"""


def write_profile(folder: Path, task: Task = CAR) -> tuple[Path, Path]:
    """The profile and a checkpoint of an agent of its sizes, untrained, that plans nevertheless."""
    profile = folder / 'small.yaml'
    profile.write_text(PROFILE)
    agent = Agent(task, Settings.load(str(profile)))
    agent.version = 1
    agent.save(folder / 'start')
    return profile, folder / 'start'


class Stack:
    """Bridge, planner and learner as processes, and a witness of all that they say.

    The bridge runs by the clock on the wall, so that it drives on without commands.
    """

    def __init__(self, folder: Path, kept: Path | None = None, listeners: int = 2) -> None:
        """The learner saves into `kept`; the first step waits for so many listeners."""
        profile, start = write_profile(folder)
        self.folder, self.kept = folder, kept or folder / 'kept'
        common = {'profile': profile, 'checkpoint': start}
        self.commands_of = {
            'bridge': node_command('bridge', step_mode='realtime', transition_listeners=listeners),
            'planner': node_command(
                'planner',
                step_mode='realtime',
                training=True,
                use_sim_time=True,
                trial_steps=0,  # weights are taken untried: whether they are good is no matter here
                **common,
            ),
            'learner': node_command(
                'learner',
                checkpoint_dir=self.kept,
                save_period=0.3,
                publish_period=1.0,
                nice=0,
                use_sim_time=True,
                **common,
            ),
        }
        self.processes: dict[str, Process] = {}
        self.logs = 0
        self.witness = Ears('witness')
        self.transitions = self.witness.hear(Float64MultiArray, 'transition', qos.TRANSITION)
        self.commands = self.witness.hear(JointState, 'command', QoSProfile(depth=1000))
        self.telemetry = self.witness.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
        self.diagnostics = self.witness.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)

    def start(self, *names: str) -> None:
        """Start nodes, again with the same arguments."""
        for name in names:
            self.logs += 1
            log = self.folder / f'{self.logs}_{name}.log'
            self.processes[name] = Process(self.commands_of[name], log)

    def kill(self, *names: str) -> None:
        """SIGKILL: no handler runs, nothing is said."""
        for name in names:
            self.processes[name].popen.send_signal(signal.SIGKILL)
        for name in names:
            self.processes[name].popen.wait()

    def status(self, name: str) -> dict[str, str]:
        """The next diagnostics of a node."""
        count = len(self.diagnostics)

        def said() -> dict[str, str]:
            for message in self.diagnostics[count:]:
                (status,) = message.status
                if status.name.startswith(f'/{name}:'):
                    values = {pair.key: pair.value for pair in status.values}
                    return {'message': status.message, **values}
            assert self.processes[name].popen.poll() is None, self.processes[name].output
            return {}

        return until(said, 30, f'diagnostics of {name}')

    def drives(self, steps: int = 20) -> None:
        """Wait for so many further transitions with plans among the commands."""
        transitions, telemetry = len(self.transitions), len(self.telemetry)

        def driven() -> bool:
            levels = [
                conversions.telemetry_from_msg(m)['level'] for m in self.telemetry[telemetry:]
            ]
            return len(self.transitions) >= transitions + steps and 0 in levels

        until(driven, 60, f'{steps} further steps, planned')

    def assert_stored(self, since: int = 0, unheard: int = 0) -> list[int]:
        """Hold the learner's checkpoint against what the witness heard.

        What is stored was sent, whole, in this order and once, but for so many transitions that
        only the learner heard. Returns the lengths of the runs of transitions, from number `since`
        on, that are not stored; the newest one is.
        """
        newest = as_stored(self.heard()[-1:])
        found = until(lambda: match(stored(self.kept), newest), 60, 'the newest one in a save')
        rows = as_stored(self.heard())
        places, strange, place = set(), 0, 0
        for row in found:
            if row in rows[place:]:
                place = rows.index(row, place) + 1
                places.add(place - 1)
            else:
                strange += 1
        assert strange <= unheard, f'{strange} of {len(found)} were not sent so'
        present = [place in places for place in range(since, max(places) + 1)]
        return [len(list(run)) for is_there, run in groupby(present) if not is_there]

    def heard(self) -> list[Transition]:
        """All transitions."""
        return [conversions.transition_from_msg(m, CAR) for m in list(self.transitions)]

    def assert_safe(self) -> None:
        """Every command that anybody heard is finite and within the limits."""
        assert self.commands
        assert_safe(self.commands)
        assert_within(np.array([transition.action for transition in self.heard()]))

    def close(self) -> None:
        self.witness.close()
        for process in self.processes.values():
            process.kill()


def assert_safe(commands: list[JointState]) -> None:
    """Every command is finite and within the limits of the car."""
    assert_within(np.array([conversions.command_from_msg(m, CAR) for m in list(commands)]))


def assert_within(actions: np.ndarray) -> None:
    assert np.isfinite(actions).all()
    assert (np.array(CAR.action_low) <= actions).all() and (actions <= CAR.action_high).all()


def match(found: list[bytes], newest: list[bytes]) -> list[bytes]:
    """What was found, if the newest is in it."""
    return found if newest[0] in found else []


def stored(folder: Path) -> list[bytes]:
    """The rows of the replay buffer in a checkpoint, which must load."""
    if not (folder / 'agent.json').is_file():
        return []
    agent = until(lambda: load(folder), 5, 'a checkpoint that loads')
    return [row.tobytes() for row in agent.learner.buffer.tensors()['rows'].numpy()]


def load(folder: Path) -> Agent | None:
    """The checkpoint; None where the learner replaced it meanwhile."""
    before = (folder / 'agent.json').read_bytes()
    try:
        return Agent.load(folder, CAR)
    except ValueError:
        if (folder / 'agent.json').read_bytes() == before:
            raise
        return None


def as_stored(transitions: list[Transition]) -> list[bytes]:
    """What the replay buffer makes of transitions."""
    buffer = ReplayBuffer(len(transitions), CAR.state_dim, len(CAR.action_labels))
    for transition in transitions:
        buffer.add(as_batch(transition, CAR))
    return [row.tobytes() for row in buffer.tensors()['rows'].numpy()]


def resident(process: Process) -> int:
    """Bytes of memory that a process has to itself."""
    text = Path(f'/proc/{process.popen.pid}/smaps_rollup').read_text()
    return sum(
        int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith('Private_')
    )
