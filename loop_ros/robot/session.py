# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot between its planner, its human and its episodes: what it gets, and what is learned.

Times are seconds of the robot's clock, passed in; every control period `tick` is called once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from loop_ros.robot.command import Sent, Stream
from loop_ros.robot.contents import Robot
from loop_ros.robot.episodes import Episodes
from loop_ros.robot.observation import Assembler, NotReady
from loop_ros.robot.takeover import Takeover
from loop_ros.types import Array, Transition

# Between episodes: the robot comes to rest; somebody is waited for; a service is called; a script
# runs. Then an episode runs.
SETTLING, WAITING, CALLING, SCRIPT, RUNNING = 'settling', 'waiting', 'calling', 'script', 'running'
NEXT = {'operator': WAITING, 'service': CALLING, 'script': SCRIPT, 'auto': RUNNING}


class Tick(NamedTuple):
    """What a control period brought."""

    state: Array | None  # [O] to plan from
    executed: Array | None  # [A] since the state before, where there was one
    transition: Transition | None
    missing: str  # why there is no observation


class Session:
    """Messages, plans and a human's hand in; commands, states and transitions out."""

    def __init__(self, robot: Robot, command_timeout: float, shadow: bool = False) -> None:
        """Without a plan for `command_timeout` s the robot gets what the file says for silence.

        As a shadow another controller drives, whose commands come by `drive`.
        """
        self.robot, task = robot, robot.task
        self.assembler, self.episodes = Assembler(robot), Episodes(task)
        self.takeover = None if robot.takeover is None else Takeover(robot.takeover, task)
        self.phase = WAITING
        self._timeout, self._shadow = command_timeout, shadow
        self._safe = np.array(task.safe_command)
        self._low, self._high = np.array(task.action_low), np.array(task.action_high)
        self._sent = Sent(self._safe, 0.0)
        self._stream = Stream(self._safe, task.control_period, robot.command.interpolate)
        self._planned_at: float | None = None
        self._since = 0.0  # s, when the phase began
        self._ending = self._follows = False
        self._is_driven = not shadow  # whether it is known what the actuators get

    def begin(self, now: float) -> None:
        """The node is activated: the first episode is prepared as every other one."""
        self.assembler.clear()
        self._sent = Sent(self._safe, now)
        self._enter(RUNNING if self._shadow else NEXT[self.robot.episode.start], now)

    def start(self, now: float) -> bool:
        """Begin an episode, at an operator's word; whether none was running."""
        if self.phase == RUNNING:
            return False
        self._enter(RUNNING, now)
        return True

    def end(self) -> None:
        """Let the running period be the episode's last."""
        self._ending = True

    def called(self, success: bool, now: float) -> None:
        """The service has answered; where it failed, an operator has to see to it."""
        if self.phase == CALLING:
            self._enter(RUNNING if success else WAITING, now)

    def plan(self, action: Array, now: float) -> None:
        """A command [A] of the planner."""
        if self.phase == RUNNING:
            self._stream.aim(np.clip(action, self._low, self._high), now)
            self._planned_at = now

    def drive(self, action: Array, now: float) -> None:
        """As a shadow: another controller's command [A]."""
        self._sent.change(np.clip(action, self._low, self._high), now)
        self._is_driven = True

    def human(self, message: Any, now: float) -> bool:
        """A message of the takeover's topic; whether the human has the robot."""
        return self.takeover is not None and self.takeover.put(message, now)

    def has_human(self, now: float) -> bool:
        """Whether a human has the robot, or had it when the joystick fell silent."""
        return self.takeover is not None and self.takeover.command(now) is not None

    def command(self, now: float) -> Array:
        """What the robot gets [A], inside the limits."""
        wanted = np.clip(self._wanted(now), self._low, self._high)
        if not np.array_equal(wanted, self._sent.action):
            self._sent.change(wanted, now)
        return wanted

    def tick(self, now: float) -> Tick:
        """A control period is over."""
        self._advance(now)
        executed = self._sent.period(now)
        try:
            observation = self.assembler.observation(now)
        except NotReady as error:
            self.episodes.gap()
            self._follows = False
            return Tick(None, None, None, str(error))
        if self.phase != RUNNING:
            return Tick(None, None, None, '')
        follows, self._follows = self._follows, True
        told = executed if follows else None
        if not self.assembler.is_young(now):  # good enough to plan from, not to learn from
            self.episodes.gap()
            return Tick(observation, told, None, '')
        known = executed if self._is_driven else None
        transition = self.episodes.observe(now, observation, known, self._ending)
        if transition is not None and (transition.terminated or transition.truncated):
            self._enter(RUNNING if self._shadow else SETTLING, now)
            return Tick(None, told, transition, '')
        return Tick(observation, told, transition, '')

    def _wanted(self, now: float) -> Array:
        human = None if self.takeover is None else self.takeover.command(now)
        if human is not None:
            self._stream.jump(human)
            return human
        if self.phase == SCRIPT:
            return self._scripted(now)
        if self.phase != RUNNING or self._planned_at is None:
            return self._safe
        if now - self._planned_at > self._timeout:
            wanted = self._sent.action if self.robot.command.hold_on_silence else self._safe
            self._stream.jump(wanted)
            return wanted
        wanted = self._stream.action(now)
        return wanted if self.takeover is None else self.takeover.blend(wanted, now)

    def is_silent(self, now: float) -> bool:
        """Whether an episode runs without a planner's command."""
        since = self._since if self._planned_at is None else self._planned_at
        return self.phase == RUNNING and not self._shadow and now - since > self._timeout

    def _scripted(self, now: float) -> Array:
        elapsed = now - self._since
        for command, duration in self.robot.episode.script:
            if elapsed < duration:
                return np.array(command)
            elapsed -= duration
        return self._safe

    def _advance(self, now: float) -> None:
        """From one phase to the next, where time alone decides."""
        rules = self.robot.episode
        if self.phase == SETTLING and now - self._since >= rules.settle:
            self._enter(NEXT[rules.start], now)
        elif self.phase == SCRIPT and now - self._since >= sum(d for _, d in rules.script):
            self._enter(RUNNING, now)

    def _enter(self, phase: str, now: float) -> None:
        self.phase, self._since = phase, now
        self._planned_at, self._ending, self._follows = None, False, False
        self._stream.jump(self._safe)
        self.episodes.begin()
