# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded transitions in order: nothing twice, and every break in them ends an episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loop_ros.bags import summary as reasons
from loop_ros.bags.summary import Summary
from loop_ros.layout import TransitionLayout
from loop_ros.types import Array


class Seen:
    """Which transitions were there before, by a hash of 8 bytes for each."""

    def __init__(self) -> None:
        self._levels: list[NDArray[np.int64]] = []  # sorted, each longer than the next

    def new(self, values: Array) -> NDArray[np.bool_]:
        """Which of the rows [n, D] have not been seen; they are from now on."""
        rows = np.ascontiguousarray(values)
        raw = rows.view(f'V{8 * rows.shape[1]}')[:, 0].tolist()
        hashes = np.fromiter((hash(row) for row in raw), dtype=np.int64, count=len(raw))
        fresh = np.zeros(len(hashes), dtype=np.bool_)
        unique, first = np.unique(hashes, return_index=True)
        fresh[first] = True
        for level in self._levels:
            place = np.minimum(np.searchsorted(level, unique), len(level) - 1)
            fresh[first[level[place] == unique]] = False
        self._add(np.sort(hashes[fresh]))
        return fresh

    def _add(self, hashes: NDArray[np.int64]) -> None:
        """Levels of doubling length: each hash is merged a few times only."""
        if not len(hashes):
            return
        self._levels.append(hashes)
        while len(self._levels) > 1 and len(self._levels[-2]) <= 2 * len(self._levels[-1]):
            last = self._levels.pop()
            merged = np.concatenate((self._levels[-1], last))
            merged.sort(kind='stable')
            self._levels[-1] = merged


class EpisodeNumbers:
    """Numbers that no other episode of this reading has."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """The first of so many new numbers."""
        self._next += count
        return self._next - count


class Sequencer:
    """The transitions of one topic of one bag; holds the last one back until it knows the next."""

    def __init__(
        self,
        layout: TransitionLayout,
        period: float,
        tolerance: float,
        numbers: EpisodeNumbers,
        summary: Summary,
    ) -> None:
        """Stamps within an episode are `period` s apart, give or take `tolerance` of it."""
        self._layout, self._period, self._tolerance = layout, period, tolerance
        self._numbers, self._summary = numbers, summary
        self._held: Array | None = None  # [1, D]
        self._number = 0

    def push(self, values: Array) -> Array:
        """What is complete once these rows [n, D] are known, with episodes numbered again."""
        if not len(values):
            return values
        if self._held is None:
            self._begin()
            rows = values.copy()
        else:
            rows = np.concatenate((self._held, values))
        breaks = self._breaks(rows)
        count = np.cumsum(breaks)
        numbers = np.full(len(rows), self._number)
        if count[-1:].any():
            first = self._numbers.take(int(count[-1]))
            numbers[1:] = np.where(count > 0, first + count - 1, self._number)
            self._summary.episodes += int(count[-1])
        self._held = rows[-1:].copy()
        self._number = int(numbers[-1])
        self._layout.named(rows)['episode'] = numbers
        return rows[:-1]

    def close(self, reason: str = reasons.END) -> Array:
        """The last transition, with which the episode ends in any case."""
        if self._held is None:
            return np.empty((0, self._layout.dim))
        rows, self._held = self._held, None
        last = self._layout.named(rows)
        if not last['terminated'].any() and not last['truncated'].any():
            last['truncated'] = 1.0
            self._summary.closed[reason] += 1
        last['episode'] = self._number
        return rows

    def _begin(self) -> None:
        self._number = self._numbers.take(1)
        self._summary.episodes += 1

    def _breaks(self, rows: Array) -> NDArray[np.bool_]:
        """After which rows but the last an episode ends; marks those that were cut."""
        before, after = self._layout.named(rows[:-1]), self._layout.named(rows[1:])
        ended = (before['terminated'] != 0) | (before['truncated'] != 0)
        other = before['episode'] != after['episode']
        missing = ~other & (after['step'] != before['step'] + 1)
        late = np.abs(after['stamp'] - before['stamp'] - self._period)
        jump = ~other & ~missing & ~(late <= self._tolerance * self._period)
        for reason, cut in (
            (reasons.OTHER_EPISODE, other),
            (reasons.MISSING, missing),
            (reasons.JUMP, jump),
        ):
            if count := int((cut & ~ended).sum()):
                self._summary.closed[reason] += count
        cut = other | missing | jump
        before['truncated'][cut & ~ended] = 1.0
        return np.asarray(cut | ended)
