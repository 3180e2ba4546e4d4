# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes, one at a time, and what an agent would have done in each recorded state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from loop_ros.agent import Agent
from loop_ros.cli.places import planned_path, positions
from loop_ros.control.step_prediction import predict_steps
from loop_ros.runner import cost_ahead
from loop_ros.types import Array, Flags, Transition


@dataclass
class Recording:
    """One recorded episode, or its first part."""

    number: int  # of the reading, from 0
    transitions: list[Transition] = field(default_factory=list)
    whole: bool = False  # read up to its end


@dataclass(frozen=True)
class Replayed:
    """T recorded steps of an episode and the plans from their states.

    Numbers of a plan are NaN where none was made; what it predicts also where it predicts nothing.
    """

    number: int
    whole: bool
    step: Array  # [T], as recorded
    time: Array  # [T], s, since the first of them
    recorded: Array  # [T, A], physical units
    reward: Array  # [T]
    cost: Array  # [T]
    cost_ahead: Array  # [T], recorded, over as many steps as a plan looks ahead and discounted so
    planned: Array  # [T, A], physical units
    distance: Array  # [T], L2 between the normalised actions
    difference: Array  # [T, A], between the actions, as a share of the range
    predicted_return: Array  # [T]
    worst_cost: Array  # [T]
    safe_fraction: Array  # [T]
    model_error: Array  # [T], of the mean next state, in standard deviations of the training data
    model_spread: Array  # [T], of the models' next states, likewise
    diverged: int  # plans whose rollouts diverged
    # Where it was, [T, 2] in m, and where plans lead, [H+1, 2] by row; empty without a task's path.
    driven: Array = field(default_factory=lambda: np.empty((0, 2)))
    paths: dict[int, Array] = field(default_factory=dict)

    @property
    def has_plan(self) -> Flags:
        """In which steps [T] there is a plan."""
        return np.asarray(np.isfinite(self.distance))


def predicts(agent: Agent) -> bool:
    """Whether the agent plans; an actor without a planner predicts nothing."""
    return agent.settings.planner.algorithm != 'actor'


def recordings(transitions: Iterable[Transition], episodes: int, steps: int) -> Iterator[Recording]:
    """The first episodes, whole as soon as each has ended; the last ones cut after so many steps.

    Episodes of several robots in one bag may be entangled.
    """
    started: dict[int, Recording] = {}
    taken = begun = 0
    for transition in transitions:
        number = transition.episode
        if number not in started:
            if begun == episodes:
                if not started:
                    return
                continue
            started[number] = Recording(number)
            begun += 1
        started[number].transitions.append(transition)
        taken += 1
        if transition.terminated or transition.truncated:
            started[number].whole = True
            yield started.pop(number)
        if taken == steps:
            break
    yield from started.values()


def replay(
    agent: Agent, recording: Recording, every: int, on_step: Callable[[], None] = lambda: None
) -> Replayed:
    """Plan in every so many of the recorded states, each plan starting from the one before."""
    transitions = recording.transitions
    task, length = agent.task, len(transitions)
    planned = np.full((length, len(task.action_labels)), np.nan)
    predicted = np.full((length, 3), np.nan)
    diverged, paths = 0, dict[int, Array]()
    agent.reset()
    for row, transition in enumerate(transitions):
        if row % every == 0:
            if row:
                agent.planner.skip(every - 1)
            plan = agent.act(transition.observation)
            planned[row] = plan.action
            if task.path is not None and plan.predicted:
                paths[row] = planned_path(task, transition.observation, plan.states)
            if plan.diverged:
                diverged += 1
            elif plan.predicted:
                predicted[row] = plan.predicted_return, plan.worst_cost, plan.safe_fraction
        on_step()
    recorded = np.array([t.action for t in transitions])
    difference = task.normalize_action(planned) - task.normalize_action(recorded)
    stamps = np.array([t.stamp for t in transitions])
    error, spread = model_errors(agent, transitions)
    return Replayed(
        number=recording.number,
        whole=recording.whole,
        step=np.array([t.step for t in transitions], dtype=np.float64),
        time=stamps - stamps[0],
        recorded=recorded,
        reward=np.array([t.reward for t in transitions]),
        cost=np.array([t.cost for t in transitions]),
        cost_ahead=_cost_ahead(agent, transitions),
        planned=planned,
        distance=np.linalg.norm(difference, axis=1),
        difference=np.abs(difference) / 2.0,
        predicted_return=predicted[:, 0],
        worst_cost=predicted[:, 1],
        safe_fraction=predicted[:, 2],
        model_error=error,
        model_spread=spread,
        diverged=diverged,
        driven=positions(task, np.array([t.observation for t in transitions])),
        paths=paths,
    )


@torch.inference_mode()
def model_errors(agent: Agent, transitions: list[Transition]) -> tuple[Array, Array]:
    """After each recorded action: the error of the models' mean state and their spread, [T] each.

    Root mean squares over the dimensions of the state, in standard deviations of the training data;
    NaN where the agent plans in no model.
    """
    if not predicts(agent):
        return np.full(len(transitions), np.nan), np.full(len(transitions), np.nan)
    rows = [(t.observation, t.action, t.next_observation) for t in transitions]
    found = predict_steps(agent, *(np.array(part) for part in zip(*rows, strict=True)))
    scale = agent.ensemble.inputs.std[: agent.task.state_dim]
    error = (found.predicted.mean(dim=0) - found.next_state) / scale
    spread = found.predicted.std(dim=0, correction=0) / scale
    rms = [part.square().mean(dim=-1).sqrt().double().cpu().numpy() for part in (error, spread)]
    return rms[0], rms[1]


def _cost_ahead(agent: Agent, transitions: list[Transition]) -> Array:
    """What a plan's cost says of the future, as it was recorded; NaN where the recording ends."""
    planner = agent.settings.planner
    costs = np.array([t.cost for t in transitions])
    if not transitions[-1].terminated:
        costs = np.concatenate((costs, np.full(planner.horizon - 1, np.nan)))
    else:
        costs = np.concatenate((costs, np.zeros(planner.horizon - 1)))
    return cost_ahead(costs, planner)
