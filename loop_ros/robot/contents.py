# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot file says: which messages make an observation, and which one an action becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loop_ros.robot.fields import Field, Sectors
from loop_ros.sim.task import Task


@dataclass(frozen=True)
class Input:
    """Messages that are listened to."""

    name: str
    topic: str
    type: str  # as 'nav_msgs/msg/Odometry'
    max_age: float  # s since receipt; infinite: the last one holds
    frame: str  # that header.frame_id must be; empty: any
    child_frame: str
    line: int


@dataclass(frozen=True)
class Quantity:
    """Components of the observation that come from one field or one scan, or stay as they are."""

    labels: tuple[str, ...]
    input: str  # none of a value
    source: Field | Sectors | float
    relative_to: str  # an input whose pose is the frame; empty: none
    scale: float
    offset: float
    low: float  # outside of these it is not believed
    high: float
    line: int


@dataclass(frozen=True)
class Component:
    """Where a component of an action stands in a message: there it is scale * action + offset."""

    field: Field
    scale: float
    offset: float


@dataclass(frozen=True)
class Output:
    """What the robot is commanded by."""

    topic: str
    type: str
    frame: str
    rate: float  # Hz
    interpolate: bool  # between commands, instead of holding the last one
    hold_on_silence: bool  # keep the last command when no other comes, instead of the safe one
    components: tuple[Component, ...]  # one an action label
    line: int


@dataclass(frozen=True)
class TakeoverRules:
    """How a human takes over."""

    topic: str
    type: str
    deadman: Field | None  # None: the topic itself, while it is fresh
    timeout: float  # s
    blend: float  # s from the human's last command to the planner's
    components: tuple[Component, ...]
    line: int


@dataclass(frozen=True)
class EpisodeRules:
    """How an episode begins after the last one."""

    start: str = 'operator'
    service: str = ''
    service_type: str = 'std_srvs/srv/Trigger'
    script: tuple[tuple[tuple[float, ...], float], ...] = ()  # commands, each for so many s
    settle: float = 1.0  # s of the safe command before


@dataclass(frozen=True)
class Robot:
    """The whole file."""

    path: Path
    task: Task
    inputs: dict[str, Input]
    quantities: tuple[Quantity, ...]
    command: Output
    takeover: TakeoverRules | None = None
    episode: EpisodeRules = field(default_factory=EpisodeRules)

    def where(self, line: int) -> str:
        """A place in the file, for messages."""
        return f'{self.path}:{line}'
