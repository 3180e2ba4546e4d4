# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros film: a moving picture of a robot, its plan and what it was compared with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon
from PIL import Image

from loop_ros.agent import Agent
from loop_ros.cli import plots
from loop_ros.outlook import outlook
from loop_ros.progress import track
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan

KINDS = ('.gif', '.webp')
SIZE, DPI = 4.2, 100  # inches, dots an inch
CANDIDATES = 24  # sequences of the fan
TRAIL = 60  # steps of the driven line
SAFE, UNSAFE, PLANNED = '#2ca25f', '#d7301f', '#08519c'


def make(
    agent: Agent, thresholds: list[float], episodes: int, seed: int, every: int, path: Path
) -> None:
    """Drive episodes, the d0 changing one after the other, and write every so many steps.

    ValueError for a task without a view from above, or a file of another kind.
    """
    task = agent.task
    check_path(task)
    if path.suffix not in KINDS:
        raise ValueError(f'--out {path}: write a file that ends in {" or ".join(KINDS)}')
    stage, frames = _Stage(task), []
    for step, observation, plan in _drive(agent, thresholds, episodes, seed):
        stage.move(step, observation)
        if step % every == 0:
            frames.append(stage.draw(agent, observation, plan))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.gif':  # 64 colours that all frames share, so that nothing flickers
        palette = frames[len(frames) // 2].quantize(64)
        frames = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    milliseconds = round(1e3 * task.control_period * every)
    rest = frames[1:]
    frames[0].save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)


def check_path(task: Task) -> None:
    """ValueError for a task that draws no path on a plane."""
    if task.path is None:
        raise ValueError(f"task '{task.name}' has no path, so that there is nothing to draw")


def lines_of(task: Task, observation: Array, states: Iterable[Array]) -> list[Array]:
    """x, y [H+1, 2] (m) of predicted states [H+1, S] each, from an observation [O]."""
    assert task.path is not None
    return [task.path(observation, each)[:, :2] for each in states]


def _drive(
    agent: Agent, thresholds: list[float], episodes: int, seed: int
) -> Iterator[tuple[int, Array, Plan]]:
    """Step, observation and plan of each step; the thresholds share the time evenly."""
    env, steps = agent.task.make(), agent.task.max_episode_steps
    total = episodes * steps
    for episode in track(range(episodes), 'film'):
        observation, _ = env.reset(seed=seed + episode)
        agent.reset()
        for step in range(steps):
            part = (episode * steps + step) * len(thresholds) // total
            agent.configure(dataclasses.replace(agent.settings.planner, d0=thresholds[part]))
            plan = agent.act(observation)
            yield step, observation, plan
            observation, _, terminated, truncated, _ = env.step(plan.action)
            if terminated or truncated:
                break


class _Stage:
    """One figure, whose lines move."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.figure, self.axes = plt.subplots(figsize=(SIZE, SIZE), dpi=DPI)
        self.axes.set_position((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_aspect('equal')
        plots.draw_circles(self.axes, task, color='0.75', linewidth=5, alpha=0.6)
        circles = task.drawing.circles
        self.reach = max([1.25 * (abs(c.x) + abs(c.y) + c.radius) for c in circles], default=0.0)
        self.fan = LineCollection([], linewidths=0.8)
        self.axes.add_collection(self.fan)
        (self.trail,) = self.axes.plot([], [], color='0.25', linewidth=1.2)
        (self.plan,) = self.axes.plot([], [], color=PLANNED, linewidth=2.5)
        self.body = Polygon(np.zeros((4, 2)), color='0.1')
        self.axes.add_patch(self.body)
        self.text = self.axes.text(0.03, 0.97, '', transform=self.axes.transAxes, va='top', size=11)
        self.driven: list[Array] = []

    def move(self, step: int, observation: Array) -> None:
        """Where the robot is in a step of an episode."""
        driven = self.driven[-TRAIL:] if step else []
        self.driven = [*driven, self.task.drawn_pose(observation)]

    def draw(self, agent: Agent, observation: Array, plan: Plan) -> Image.Image:
        """The frame of one step."""
        self.trail.set_data(*np.array(self.driven)[:, :2].T)
        self.plan.set_data(*lines_of(self.task, observation, [plan.states])[0].T)
        found = outlook(agent, candidates=CANDIDATES)
        if found is not None:
            safe = found.candidates.costs <= plan.d0
            self.fan.set_segments(lines_of(self.task, observation, found.candidates.states))
            self.fan.set_color([SAFE if each else UNSAFE for each in safe])
            self.fan.set_alpha(0.5)
        self._place(self.driven[-1])
        metrics = self.task.metrics(observation).items()
        units = {curve.metric: f' {curve.unit}' for curve in self.task.drawing.curves}
        said = [f'{name} {value:.2f}{units.get(name, "")}' for name, value in metrics]
        said.insert(0, f'd0 = {plan.d0:g}')
        self.text.set_text('\n'.join(said))
        self.figure.canvas.draw()
        width, height = self.figure.canvas.get_width_height()
        pixels: Any = self.figure.canvas
        return Image.frombuffer('RGBA', (width, height), pixels.buffer_rgba()).convert('RGB')

    def _place(self, pose: Array) -> None:
        """The robot's body, and the part of the world that is seen."""
        x, y, yaw = pose.tolist()
        length, width = self.task.drawing.robot
        corners = np.array([[0.5, 0.0], [0.2, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.2, -0.5]])
        turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
        self.body.set_xy(corners * (length, width) @ turn + (x, y))
        middle = (0.0, 0.0) if self.reach else (x, y)
        reach = self.reach or 3.0
        self.axes.set_xlim(middle[0] - reach, middle[0] + reach)
        self.axes.set_ylim(middle[1] - reach, middle[1] + reach)
