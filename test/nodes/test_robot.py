# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot node, beside a robot that obeys it and a planner made of the test."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ears import Ears
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rover import PERIOD, TASK, robot_file
from rover_node import RATE, SAFE, Hosted, Rover
from sensor_msgs.msg import JointState
from stack import until
from std_msgs.msg import Bool
from std_srvs.srv import Empty, Trigger

from loop_ros.nodes import conversions, qos

pytestmark = pytest.mark.slow
AUTO = '{start: auto, settle: 0.2}'
Start = Callable[..., tuple[Rover, Hosted]]


@pytest.fixture
def start(ros_domain: int, tmp_path: Path) -> Iterator[Start]:
    """A robot and its node; sections of the robot file, and parameters of the node."""
    opened: list[Any] = []

    def make(
        parameters: dict[str, object] | None = None, rover: Rover | None = None, **file: str
    ) -> tuple[Rover, Hosted]:
        robot = rover or Rover()
        opened.append(robot)
        hosted = Hosted(robot_file(tmp_path, **file), **(parameters or {}))
        opened.append(hosted)
        hosted.start()
        return robot, hosted

    yield make
    for each in reversed(opened):
        each.close()


def newest(rover: Rover) -> tuple[float, float] | None:
    return rover.given[-1][1] if rover.given else None


def test_an_episode_of_a_robot(start: Start) -> None:
    """Waits, drives, ends, rests, and waits again; what it says of it is what the robot did."""
    rover, _ = start()
    until(lambda: len(rover.given) > 20, 10, 'commands before an episode')
    assert {given for _, given in rover.given} == {SAFE} and not rover.states
    until(lambda: rover.status()['message'] == 'waiting', 5, 'all inputs, a latched goal too')
    turns = iter(range(10_000))
    rover.plan = lambda: (0.4, math.sin(next(turns)))
    begun = time.monotonic()
    assert rover.trigger('start_episode')
    assert not rover.trigger('start_episode')
    until(lambda: any(t.truncated for t in rover.transitions), 15, 'the end of an episode')
    driven = time.monotonic() - begun
    until(lambda: newest(rover) == SAFE, 2, 'the safe command')
    assert rover.status()['phase'] in ('settling', 'waiting')
    stamps = [conversions.time_from_msg(message.header.stamp) for message in rover.states]
    assert all(a < b for a, b in zip(stamps, stamps[1:], strict=False))
    assert set(conversions.time_from_msg(m.header.stamp) for m in rover.executed) <= set(stamps)
    sent = sum(at > begun for at, _ in rover.given)
    assert sent > 1.5 * driven / PERIOD  # at its own rate, not at the planner's
    count = len(rover.states)
    until(lambda: rover.status()['phase'] == 'waiting', 5, 'the next episode')
    assert len(rover.states) == count
    assert rover.trigger('start_episode')
    until(lambda: len(rover.states) > count + 3, 5, 'states of the next episode')
    assert rover.trigger('end_episode')
    until(lambda: rover.transitions[-1].truncated, 5, 'its end')
    last = rover.transitions[-1]
    assert last.step < TASK.max_episode_steps - 1
    assert not rover.trigger('end_episode')
    rover.assert_true()


def test_a_goal_that_is_reached_ends_an_episode(start: Start) -> None:
    rover, _ = start(episode='{start: auto, settle: 0.3}')
    until(lambda: len(rover.transitions) > 2, 10, 'transitions')
    rover.plan = lambda: (0.5, 0.0)
    rover.send_goal(rover.pose[0] + 0.3)
    until(lambda: any(t.terminated for t in rover.transitions), 10, 'termination')
    until(lambda: newest(rover) == SAFE, 1, 'the safe command')
    rover.send_goal(30.0)
    ended = next(t.episode for t in rover.transitions if t.terminated)
    until(lambda: rover.transitions[-1].episode > ended, 10, 'another episode')


def test_a_takeover_wins_is_executed_and_gives_back(start: Start) -> None:
    rover, _ = start(episode=AUTO)
    until(lambda: rover.transitions and rover.transitions[-1].step == 1, 10, 'transitions')
    assert [message.data for message in rover.takeover] == [False]
    rover.hand = lambda: (-0.3, 0.8, True)
    taken, count = time.monotonic(), len(rover.said())
    until(lambda: newest(rover) == pytest.approx((-0.3, 0.8)), 2, 'the human drives')
    assert time.monotonic() - taken < 0.2
    until(lambda: len(rover.said()) > count + 3, 5, 'executed actions')
    np.testing.assert_allclose(rover.said()[-1], [-0.3, 0.8], atol=1e-6)
    np.testing.assert_allclose(rover.transitions[-1].action, [-0.3, 0.8], atol=1e-6)
    assert rover.takeover[-1].data
    released = len(rover.given)
    rover.hand = lambda: (-0.3, 0.8, False)
    until(lambda: newest(rover) == (0.4, 0.2), 3, 'the planner drives again')
    speeds = np.array([given[0] for _, given in rover.given[released:]])
    assert len(speeds) > 10 and np.abs(np.diff(speeds)).max() < 0.2  # of 0.7 in all
    assert not rover.takeover[-1].data
    rover.assert_true()


def test_who_drives_is_known_to_who_comes_late(start: Start) -> None:
    rover, _ = start()
    rover.hand = lambda: (0.5, 0.0, True)
    until(lambda: newest(rover) == (0.5, 0.0), 10, 'a human drives between episodes, too')
    late = Ears('late')
    heard = late.hear(Bool, 'takeover', qos.STATUS)
    until(lambda: heard and heard[-1].data, 5, 'the flag')
    late.close()
    until(lambda: rover.status()['human drives'] == 'true', 5, 'it in the diagnostics')
    rover.hand = None
    until(lambda: newest(rover) == SAFE, 3, 'the safe command, for the joystick is lost')
    until(lambda: 'joystick' in rover.status()['message'], 5, 'it in the diagnostics')


def spoil_frame(message: Odometry) -> None:
    message.header.frame_id = 'map'


def spoil_number(message: Odometry) -> None:
    message.pose.pose.position.x = math.nan


def test_faults_of_an_input_make_nothing_false(start: Start) -> None:
    rover, _ = start(episode=AUTO)
    good = rover.change
    for fault, said in (
        (None, "'odom' on /odom is .* s old"),
        (spoil_frame, "frame is 'map', not 'odom'"),
        (spoil_number, "x of 'odom': nan"),
    ):
        count = len(rover.transitions)
        until(lambda: len(rover.transitions) > count + 1, 10, 'transitions')  # noqa: B023
        rover.silent, rover.change = fault is None, fault or good
        until(lambda: newest(rover) == SAFE, 3, 'the safe command')
        time.sleep(0.2)
        count, episode = len(rover.transitions), rover.transitions[-1].episode
        status = rover.status()
        assert status['ros'] == b'\x02' and re.search(said, status['message']), status
        assert len(rover.transitions) == count
        rover.silent, rover.change = False, good
        until(lambda: rover.transitions[-1].episode > episode, 10, 'another')  # noqa: B023
    until(lambda: rover.status()['ros'] == b'\x00', 5, 'all is well')
    # What was heard last before a silence may be younger than a period.
    rover.assert_true(least=0.0)


def test_stamps_of_the_robot_do_not_matter(start: Start) -> None:
    """Ages count from receipt: clocks that jump, stand still or differ make no gap."""
    rover, _ = start(episode=AUTO)
    stamps = iter([0, 5, 5, -1_000, 2_000_000_000, 1] * 1000)

    def jump(message: Odometry) -> None:
        message.header.stamp.sec = next(stamps)

    rover.change = jump
    until(lambda: len(rover.transitions) > 7, 10, 'transitions')
    rover.assert_true()


def test_a_silent_planner_and_one_that_talks_nonsense(start: Start) -> None:
    rover, _ = start({'command_timeout': 0.3}, episode=AUTO)
    until(lambda: newest(rover) == (0.4, 0.2), 10, 'the planner drives')
    rover.plan = lambda: (math.nan, 0.0)
    quiet = time.monotonic()
    until(lambda: newest(rover) == SAFE, 3, 'the safe command')
    assert 0.15 < time.monotonic() - quiet < 1.0
    status = rover.status()
    assert status['message'] == 'no command of the planner' and int(status['refused commands']) > 0
    rover.plan = lambda: (9.0, -9.0)
    until(lambda: newest(rover) == (1.0, -2.0), 3, 'the limits')
    rover.assert_true()


def test_a_service_begins_episodes(start: Start, ros_domain: int) -> None:
    rover, answers = Rover(), iter([False, True, True, True])

    def reset(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = next(answers), 'blocked'
        return response

    rover.create_service(Trigger, '/reset', reset)
    start(rover=rover, episode='{start: service, service: /reset, settle: 0.2}')
    until(lambda: rover.status()['phase'] == 'waiting', 10, 'an operator is asked')
    assert rover.trigger('start_episode')
    until(lambda: len(rover.transitions) > 1, 5, 'transitions')
    rover.trigger('end_episode')
    until(lambda: rover.transitions[-1].episode == 1, 5, 'the service is called')


def test_a_service_without_an_answer_of_its_own(start: Start, ros_domain: int) -> None:
    rover = Rover()
    rover.create_service(Empty, '/reset', lambda request, response: response)
    rules = '{start: service, service: /reset, service_type: std_srvs/srv/Empty}'
    start(rover=rover, episode=rules)
    until(lambda: len(rover.transitions) > 1, 10, 'transitions')


def test_everything_that_is_missing_is_said_at_once(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody publishes one, another has another type, a third has another frame."""
    rover = Rover()
    rover.change = spoil_frame
    _, hosted = start(
        rover=rover,
        inputs='\n  odom: {topic: /odom, type: nav_msgs/msg/Odometry, frame: odom}\n'
        '  goal: {topic: /goal_pose, type: nav_msgs/msg/Odometry}\n'
        '  scan: {topic: /nowhere, type: sensor_msgs/msg/LaserScan}',
        episode=AUTO,
    )
    heard: list[str] = []

    def warned() -> bool:
        heard.append(capfd.readouterr().err)
        return 'no observation:' in ''.join(heard)

    until(warned, 10, 'a warning')
    said = ''.join(heard).partition('no observation:')[2]
    path = hosted.node.robot.path
    assert 'nobody publishes /nowhere' in said
    assert '/goal_pose is published as geometry_msgs/msg/PoseStamped, not nav_msgs' in said
    assert f"{path}:3: 'odom' on /odom: frame is 'map', not 'odom'" in said
    assert not rover.states


def test_deactivation_leaves_the_safe_command(start: Start) -> None:
    stamped = (
        '{topic: /cmd_vel, type: geometry_msgs/msg/TwistStamped, frame: base_link, rate: 20, '
        'fields: {speed: {field: twist.linear.x}, turn: {field: twist.angular.z}}}'
    )
    rover, hosted = start(rover=Rover(TwistStamped), command=stamped, episode=AUTO)
    until(lambda: newest(rover) == (0.4, 0.2), 10, 'the planner drives')
    assert rover.messages[-1].header.frame_id == 'base_link'
    hosted._stop.set()
    hosted._thread.join()
    hosted.node.trigger_deactivate()
    until(lambda: newest(rover) == SAFE, 3, 'the safe command')
    count = len(rover.given)
    time.sleep(0.2)
    assert len(rover.given) == count
    stamps = [conversions.time_from_msg(message.header.stamp) for message in rover.messages]
    assert stamps == sorted(stamps)


def test_a_shadow_repeats_what_another_controller_does(start: Start) -> None:
    rover = Rover(drives=False, answers=False)
    driver = rover.create_publisher(Twist, '/cmd_vel', 10)

    def drive() -> None:
        message = Twist()
        message.linear.x, message.angular.z = 0.3, -0.5
        driver.publish(message)
        rover.obey(0.3, -0.5)

    rover.create_timer(1 / RATE, drive)
    heard = rover.hear(JointState, 'command', qos.COMMAND)
    start({'shadow': True}, rover=rover)
    until(lambda: len(rover.transitions) > 5, 10, 'transitions')
    np.testing.assert_allclose(rover.transitions[-1].action, [0.3, -0.5])
    action = conversions.command_from_msg(heard[-1], TASK)
    np.testing.assert_allclose(action, [0.3, -0.5])
    stamps = {conversions.time_from_msg(message.header.stamp) for message in rover.states}
    assert conversions.time_from_msg(heard[-1].header.stamp) in stamps
    assert rover.count_publishers('/cmd_vel') == 1
