# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An outlook on the wire: one labelled array, whatever the numbers of thresholds and candidates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes.conversions import labelled_from_msg, labelled_to_msg
from loop_ros.outlook import Outlook
from loop_ros.sim.task import Task
from loop_ros.types import Array


class OutlookView(NamedTuple):
    """What a viewer gets of an outlook: M = 1 + D + C futures, the plan's first.

    Then those of the D thresholds, then those of C candidates.
    """

    stamp: float  # s, of the state that the plan answers
    d0: float  # of the plan
    heeded: float  # 1 where the planner heeds d0, else 0
    thresholds: Array  # [D], other d0
    safe_fractions: Array  # [D], share of the candidates that keep them
    returns: Array  # [M], predicted
    costs: Array  # [M], worst predicted
    actions: Array  # [M, A], the first ones, physical units
    step_costs: Array  # [M, H], worst predicted of each step
    poses: Array  # [M, H+1, 3], x, y (m), yaw (rad) in the odom frame; [M, 0, 3] without a plane

    @property
    def alternatives(self) -> slice:
        """The futures of the thresholds."""
        return slice(1, 1 + len(self.thresholds))

    @property
    def candidates(self) -> slice:
        """The futures of the candidates."""
        return slice(1 + len(self.thresholds), len(self.returns))


def view(found: Outlook, stamp: int, d0: float, observation: Array, task: Task) -> OutlookView:
    """An outlook from an observation [O] of `stamp` (ns), drawn where the task draws a plane."""
    parts = found.plan, found.alternatives, found.candidates
    returns, costs, actions, step_costs, states = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ('returns', 'costs', 'actions', 'step_costs', 'states')
    )
    poses = np.zeros((len(returns), 0, 3))
    if task.path is not None:
        poses = np.array([task.path(observation, each) for each in states])
    return OutlookView(
        stamp / 1e9, d0, float(found.heeded), found.thresholds, found.safe_fractions,
        returns, costs, actions, step_costs, poses,
    )  # fmt: skip


def to_msg(outlook: OutlookView) -> Float64MultiArray:
    """One labelled dimension a field."""
    columns = [np.asarray(part, dtype=np.float64).reshape(-1) for part in outlook]
    fields = tuple((name, len(part)) for name, part in zip(outlook._fields, columns, strict=True))
    return labelled_to_msg(np.concatenate(columns), fields)


def from_msg(message: Float64MultiArray, task: Task) -> OutlookView:
    """The inverse; ValueError where labels or lengths are not those of one outlook."""
    sizes = {dim.label: int(dim.size) for dim in message.layout.dim}
    num, several = sizes.get('returns', 0), sizes.get('thresholds', 0)
    steps = sizes.get('step_costs', 0) // max(1, num)
    shapes: dict[str, tuple[int, ...]] = {
        'stamp': (), 'd0': (), 'heeded': (), 'thresholds': (several,), 'safe_fractions': (several,),
        'returns': (num,), 'costs': (num,), 'actions': (num, len(task.action_labels)),
        'step_costs': (num, steps),
        'poses': (num, steps + 1 if sizes.get('poses') else 0, 3),
    }  # fmt: skip
    lengths = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    values = labelled_from_msg(message, tuple(lengths.items()))
    if num < 1 + several:
        raise ValueError(f'{num} futures of {several} thresholds, expected one more at least')
    parts = np.split(values, np.cumsum(list(lengths.values()))[:-1])
    found: dict[str, Any] = {
        name: part.reshape(shape) if shape else float(part[0])
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    return OutlookView(**found)
