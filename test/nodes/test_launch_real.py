# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch under the real ROS 2 launch system, by its own test tool."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import launch
import launch_pytest
import pytest
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.launch_description_sources import AnyLaunchDescriptionSource
from stack import environment, make_checkpoint, make_prefix

pytestmark = pytest.mark.slow
if pytest.version_tuple >= (8, 4):
    pytest.skip('launch_pytest of Jazzy needs pytest below 8.4', allow_module_level=True)

TEXT: list[str] = []
CODES: dict[str, int] = {}


@launch_pytest.fixture
def drift_car(tmp_path: Path, ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in environment(make_prefix(tmp_path / 'prefix')).items():
        monkeypatch.setenv(name, value)
    path = tmp_path / 'prefix/share/loop_ros/launch/drift_car.launch.py'
    arguments = {
        'checkpoint': str(make_checkpoint(tmp_path / 'c')),
        'speed': '0',
        'train': 'false',
        'profile': 'drift_car',
    }
    return launch.LaunchDescription(
        [
            RegisterEventHandler(
                OnProcessIO(on_stdout=lambda event: TEXT.append(event.text.decode()))
            ),
            RegisterEventHandler(
                OnProcessExit(
                    on_exit=lambda event, _: CODES.update({event.process_name: event.returncode})
                )
            ),
            IncludeLaunchDescription(
                AnyLaunchDescriptionSource(str(path)), launch_arguments=arguments.items()
            ),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=drift_car)
def test_drives_and_goes_down_cleanly(drift_car: Any, launch_context: Any) -> Any:
    end = time.monotonic() + 60
    while 'episode=0' not in ''.join(TEXT):
        assert time.monotonic() < end, ''.join(TEXT)
        time.sleep(0.1)
    yield
    assert 'summary: episodes=' in ''.join(TEXT)
    assert len(CODES) == 2 and set(CODES.values()) == {0}, CODES
