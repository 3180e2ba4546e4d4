# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every command passes before it reaches the robot; imports no torch.

Two clocks are passed in. `stamp` (ns) is the robot's: plans are shifted by it. `now` (s) is steady:
silence is measured by it. Whatever happens is told by an event method; `command` then says what the
robot gets, from which level, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:  # imports torch
    from loop_ros.types import Array, Plan

PLAN, SHIFTED, ACTOR, HOLD, STOP = range(5)
NAMES = ('plan', 'shifted plan', 'actor', 'hold', 'stop')
# Control periods without a command after which one goes out that no state asked for, and between
# those; looked at every half period, so that a silence ends before the second period does.
OVERDUE, AGAIN = 1.4, 0.9
# What reasons begin with, for those who tell them apart.
SILENCE, DISTRUST, LEAVING = 'no usable state', 'the model is distrusted', 'the planner leaves'
FOLLOWED = 0.25  # of an action's range: so far from the command, the robot did something else
PROBATION = 20  # plans, after which a model that was distrusted gets one step to prove itself


@dataclass(frozen=True)
class Limits:
    """What a command may be, and what is tolerated before another level takes over."""

    period: int  # ns, control period by the robot's clock
    wall_period: float  # s, the same by the steady clock
    low: Array  # [A], physical units, as are the next two
    high: Array  # [A]
    safe: Array  # [A], what stops the robot
    rates: Array  # [A], most change, units/s; 0: any
    state_timeout: float = 0.5  # s without a state, then stop
    hold_time: float = 0.5  # s from the last command to the safe one
    distrust_band: float = 4.0  # standard deviations of the ensemble's prediction
    distrust_steps: int = 5  # in a row outside the band, then the model is distrusted; 0: never
    unsafe_steps: int = 0  # plans in a row with no sequence within d0, then hold; 0: never


class Command(NamedTuple):
    """What the robot gets."""

    level: int  # 0 plan, 1 shifted last plan, 2 actor, 3 hold, 4 stop
    action: Array  # [A], physical units, within limits and rate limits
    reason: str
    plan: Plan | None  # behind levels 0 and 1
    row: int = 0  # of its sequence that the action is


class Supervisor:
    """The ladder plan, shifted plan, actor, hold, stop.

    Late and unusable plans, silence, distrust and unsafe predictions heal by themselves; what is
    latched stops the robot until `reset`. Not safe for threads: the caller takes turns.
    """

    def __init__(self, limits: Limits, realtime: bool) -> None:
        """In real time a state that is missing gets an answer too; in lockstep it is awaited."""
        self.limits = limits
        self.realtime = realtime
        self._latched: list[str] = []
        self._sent = np.array(limits.safe, dtype=np.float64)
        self._sent_stamp: int | None = None
        self._outside = self._distrusted = self._unsafe = 0
        self.begin(0.0)

    # Events

    def begin(self, now: float) -> None:
        """The node is activated: silence counts from here."""
        self._received_at = self._sent_at = now
        self.has_received_state = self._unsolicited = False  # the last command answered no state
        self._refused = ''  # why the newest state could not be used
        self.restart()

    def receive(self, now: float) -> None:
        """A usable state is here."""
        self._received_at, self.has_received_state, self._refused = now, True, ''

    def refuse_state(self, reason: str) -> None:
        """A state that is not finite, or not one of this robot's: as good as none."""
        self._refused = reason

    def restart(self) -> None:
        """Another episode, or an unknown time later: plan and actor knew nothing of it."""
        self._plan: tuple[int, Plan] | None = None
        self._actor: tuple[int, Array] | None = None
        self._expected: tuple[int, Plan] | None = None  # executed as planned, from that stamp
        self._holding = 0  # commands of this hold so far
        self._held = self._sent  # what it began with
        self._missing = 'no plan yet'

    def keep_plan(self, stamp: int, plan: Plan) -> None:
        """A plan from the state at `stamp` is ready, perhaps too late to be executed fresh."""
        self._compare(stamp, plan)
        self.keep_actor(stamp, plan.actor_action)
        if not self._is_usable(plan.sequence):
            self._missing = 'the plan is not finite'
            return
        self._plan, self._missing = (stamp, plan), 'the plan is late'
        unsafe = plan.constrained and plan.predicted and not plan.safe
        self._unsafe = self._unsafe + 1 if unsafe else 0

    def keep_actor(self, stamp: int, action: Array) -> None:
        """The actor says what it would do at `stamp`."""
        if self._is_usable(action):
            self._actor = (stamp, action)

    def executed(self, action: Array) -> None:
        """What the robot did, by its own word: a plan that was not followed predicts nothing."""
        limits = self.limits
        if (np.abs(action - self._sent) > FOLLOWED * (limits.high - limits.low)).any():
            self._expected = None

    def latch(self, reason: str) -> None:
        """Stop, and resume only after `reset`: an operator's word, weights that are not numbers."""
        if reason not in self._latched:
            self._latched.append(reason)

    def reset(self) -> list[str]:
        """Release what is latched; says what it was."""
        released, self._latched = self._latched, []
        return released

    # Answers

    @property
    def latched(self) -> bool:
        """Whether only `reset` lets the robot drive again."""
        return bool(self._latched)

    def silence(self, now: float) -> float:
        """For how long (s) no usable state has come."""
        return now - self._received_at

    def is_stale(self, now: float) -> bool:
        """Whether that is too long."""
        return self.silence(now) > self.limits.state_timeout

    def due(self, now: float) -> bool:
        """Whether a command must go out that no state asks for."""
        quiet = (now - self._sent_at) / self.limits.wall_period
        waiting = not (self.realtime and self.has_received_state)
        if waiting and not self._latched and not self.is_stale(now):
            return False
        return quiet >= (AGAIN if self._unsolicited else OVERDUE)

    def command(self, now: float, stamp: int, unsolicited: bool = False) -> Command:
        """What the robot gets for its state at `stamp`, or `unsolicited`, without one."""
        chosen = self._choose(now, stamp, unsolicited)
        level, wanted, plan = chosen.level, chosen.action, chosen.plan
        action = self._within_limits(wanted, now, stamp)
        self._expected = None
        if level == PLAN and plan is not None and np.array_equal(action, wanted):
            self._expected = stamp, plan
        self._holding = self._holding + 1 if level == HOLD else 0
        self._sent, self._sent_stamp = action, stamp
        self._sent_at, self._unsolicited = now, unsolicited
        return chosen._replace(action=action.copy())

    def shutdown_command(self) -> Command:
        """The safe command at once: nothing comes after it that could finish a slow stop."""
        self.restart()
        self._sent = np.array(self.limits.safe, dtype=np.float64)
        return Command(STOP, self._sent.copy(), LEAVING, None)

    def _choose(self, now: float, stamp: int, unsolicited: bool) -> Command:
        """The first level that nothing speaks against; its action is not limited yet."""
        limits = self.limits
        if self._latched:
            return Command(STOP, limits.safe, '; '.join(self._latched), None)
        if unsolicited and self.is_stale(now):
            self.restart()
            silence = f'{SILENCE} for {limits.state_timeout:g} s'
            reason = f'{silence}: {self._refused}' if self._refused else silence
            return Command(STOP, limits.safe, reason, None)
        if 0 < limits.unsafe_steps <= self._unsafe:
            reason = f'no sequence within d0 in {limits.unsafe_steps} plans in a row'
            return Command(HOLD, self._hold(), reason, None)
        reason = self._missing
        if self._distrusted:
            steps = limits.distrust_steps
            reason = f'{DISTRUST}: {steps} states in a row outside its own band'
        elif self._plan is not None:
            planned_at, plan = self._plan
            row = round((stamp - planned_at) / limits.period)
            if 0 <= row < len(plan.sequence):
                if unsolicited:
                    reason = 'no new state'
                level, reason = (PLAN, 'planning') if stamp == planned_at else (SHIFTED, reason)
                return Command(level, plan.sequence[row], reason, plan, row)
        if self._actor is not None and self._actor[0] == stamp:
            return Command(ACTOR, self._actor[1], reason, None)
        return Command(HOLD, self._hold(), f'{reason}, and there is no other', None)

    def _hold(self) -> Array:
        """The next step on the straight way from the last command to the safe one.

        The last command as it is may be full speed; the safe one at once may be a skid.
        """
        if not self._holding:
            self._held = self._sent
        steps = max(1.0, self.limits.hold_time * 1e9 / self.limits.period)
        return self._held + min(1.0, self._holding / steps) * (self.limits.safe - self._held)

    def _within_limits(self, action: Array, now: float, stamp: int) -> Array:
        """Clipped to the action's range, and to what its rate allows since the last command.

        That is at most one control period's worth, by the clock of the two that has moved.
        """
        limits = self.limits
        wall = (now - self._sent_at) / limits.wall_period
        robot = 1.0 if self._sent_stamp is None else (stamp - self._sent_stamp) / limits.period
        seconds = min(1.0, max(0.0, wall, robot)) * limits.period / 1e9
        step = np.where(limits.rates > 0, limits.rates * seconds, np.inf)
        action = np.clip(action, limits.low, limits.high)
        return np.clip(action, self._sent - step, self._sent + step)

    def _is_usable(self, actions: Array) -> bool:
        return actions.shape[-1:] == self.limits.safe.shape and bool(np.isfinite(actions).all())

    def _compare(self, stamp: int, plan: Plan) -> None:
        """Whether the last executed plan predicted the state that this one starts from."""
        limits, expected = self.limits, self._expected
        self._expected = None
        if self._distrusted:
            self._distrusted -= 1
            if not self._distrusted:
                self._outside = limits.distrust_steps - 1
            return
        if expected is None or not is_next(expected[0], stamp, limits.period):
            return
        mean, std = expected[1].next_state, expected[1].next_std
        if mean is None or std is None or not np.isfinite(std).all():
            return
        elapsed = (stamp - expected[0]) / limits.period  # a little more or less than 1
        begun = expected[1].states[0]
        error = np.abs(plan.states[0] - begun - elapsed * (mean - begun))
        inside = bool((error <= limits.distrust_band * std).all())
        self._outside = 0 if inside else self._outside + 1
        if 0 < limits.distrust_steps <= self._outside:
            self._distrusted = PROBATION


def is_next(previous: int, stamp: int, period: int) -> bool:
    """Whether two stamps are about one period apart (ns each)."""
    return 0.75 * period <= stamp - previous <= 1.25 * period
