# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An outlook on the wire: one labelled array, whatever the numbers of thresholds and candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes.conversions import labelled_from_msg, labelled_to_msg
from loop_ros.outlook import OutlookView
from loop_ros.sim.task import Task


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
