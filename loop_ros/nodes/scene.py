# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a viewer shows: robot, world, plan and what it was compared with.

Everything is drawn by a timer, in the node's thread: planner and commands never wait for it.
"""

from __future__ import annotations

import time

import numpy as np
from nav_msgs.msg import Path
from rclpy.publisher import Publisher
from visualization_msgs.msg import MarkerArray

from loop_ros.agent import Agent
from loop_ros.control.gate import State
from loop_ros.control.supervisor import NAMES, PLAN, SHIFTED, Command
from loop_ros.nodes import markers, qos, views
from loop_ros.nodes.managed import ManagedNode
from loop_ros.outlook import OutlookView
from loop_ros.sim.drawing import Circle
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan

PERIOD = 0.1  # s between two pictures
LIFETIME = 1.0  # s that a plan is shown after its planner fell silent, or three control periods
POSE = ('x', 'y', 'yaw')  # where a task observes it
FRESH = 0.5  # s for which the next outlook is waited for
Moment = tuple[State, Command]
Seen = tuple[float, OutlookView, Moment]  # when it came, and the command of the same state


class Scene:
    """The last command in a picture; nothing is drawn that nobody watches.

    A level is told once to nobody, too: who comes later and asks for the last message gets it.
    """

    def __init__(self, node: ManagedNode, task: Task, frames: tuple[str, str]) -> None:
        """`frames` are those of the robot's pose and of the robot."""
        self._node, self._task = node, task
        self._frame = frames[1] if task.drawing.follows_robot else frames[0]
        self._lifetime = max(LIFETIME, 3 * task.control_period)
        labels = task.observation_labels
        self._pose = [labels.index(n) for n in POSE] if set(POSE) <= set(labels) else []
        # Whether there is a plane.
        self._flat = bool(self._pose) or task.draws_plane

    def advertise(self, prefix: str) -> None:
        """Make the publishers, until the node is cleaned up."""
        self._observation: Array | None = None  # the newest
        self._newest: Moment | None = None
        self._drawn: Moment | None = None
        self._planned: list[tuple[Plan, Array]] = []  # the last two, with what they started from
        self._seen: Seen | None = None
        self._num_around = 0  # most circles round the robot so far
        advertise = self._node.advertise
        self._path = advertise(Path, f'{prefix}plan', qos.VIEW)
        self._plan = advertise(MarkerArray, f'{prefix}plan_markers', qos.VIEW)
        self._world = advertise(MarkerArray, f'{prefix}world_markers', qos.VIEW)
        self._fan = advertise(MarkerArray, f'{prefix}candidate_markers', qos.VIEW)

    def keep_command(self, state: State, command: Command) -> None:
        """Called with each command."""
        self._newest = state, command
        if state.observation is not None:
            self._observation = state.observation

    def keep_plan(self, agent: Agent, state: State, plan: Plan) -> None:
        """An observer of plans, in the planner thread."""
        assert state.observation is not None
        self._planned = [*self._planned[-1:], (plan, state.observation)]

    def keep_outlook(self, view: OutlookView) -> None:
        """Called in the planner thread, after the command of the same state."""
        newest = self._newest
        if newest is not None and newest[0].stamp / 1e9 == view.stamp:
            self._seen = time.monotonic(), view, newest

    def shows_candidates(self) -> bool:
        """Whether somebody looks at them."""
        return self._watched(self._fan)

    def draw(self) -> None:
        """The newest command, unless it is drawn already; a robot never stops over its picture."""
        try:
            self._draw_if_new()
        except Exception as error:  # `path` and `around` are someone else's code
            self._node.warn('scene', f'no picture: {type(error).__name__}: {error}')

    def _draw_if_new(self) -> None:
        """While outlooks are watched, only what has one: a picture is of one moment."""
        newest, drawn, seen = self._newest, self._drawn, self._seen
        if newest is None or newest is drawn or self._observation is None or not self._flat:
            return
        level = newest[1].level
        if drawn is None or drawn[1].level != level:
            self._draw(newest, None)
        elif level == PLAN and self.shows_candidates() and seen is not None and _is_fresh(seen):
            if seen[2] is not drawn:
                self._draw(seen[2], seen[1])
        elif self._watched(self._path, self._plan, self._world, self._fan):
            self._draw(newest, None)

    def _watched(self, *publishers: Publisher) -> bool:
        return any(publisher.get_subscription_count() > 0 for publisher in publishers)

    def _draw(self, moment: Moment, view: OutlookView | None) -> None:
        (state, command), self._drawn = moment, moment
        observation = self._observation if state.observation is None else state.observation
        assert observation is not None  # one came before anything is drawn
        task, level = self._task, command.level
        where = markers.header(self._frame, state.stamp)
        plan, (pose, around) = self._plan_poses(state, command), self._robot(observation)
        text = f'{NAMES[level]}: {command.reason}'
        if level == PLAN and command.plan is not None:
            text = f'd0 {command.plan.d0:g}, worst cost {command.plan.worst_cost:.2f}'
        self._path.publish(views.path_to_msg(plan, self._frame, state.stamp, task.control_period))
        self._plan.publish(markers.plan(where, plan, pose, level, text, self._lifetime))
        self._world.publish(
            markers.world(where, task.drawing, pose, around, level, self._num_around)
        )
        self._num_around = max(self._num_around, len(around))
        if view is None or view.poses.shape[1] < 2:
            self._fan.publish(markers.no_candidates(where))
        else:
            self._fan.publish(markers.candidates(where, view, task, self._lifetime))

    def _plan_poses(self, state: State, command: Command) -> Array:
        """What is left of the plan that drives, as poses [n, 3]; none where none drives."""
        path, plan = self._task.path, command.plan
        start = state.observation
        if command.level == SHIFTED:
            start = next((o for each, o in self._planned if each is plan), None)
        if path is None or plan is None or not plan.predicted or plan.diverged or start is None:
            return np.zeros((0, 3))
        return path(start, plan.states)[command.row :]

    def _robot(self, observation: Array) -> tuple[Array, tuple[Circle, ...]]:
        """Where it stands [3], and what it sees round it."""
        task = self._task
        seen = () if task.drawing.around is None else task.drawing.around(observation)
        if task.drawing.follows_robot:
            return np.zeros(3), seen
        if self._pose or task.path is None:
            return observation[self._pose], seen
        return task.drawn_pose(observation), seen


def _is_fresh(seen: Seen) -> bool:
    return time.monotonic() - seen[0] < FRESH and seen[2][1].level == PLAN
