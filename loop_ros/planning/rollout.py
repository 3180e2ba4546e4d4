# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one scoring function of every planner: (state, action sequences) -> returns, costs.

All sequences, models and particles move together; the only loop is the one over time.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import TwinCritic
from loop_ros.models.offline_actors import Policy
from loop_ros.models.planning_ensemble import PlanningEnsemble, Trajectory
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores

Cost = Callable[[Tensor], Tensor]
WORTHLESS = -1e9
SHARE = 128  # rows of states that are worth a thread of their own; fewer wait for the interpreter


class Rollout:
    """Rolls action sequences through the ensemble and scores them (Alg. 4, lines 12 to 27)."""

    def __init__(
        self,
        ensemble: Ensemble,
        actor: Policy,
        critic: TwinCritic,
        cost: Cost | None,
        copy: Callable[[Any, torch.dtype], Any] = PlanningEnsemble,
        termination: Callable[[Tensor], Tensor] | None = None,
        goal_resampled: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """`cost`, `termination` and `goal_resampled` are the task's; `copy` makes the ensemble's copy."""
        self.ensemble, self.actor, self.critic, self.cost = ensemble, actor, critic, cost
        self.termination, self.goal_resampled = termination, goal_resampled
        self.device = ensemble.device
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
        sequences differ by their actions alone. None makes the particles follow the means.

        On the CPU, threads take shares of the sequences through all steps: unlike threads within
        each operation they never wait for each other, which matters where cores are shared.
        """
        rows = len(sequences) * (1 if noise is None else settings.num_particles)
        cores = settings.rollout_threads or len(os.sched_getaffinity(0))
        shares = min(cores, rows // SHARE) if state.device.type == 'cpu' else 1
        if shares < 2:
            return self._score(state, sequences, noise, settings)
        score = functools.partial(_alone, self._score, noise=noise, settings=settings)
        starts = state.tensor_split(shares) if state.ndim == 2 else [state] * shares
        scores = _threads(shares).map(score, starts, sequences.tensor_split(shares))
        returns, costs = zip(*scores, strict=True)
        return Scores(torch.cat(returns), torch.cat(costs))

    def follow(
        self, state: Tensor, sequence: Tensor, noise: Tensor | None, settings: PlannerSettings
    ) -> tuple[Scores, Tensor, Tensor]:
        """Score one sequence [H, A].

        Also the standard deviation [] of its return over the models, and the mean states [H+1, S]
        of models and particles.
        """
        trajectory, actions = self._roll(state, sequence.unsqueeze(0), noise, settings)
        states = torch.cat((state.unsqueeze(0), trajectory.states.mean(dim=(1, 2))))
        scores, spread = self._judge(state, trajectory, actions, settings)
        return scores, spread[0], states

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
        actor's mean. Sequence i of a draw follows model i modulo K. `last` [H, A] is the shifted
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
                action = torch.lerp(action, last[t].expand_as(action), settings.plan_mixing)
            actions.append(action)
            if t < horizon - 1:
                states = model.step(states, actions[-1])
        sequences = torch.stack(actions, dim=2).unflatten(1, (draws, rows))  # [K, I, rows, H, A]
        return sequences.permute(1, 2, 0, 3, 4).flatten(1, 2)[:, :num]

    def _proposal(self, states: Tensor, noise: Tensor, settings: PlannerSettings) -> Tensor:
        """Actions of the actor with its own noise, or with that of Table 4."""
        if settings.proposal_std > 0:
            return (self.actor.mean(states) + settings.proposal_std * noise).clamp(-1.0, 1.0)
        return self.actor.act(states, noise)

    def _score(
        self, state: Tensor, sequences: Tensor, noise: Tensor | None, settings: PlannerSettings
    ) -> Scores:
        if state.ndim == 2 and noise is not None:  # the particles of a sequence in a block
            state = state.repeat_interleave(settings.num_particles, dim=0)
        trajectory, actions = self._roll(state, sequences, noise, settings)
        return self._judge(state, trajectory, actions, settings)[0]

    def _roll(
        self, state: Tensor, sequences: Tensor, noise: Tensor | None, settings: PlannerSettings
    ) -> tuple[Trajectory, Tensor]:
        """The trajectory of sequences [N, H, A], and their actions [H, N, A]."""
        actions = sequences.transpose(0, 1)
        return self._model(settings).roll(state, actions, noise), actions

    def _model(self, settings: PlannerSettings) -> Any:
        """The ensemble's copy in the dtype of the settings, made at its first use."""
        name = settings.rollout_dtype
        if name not in self._copies:
            self._copies[name] = self._copy(self.ensemble, rollout_dtype(name, self.device))
        return self._copies[name]

    def _judge(
        self, state: Tensor, trajectory: Trajectory, actions: Tensor, settings: PlannerSettings
    ) -> tuple[Scores, Tensor]:
        """Of a trajectory under actions [H, N, A]; also the returns' spread over models [N]."""
        path, rewards, predicted = trajectory
        horizon, models, _, _ = path.shape
        num = actions.shape[1]
        valued = settings.terminal_value in ('v', 'state')
        alive = _until(self.termination, path)
        renewed = _until(self.goal_resampled, path) if valued else None
        if alive is not None:  # what comes after the end of an episode is worth nothing
            rewards = rewards * alive[:-1]
        if renewed is not None:  # only the value knows what follows a new goal
            rewards = rewards * renewed[:-1]
        discounts = _discounts(settings.discount, horizon + 1, state.device, state.dtype)
        if settings.terminal_value == 'q':  # Alg. 3: Q takes the place of the last reward
            before = path[-2] if horizon > 1 else state.expand(path.shape[1:])
            particles = path.shape[2] // num
            last = actions[-1].repeat_interleave(particles, dim=0).expand(models, -1, -1)
            returns = torch.tensordot(discounts[: horizon - 1], rewards[:-1], dims=1)
            returns = returns + discounts[horizon - 1] * _if(
                alive, -2, self._value(before, last, settings)
            )
        else:
            returns = torch.tensordot(discounts[:-1], rewards, dims=1)
        if valued:
            end, discount = _end(path, renewed, discounts)
            if settings.terminal_value == 'v':
                action = self.actor.mean(end)
            else:
                action = path.new_zeros(*path.shape[1:3], actions.shape[-1])
            returns = returns + discount * _if(alive, -1, self._value(end, action, settings))
        costs = torch.tensordot(discounts[:-1], self.step_cost(path, predicted, settings), dims=1)
        by_model = returns.view(models, num, -1).mean(dim=2)
        spread = by_model.std(dim=0, correction=0)
        total = by_model.mean(dim=0) - settings.pessimism * spread
        worst = costs.view(models, num, -1).amax(dim=(0, 2))
        # A rollout that leaves the numbers (a diverging model) is worth nothing and is not safe.
        sound = total.isfinite() & path[-1].isfinite().view(models, num, -1).all(dim=2).all(dim=0)
        returns = torch.where(sound, total, WORTHLESS)
        return Scores(returns, torch.where(sound, worst, -WORTHLESS)), spread

    def _value(self, states: Tensor, action: Tensor, settings: PlannerSettings) -> Tensor:
        """Terminal value [K, B] of states [K, B, S] and actions [K, B, A]."""
        models, batch, _ = states.shape
        flat = states.reshape(models * batch, -1), action.reshape(models * batch, -1)
        if settings.critic == 'q1':
            return self.critic.first(*flat).view(models, batch)
        values = self.critic(*flat)
        value = values.amin(dim=0) if settings.critic == 'min' else values.mean(dim=0)
        return value.view(models, batch)

    def step_cost(self, states: Tensor, predicted: Tensor, settings: PlannerSettings) -> Tensor:
        """Cost [...] of steps that lead to `states` [..., S]; `predicted` [...] is the ensemble's.

        It is that of the state reached, as the task counts it, where the settings say so.
        """
        if settings.cost_source == 'known' and self.cost is not None:
            return self.cost(states)
        return predicted.clamp(min=0.0)


def _until(event: Callable[[Tensor], Tensor] | None, path: Tensor) -> Tensor | None:
    """1 before each step and after the last, 0 once the event was met on a path; [H+1, K, B]."""
    if event is None:
        return None
    going_on = (~event(path)).to(path.dtype)
    return torch.cat((torch.ones_like(going_on[:1]), going_on)).cumprod(dim=0)


def _end(path: Tensor, renewed: Tensor | None, discounts: Tensor) -> tuple[Tensor, Tensor]:
    """The last state [K, B, S] of each rollout, or the first with a new goal, and its discount."""
    if renewed is None:
        return path[-1], discounts[-1]
    before = renewed[1:].sum(dim=0).long().clamp(max=len(path) - 1)  # steps
    index = before[None, ..., None].expand(1, *path.shape[1:])
    return path.gather(0, index)[0], discounts[before + 1]


def _if(alive: Tensor | None, step: int, value: Tensor) -> Tensor:
    """A terminal value [K, B], where the episode has not ended before."""
    return value if alive is None else value * alive[step]


@functools.cache
def rollout_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a setting; `auto` is bfloat16 where the device multiplies it natively."""
    if name == 'auto':
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return {'float32': torch.float32, 'bfloat16': torch.bfloat16}[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        words = set(Path('/proc/cpuinfo').read_text(encoding='ascii').split())
    except (OSError, UnicodeDecodeError):
        return False
    return bool(words & {'avx512_bf16', 'amx_bf16', 'bf16'})  # x86, x86, ARM


@functools.cache
def _discounts(discount: float, num: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1, gamma, gamma^2 ..., kept on the device."""
    with torch.inference_mode(False):
        return discount ** torch.arange(num, device=device, dtype=dtype)


@functools.cache
def _threads(num: int) -> ThreadPoolExecutor:
    """Threads that compute alone; torch keeps a thread count for each thread."""
    return ThreadPoolExecutor(num, 'rollout', lambda: torch.set_num_threads(1))


def _alone(score: Callable[..., Scores], state: Tensor, sequences: Tensor, **rest: Any) -> Scores:
    with torch.inference_mode():  # a mode of each thread's own
        return score(state, sequences, **rest)
