# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one scoring function of every planner: (state, action sequences) -> returns, costs.

All sequences, models and particles move together; the only loop is the one over time.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loop_ros.devices import rollout_dtype
from loop_ros.models.parts import Parts
from loop_ros.models.planning_ensemble import PlanningEnsemble
from loop_ros.settings import PlannerSettings
from loop_ros.sim.task import Task
from loop_ros.types import Scores

ROWS_PER_THREAD = 128  # rows of states that are worth a thread; fewer wait for the interpreter


class Evaluation(NamedTuple):
    """What the models say of N action sequences, and where these lead."""

    scores: Scores  # of the sequences
    spread: Tensor  # [N], standard deviation of the return over the models
    path: Tensor  # [H, K, B, S], next states; the particles of a sequence in a block
    step_costs: Tensor  # [H, K, B], of each step


class _Rolled(NamedTuple):
    """N action sequences in K models; rows B = N P, the particles of a sequence in a block."""

    path: Tensor  # [H, K, B, S], next states
    rewards: Tensor  # [H, K, B], none after the end of an episode
    alive: Tensor  # [H+1, K, B], 1 before each step and after the last, 0 after an end
    actions: Tensor  # [H, N, A]
    discounts: Tensor  # [H+1], 1, gamma, gamma^2 ...


class Rollout:
    """Rolls action sequences through the ensemble and scores them (Alg. 4, lines 12 to 27)."""

    def __init__(
        self,
        parts: Parts,
        task: Task,
        copy: Callable[[Any, torch.dtype], Any] = PlanningEnsemble,
    ) -> None:
        """`copy` makes the copy of the ensemble that plans roll out in."""
        self.parts, self.task = parts, task
        self.device = parts.ensemble.device
        self._copy = copy
        self._copies: dict[str, Any] = {}

    def refresh(self, settings: PlannerSettings) -> None:
        """Take over the ensemble's present weights, as each plan does at its start."""
        self._model(settings).refresh()

    def __call__(
        self, state: Tensor, sequences: Tensor, noise: Tensor | None, settings: PlannerSettings
    ) -> Scores:
        """Score sequences [N, H, A] from state [S], or each from a state of its own [N, S].

        `noise` [H, K, P, S+1] drives the particles; every sequence meets the same noise, so that
        sequences differ by their actions only. None makes the particles follow the means. Of
        [H, K, G, P, S+1], each of G groups of as many sequences meets its own.

        On the CPU, threads take shares of the sequences through all steps: unlike threads within
        each operation they never wait for each other, which matters where cores are shared.
        """
        rows = len(sequences) * (1 if noise is None else settings.num_particles)
        cores = settings.rollout_threads or len(os.sched_getaffinity(0))
        shares = min(cores, rows // ROWS_PER_THREAD) if state.device.type == 'cpu' else 1
        if noise is not None and noise.ndim == 5:
            shares = min(shares, noise.shape[2])
        if shares < 2:
            return self.evaluate(state, sequences, noise, settings).scores
        parts = _split(state, sequences, noise, shares)
        found = _threads(shares).map(self.evaluate, *parts, itertools.repeat(settings))
        return Scores(*map(torch.cat, zip(*(each.scores for each in found), strict=True)))

    @torch.inference_mode()  # a mode of each thread's own
    def evaluate(
        self, state: Tensor, sequences: Tensor, noise: Tensor | None, settings: PlannerSettings
    ) -> Evaluation:
        """Scores of sequences [N, H, A] and what they are made of, in this thread."""
        if state.ndim == 2 and noise is not None:  # the particles of a sequence in a block
            state = state.repeat_interleave(settings.num_particles, dim=0)
        actions = sequences.transpose(0, 1)
        path, rewards, outputs = self._model(settings).roll(state, actions, noise)
        returns = self.returns(state, actions, path, rewards, settings)
        step_costs = self.step_cost(path, self.parts.ensemble.cost(outputs), settings)
        discounts = _discounts(settings.discount, len(path), path.device, path.dtype)
        costs = torch.tensordot(discounts, step_costs, dims=1)
        by_model = path.shape[1], len(sequences), -1  # models, N, particles
        model_returns = returns.view(by_model).mean(dim=2)
        spread = model_returns.std(dim=0, correction=0)
        total = model_returns.mean(dim=0) - settings.pessimism * spread
        worst = costs.view(by_model).amax(dim=(0, 2))
        finite = total.isfinite() & path[-1].isfinite().view(by_model).all(dim=2).all(dim=0)
        scores = torch.where(finite, total, -torch.inf), torch.where(finite, worst, torch.inf)
        return Evaluation(Scores(*scores, ~finite), spread, path, step_costs)

    def returns(
        self,
        state: Tensor,
        actions: Tensor,
        path: Tensor,
        rewards: Tensor,
        settings: PlannerSettings,
    ) -> Tensor:
        """The return [K, B] of a path [H, K, B, S] from `state`: rewards [H, K, B] and its end.

        Of actions [H, N, A]. The path may be a model's or the real one.
        """
        discounts = _discounts(settings.discount, len(path) + 1, path.device, path.dtype)
        alive = _until(self.task.termination, path)
        rolled = _Rolled(path, rewards * alive[:-1], alive, actions, discounts)
        if settings.terminal_value == 'q':
            return self._with_q(state, rolled, settings)
        if settings.terminal_value == 'none':
            return torch.tensordot(discounts[:-1], rolled.rewards, dims=1)
        return self._with_value(rolled, settings)

    def value(self, states: Tensor, settings: PlannerSettings) -> Tensor:
        """V [K, B] of states [K, B, S]: Q of the actor's action, as settings say.

        Critics that see no action ('state') get zeros in its place.
        """
        if settings.terminal_value == 'state':
            action = states.new_zeros(*states.shape[:2], len(self.task.action_labels))
        else:
            action = self.parts.actor.mean(states)
        return self._q(states, action, settings)

    def actor_sequences(
        self,
        state: Tensor,
        noise: Tensor,
        settings: PlannerSettings,
        last: Tensor | None = None,
    ) -> Tensor:
        """Whole action sequences [I, n, H, A] of the actor, each through one model's mean.

        From state [S], or each draw I from a state of its own [I, S]. `noise` [I, n, H, A],
        standard normal, is scaled by `actor_noise`; the first sequence of every draw is the
        actor's mean. Sequence i of a draw follows model i modulo K. `last` [I, H, A] is the shifted
        last plan, of which `plan_mixing` may want a share.
        """
        draws, num, horizon, action_dim = noise.shape
        noise = noise * settings.actor_noise
        noise[:, 0].zero_()
        model = self._model(settings)
        rows = -(-num // model.num_models)  # sequences of a model; the last row may be padding
        padded = noise.new_zeros(draws, rows * model.num_models, horizon, action_dim)
        padded[:, :num] = noise
        by_model = padded.unflatten(1, (rows, -1)).permute(2, 0, 1, 3, 4).flatten(1, 2)
        if state.ndim == 2:
            state = state.repeat_interleave(rows, dim=0)
        states, actions = state.expand(model.num_models, draws * rows, -1), []
        for t in range(horizon):
            action = self._proposal(states, by_model[:, :, t], settings)
            if last is not None and settings.plan_mixing > 0:
                mixed_in = last[:, t].repeat_interleave(rows, dim=0).expand_as(action)
                action = torch.lerp(action, mixed_in, settings.plan_mixing)
            actions.append(action)
            if t < horizon - 1:
                states = model.step(states, actions[-1])
        sequences = torch.stack(actions, dim=2).unflatten(1, (draws, rows))  # [K, I, rows, H, A]
        return sequences.permute(1, 2, 0, 3, 4).flatten(1, 2)[:, :num]

    def step_cost(self, states: Tensor, predicted: Tensor, settings: PlannerSettings) -> Tensor:
        """Cost [...] of steps that lead to `states` [..., S].

        The task's own cost of them where the settings say so, else the ensemble's `predicted` one.
        """
        if settings.cost_source == 'known' and self.task.cost is not None:
            return self.task.cost(states)
        return predicted.clamp(min=0.0)

    def _proposal(self, states: Tensor, noise: Tensor, settings: PlannerSettings) -> Tensor:
        """Actions of the actor with its own noise, or with that of Table 4."""
        actor = self.parts.actor
        if settings.proposal_std > 0:
            return (actor.mean(states) + settings.proposal_std * noise).clamp(-1.0, 1.0)
        return actor.act(states, noise)

    def _model(self, settings: PlannerSettings) -> Any:
        """The ensemble's copy in the dtype of the settings, made at its first use."""
        name = settings.rollout_dtype
        if name not in self._copies:
            dtype = rollout_dtype(name, self.device)
            self._copies[name] = self._copy(self.parts.ensemble, dtype)
        return self._copies[name]

    def _with_q(self, state: Tensor, rolled: _Rolled, settings: PlannerSettings) -> Tensor:
        """H-1 rewards, then Q(s_H, a_H) in place of the last one (Alg. 3, line 22), [K, B]."""
        path, rewards, alive, actions, discounts = rolled
        horizon, models, rows, _ = path.shape
        before = path[-2] if horizon > 1 else state.expand(path.shape[1:])
        particles = rows // actions.shape[1]
        last = actions[-1].repeat_interleave(particles, dim=0).expand(models, -1, -1)
        returns = torch.tensordot(discounts[:-2], rewards[:-1], dims=1)
        return returns + discounts[-2] * alive[-2] * self._q(before, last, settings)

    def _with_value(self, rolled: _Rolled, settings: PlannerSettings) -> Tensor:
        """H rewards, then V(s_{H+1}) (Eq. 3), [K, B].

        A rollout that resamples the goal ends there, with the value of that state: no model can
        predict where the next goal is.
        """
        path, rewards, alive, _, discounts = rolled
        same_goal = _until(self.task.goal_resampled, path)
        steps = same_goal[1:].sum(dim=0).long().clamp(max=len(path) - 1)  # before the end
        index = steps[None, ..., None].expand(1, *path.shape[1:])
        end = path.gather(0, index)[0]
        returns = torch.tensordot(discounts[:-1], rewards * same_goal[:-1], dims=1)
        return returns + discounts[steps + 1] * alive[-1] * self.value(end, settings)

    def _q(self, states: Tensor, actions: Tensor, settings: PlannerSettings) -> Tensor:
        """Q-values [K, B] of states [K, B, S] and actions [K, B, A], as settings say."""
        flat = states.flatten(0, 1), actions.flatten(0, 1)
        if settings.critic == 'q1':
            return self.parts.critic.first(*flat).view(states.shape[:2])
        values = self.parts.critic(*flat)
        value = values.amin(dim=0) if settings.critic == 'min' else values.mean(dim=0)
        return value.view(states.shape[:2])


def _split(
    state: Tensor, sequences: Tensor, noise: Tensor | None, shares: int
) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor | None]]:
    """States, sequences and noise of each share; a group with its own noise stays whole."""
    parts, noises = sequences.tensor_split(shares), [noise] * shares
    if noise is not None and noise.ndim == 5:
        own, size = noise.tensor_split(shares, dim=2), len(sequences) // noise.shape[2]
        parts, noises = sequences.split([size * each.shape[2] for each in own]), [*own]
    starts = state.split([len(part) for part in parts]) if state.ndim == 2 else [state] * shares
    return starts, parts, noises


def _until(event: Callable[[Tensor], Tensor] | None, path: Tensor) -> Tensor:
    """1 before each step and after the last, 0 once the event was met on a path; [H+1, K, B]."""
    if event is None:
        return path.new_ones(len(path) + 1, *path.shape[1:3])
    going_on = (~event(path)).to(path.dtype)
    return torch.cat((torch.ones_like(going_on[:1]), going_on)).cumprod(dim=0)


@functools.cache
def _discounts(discount: float, num: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1, gamma, gamma^2 ..., kept on the device."""
    with torch.inference_mode(False):
        return discount ** torch.arange(num, device=device, dtype=dtype)


@functools.cache
def _threads(num: int) -> ThreadPoolExecutor:
    """Threads of one core each; torch keeps a thread count for each thread."""
    return ThreadPoolExecutor(num, 'rollout', lambda: torch.set_num_threads(1))
