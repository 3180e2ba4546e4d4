# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros anatomy: one plan taken apart, iteration by iteration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from loop_ros.agent import Agent
from loop_ros.cli import plots
from loop_ros.cli.film import PLANNED, SAFE, UNSAFE, check_path, lines_of
from loop_ros.outlook import outlook
from loop_ros.planning import weighting
from loop_ros.types import Array, Plan, PlannerMemory

Moment = tuple[Array, PlannerMemory]  # observation [O], and what its plan depended on


def draw(agent: Agent, seed: int, path: Path) -> dict[str, float]:
    """The plan of an episode whose sequences were most divided over d0; what is in the picture.

    ValueError for a task without a view from above, or an algorithm that compares nothing.
    """
    check_path(agent.task)
    observation, memory = _most_divided(agent, seed)
    count = agent.settings.planner.num_iterations
    figure, axes = plt.subplots(1, count, figsize=(4.2 * count, 4.6), squeeze=False)
    for iteration, panel in enumerate(axes[0], 1):
        agent.planner.recall(memory)
        plan = agent.act(observation, most=iteration)
        _panel(panel, agent, observation, plan)
        panel.set_title(
            f'iteration {iteration}: {plan.safe_fraction:.0%} safe, '
            f'{plan.actor_share:.0%} of the weight on the actor',
            fontsize=9,
        )
        panel.set_xlabel('x, m')
    axes[0][0].set_ylabel('y, m')
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return {'d0': plan.d0, 'worst cost': plan.worst_cost, 'return': plan.predicted_return}


def _most_divided(agent: Agent, seed: int) -> Moment:
    """The moment of an episode at which the share of safe sequences is nearest to a half."""
    env = agent.task.make()
    observation, _ = env.reset(seed=seed)
    agent.reset()
    moments: list[tuple[float, Moment]] = []
    ended = False
    while not ended:
        plan = agent.act(observation)
        if not plan.predicted or plan.memory is None:
            raise ValueError(f'the algorithm {agent.settings.planner.algorithm} compares nothing')
        moments.append((abs(plan.safe_fraction - 0.5), (observation, plan.memory)))
        observation, _, terminated, truncated, _ = env.step(plan.action)
        ended = terminated or truncated
    return min(moments, key=lambda moment: moment[0])[1]


def _panel(axes: Axes, agent: Agent, observation: Array, plan: Plan) -> None:
    """All sequences of an iteration, as wide as they weigh, and the mean that they come to."""
    task, search = agent.task, agent.last_search
    found = outlook(agent, candidates=agent.settings.planner.num_samples)
    assert search is not None and found is not None
    weights = weighting.weigh(search.scores, agent.settings.planner).cpu().numpy()
    lines = lines_of(task, observation, found.candidates.states)
    safe = found.candidates.costs <= plan.d0
    colours = [SAFE if each else UNSAFE for each in safe]
    widths = 0.5 + 3.0 * weights / weights.max()
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths, alpha=0.55))
    axes.plot(*lines_of(task, observation, [plan.states])[0].T, color=PLANNED, linewidth=2.5)
    plots.draw_circles(axes, task)
    axes.plot(*task.drawn_pose(observation)[:2], 'o', color='0.1')
    points = np.concatenate(lines)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = 0.6 * float(np.ptp(points, axis=0).max())
    axes.set_xlim(middle[0] - reach, middle[0] + reach)
    axes.set_ylim(middle[1] - reach, middle[1] + reach)
    axes.set_aspect('equal')
