# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bookkeeping of (episode, step): nothing is learned twice, nothing goes missing unseen."""

from __future__ import annotations

from loop_ros.types import Transition

REMEMBERED = 20_000  # transitions among which a repetition is recognised


class SequenceCheck:
    """Counts gaps, duplicates and restarts in a stream of numbered transitions.

    An equal transition is a duplicate. Old numbers with other content mean that the source
    restarted; where a learner joins or a source restarts, the count starts there.
    """

    def __init__(self) -> None:
        self.received = 0
        self.duplicates = 0
        self.gaps = 0  # breaks in the numbering
        self.missing = 0  # transitions known to be missing within an episode
        self.restarts = 0
        self._last: Transition | None = None
        self._seen: dict[tuple[int, int], int] = {}

    def accept(self, transition: Transition) -> bool:
        """Whether to learn from it; false for a duplicate."""
        self.received += 1
        key = transition.episode, transition.step
        content = hash(
            (transition.stamp, transition.observation.tobytes(), transition.action.tobytes())
        )
        if self._seen.get(key) == content:
            self.duplicates += 1
            return False
        if self._last is not None:
            self._compare(self._last, transition)
        self._seen[key] = content
        if len(self._seen) > REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._last = transition
        return True

    def counts(self) -> dict[str, int]:
        """For diagnostics."""
        return {
            'received': self.received,
            'duplicates': self.duplicates,
            'gaps': self.gaps,
            'missing': self.missing,
            'restarts': self.restarts,
        }

    def _compare(self, last: Transition, new: Transition) -> None:
        ended = last.terminated or last.truncated
        expected = (last.episode + 1, 0) if ended else (last.episode, last.step + 1)
        found = new.episode, new.step
        if found < expected:
            self.restarts += 1
            self._seen.clear()
        elif found > expected:
            self.gaps += 1
            if found[0] == expected[0]:
                self.missing += found[1] - expected[1]
            else:
                self.missing += found[1] + (0 if ended else 1)
