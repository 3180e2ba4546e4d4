# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a viewer shows: robot, world, plan and what it was compared with.

Everything is drawn by a timer, in the node's thread: planner and commands never wait for it.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from nav_msgs.msg import Path
from visualization_msgs.msg import MarkerArray

from loop_ros.agent import Agent
from loop_ros.control.gate import State
from loop_ros.control.supervisor import NAMES, PLAN, SHIFTED, Command
from loop_ros.nodes import markers, qos, views
from loop_ros.nodes.managed import ManagedNode
from loop_ros.outlook import OutlookView
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan

PERIOD = 0.1  # s between two pictures
LIFETIME = 1.0  # s that a plan is shown after its planner fell silent, or three control periods
FRESH = 1.0  # s for which an outlook is drawn


class Scene:
    """The last command in a picture; nothing is drawn that nobody watches.

    A level is told once to nobody, too: who comes later and asks for the last message gets it.
    """

    def __init__(self, node: ManagedNode, task: Task, frames: tuple[str, str]) -> None:
        """`frames` are those of the robot's pose and of the robot."""
        self._node, self._task = node, task
        self._frame = frames[1] if task.drawing.follows_robot else frames[0]
        self._lifetime = max(LIFETIME, 3 * task.control_period)
        self._flat = task.path is not None or task.drawing.follows_robot  # there is a plane

    def advertise(self, prefix: str) -> None:
        """Make the publishers, until the node is cleaned up."""
        self._observation: Array | None = None  # the newest
        self._newest: tuple[State, Command] | None = None
        self._drawn: tuple[State, Command] | None = None
        self._planned: list[tuple[Plan, Array]] = []  # the last two, with what they started from
        self._outlook: tuple[float, OutlookView] | None = None  # when it came
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
        """Called in the planner thread."""
        self._outlook = time.monotonic(), view

    def draw(self) -> None:
        """The newest command, unless it is drawn already."""
        newest, drawn = self._newest, self._drawn
        if newest is None or newest is drawn or self._observation is None or not self._flat:
            return
        state, command = newest
        if drawn is None or drawn[1].level != command.level or self._watched():
            self._drawn = newest
            self._draw(state, command)

    def _watched(self) -> bool:
        publishers = (self._path, self._plan, self._world, self._fan)
        return any(publisher.get_subscription_count() > 0 for publisher in publishers)

    def _draw(self, state: State, command: Command) -> None:
        where = markers.header(self._frame, state.stamp)
        plan = self._plan_poses(command)
        pose, around = self._robot()
        text = f'{NAMES[command.level]}: {command.reason}'
        if command.level == PLAN and command.plan is not None:
            text = f'd0 {command.plan.d0:g}, worst cost {command.plan.worst_cost:.2f}'
        from_robot = plan if len(plan) else pose[np.newaxis]
        path = views.path_to_msg(plan, self._frame, state.stamp, self._task.control_period)
        self._path.publish(path)
        self._plan.publish(markers.plan(where, from_robot, command.level, text, self._lifetime))
        self._world.publish(markers.world(where, self._task.drawing, pose, around, command.level))
        self._draw_fan(command)

    def _draw_fan(self, command: Command) -> None:
        """The newest outlook while its planner drives, and nothing of it elsewhere."""
        outlook, self._outlook = self._outlook, None
        where = markers.header(self._frame, self._node.now())
        if command.level not in (PLAN, SHIFTED):
            self._fan.publish(markers.no_candidates(where))
        elif outlook is not None and time.monotonic() - outlook[0] < FRESH:
            view = outlook[1]
            where = markers.header(self._frame, round(view.stamp * 1e9))
            self._fan.publish(markers.candidates(where, view, self._task, self._lifetime))

    def _plan_poses(self, command: Command) -> Array:
        """What is left of the plan that drives, as poses [n, 3]; none where none drives."""
        path, plan = self._task.path, command.plan
        started = [observation for each, observation in self._planned if each is plan]
        if path is None or plan is None or not plan.predicted or plan.diverged or not started:
            return np.zeros((0, 3))
        return path(started[0], plan.states)[command.row :]

    def _robot(self) -> tuple[Array, tuple[markers.Circle, ...]]:
        """Where it stands [3], and what it sees round it."""
        task, observation = self._task, self._observation
        if observation is None:
            return np.zeros(3), ()
        around = task.drawing.around
        seen = () if around is None else around(observation)
        if task.drawing.follows_robot or task.path is None:
            return np.zeros(3), seen
        state = task.encode(torch.as_tensor(observation)).numpy()
        return task.path(observation, state[np.newaxis])[0], seen
