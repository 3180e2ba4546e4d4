# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator without ROS keeps the promises of the task."""

import pytest

pytest.importorskip('irsim')

from diff_drive_lidar.task import TASK  # noqa: E402


def test_a_seed_repeats_an_episode_that_is_cut_in_time():
    def drive(environment):
        observation, _ = environment.reset(seed=3)
        trace, ended = [observation.tolist()], False
        while not ended:
            observation, *_, terminated, truncated, info = environment.step(TASK.action_high)
            trace.append([*observation.tolist(), info['cost']])
            ended = terminated or truncated
        return trace

    trace = drive(TASK.make())
    assert 2 < len(trace) <= TASK.max_episode_steps + 1
    assert len(trace[0]) == len(TASK.observation_labels)
    assert drive(TASK.make()) == trace
