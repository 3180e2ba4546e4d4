# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch of a viewer: with an rviz2 that only says what it was told, and without one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from stack import ROS2, Process, both_ros2, environment, make_prefix

pytestmark = pytest.mark.slow


@both_ros2
def test_rviz_is_told_frame_configuration_and_namespace(world: str, tmp_path: Path) -> None:
    env = environment(make_prefix(tmp_path / 'prefix'))
    (tmp_path / 'bin').mkdir()
    fake = tmp_path / 'bin/rviz2'
    fake.write_text('#!/bin/sh\necho "told: $*"\n')
    fake.chmod(0o755)
    env['PATH'] = f'{fake.parent}:{env["PATH"]}'
    command = [*ROS2[world], 'launch', 'loop_ros', 'view.launch.py', 'namespace:=red']
    process = Process([*command, 'frame:=base_link'], tmp_path / 'log', env=env)
    try:
        assert process.wait() == 0
        (told,) = [line for line in process.output.splitlines() if 'told: ' in line]
        words = told.partition('told: ')[2].split()
        assert words[words.index('-f') + 1] == 'base_link'
        assert 'visualization' in str(list(yaml.safe_load(Path(words[1]).read_text()))).lower()
        for topic in ('plan', 'plan_markers', 'world_markers', 'candidate_markers', 'tf', 'clock'):
            assert f'/{topic}:=/red/{topic}' in words
    finally:
        process.kill()


@pytest.mark.skipif(shutil.which('rviz2') is not None, reason='rviz2 is installed')
@both_ros2
def test_without_rviz_it_says_what_to_do(world: str, tmp_path: Path) -> None:
    env = environment(make_prefix(tmp_path / 'prefix')) | {'ROS_DISTRO': 'jazzy'}
    command = [*ROS2[world], 'launch', 'loop_ros', 'view.launch.py']
    process = Process(command, tmp_path / 'log', env={**os.environ, **env})
    try:
        process.wait()
        assert 'sudo apt install ros-jazzy-rviz2' in process.output
        assert 'docs/view.md' in process.output
    finally:
        process.kill()
