# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions to a bag that every ROS 2 from Humble on reads, plays and inspects."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from loop_ros.bags.cdr import ARRAY
from loop_ros.layout import Layout, transition_layout
from loop_ros.sim.task import Task
from loop_ros.types import Rows, Transition

TOPIC = '/transition'
_STORE = get_typestore(Stores.ROS2_HUMBLE)
_QOS = Qos(
    QosHistory.KEEP_LAST, 1000, QosReliability.RELIABLE, QosDurability.VOLATILE,
    QosTime(0, 0), QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False,
)  # fmt: skip


class BagWriter:
    """An MCAP bag with one topic; a context manager. Messages are one control period apart.

    The bag is there when it is complete, which is at the manager's end. After an error it is not;
    after an interruption it holds what was written so far, if anything.
    """

    def __init__(self, path: Path, task: Task, start_ns: int | None = None) -> None:
        """ValueError where `path` exists; `start_ns` is when the bag begins, default now."""
        if os.path.lexists(path):
            raise ValueError(f"the bag '{path}' exists already")
        self.count = 0  # transitions written
        self._layout = transition_layout(task)
        self._head = _head(self._layout.fields)
        self._period = round(task.control_period * 1e9)
        self._start = time.time_ns() if start_ns is None else start_ns
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._workshop = TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent)
        self._made = Path(self._workshop.name) / path.name
        # Version 9 of metadata.yaml writes QoS in a way that Humble does not read.
        self._bag = Writer(self._made, version=8, storage_plugin=StoragePlugin.MCAP)
        self._bag.open()
        self._topic = self._bag.add_connection(
            TOPIC, ARRAY, typestore=_STORE, offered_qos_profiles=[_QOS]
        )

    def write(self, transition: Transition) -> None:
        """Append one transition; ValueError where its lengths are not the task's."""
        self.write_rows(Rows.of([transition]))

    def write_rows(self, rows: Rows) -> None:
        """Append many; ValueError where their lengths are not the task's."""
        for row in self._layout.table(rows).astype('<f8', copy=False):
            stamp = self._start + self.count * self._period
            self._bag.write(self._topic, stamp, self._head + row.tobytes())
            self.count += 1

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._workshop:
            if kind is None or (issubclass(kind, KeyboardInterrupt) and self.count):
                self._bag.close()
                self._made.rename(self._path)
            else:
                self._bag.abort()


def _head(layout: Layout) -> bytes:
    """All bytes of a message but its numbers."""
    types = _STORE.types
    dimensions = [
        types['std_msgs/msg/MultiArrayDimension'](label=label, size=size, stride=size)
        for label, size in layout
    ]
    numbers = np.zeros(sum(size for _, size in layout))
    message = types[ARRAY](
        layout=types['std_msgs/msg/MultiArrayLayout'](dim=dimensions, data_offset=0), data=numbers
    )
    return bytes(_STORE.serialize_cdr(message, ARRAY))[: -8 * len(numbers)]
