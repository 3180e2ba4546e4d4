# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far predictions of recorded steps are from what came, in the units of each quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.models.ensemble import Prediction
from loop_ros.offline.data import OfflineData
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Rows

MOST = 10_000  # starts of predictions, spread evenly
ANGLES = ('roll', 'pitch', 'yaw')  # what the labels of angles end with
POSE = ('x', 'y', 'yaw')
Predictor = Callable[['Recorded', Tensor, int], Iterable[Tensor]]


@dataclass(frozen=True)
class Recorded:
    """Transitions as they were recorded, and as the networks see them."""

    task: Task
    data: OfflineData
    rows: Rows

    @classmethod
    def of(cls, parts: Iterable[Rows], task: Task) -> Self:
        """Of chunks of rows, as `BagReader.batches` gives them; ValueError for none."""
        chunks = list(parts)
        data = OfflineData.from_rows(chunks, task)
        return cls(task, data, Rows(*map(np.concatenate, zip(*chunks, strict=True))))

    def starts(self, steps: int) -> Tensor:
        """Rows [n] that at least `steps` transitions of their episode begin with.

        ValueError where there is none.
        """
        episode = self.data.episode
        rows = torch.arange(max(0, len(episode) - steps + 1))
        rows = rows[episode[rows] == episode[rows + steps - 1]]
        if not len(rows):
            longest = int(torch.bincount(episode).max())
            raise ValueError(
                f'no episode has {steps} steps, the longest {longest}: predict fewer --seconds'
            )
        return rows[:: -(-len(rows) // MOST)]


@torch.inference_mode()
def roll(agent: Agent, batch: Batch, rows: Tensor, steps: int) -> Iterator[Prediction]:
    """The models, each from its own last state, under the actions recorded from rows [n] on."""
    models, last = agent.ensemble.num_models, len(batch.reward) - 1
    states = batch.state[rows].to(agent.device).expand(models, -1, -1)
    for step in range(steps):
        action = batch.action[(rows + step).clamp(max=last)].to(agent.device)
        predicted = agent.ensemble.predict(states, action.expand(models, -1, -1))
        states = predicted.next_state
        yield predicted


def ensemble(agent: Agent) -> Predictor:
    """The mean of an agent's models."""

    def predict(recorded: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
        for predicted in roll(agent, recorded.data.batch, rows, steps):
            yield predicted.next_state.mean(dim=0).cpu()

    return predict


def unchanged(recorded: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
    """Predict that everything stays as it is."""
    for _ in range(steps):
        yield recorded.data.batch.state[rows]


def errors(
    recorded: Recorded, predictors: Mapping[str, Predictor], steps: int
) -> list[dict[str, Any]]:
    """Root mean squared errors after 1 and after `steps` recorded actions, without a look between.

    A row for each quantity: its `name`, and by predictor its errors 'NAME, 1' and 'NAME, steps'.
    Quantities are the labels that a state gives back, else the state's numbers; and the pose, where
    the task draws a path from states.
    """
    rows = recorded.starts(steps)
    names, read = _quantities(recorded)
    true = [_came(recorded, rows + step) for step in range(steps)]
    found: dict[str, dict[str, Any]] = {}
    for name, predictor in predictors.items():
        states = list(predictor(recorded, rows, steps))
        for step in (1, steps):
            difference = read(states[step - 1]) - read(true[step - 1])
            columns = dict(zip(names, _wrapped(difference, names).T, strict=True))
            columns |= _pose_errors(recorded, rows, states[:step])
            for quantity, column in columns.items():
                row = found.setdefault(quantity, {'name': quantity})
                row[f'{name}, {step}'] = float(np.sqrt(np.mean(np.square(column))))
    return list(found.values())


def _came(recorded: Recorded, rows: Tensor) -> Tensor:
    """The states [n, S] that followed, as far as a model can predict them."""
    batch, predictable = recorded.data.batch, recorded.task.predictable_next_state
    state, next_state = batch.state[rows], batch.next_state[rows]
    return next_state if predictable is None else predictable(state, next_state)


def _quantities(recorded: Recorded) -> tuple[list[str], Callable[[Tensor], Array]]:
    """Names, and what reads their numbers [n, Q] from states [n, S]."""
    task = recorded.task
    some = torch.from_numpy(recorded.rows.observation[:1000])
    back = task.encode(some) if task.decode is None else task.decode(task.encode(some))
    if back.shape != some.shape:
        return [f'state[{i}]' for i in range(task.state_dim)], lambda states: states.numpy()
    difference = _wrapped((back - some).numpy(), task.observation_labels)
    kept = np.flatnonzero((np.abs(difference) < 1e-4).all(axis=0))

    def read(states: Tensor) -> Array:
        observation = states if task.decode is None else task.decode(states.double())
        return np.asarray(observation.numpy()[:, kept], dtype=np.float64)

    return [task.observation_labels[i] for i in kept], read


def _pose_errors(recorded: Recorded, rows: Tensor, states: Sequence[Tensor]) -> dict[str, Array]:
    """Metres and radians [n] between the end of the path of states and the pose that came."""
    task, labels = recorded.task, recorded.task.observation_labels
    if task.path is None or not set(POSE) <= set(labels):
        return {}
    place = [labels.index(label) for label in POSE]
    came = recorded.rows.next_observation[rows.numpy() + len(states) - 1][:, place]
    sequences = torch.stack([recorded.data.batch.state[rows], *states], dim=1).double().numpy()
    observations = recorded.rows.observation[rows.numpy()]
    ends = [task.path(o, s)[-1] for o, s in zip(observations, sequences, strict=True)]
    x, y, yaw = _wrapped(np.array(ends) - came, POSE).T
    return {'position (m)': np.hypot(x, y), 'heading (rad)': yaw}


def _wrapped(difference: Array, labels: Sequence[str]) -> Array:
    """Differences [n, labels], of angles the short way round."""
    angle = np.array([label.endswith(ANGLES) for label in labels])
    return np.where(angle, (difference + np.pi) % (2 * np.pi) - np.pi, difference)
