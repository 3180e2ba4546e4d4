# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator can do by the panel."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Answer(NamedTuple):
    """Of the stack, to something that was asked of it."""

    success: bool
    message: str


class Controls(Protocol):
    """Each asks the stack, waits for its answer for a while, and says where there is none."""

    async def set_d0(self, d0: float) -> Answer:
        """Plan under another threshold."""

    async def load(self, checkpoint: str) -> Answer:
        """Try other weights: a folder, or shipped."""

    async def call(self, service: str) -> Answer:
        """A service of the planner: stop, reset or explain."""

    async def episode(self, begin: bool) -> Answer:
        """Begin or end an episode."""

    def record(self, on: bool) -> Answer:
        """Begin or end a bag."""

    @property
    def recording(self) -> str:
        """The bag that is being recorded; empty where none is."""

    @property
    def checkpoints(self) -> list[str]:
        """What `load` may be offered."""
