# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS in the loop changes nothing: nodes in lockstep act as the plain loop does.

By the settings of the checkpoint, which are not those of any profile.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ears import Ears
from stack import Process, make_checkpoint, node_command, until
from std_msgs.msg import Float64MultiArray

from loop_ros.agent import Agent
from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry

pytestmark = pytest.mark.slow
SEED = 5
STEPS = 200  # two episodes
OWN = {'algorithm': 'arc', 'horizon': 4, 'pessimism': 5.0, 'num_iterations': 1, 'd0': 0.7}


def headless(checkpoint: Path) -> tuple[np.ndarray, np.ndarray]:
    """Actions and next observations of two episodes without ROS."""
    task, env = registry.task('drift_car'), registry.make('drift_car')
    agent = Agent.load(checkpoint, task, 'cpu', SEED)
    actions, observations = [], []
    for episode in range(2):
        observation, _ = env.reset(seed=SEED + episode)
        agent.reset()
        ended = False
        while not ended:
            actions.append(agent.act(observation).action)
            observation, _, terminated, truncated, _ = env.step(actions[-1])
            observations.append(observation)
            ended = terminated or truncated
    return np.array(actions), np.array(observations)


def test_lockstep_equals_headless(ros_domain: int, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / 'c', **OWN)
    ears = Ears()
    heard = ears.hear(Float64MultiArray, 'transition', qos.TRANSITION)
    processes = [
        Process(node_command('planner', checkpoint=checkpoint, seed=SEED), tmp_path / 'planner'),
        Process(
            node_command('bridge', seed=SEED, speed=0, transition_listeners=1), tmp_path / 'bridge'
        ),
    ]
    try:
        until(lambda: len(heard) >= STEPS, 60, f'{STEPS} transitions')
        assert [process.interrupt() for process in processes] == [0, 0]
    finally:
        ears.close()
        for process in processes:
            process.kill()
    assert 'algorithm arc ignores d0' in processes[0].output
    assert "other than the checkpoint's settings" not in processes[0].output
    task = registry.task('drift_car')
    run = [conversions.transition_from_msg(message, task) for message in heard[:STEPS]]
    assert [(t.episode, t.step) for t in run] == [(i // 100, i % 100) for i in range(STEPS)]
    torch.set_num_threads(1)
    actions, observations = headless(checkpoint)
    np.testing.assert_array_equal(np.array([t.action for t in run]), actions)
    np.testing.assert_array_equal(np.array([t.next_observation for t in run]), observations)
