# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands where in the labelled arrays on the wire; knows no ROS, so bag tools share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loop_ros.sim.task import Array, Task
from loop_ros.types import Transition

Layout = tuple[tuple[str, int], ...]  # (label, length) per field, in order

PLAN_FIELDS = (
    'plan_s',
    'predicted_return',
    'worst_cost',
    'safe_fraction',
    'd0',
    'actor_divergence',
    'actor_share',
    'disagreement',
    'runner_up_return',
    'runner_up_cost',
    'iterations',
)
# Stamp (s) of the state that a command answers, the figures of the plan behind it, and its level:
# 0 plan, 1 shifted plan, 2 actor, 3 hold, 4 stop. NaN where there is no plan.
TELEMETRY_FIELDS = ('stamp', *PLAN_FIELDS, 'level')
LARGEST = 1e18  # of any number that arrives: networks square it, in float32
TELEMETRY_LAYOUT: Layout = tuple((name, 1) for name in TELEMETRY_FIELDS)


def transition_layout(task: Task) -> Layout:
    """Fields of a transition array; vectors carry their component names: 'action:a,b'."""
    observation = ','.join(task.observation_labels)
    return (
        ('stamp', 1),
        ('episode', 1),
        ('step', 1),
        (f'observation:{observation}', len(task.observation_labels)),
        (f'action:{",".join(task.action_labels)}', len(task.action_labels)),
        ('reward', 1),
        ('cost', 1),
        (f'next_observation:{observation}', len(task.observation_labels)),
        ('terminated', 1),
        ('truncated', 1),
    )


def transition_values(transition: Transition) -> Array:
    """A transition as one float64 vector in the order of `transition_layout`."""
    return np.concatenate(
        (
            (transition.stamp, transition.episode, transition.step),
            transition.observation,
            transition.action,
            (transition.reward, transition.cost),
            transition.next_observation,
            (transition.terminated, transition.truncated),
        )
    ).astype(np.float64)


def transition_from_values(values: Array, task: Task) -> Transition:
    """The inverse of `transition_values`; ValueError for a number that cannot be what it names."""
    layout = transition_layout(task)
    parts = split(values, layout)
    for (label, _), part in zip(layout, parts, strict=True):
        if (np.isfinite(part) & (np.abs(part) > LARGEST)).any():
            raise ValueError(f"field '{label}' holds a number beyond {LARGEST:g}")
    field = {label.split(':')[0]: part for (label, _), part in zip(layout, parts, strict=True)}
    return Transition(
        stamp=float(field['stamp'][0]),
        episode=_count('episode', field['episode'][0]),
        step=_count('step', field['step'][0]),
        observation=field['observation'],
        action=field['action'],
        reward=float(field['reward'][0]),
        cost=float(field['cost'][0]),
        next_observation=field['next_observation'],
        terminated=_flag('terminated', field['terminated'][0]),
        truncated=_flag('truncated', field['truncated'][0]),
    )


def check_layout(found: Sequence[tuple[str, int]], expected: Layout) -> None:
    """ValueError that names the first field which differs from the expected layout."""
    for index, (want, got) in enumerate(zip(expected, found, strict=False)):
        if want != got:
            raise ValueError(
                f"field {index} is '{got[0]}' of length {got[1]}, "
                f"expected '{want[0]}' of length {want[1]}"
            )
    if len(found) != len(expected):
        raise ValueError(f'{len(found)} labelled fields, expected {len(expected)}')


def split(values: Array, layout: Layout) -> list[Array]:
    """One vector per field of the layout; ValueError where the lengths do not add up."""
    lengths = [length for _, length in layout]
    if len(values) != sum(lengths):
        raise ValueError(f'{len(values)} numbers, expected {sum(lengths)}')
    return np.split(values, np.cumsum(lengths)[:-1])


def _count(name: str, value: float) -> int:
    if not (value >= 0 and value < 2**53 and value == int(value)):
        raise ValueError(f"field '{name}' is {value}, expected a whole number from 0")
    return int(value)


def _flag(name: str, value: float) -> bool:
    if value not in (0.0, 1.0):
        raise ValueError(f"field '{name}' is {value}, expected 0 or 1")
    return bool(value)
