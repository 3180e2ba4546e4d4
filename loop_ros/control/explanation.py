# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why the last command was chosen, and what would be planned under another threshold, as text."""

from __future__ import annotations

import numpy as np

from loop_ros.control.supervisor import NAMES, PLAN, Command
from loop_ros.outlook import Outlook
from loop_ros.settings import PlannerSettings
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan

_BETTER = 'better, but no single sequence is executed, a model being easily wrong about one'


def explain(command: Command, settings: PlannerSettings, task: Task) -> str:
    """A few lines on a command that was planned by these settings."""
    level, plan = command.level, command.plan
    lines = [
        f'level {level}, {NAMES[level]}: {command.reason}',
        f'executed: {_named(command.action, task)}',
    ]
    if plan is None:
        return '\n'.join([*lines, 'there is no plan behind it'])
    if not plan.predicted or plan.runner_up is None:
        acts = 'actor' in (settings.algorithm, settings.explore) or settings.actor_episodes > 0
        why = 'the actor may act itself' if acts else 'random, for there are no weights so far'
        return '\n'.join([*lines, f'nothing was compared: {why}'])
    if level == PLAN:
        lines[1] += ', the start of the weighted mean of the best sequences'
    lines[1] += (
        f'; predicted return {plan.predicted_return:.4g}, the models differ by '
        f'{plan.disagreement:.2g}; worst cost {plan.worst_cost:.3g}'
    )
    lines += [
        f'runner-up, the best that begins differently: {_named(plan.runner_up, task)}; '
        f'return {plan.runner_up_return:.4g}, worst cost {plan.runner_up_cost:.3g}'
        + (f': {_BETTER}' if plan.runner_up_return > plan.predicted_return else ''),
        f'binding: {_binding(command, plan, settings, task) or "nothing"}',
        f"weight: {plan.actor_share:.0%} on the actor's sequences, {1 - plan.actor_share:.0%} on "
        f"the planner's; the actor's own: {_named(plan.actor_action, task)}",
    ]
    return '\n'.join(lines)


def what_if(outlook: Outlook, d0: float, task: Task) -> str:
    """A line for each threshold of an outlook on a plan under `d0`."""
    plan, others = outlook.plan, outlook.alternatives
    lines = [
        f'now, d0 = {d0:g}: return {plan.returns[0]:.4g}, worst cost {plan.costs[0]:.3g}; '
        f'begins with {_named(plan.actions[0], task)}'
    ]
    if not outlook.heeded:
        lines.append('the algorithm ignores d0: another one changes nothing')
    rows = zip(outlook.thresholds, outlook.safe_fractions, others.returns, others.costs,
               others.actions, strict=True)  # fmt: skip
    for threshold, safe, value, cost, action in rows:
        kept = 'kept' if cost <= threshold else 'broken'
        lines.append(
            f'd0 = {threshold:g}: {safe:.0%} of the sequences are safe; return {value:.4g}, worst '
            f'cost {cost:.3g} ({kept}); begins with {_named(action, task)}'
        )
    return '\n'.join(lines)


def _binding(command: Command, plan: Plan, settings: PlannerSettings, task: Task) -> str:
    """What kept the command from being another one."""
    found = []
    if command.level == PLAN and not np.array_equal(command.action, plan.action):
        found.append(f'limits or rate_limits (planned was {_named(plan.action, task)})')
    low, high = np.array(task.action_low), np.array(task.action_high)
    span = 1e-3 * (high - low)
    ends = (command.action <= low + span) | (command.action >= high - span)
    found += [
        f'{name} is at its limit' for name, end in zip(task.action_labels, ends, strict=True) if end
    ]
    if settings.constrained:
        safe = f'{plan.safe_fraction:.0%} of the sequences keep d0 = {plan.d0:g}'
        if plan.safe_fraction * settings.num_samples < settings.min_safe:
            found.append(f'{safe}, too few: the least cost was sought')
        elif plan.safe_fraction < 1:
            found.append(f'{safe}, the others were left out')
    return '; '.join(found)


def _named(action: Array, task: Task) -> str:
    return ', '.join(
        f'{name} {value:.3g}' for name, value in zip(task.action_labels, action, strict=True)
    )
