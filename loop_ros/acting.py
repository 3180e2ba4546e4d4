# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""state -> plan -> action: the acting half of LOOP (Alg. 1, line 3)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from loop_ros.devices import to_host
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.parts import Parts
from loop_ros.planning.make import make_planner
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.planning.search import Search, Solution
from loop_ros.settings import PlannerSettings, Settings
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan, PlannerMemory


class Start(NamedTuple):
    """What a plan begins with."""

    begin: float  # s, of the wall clock
    memory: PlannerMemory
    state: Tensor  # [S]
    explore: bool
    plans: bool  # whether there is something to plan


class Acting:
    """Plans and actions of one robot, in models that it may share with others."""

    def __init__(
        self, parts: Parts, task: Task, settings: Settings, device: torch.device, seed: int
    ) -> None:
        self.task, self.settings, self.device = task, settings, device
        self.ensemble, self.actor, self.critic = self._parts = parts
        self._plan_generator = torch.Generator(device).manual_seed(seed)
        self.planner = make_planner(Rollout(parts, task), self._plan_generator)
        self.version = 0  # of the weights; 0 is untrained
        self.actor_drives: bool | None = None  # this episode, exploring; None: not drawn so far
        self.last_search: Search | None = None  # of the last plan, where there was one

    def plan_in(self, model: Callable[[Ensemble, torch.dtype], Any]) -> None:
        """Roll plans out in another model than the ensemble's copy, which `model` makes."""
        self.planner = Planner(Rollout(self._parts, self.task, model), self._plan_generator)

    @property
    def ready(self) -> bool:
        """Whether there is a trained model to plan in."""
        return self.version > 0

    def act(
        self,
        observation: Array,
        explore: bool = False,
        predict_next: bool = False,
        most: int | None = None,
    ) -> Plan:
        """The plan from an observation [O]; before there is a model, a random action.

        `explore` adds the exploration noise of the settings to the executed action; an agent that
        acts without planning draws it from its actor instead. `predict_next` has the ensemble say
        where the executed action leads, and how surely. `most` iterations of the search are run
        where it is given. ValueError for an observation that is not finite.
        """
        start, solution = self.begin(observation, explore), None
        if start.plans:
            with torch.inference_mode():
                solution = self.planner.plan(start.state, self.settings.planner, most)
        return self.finish(start, solution, predict_next)

    def begin(self, observation: Array, explore: bool) -> Start:
        """The state to plan from, where there is something to plan; see `act`."""
        begin, settings = time.perf_counter(), self.settings.planner
        if not np.isfinite(observation).all():
            raise ValueError(f'observation is not finite: {np.asarray(observation).tolist()}')
        acting = settings.algorithm == 'actor' or (explore and self._actor_explores())
        plans = self.ready and not acting
        return Start(begin, self.planner.memory(), self._encode(observation), explore, plans)

    @torch.inference_mode()
    def finish(self, start: Start, solution: Solution | None, predict_next: bool) -> Plan:
        """What is executed of a solution, and all that is known of it; see `act`."""
        state, explore, settings = start.state, start.explore, self.settings.planner
        actor_action = self.actor.mean(state)
        found: dict[str, Any] = {'states': state.unsqueeze(0)}
        std: Tensor | float = 0.0
        if solution is None:
            sequence = self._unplanned(state, explore).expand(settings.horizon, -1)
        else:
            sequence, std = solution.sequence, solution.std
            found = {**solution.metrics, 'states': solution.states, 'runner_up': solution.runner_up}
        action = sequence[0]
        if explore and self.ready and (settings.exploration_std or settings.plan_exploration):
            spread = settings.exploration_std + settings.plan_exploration * std
            action = (action + spread * self._random(torch.randn)).clamp(-1, 1)
        if predict_next and self.ready:
            found['next_state'], found['next_std'] = self.ensemble.predict_next(state, action)
        found['sequence'] = torch.cat((action.unsqueeze(0), sequence[1:]))
        found['actor_action'] = actor_action
        found['actor_divergence'] = (action - actor_action).norm()
        host: dict[str, Any] = to_host(found)
        self.last_search = None if solution is None else solution.search
        for name in host.keys() & {'sequence', 'actor_action', 'runner_up'}:
            host[name] = self.task.denormalize_action(host[name])
        return Plan(
            action=host['sequence'][0],
            constrained=settings.constrained,
            d0=settings.d0,
            iterations=0 if solution is None else solution.iterations,
            memory=start.memory,
            plan_s=time.perf_counter() - start.begin,
            **host,
        )

    def _actor_explores(self) -> bool:
        """Whether this episode is the actor's; drawn at its first action."""
        settings = self.settings.planner
        if self.actor_drives is None:
            share = settings.actor_episodes
            self.actor_drives = share > 0.0 and bool(self._random(torch.rand)[0] < share)
        return settings.explore == 'actor' or self.actor_drives

    def _unplanned(self, state: Tensor, explore: bool) -> Tensor:
        """An action [A] without a plan: random before there is a model, else the actor's."""
        if not self.ready:
            return 2.0 * self._random(torch.rand) - 1.0
        if explore:
            return self.actor.act(state, self._random(torch.randn))
        return self.actor.mean(state)

    def act_without_planning(self, observation: Array) -> Array:
        """The actor's mean action [A], physical units."""
        with torch.inference_mode():
            action = self.actor.mean(self._encode(observation))
        return self.task.denormalize_action(action.double().cpu().numpy())

    @torch.inference_mode()
    def score(self, observation: Array, sequences: Array) -> tuple[Array, Array]:
        """Predicted returns and worst costs [N] of sequences [N, H, A], in physical units.

        From an observation [O]; all meet the same noise.
        """
        state = self._encode(observation)
        normalized = np.asarray(self.task.normalize_action(sequences))
        actions = torch.as_tensor(normalized, dtype=torch.float32, device=self.device)
        scores = self.planner.score(state, actions, self.settings.planner)
        found = to_host({'returns': scores.returns, 'costs': scores.costs})
        return found['returns'], found['costs']

    def reset(self) -> None:
        """Forget the last plan, as at the start of an episode."""
        self.actor_drives = None
        self.planner.reset()

    def configure(self, planner: PlannerSettings) -> None:
        """Planner settings for the next plan on."""
        self.settings = dataclasses.replace(self.settings, planner=planner)

    def _encode(self, observation: Array) -> Tensor:
        """The model state [S] of an observation [O]; encoded on the CPU in double precision."""
        state = self.task.encode(torch.as_tensor(observation, dtype=torch.float64))
        return state.float().to(self.device)

    def _random(self, draw: Any) -> Tensor:
        """One random number for each action, [A]."""
        size = len(self.task.action_labels)
        drawn: Tensor = draw(size, generator=self._plan_generator, device=self.device)
        return drawn
